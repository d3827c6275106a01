def _pair(gx, gy, strict, dtype):
    """exp(gx_t - gy_s) where t sees s, else 0; masked before the exponential. [.., C] and [.., C] -> [.., C, C]."""
    seen = torch.ones(gx.shape[-1], gx.shape[-1], dtype=torch.bool, device=gx.device).tril_(-1 if strict else 0)
    return torch.exp((gx[..., :, None] - gy[..., None, :]).masked_fill(~seen, -math.inf).to(dtype))
