def _place_first(x, dim, rows):
    """Zero rows but the first, which is `x`."""
    return torch.cat([x.unsqueeze(dim), x.new_zeros(*x.shape[:dim], rows - 1, *x.shape[dim:])], dim)
