def _place_last(x, dim, rows):
    """Zero rows but the last, which is `x`."""
    return torch.cat([x.new_zeros(*x.shape[:dim], rows - 1, *x.shape[dim:]), x.unsqueeze(dim)], dim)
