# Decays per channel between all pairs of tokens of a block, exp(g_{s+1} + .. + g_t), are never formed. Blocks of 2, 4,
# 8, .. rows are split in an early and a late half; for a pair across the halves the decay is the product of what happens
# from the middle to t and of what happens from s to the middle, so that every level is a matrix product. All exponents
# are sums of the log-decays that they mean: none is positive and none a difference of large sums.

_TILE = 16  # small levels are summed in tiles of this many rows
_spans = {}


def _span(half, rows, strict, like):
    """[tile, tile] of ones and zeros: which rows' log-decays lie between each row and the middle of its block."""
    tile = min(rows, max(2 * half, _TILE))
    key = half, tile, strict, like.dtype, like.device
    if key not in _spans:
        row = torch.arange(tile, device=like.device)
        part = row // half
        earlier, later = row[None, :] < row[:, None], row[None, :] > row[:, None]
        upto = earlier if strict else ~later
        seen = torch.where((part % 2 == 1)[:, None], upto, later)
        _spans[key] = (seen & (part[:, None] == part[None, :])).to(like.dtype)
    return _spans[key]


def _ladder(g, strict):
    """Factors for each level, [levels, batch, rows, A], from g [.., C, A]; rows is C made a power of two, at least 2."""
    n, channels = g.shape[-2:]
    rows = max(2, 1 << (n - 1).bit_length())
    g = _rows(g, rows).contiguous()
    factors, half = g.new_empty(rows.bit_length() - 1, *g.shape), 1
    for level in factors:
        span = _span(half, rows, strict, g)
        tiles = g.view(-1, len(span), channels)
        torch.bmm(span.expand(len(tiles), -1, -1), tiles, out=level.view(tiles.shape))
        half *= 2
    return factors.clamp_(min=_LEAST[g.dtype]).exp_(), strict


def _rows(x, rows):
    """[.., C, A] as [batch, rows, A], zeros where rows are missing."""
    n, channels = x.shape[-2:]
    x = torch.nn.functional.pad(x, (0, 0, 0, rows - n)) if rows > n else x
    return x.reshape(-1, rows, channels)


def _early(x, half):
    """A view of the early halves of the blocks of 2 * half rows, [batch * blocks, half, A]."""
    return x.view(-1, 2, half, x.shape[-1])[:, 0]


def _late(x, half):
    return x.view(-1, 2, half, x.shape[-1])[:, 1]


def _corner(a, half):
    """A view of [batch, n, n] between the late rows and the early columns of each block, [batch, blocks, half, half]."""
    n = a.shape[-1]
    shape, strides = (len(a), n // (2 * half), half, half), (n * n, 2 * half * (n + 1), n, 1)
    return a.as_strided(shape, strides, a.storage_offset() + half * n)


def _blocks(a, half):
    return _corner(a, half).reshape(-1, half, half)


def _square(a, rows):
    """[.., C, C] as [batch, rows, rows], zeros where rows are missing; contiguous."""
    n = a.shape[-1]
    a = torch.nn.functional.pad(a, (0, rows - n, 0, rows - n)) if rows > n else a
    return a.reshape(-1, rows, rows).contiguous()


def _same_batch(x, y, ladder):
    """Both operands with one batch shape, as the ladder has it."""
    shape = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    factors = ladder[0]
    if math.prod(shape) != factors.shape[1]:
        factors = factors.repeat(1, math.prod(shape) // factors.shape[1], 1, 1)
    return x.expand(*shape, *x.shape[-2:]), y.expand(*shape, *y.shape[-2:]), factors, shape


def _scores(x, y, ladder):
    """A[t, s] = sum over channels of x_t y_s times the decay between them. [.., C, A] and [.., C, A] -> [.., C, C]."""
    x, y, factors, shape = _same_batch(x, y, ladder)
    n, rows, half = x.shape[-2], factors.shape[-2], 1
    x, y = _rows(x, rows).contiguous(), _rows(y, rows).contiguous()
    a = x.new_zeros(len(x), rows, rows)
    for level in factors:
        corner = _corner(a, half)
        late, early = _late(x, half) * _late(level, half), _early(y, half) * _early(level, half)
        corner.copy_(torch.bmm(late, early.mT).view(corner.shape))
        half *= 2
    if not ladder[1]:
        a.diagonal(dim1=-2, dim2=-1).copy_((x * y).sum(-1))
    return a.view(*shape, rows, rows)[..., :n, :n]


def _apply(a, y, ladder):
    """z_t = sum_s A[t, s] y_s times the decay between them. [.., C, C] and [.., C, A] -> [.., C, A]."""
    a, y, factors, shape = _same_batch(a, y, ladder)
    n, rows, half = y.shape[-2], factors.shape[-2], 1
    a, y = _square(a, rows), _rows(y, rows).contiguous()
    z = torch.zeros_like(y) if ladder[1] else a.diagonal(dim1=-2, dim2=-1)[..., None] * y
    for level in factors:
        early = _early(y, half) * _early(level, half)
        _late(z, half).addcmul_(torch.bmm(_blocks(a, half), early), _late(level, half))
        half *= 2
    return z.view(*shape, rows, -1)[..., :n, :]


def _apply_t(a, x, ladder):
    """z_s = sum_t A[t, s] x_t times the decay between them. [.., C, C] and [.., C, A] -> [.., C, A]."""
    a, x, factors, shape = _same_batch(a, x, ladder)
    n, rows, half = x.shape[-2], factors.shape[-2], 1
    a, x = _square(a, rows), _rows(x, rows).contiguous()
    z = torch.zeros_like(x) if ladder[1] else a.diagonal(dim1=-2, dim2=-1)[..., None] * x
    for level in factors:
        late = _late(x, half) * _late(level, half)
        _early(z, half).addcmul_(torch.bmm(_blocks(a, half).mT, late), _early(level, half))
        half *= 2
    return z.view(*shape, rows, -1)[..., :n, :]
