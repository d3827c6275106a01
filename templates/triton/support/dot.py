@triton.jit
def _dot(x, y, DT: tl.constexpr, PRECISION: tl.constexpr):
    """x @ y, summed in float32. float16 operands would overflow where states grow, so they are kept in float32."""
    if DT == tl.bfloat16:
        return tl.dot(x.to(tl.bfloat16), y.to(tl.bfloat16))
    else:
        return tl.dot(x, y, input_precision=PRECISION)


@triton.jit
def _dot_exact(x, y, PRECISION: tl.constexpr):
    """x @ y of factors that are not rounded to the inputs' precision."""
    return tl.dot(x, y, input_precision=PRECISION)
