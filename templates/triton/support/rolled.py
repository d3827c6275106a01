@triton.jit
def _rolled(number, ROLLED: tl.constexpr, DEVICE: tl.constexpr):
    """The number of a loop's round, first of all in it. If ROLLED, the assembler computes no round beside the next one,
    for which it would hold the numbers of both."""
    if ROLLED and DEVICE == "cuda":
        return tl.inline_asm_elementwise(
            '.pragma "nounroll"; mov.b32 $0, $1;', "=r,r", [number], dtype=tl.int32, is_pure=False, pack=1
        )
    else:
        return number
