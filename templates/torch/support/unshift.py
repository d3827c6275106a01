def _unshift(x, dim):
    """Row t of the result is row t + 1; the last row is zero."""
    n = x.shape[dim]
    return torch.cat([x.narrow(dim, 1, n - 1), torch.zeros_like(x.narrow(dim, 0, 1))], dim)
