_UNDERFLOW = {torch.float32: -87.0, torch.float64: -700.0}


def _decay(x):
    """exp(x) for x <= 0; below the smallest normal number the exponential would be slow, and means nothing more."""
    return torch.exp(x.clamp(min=_UNDERFLOW[x.dtype]))
