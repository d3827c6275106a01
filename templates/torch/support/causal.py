def _causal(rows, strict, dtype, device):
    """One where token t sees token s: s <= t, or s < t when strict; [rows, rows]."""
    return torch.ones(rows, rows, dtype=dtype, device=device).tril_(-1 if strict else 0)
