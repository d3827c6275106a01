# Decays per channel between all pairs of tokens of a block, exp(g_{s+1} + .. + g_t), are never formed. Blocks of 2, 4,
# 8, .. rows are split in an early and a late half; for a pair across the halves the decay is the product of what happens
# from the middle to t and of what happens from s to the middle, so that every level is a matrix product. All exponents
# are sums of the log-decays that they mean: none is positive and none a difference of large sums.

_SMALL = 4  # halves up to this many rows are multiplied elementwise: matrix products so small do not pay


def _ladder(g, strict):
    """Factors for each level, [levels, .., rows, A], from g [.., C, A]; rows is C made a power of two, at least 2."""
    n = g.shape[-2]
    rows = max(2, 1 << (n - 1).bit_length())
    g = torch.nn.functional.pad(g, (0, 0, 0, rows - n)) if rows > n else g
    before = torch.zeros_like(g) if strict else g.clone()  # in each block: from its start up to (or before) each row
    after = torch.zeros_like(g)  # in each block: after each row up to its end
    total, factors, half = g, g.new_empty(rows.bit_length() - 1, *g.shape), 1
    for level in factors:
        early, late = _halves(level, half)
        early.copy_(_halves(after, half)[0])
        late.copy_(_halves(before, half)[1])
        first, second = total[..., 0::2, :], total[..., 1::2, :]
        _halves(before, half)[1].add_(first.unsqueeze(-2))
        _halves(after, half)[0].add_(second.unsqueeze(-2))
        total, half = first + second, 2 * half
    return factors.clamp_(min=_UNDERFLOW[g.dtype]).exp_(), n, strict


def _halves(x, half):
    """Views of the early and the late half of each block of 2 * half rows: [.., blocks, half, A]."""
    blocks = x.unflatten(-2, (-1, 2, half))
    return blocks[..., 0, :, :], blocks[..., 1, :, :]


def _corners(a, half):
    """A view of what lies between late rows and early columns, [.., blocks, half, half], of each block of a [.., n, n]."""
    blocks = a.unflatten(-1, (-1, 2, half)).unflatten(-4, (-1, 2, half))
    return blocks[..., 1, :, :, 0, :].diagonal(dim1=-4, dim2=-2).movedim(-1, -3)


def _padded(x, rows):
    missing = rows - x.shape[-2]
    return torch.nn.functional.pad(x, (0, 0, 0, missing)) if missing else x


def _square(a, rows):
    missing = rows - a.shape[-1]
    return torch.nn.functional.pad(a, (0, missing, 0, missing)) if missing else a


def _scores(x, y, ladder):
    """A[t, s] = sum over channels of x_t y_s times the decay between them. [.., C, A] and [.., C, A] -> [.., C, C]."""
    factors, n, strict = ladder
    x, y = _padded(x, factors.shape[-2]), _padded(y, factors.shape[-2])
    xs, ys = x * factors, y * factors
    a, half = xs.new_zeros(*torch.broadcast_shapes(xs.shape[1:-1], ys.shape[1:-1]), x.shape[-2]), 1
    for x_level, y_level in zip(xs, ys, strict=True):
        late, early = _halves(x_level, half)[1], _halves(y_level, half)[0]
        if half > _SMALL:
            across = late @ early.mT
        else:
            across = (late.unsqueeze(-2) * early.unsqueeze(-3)).sum(-1)
        _corners(a, half).copy_(across)
        half *= 2
    if not strict:
        a.diagonal(dim1=-2, dim2=-1).copy_((x * y).sum(-1))
    return a[..., :n, :n]


def _apply(a, y, ladder):
    """z_t = sum_s A[t, s] y_s times the decay between them. [.., C, C] and [.., C, A] -> [.., C, A]."""
    factors, n, strict = ladder
    a, y = _square(a, factors.shape[-2]), _padded(y, factors.shape[-2])
    z = torch.zeros_like(y) if strict else a.diagonal(dim1=-2, dim2=-1)[..., None] * y
    ys, half = y * factors, 1
    for level, y_level in zip(factors, ys, strict=True):
        early, corner = _halves(y_level, half)[0], _corners(a, half)
        across = corner @ early if half > _SMALL else (corner.unsqueeze(-1) * early.unsqueeze(-3)).sum(-2)
        _halves(z, half)[1].addcmul_(across, _halves(level, half)[1])
        half *= 2
    return z[..., :n, :]


def _apply_t(a, x, ladder):
    """z_s = sum_t A[t, s] x_t times the decay between them. [.., C, C] and [.., C, A] -> [.., C, A]."""
    factors, n, strict = ladder
    a, x = _square(a, factors.shape[-2]), _padded(x, factors.shape[-2])
    z = torch.zeros_like(x) if strict else a.diagonal(dim1=-2, dim2=-1)[..., None] * x
    xs, half = x * factors, 1
    for level, x_level in zip(factors, xs, strict=True):
        late, corner = _halves(x_level, half)[1], _corners(a, half)
        across = corner.mT @ late if half > _SMALL else (corner.unsqueeze(-1) * late.unsqueeze(-2)).sum(-3)
        _halves(z, half)[0].addcmul_(across, _halves(level, half)[0])
        half *= 2
    return z[..., :n, :]
