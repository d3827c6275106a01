def _cumsum_before(x, dim):
    """Sums of the rows before each row."""
    return _moved(torch.cumsum(x, dim), dim, 1)


def _cumsum_after(x, dim):
    """Sums of the rows after each row."""
    return _moved(_revcumsum(x, dim), dim, -1)


def _revcumsum(x, dim):
    """Sums of the rows from each row on."""
    return x.flip(dim).cumsum(dim).flip(dim)


def _moved(x, dim, by):
    """Rows one place later or earlier, a zero row where one is missing."""
    rest = x.narrow(dim, 0 if by > 0 else 1, x.shape[dim] - 1)
    zero = torch.zeros_like(x.narrow(dim, 0, 1))
    return torch.cat([zero, rest] if by > 0 else [rest, zero], dim)
