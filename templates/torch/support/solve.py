def _flattened(a, x, terms, axes):
    """The system with its rows [time x terms] and its right sides [axes] as one dim each."""
    a = a.flatten(-terms).flatten(-terms - 1, -2) if terms > 1 else a
    x = x.flatten(-axes) if axes > 1 else x.unsqueeze(-1) if axes == 0 else x
    return a, x.flatten(-terms - 1, -2) if terms > 1 else x


def _solve(a, x, terms, axes):
    """(I - A)^-1 x with A strictly lower triangular in time."""
    flat_a, flat_x = _flattened(a, x, terms, axes)
    return torch.linalg.solve_triangular(-flat_a, flat_x, upper=False, unitriangular=True).reshape(x.shape)


def _solve_t(a, x, terms, axes):
    """(I - A)^-T x with A strictly lower triangular in time."""
    flat_a, flat_x = _flattened(a, x, terms, axes)
    return torch.linalg.solve_triangular(-flat_a.mT, flat_x, upper=True, unitriangular=True).reshape(x.shape)
