@triton.jit
def _upto(x):
    """Sums of log-decays up to and with each row. Below -87 a decay is zero in float32, and means nothing more."""
    return tl.cumsum(tl.maximum(x, -87.0), 0)


@triton.jit
def _earlier(x, row, before, C: tl.constexpr, EXACT: tl.constexpr):
    """Sums of log-decays over the rows before each one."""
    x = tl.maximum(x, -87.0)
    if EXACT:
        return tl.cumsum(tl.where(row == 0, 0.0, tl.gather(x, before, 0)), 0)
    else:
        return tl.cumsum(x, 0) - x


@triton.jit
def _later(x, row, after, C: tl.constexpr, EXACT: tl.constexpr):
    """Sums of log-decays over the rows after each one."""
    x = tl.maximum(x, -87.0)
    if EXACT:
        return tl.cumsum(tl.where(row == C - 1, 0.0, tl.gather(x, after, 0)), 0, reverse=True)
    else:
        return tl.cumsum(x, 0, reverse=True) - x
