# Decays per channel between all pairs of tokens of a block, exp(g_{s+1} + .. + g_t), are never formed: they are
# products of factors, and all is matrix products. The block is cut into tiles of 16 rows, and neighbouring tiles are
# joined two by two: where an early and a late part meet, a decay is what lies before the seam times what lies behind
# it. Inside a tile, float32 is widened: the decay from the tile's start to t, over that to s, fits float64 whatever the
# gates are (16 rows of at most 40). Float64 goes on halving instead. Every exponent is the sum of just the log-decays
# that it means, and a row's results depend on no later row, to the last bit.

_TILE = 16
_patterns = {}


def _pattern(strict, like):
    """spans [levels, 16, 16]: whose log-decays to add for each row, at each level. seen [levels, 16, 16]: the pairs
    that a level is for. With s = t in sight there is a level for it.
    """
    key = strict, like.dtype, like.device
    if key not in _patterns:
        row = torch.arange(_TILE, device=like.device)
        t, s = row[:, None], row[None, :]
        upto, spans, seen = (s < t) if strict else (s <= t), [], []
        for half in (1, 2, 4, 8):
            part = t // half == s // half
            late = (t // half) % 2 == 1
            spans.append(part & torch.where(late, upto, s > t))
            seen.append(late & (s // half == t // half - 1))
        if not strict:
            spans.append(torch.zeros_like(upto))
            seen.append(s == t)
        _patterns[key] = torch.stack(spans).to(like.dtype), torch.stack(seen).to(like.dtype)
    return _patterns[key]


def _ends(strict, like):
    """[33, 16]: the rows from a tile's start up to each row, those behind each row, and all of them."""
    key = "ends", strict, like.dtype, like.device
    if key not in _patterns:
        ones = torch.ones(_TILE, _TILE, dtype=like.dtype, device=like.device)
        _patterns[key] = torch.cat((ones.tril(-1 if strict else 0), ones.triu(1), ones[:1]))
    return _patterns[key]


def _around(tiles, like):
    """[2 * levels * tiles + 1, tiles]: the tiles before each in its block of 2, 4, .. tiles; those behind it; all."""
    key = "around", tiles, like.dtype, like.device
    if key not in _patterns:
        tile = torch.arange(tiles, device=like.device)
        i, j = tile[:, None], tile[None, :]
        blocks = [i // width == j // width for width in (1 << n for n in range(1, tiles.bit_length()))]
        rows = [b & (j < i) for b in blocks] + [b & (j > i) for b in blocks] + [tile[None, :] >= 0]
        _patterns[key] = torch.cat(rows).to(like.dtype)
    return _patterns[key]


def _padded(n):
    """16, 32, 64, .. rows."""
    return max(_TILE, 1 << max(n - 1, 0).bit_length())


def _rows(x, batch):
    """[.., C, A] as [batch, rows, A], with rows of zeros up to 16, 32, 64, .. of them."""
    n, channels = x.shape[-2:]
    rows = _padded(n)
    x = torch.nn.functional.pad(x, (0, 0, 0, rows - n)) if rows > n else x
    x = x if x.shape[:-2] == batch else x.expand(*batch, rows, channels)
    return x.reshape(-1, rows, channels)


def _square(a, batch):
    """[.., C, C] as [batch, rows, rows], with zeros where rows are missing."""
    n = a.shape[-1]
    rows = _padded(n)
    a = torch.nn.functional.pad(a, (0, rows - n, 0, rows - n)) if rows > n else a
    a = a if a.shape[:-2] == batch else a.expand(*batch, rows, rows)
    return a.reshape(-1, rows, rows)


def _tiles(x):
    """[batch, rows, A] as [batch * tiles, 16, A]."""
    return x.reshape(-1, _TILE, x.shape[-1])


def _diagonal(a):
    """The tiles along the diagonal of [batch, rows, rows], a view [batch, tiles, 16, 16]."""
    blocks = a.unflatten(2, (-1, _TILE)).unflatten(1, (-1, _TILE))
    return blocks.diagonal(0, 1, 3).permute(0, 3, 1, 2)


def _corners(a, half):
    """Where the late half of each pair of blocks meets the early half, a view [batch, pairs, half, half]."""
    blocks = a.unflatten(2, (-1, 2, half)).unflatten(1, (-1, 2, half))
    return blocks[:, :, 1, :, :, 0].diagonal(0, 1, 3).permute(0, 3, 1, 2)


def _halves(x, half):
    """[batch, rows, A] as early and late blocks, views [batch, pairs, half, A]."""
    return x.unflatten(1, (-1, 2, half)).unbind(2)


def _bmm(x, y):
    """Matrix products over all leading dims."""
    return torch.bmm(x.flatten(0, -3), y.flatten(0, -3)).view(*x.shape[:-1], y.shape[-1])


def _across(x, count):
    """Factors for a batch with more entries than the log-decays have."""
    return x if len(x) == count else x.repeat(count // len(x), *[1] * (x.dim() - 1))


class _wide:
    """Decays inside tiles of 16 rows of float32: `up` from the tile's start, `down` its inverse, in float64."""

    def __init__(self, g, strict):
        self.last = -1 if strict else 0  # strict: a row more, where nothing has decayed yet
        g = g.double()
        ones = torch.ones(_TILE - self.last, _TILE, dtype=g.dtype, device=g.device).tril_(self.last)
        decays = torch.bmm(ones.expand(len(g), -1, -1), g).exp_()
        self.up, self.down = decays[:, :_TILE], decays[:, -_TILE:].reciprocal()

    def late(self, x):
        return _tiles(x).double().mul_(_across(self.up, x.shape[0] * x.shape[1] // _TILE))

    def early(self, y):
        return _tiles(y).double().mul_(_across(self.down, y.shape[0] * y.shape[1] // _TILE))

    def scores(self, late, early):
        return torch.bmm(late, early.mT).tril_(self.last)

    def apply(self, a, early):
        z = torch.bmm(a.double().flatten(0, 1).tril_(self.last), early)
        return z.mul_(_across(self.up, len(z))).float()

    def apply_t(self, a, late):
        z = torch.bmm(a.double().flatten(0, 1).tril_(self.last).mT, late)
        return z.mul_(_across(self.down, len(z))).float()


class _halved:
    """Decays inside tiles of 16 rows: blocks of 2, 4, 8 and 16 rows are split in an early and a late half."""

    def __init__(self, g, strict):
        spans, self.seen = _pattern(strict, g)
        self.near = _decay_(torch.matmul(spans.flatten(0, 1), g)).unflatten(1, (-1, _TILE))

    def late(self, x):
        x = _tiles(x)[:, None]
        return x * _across(self.near, len(x))

    early = late

    def scores(self, late, early):
        return _bmm(late, early.mT).mul_(self.seen).sum(1)

    def apply(self, a, early):
        z = _bmm(a.flatten(0, 1)[:, None] * self.seen, early)
        return z.mul_(_across(self.near, len(z))).sum(1)

    def apply_t(self, a, late):
        z = _bmm((a.flatten(0, 1)[:, None] * self.seen).mT, late)
        return z.mul_(_across(self.near, len(z))).sum(1)


class _ladder:
    """The decays of log-decays g [.., C, A]: `near` inside tiles, between the tiles' ends and their rows, and of the
    tiles `before` and `behind` each one in its block of 2, 4, .. of them, [batch, levels, tiles, A]."""

    def __init__(self, g, strict):
        self.batch, self.count = g.shape[:-2], g.shape[-2]
        rows = _rows(g, self.batch)
        g = _tiles(rows).clamp(min=_LEAST[g.dtype])
        self.near = (_wide if g.dtype == torch.float32 else _halved)(g, strict)
        ends = torch.bmm(_ends(strict, g).expand(len(g), -1, -1), g)
        totals = ends[:, -1].view(len(rows), -1, g.shape[-1])
        tiles = totals.shape[1]
        found = _decay_(torch.matmul(_around(tiles, g), totals))
        self.whole = found[:, -1]
        self.before, self.behind = found[:, :-1].unflatten(1, (2, -1, tiles)).unbind(1)
        ends = _decay_(ends).view(len(rows), tiles, -1, g.shape[-1])
        self.start, self.end = ends[:, :, :_TILE], ends[:, :, _TILE:-1]

    def upto(self):
        """From the block's start to each row, [.., C, A]."""
        return _whole(self.start, self.before, self.batch, self.count)

    def after(self):
        """From each row to the block's end, [.., C, A]."""
        return _whole(self.end, self.behind, self.batch, self.count)

    def total(self):
        """The whole block's decay, [.., A]."""
        return self.whole.view(*self.batch, -1)

    def starts(self):
        """From the seams to the late rows, for each size of blocks that are joined, [batch, pairs, half, A]."""
        return _seams(self.start, self.before, 1)

    def ends(self):
        """From the early rows to the seams."""
        return _seams(self.end, self.behind, 0)


def _whole(inside, outside, batch, count):
    """What lies inside tiles [batch, tiles, 16, A], carried from or to the end of the whole block: [.., C, A]."""
    own = inside.clone() if not outside.shape[1] else inside * _across(outside[:, -1, :, None], len(inside))
    return own.reshape(*batch, -1, inside.shape[-1])[..., :count, :]


def _seams(inside, outside, late):
    """What lies inside tiles, carried from the seams to the late rows, or from the early rows to the seams."""
    found = []
    for n in range(outside.shape[1]):
        x = inside.unflatten(1, (-1, 2, 1 << n))[:, :, late]
        if n:
            between = outside[:, n - 1, :, None].unflatten(1, (-1, 2, 1 << n))[:, :, late]
            x = x * _across(between, len(x))
        found.append(x.flatten(2, 3))
    return found


class _late:
    """x_t [.., C, A] with the decays that lead to row t: inside its tile, and from the seams before it."""

    def __init__(self, x, ladder):
        self.ladder, self.count = ladder, x.shape[-2]
        self.batch = _common(x.shape[:-2], ladder.batch)
        x = _rows(x, self.batch)
        self.near = ladder.near.late(x)
        self.inside = x.unflatten(1, (-1, _TILE)) * _across(ladder.start, len(x))
        self.far = _seams(self.inside, ladder.before, 1)

    def upto(self):
        """x_t with the decays from the block's start, [.., C, A]."""
        return _whole(self.inside, self.ladder.before, self.batch, self.count)


class _early:
    """y_s [.., C, A] with the decays that lead on from row s: inside its tile, and to the seams behind it."""

    def __init__(self, y, ladder):
        self.ladder, self.count = ladder, y.shape[-2]
        self.batch = _common(y.shape[:-2], ladder.batch)
        y = _rows(y, self.batch)
        self.near = ladder.near.early(y)
        self.inside = y.unflatten(1, (-1, _TILE)) * _across(ladder.end, len(y))
        self.far = _seams(self.inside, ladder.behind, 0)

    def after(self):
        """y_s with the decays to the block's end, [.., C, A]."""
        return _whole(self.inside, self.ladder.behind, self.batch, self.count)


def _common(x, y):
    return x if x == y else torch.broadcast_shapes(x, y)


def _alike(x, y):
    """Both for as many entries of the batch as one of them has."""
    return _across(x, max(len(x), len(y))), _across(y, max(len(x), len(y)))


def _scores(x, y):
    """A[t, s] = sum over channels of x_t y_s times the decay between them, [.., C, C]."""
    batch, n, rows = _common(x.batch, y.batch), x.count, _padded(x.count)
    near = x.ladder.near.scores(*_alike(x.near, y.near))
    if rows == _TILE:
        return near.to(x.ladder.whole.dtype).view(*batch, rows, rows)[..., :n, :n]
    a = x.ladder.whole.new_zeros(len(near) * _TILE // rows, rows, rows)
    _diagonal(a).copy_(near.unflatten(0, (len(a), -1)))
    for late, early in zip(x.far, y.far, strict=True):
        late, early = _alike(late, early)
        _corners(a, late.shape[2]).copy_(_bmm(late, early.mT))
    return a.view(*batch, rows, rows)[..., :n, :n]


def _apply(a, y):
    """z_t = sum_s A[t, s] y_s times the decay between them. [.., C, C] and [.., C, A] -> [.., C, A]."""
    batch, ladder = _common(a.shape[:-2], y.batch), y.ladder
    a = _square(a, batch)
    z = ladder.near.apply(_diagonal(a), _across(y.near, len(a) * a.shape[1] // _TILE)).view(len(a), a.shape[1], -1)
    for decays, early in zip(ladder.starts(), y.far, strict=True):
        late, half = _halves(z, decays.shape[2])[1], decays.shape[2]
        late.addcmul_(_across(decays, len(a)), _bmm(_corners(a, half), _across(early, len(a))))
    return z.view(*batch, *z.shape[-2:])[..., : y.count, :]


def _apply_t(a, x):
    """z_s = sum_t A[t, s] x_t times the decay between them. [.., C, C] and [.., C, A] -> [.., C, A]."""
    batch, ladder = _common(a.shape[:-2], x.batch), x.ladder
    a = _square(a, batch)
    z = ladder.near.apply_t(_diagonal(a), _across(x.near, len(a) * a.shape[1] // _TILE)).view(len(a), a.shape[1], -1)
    for decays, late in zip(ladder.ends(), x.far, strict=True):
        early, half = _halves(z, decays.shape[2])[0], decays.shape[2]
        early.addcmul_(_across(decays, len(a)), _bmm(_corners(a, half).mT, _across(late, len(a))))
    return z.view(*batch, *z.shape[-2:])[..., : x.count, :]
