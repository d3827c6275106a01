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


class _ladder:
    """Factors for each level, [levels, batch, rows, A], from g [.., C, A]; rows is C made a power of two, at least 2."""

    def __init__(self, g, strict):
        n, channels = g.shape[-2:]
        self.strict, self.rows, self._scaled = strict, max(2, 1 << (n - 1).bit_length()), {}
        g = _rows(g, self.rows)
        self.factors, half = g.new_empty(self.rows.bit_length() - 1, *g.shape), 1
        for level in self.factors:
            span = _span(half, self.rows, strict, g)
            tiles = g.view(-1, len(span), channels)
            torch.bmm(span.expand(len(tiles), -1, -1), tiles, out=level.view(tiles.shape))
            half *= 2
        self.factors.clamp_(min=_LEAST[g.dtype]).exp_()

    def scaled(self, x, batch):
        """`x` as [batch, rows, A], and times the factors of every level; kept, since a block uses it more than once."""
        key = id(x), batch
        if key not in self._scaled:
            flat = _rows(x.expand(*batch, *x.shape[-2:]), self.rows)
            factors = self.factors
            if len(flat) != factors.shape[1]:
                factors = factors.repeat(1, len(flat) // factors.shape[1], 1, 1)
            self._scaled[key] = x, flat, flat * factors, factors
        return self._scaled[key][1:]


def _rows(x, rows):
    """[.., C, A] as [batch, rows, A], zeros where rows are missing."""
    n, channels = x.shape[-2:]
    x = torch.nn.functional.pad(x, (0, 0, 0, rows - n)) if rows > n else x
    return x.reshape(-1, rows, channels).contiguous()


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


def _square(a, batch, rows):
    """[.., C, C] as [batch, rows, rows], zeros where rows are missing; contiguous."""
    n = a.shape[-1]
    a = a.expand(*batch, n, n)
    a = torch.nn.functional.pad(a, (0, rows - n, 0, rows - n)) if rows > n else a
    return a.reshape(-1, rows, rows).contiguous()


def _product(a, x):
    """[.., m, n] times [.., n, A]; a product this small is faster elementwise."""
    return torch.bmm(a, x) if a.shape[-1] > 2 else (a[..., None] * x[:, None]).sum(-2)


def _scores(x, y, ladder):
    """A[t, s] = sum over channels of x_t y_s times the decay between them. [.., C, A] and [.., C, A] -> [.., C, C]."""
    batch, n, half = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], 1
    (x, xs, _), (y, ys, _) = ladder.scaled(x, batch), ladder.scaled(y, batch)
    a = x.new_zeros(len(x), ladder.rows, ladder.rows)
    for late, early in zip(xs, ys, strict=True):
        corner = _corner(a, half)
        corner.copy_(torch.bmm(_late(late, half), _early(early, half).mT).view(corner.shape))
        half *= 2
    if not ladder.strict:
        a.diagonal(dim1=-2, dim2=-1).copy_((x * y).sum(-1))
    return a.view(*batch, ladder.rows, ladder.rows)[..., :n, :n]


def _apply(a, y, ladder):
    """z_t = sum_s A[t, s] y_s times the decay between them. [.., C, C] and [.., C, A] -> [.., C, A]."""
    batch, n, half = torch.broadcast_shapes(a.shape[:-2], y.shape[:-2]), y.shape[-2], 1
    a, (y, ys, factors) = _square(a, batch, ladder.rows), ladder.scaled(y, batch)
    z = torch.zeros_like(y) if ladder.strict else a.diagonal(dim1=-2, dim2=-1)[..., None] * y
    for early, factor in zip(ys, factors, strict=True):
        corner = _corner(a, half).reshape(-1, half, half)
        _late(z, half).addcmul_(_product(corner, _early(early, half)), _late(factor, half))
        half *= 2
    return z.view(*batch, ladder.rows, -1)[..., :n, :]


def _apply_t(a, x, ladder):
    """z_s = sum_t A[t, s] x_t times the decay between them. [.., C, C] and [.., C, A] -> [.., C, A]."""
    batch, n, half = torch.broadcast_shapes(a.shape[:-2], x.shape[:-2]), x.shape[-2], 1
    a, (x, xs, factors) = _square(a, batch, ladder.rows), ladder.scaled(x, batch)
    z = torch.zeros_like(x) if ladder.strict else a.diagonal(dim1=-2, dim2=-1)[..., None] * x
    for late, factor in zip(xs, factors, strict=True):
        corner = _corner(a, half).reshape(-1, half, half).mT
        _early(z, half).addcmul_(_product(corner, _late(late, half)), _early(factor, half))
        half *= 2
    return z.view(*batch, ladder.rows, -1)[..., :n, :]
