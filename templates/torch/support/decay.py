_LEAST = {torch.float32: -40.0, torch.float64: -200.0}
_FLOOR = {kind: math.exp(least) for kind, least in _LEAST.items()}


def _decay(x):
    """exp(x) for x <= 0, cut far below the precision of any sum it enters: smaller ones only make denormal numbers."""
    return torch.exp(x.clamp(min=_LEAST[x.dtype]))


def _decay_(x):
    """The same in place."""
    return x.clamp_(min=_LEAST[x.dtype]).exp_()
