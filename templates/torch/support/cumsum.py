_TRIANGLES = {}


def _summed(x, dim, which):
    """Sums along the rows: `upto`, `before`, `after` or `from` each row.

    On a CPU a product with a triangle of ones is faster than a running sum.
    """
    n, last = x.shape[dim], x.dim() - 1 - dim
    if last <= 1 and n <= 256 and x.device.type == "cpu" and not x.is_complex():
        return x @ _triangle(n, which, x).mT if last == 0 else _triangle(n, which, x) @ x
    total = x.cumsum(dim) if which in ("upto", "before") else x.flip(dim).cumsum(dim).flip(dim)
    return total if which in ("upto", "from") else _moved(total, dim, which == "before")


def _triangle(n, which, like):
    key = n, which, like.dtype
    if key not in _TRIANGLES:
        ones = torch.ones(n, n, dtype=like.dtype)
        _TRIANGLES[key] = {"upto": ones.tril(), "before": ones.tril(-1), "after": ones.triu(1), "from": ones.triu()}[
            which
        ]
    return _TRIANGLES[key]


def _moved(x, dim, later):
    """Rows one place later or earlier, a zero row where one is missing."""
    rest = x.narrow(dim, 0 if later else 1, x.shape[dim] - 1)
    zero = torch.zeros_like(x.narrow(dim, 0, 1))
    return torch.cat([zero, rest] if later else [rest, zero], dim)
