@triton.jit
def _factor(x, DT: tl.constexpr, DEVICE: tl.constexpr):
    """A factor of products, rounded as they round it, and computed here alone: see `_once`."""
    if DT == tl.bfloat16:
        return _once_short(x.to(tl.bfloat16), DEVICE)
    else:
        return _once(x, DEVICE)


@triton.jit
def _loaded(x, DT: tl.constexpr, DEVICE: tl.constexpr):
    """A factor that is taken as it lies in memory, where that is how products round it."""
    if DT == tl.bfloat16 and x.dtype == tl.bfloat16:
        return x
    else:
        return _factor(x.to(tl.float32), DT, DEVICE)


@triton.jit
def _product(x, y, to, AT: tl.constexpr):
    """`to` + x @ y, in a branch that is always taken.

    Where the compiler sees one product lead to another it gives each warp whole rows of both, and where there are fewer
    rows than that takes, several warps compute and hold the same ones. It does not look across a branch. That a grid
    has programs along every axis is known to its last stage alone, so that no branch is left in the end. AT tells the
    branches apart, since those of one condition would be merged.
    """
    if tl.num_programs(1) > -AT:
        to = tl.dot(x, y, to)
    return to


@triton.jit
def _dot(x, y, DT: tl.constexpr, PRECISION: tl.constexpr, AT: tl.constexpr, to=None):
    """`to` + x @ y, or x @ y, summed in float32, the factors rounded to bfloat16 where the inputs are.

    Factors of float16 inputs are not: in float16 they would overflow where states grow.
    """
    if DT == tl.bfloat16:
        to = tl.zeros((x.shape[0], y.shape[1]), tl.float32) if to is None else to
        return _product(x.to(tl.bfloat16), y.to(tl.bfloat16), to, 6 * AT)
    else:
        return _dot_exact(x, y, PRECISION, AT, to)


@triton.jit
def _dot_exact(x, y, PRECISION: tl.constexpr, AT: tl.constexpr, to=None):
    """As `_dot`, of float32 factors, each taken as a sum of PRECISION numbers in bfloat16, or as it is if that is 0.

    Two such numbers keep 16 bits of a factor, three keep all 24; products below the last bit kept are left out.
    """
    to = tl.zeros((x.shape[0], y.shape[1]), tl.float32) if to is None else to
    if PRECISION == 0:
        return tl.dot(x, y, to, input_precision="ieee")
    x1, y1 = x.to(tl.bfloat16), y.to(tl.bfloat16)
    x, y = x - x1.to(tl.float32), y - y1.to(tl.float32)
    x2, y2 = x.to(tl.bfloat16), y.to(tl.bfloat16)
    if PRECISION == 3:
        x3, y3 = (x - x2.to(tl.float32)).to(tl.bfloat16), (y - y2.to(tl.float32)).to(tl.bfloat16)
        to = _product(x3, y1, to, 6 * AT + 5)
        to = _product(x1, y3, to, 6 * AT + 4)
        to = _product(x2, y2, to, 6 * AT + 3)
    to = _product(x2, y1, to, 6 * AT + 2)
    to = _product(x1, y2, to, 6 * AT + 1)
    return _product(x1, y1, to, 6 * AT)
