def _shift(x, first, dim):
    """Row t of the result is row t - 1; row 0 is `first`."""
    first = first.to(x.dtype).unsqueeze(dim)
    rest = x.narrow(dim, 0, x.shape[dim] - 1)
    shape = torch.broadcast_shapes(first.shape, rest.narrow(dim, 0, 1).shape) if rest.shape[dim] else first.shape
    widths = [n if i != dim else -1 for i, n in enumerate(shape)]
    return torch.cat([first.expand(*widths), rest.expand(*widths)], dim)
