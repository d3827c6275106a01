@triton.jit
def _once(x, DEVICE: tl.constexpr):
    """`x`, computed here and nowhere else: a copy that the compiler may not repeat."""
    if DEVICE == "cuda":
        return tl.inline_asm_elementwise("mov.b32 $0, $1;", "=r,r", [x], dtype=tl.float32, is_pure=False, pack=1)
    elif DEVICE == "hip":
        return tl.inline_asm_elementwise("v_mov_b32 $0, $1", "=v,v", [x], dtype=tl.float32, is_pure=False, pack=1)
    else:
        return x


@triton.jit
def _once_short(x, DEVICE: tl.constexpr):
    """As `_once`, for bfloat16: two numbers a register."""
    if DEVICE == "cuda":
        return tl.inline_asm_elementwise("mov.b32 $0, $1;", "=r,r", [x], dtype=tl.bfloat16, is_pure=False, pack=2)
    elif DEVICE == "hip":
        return tl.inline_asm_elementwise("v_mov_b32 $0, $1", "=v,v", [x], dtype=tl.bfloat16, is_pure=False, pack=2)
    else:
        return x
