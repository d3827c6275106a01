def _revcumsum(x, dim):
    """Sums from each row to the last."""
    return x.flip(dim).cumsum(dim).flip(dim)
