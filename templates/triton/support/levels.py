@triton.jit
def _first_level(g, STRICT: tl.constexpr, EXACT: tl.constexpr):
    """What the walk over the levels carries along for log-decays [t, channels].

    EXACT: sums from the start of each row's half block to before the row, and from after the row to the half block's
    end.
    Else: sums from the chunk's start to the row, with it and, if STRICT, without it.
    """
    if EXACT:
        return tl.zeros_like(g), tl.zeros_like(g)
    else:
        g = tl.maximum(g, -87.0)
        upto = tl.cumsum(g, 0)
        return upto, upto - g if STRICT else upto


@triton.jit
def _sibling(row, half, EXACT: tl.constexpr):
    """The row whose sum tells what lies between a row and the middle of its block: the last one of the other half
    block,
    or of the early one."""
    if EXACT:
        return (row ^ half) | (half - 1)
    else:
        return (row | (2 * half - 1)) - half


@triton.jit
def _level(up, down, g, late, sibling, STRICT: tl.constexpr, EXACT: tl.constexpr):
    """The decays between each row and the middle of its block, and what the next level needs."""
    if EXACT:
        g = tl.maximum(g, -87.0)
        e = tl.exp(tl.where(late, up if STRICT else up + g, down))
        other = tl.gather(up + g, sibling, 0)
        return e, up + tl.where(late, other, 0.0), down + tl.where(late, 0.0, other)
    else:
        middle = tl.gather(up, sibling, 0)
        e = tl.exp(tl.minimum(tl.where(late, down - middle, middle - up), 0.0))
        return e, up, down
