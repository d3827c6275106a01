@triton.jit
def _factor(x, DT: tl.constexpr, DEVICE: tl.constexpr):
    """A factor of products, rounded as they round it, and computed here alone: see `_once`."""
    if DT == tl.bfloat16:
        return _once_short(x.to(tl.bfloat16), DEVICE)
    else:
        return _once(x, DEVICE)


@triton.jit
def _dot(x, y, DT: tl.constexpr, PRECISION: tl.constexpr):
    """x @ y, summed in float32, the factors rounded to bfloat16 where the inputs are.

    Factors of float16 inputs are not: in float16 they would overflow where states grow.
    """
    if DT == tl.bfloat16:
        return tl.dot(x.to(tl.bfloat16), y.to(tl.bfloat16))
    else:
        return _dot_exact(x, y, PRECISION)


@triton.jit
def _dot_exact(x, y, PRECISION: tl.constexpr):
    """x @ y of float32 factors, each taken as a sum of PRECISION numbers in bfloat16, or as it is if that is 0.

    Two such numbers keep 16 bits of a factor, three keep all 24; products below the last bit kept are left out.
    """
    if PRECISION == 0:
        return tl.dot(x, y, input_precision="ieee")
    x1, y1 = x.to(tl.bfloat16), y.to(tl.bfloat16)
    x, y = x - x1.to(tl.float32), y - y1.to(tl.float32)
    x2, y2 = x.to(tl.bfloat16), y.to(tl.bfloat16)
    if PRECISION == 2:
        return tl.dot(x1, y1, tl.dot(x1, y2, tl.dot(x2, y1)))
    else:
        x3, y3 = (x - x2.to(tl.float32)).to(tl.bfloat16), (y - y2.to(tl.float32)).to(tl.bfloat16)
        small = tl.dot(x2, y2, tl.dot(x1, y3, tl.dot(x3, y1)))
        return tl.dot(x1, y1, tl.dot(x1, y2, tl.dot(x2, y1, small)))
