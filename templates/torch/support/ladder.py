_BASE = 4


def _ladder(gx, gy, strict, dtype):
    """exp(gx_t - gy_s) per channel, kept as factors whose exponents are never positive.

    A block of n rows is halved: every pair across the halves factors through the log-decay R at the last row of the
    first half, exp(gx_t - R) exp(R - gy_s). Blocks of _BASE rows are held pair by pair. [.., C, A] and [.., C, A].
    """
    n = gx.shape[-2]
    size = _BASE
    while size < n:
        size *= 2
    gx, gy = _padded(gx, size), _padded(gy, size)
    levels = []
    while size > _BASE:
        half = size // 2
        rows, columns = gx.unflatten(-2, (-1, size)), gy.unflatten(-2, (-1, size))
        middle = columns[..., half - 1 : half, :]
        across = torch.exp((rows[..., half:, :] - middle).to(dtype)), torch.exp((middle - columns[..., :half, :]).to(dtype))
        levels.append(across)
        size = half
    rows, columns = gx.unflatten(-2, (-1, _BASE)), gy.unflatten(-2, (-1, _BASE))
    seen = torch.ones(_BASE, _BASE, dtype=torch.bool, device=gx.device).tril_(-1 if strict else 0)[..., None]
    near = (rows[..., :, None, :] - columns[..., None, :, :]).masked_fill(~seen, -math.inf)
    return levels, torch.exp(near.to(dtype)), n


def _padded(x, rows):
    """`x` with its last row repeated until there are `rows`."""
    missing = rows - x.shape[-2]
    return torch.cat([x, x[..., -1:, :].expand(*x.shape[:-2], missing, x.shape[-1])], -2) if missing else x


def _zero_padded(x, rows):
    return torch.nn.functional.pad(x, (0, 0, 0, rows - x.shape[-2])) if rows > x.shape[-2] else x


def _diagonal(a, size):
    """The square blocks of `size` on the diagonal, a view [.., size, size, blocks]."""
    return a.unflatten(-1, (-1, size)).unflatten(-3, (-1, size)).diagonal(dim1=-4, dim2=-2)


def _scores(x, y, ladder):
    """A[t, s] = sum over channels of x_t y_s exp(gx_t - gy_s) where t sees s. [.., C, A] and [.., C, A] -> [.., C, C]."""
    levels, near, n = ladder
    rows = near.shape[-4] * _BASE
    x, y = _zero_padded(x, rows), _zero_padded(y, rows)
    batch = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2], near.shape[:-4])
    a = x.new_zeros(*batch, rows, rows)
    for ex, ey in levels:
        half = ex.shape[-2]
        late = x.unflatten(-2, (-1, 2 * half))[..., half:, :] * ex
        early = y.unflatten(-2, (-1, 2 * half))[..., :half, :] * ey
        _diagonal(a, 2 * half)[..., half:, :half, :] = (late @ early.mT).movedim(-3, -1)
    late, early = x.unflatten(-2, (-1, _BASE)), y.unflatten(-2, (-1, _BASE))
    _diagonal(a, _BASE)[:] = (late[..., :, None, :] * near * early[..., None, :, :]).sum(-1).movedim(-3, -1)
    return a[..., :n, :n]


def _blocks(a, rows):
    """`a` padded with zeros to [.., rows, rows]."""
    missing = rows - a.shape[-1]
    return torch.nn.functional.pad(a, (0, missing, 0, missing)) if missing else a


def _apply(a, y, ladder):
    """z_t = sum_s A[t, s] exp(gx_t - gy_s) y_s where t sees s. [.., C, C] and [.., C, A] -> [.., C, A]."""
    levels, near, n = ladder
    rows = near.shape[-4] * _BASE
    a, y = _blocks(a, rows), _zero_padded(y, rows)
    early = y.unflatten(-2, (-1, _BASE))
    inside = _diagonal(a, _BASE).movedim(-1, -3)
    z = (inside[..., None] * near * early[..., None, :, :]).sum(-2).flatten(-3, -2)
    for ex, ey in levels:
        half = ex.shape[-2]
        early = y.unflatten(-2, (-1, 2 * half))[..., :half, :] * ey
        across = _diagonal(a, 2 * half)[..., half:, :half, :].movedim(-1, -3)
        z.unflatten(-2, (-1, 2 * half))[..., half:, :] += (across @ early) * ex
    return z[..., :n, :]


def _apply_t(a, x, ladder):
    """z_s = sum_t A[t, s] exp(gx_t - gy_s) x_t where t sees s. [.., C, C] and [.., C, A] -> [.., C, A]."""
    levels, near, n = ladder
    rows = near.shape[-4] * _BASE
    a, x = _blocks(a, rows), _zero_padded(x, rows)
    late = x.unflatten(-2, (-1, _BASE))
    inside = _diagonal(a, _BASE).movedim(-1, -3)
    z = (inside[..., None] * near * late[..., :, None, :]).sum(-3).flatten(-3, -2)
    for ex, ey in levels:
        half = ex.shape[-2]
        late = x.unflatten(-2, (-1, 2 * half))[..., half:, :] * ex
        across = _diagonal(a, 2 * half)[..., half:, :half, :].movedim(-1, -3)
        z.unflatten(-2, (-1, 2 * half))[..., :half, :] += (across.mT @ late) * ey
    return z[..., :n, :]
