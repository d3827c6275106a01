def _pair(g, strict):
    """exp(g_{s+1} + .. + g_t) for s <= t, or exp(g_{s+1} + .. + g_{t-1}) for s < t when strict; else 0.

    [.., C] -> [.., C, C]. The sums are differences of float64 ones, so that a strong decay hides no weak one after it.
    """
    upto = torch.cumsum(g, -1, dtype=torch.float64)
    rows = torch.cat([torch.zeros_like(upto[..., :1]), upto[..., :-1]], -1) if strict else upto
    between = (rows[..., :, None] - upto[..., None, :]).to(g.dtype)
    return between.clamp_(_LEAST[g.dtype], 0.0).exp_().tril_(-1 if strict else 0)
