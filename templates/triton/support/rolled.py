@triton.jit
def _rolled(number, STEP: tl.constexpr, SPARING: tl.constexpr, DEVICE: tl.constexpr):
    """The number of a loop's round, a multiple of STEP, first of all in it. If SPARING, the assembler computes no round
    beside the next one, for which it would hold the numbers of both."""
    if SPARING and DEVICE == "cuda":
        number = tl.inline_asm_elementwise(
            '.pragma "nounroll"; mov.b32 $0, $1;', "=r,r", [number], dtype=tl.int32, is_pure=False, pack=1
        )
        return tl.multiple_of(number, STEP)
    else:
        return number
