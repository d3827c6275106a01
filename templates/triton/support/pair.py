@triton.jit
def _pair(
    g,
    STRICT: tl.constexpr,
    TURNED: tl.constexpr,
    C: tl.constexpr,
    EXACT: tl.constexpr,
    AGAIN: tl.constexpr,
    DEVICE: tl.constexpr,
):
    """exp(g_{s+1} + .. + g_t) for s <= t, or exp(g_{s+1} + .. + g_{t-1}) for s < t when STRICT; else 0.

    [t, s], or [s, t] when TURNED. If EXACT, each sum runs over exactly the rows that are meant. AGAIN: nothing of it
    is held for another call.
    """
    i = tl.arange(0, C)
    g = tl.maximum(g, -87.0)
    lead: tl.constexpr = 1 if STRICT else 0
    if EXACT:
        late = tl.where(i == 0, 0.0, tl.gather(g, tl.maximum(i - 1, 0), 0)) if STRICT else g
        if TURNED:
            between = tl.cumsum(tl.where(i[None, :] > i[:, None] + lead, late[None, :], 0.0), 1)
        else:
            between = tl.cumsum(tl.where(i[:, None] > i[None, :] + lead, late[:, None], 0.0), 0)
    else:
        upto = tl.cumsum(g, 0)
        upto = _once(upto, DEVICE) if AGAIN else upto
        rows = upto - g if STRICT else upto
        between = rows[None, :] - upto[:, None] if TURNED else rows[:, None] - upto[None, :]
    seen = (i[None, :] >= i[:, None] + lead) if TURNED else (i[:, None] >= i[None, :] + lead)
    return tl.where(seen, tl.exp(tl.minimum(between, 0.0)), 0.0)
