# Decays per channel between all pairs of tokens of a block, exp(g_{s+1} + .. + g_t), are never formed: they are
# products of factors, and all is matrix products. The block is cut into tiles of 16 rows, and neighbouring tiles are
# joined two by two: where an early and a late part meet, a decay is what lies before the seam times what lies behind
# it. Inside a tile, float32 is widened: the decay from the tile's start to t, over that to s, fits float64 whatever the
# gates are (16 rows of at most 40). Float64 goes on halving instead. Every exponent is the sum of just the log-decays
# that it means, and a row's results depend on no later row, to the last bit.

_TILE = 16
_patterns = {}


def _pattern(strict, like):
    """spans [levels + 2, 16, 16]: whose log-decays to add for each row, at each level, then from the tile's start and
    to its end. seen [levels, 16, 16]: the pairs that a level is for. With s = t in sight there is a level for it.
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
        spans += [upto, s > t]
        _patterns[key] = torch.stack(spans).to(like.dtype), torch.stack(seen).to(like.dtype)
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
        g = _tiles(g).double().clamp_(min=_LEAST[torch.float32])
        ones = torch.ones(_TILE, _TILE, dtype=g.dtype, device=g.device).tril_()
        whole = torch.bmm(ones.expand(len(g), -1, -1), g).exp_()
        first = torch.ones_like(whole[:, :1])
        self.up, self.down = torch.cat((first, whole[:, :-1]), 1) if strict else whole, whole.reciprocal()
        self.last, self.total = -1 if strict else 0, whole[:, -1:]

    def ends(self):
        """From the tile's start to each row, from each row to the tile's end, and the whole tile's decay."""
        found = self.up, self.down * self.total, self.total
        return [x.float().clamp_(min=_FLOOR[torch.float32]) for x in found]

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
        g = _tiles(g)
        decays = torch.matmul(spans.flatten(0, 1), g)
        decays = _decay_(decays).unflatten(1, (-1, _TILE))
        self.near, self.start, self.end = decays[:, :-2], decays[:, -2], decays[:, -1]
        self.total = _decay(g.sum(1, keepdim=True))

    def ends(self):
        """From the tile's start to each row, from each row to the tile's end, and the whole tile's decay."""
        return self.start, self.end, self.total

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
    """The decays of log-decays g [.., C, A]: `near` inside tiles; for each size of blocks that are joined, two by two,
    `starts` from the seam to the late rows and `ends` from the early rows to the seam, [batch, pairs, half, A]."""

    def __init__(self, g, strict):
        self.batch, self.count = g.shape[:-2], g.shape[-2]
        g = _rows(g, self.batch)
        self.near = (_wide if g.dtype == torch.float32 else _halved)(g, strict)
        self.start, self.end, total = (x.unflatten(0, (len(g), -1)) for x in self.near.ends())
        before, behind = torch.ones_like(total), torch.ones_like(total)  # from and to the end of a tile's block
        self.starts, self.ends = [], []
        while total.shape[1] > 1:
            early, late = total.unflatten(1, (-1, 2)).unbind(2)
            width = before.shape[1] // total.shape[1]
            self.starts.append(self._joined(self.start, before, width, 1))
            self.ends.append(self._joined(self.end, behind, width, 0))
            before.unflatten(1, (-1, 2, width))[:, :, 1].mul_(early[:, :, None]).clamp_(min=_FLOOR[g.dtype])
            behind.unflatten(1, (-1, 2, width))[:, :, 0].mul_(late[:, :, None]).clamp_(min=_FLOOR[g.dtype])
            total = (early * late).clamp_(min=_FLOOR[g.dtype])
        self.before, self.behind, self.whole = before, behind, total

    def _joined(self, inside, outside, width, which):
        """Tiles' own decays times those of the tiles on the way, for the early or the late halves of blocks."""
        inside = inside.unflatten(1, (-1, 2, width))[:, :, which]
        if width > 1:
            inside = inside * outside.unflatten(1, (-1, 2, width))[:, :, which]
        return inside.flatten(2, 3)

    def upto(self):
        """From the block's start to each row, [.., C, A]."""
        return self._shaped(self.start * self.before)

    def after(self):
        """From each row to the block's end, [.., C, A]."""
        return self._shaped(self.end * self.behind)

    def total(self):
        """The whole block's decay, [.., A]."""
        return self.whole.view(*self.batch, -1)

    def _shaped(self, x):
        return x.view(*self.batch, -1, x.shape[-1])[..., : self.count, :]


class _late:
    """x_t [.., C, A] with the decays that lead to row t: inside its tile, and from the seams before it."""

    def __init__(self, x, ladder):
        self.ladder, self.count = ladder, x.shape[-2]
        self.batch = _common(x.shape[:-2], ladder.batch)
        x = _rows(x, self.batch)
        self.near = ladder.near.late(x)
        self.far = [_halves(x, d.shape[2])[1] * _across(d, len(x)) for d in ladder.starts]


class _early:
    """y_s [.., C, A] with the decays that lead on from row s: inside its tile, and to the seams behind it."""

    def __init__(self, y, ladder):
        self.ladder, self.count = ladder, y.shape[-2]
        self.batch = _common(y.shape[:-2], ladder.batch)
        y = _rows(y, self.batch)
        self.near = ladder.near.early(y)
        self.far = [_halves(y, d.shape[2])[0] * _across(d, len(y)) for d in ladder.ends]


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
    for decays, early in zip(ladder.starts, y.far, strict=True):
        late, half = _halves(z, decays.shape[2])[1], decays.shape[2]
        late.addcmul_(_across(decays, len(a)), _bmm(_corners(a, half), _across(early, len(a))))
    return z.view(*batch, *z.shape[-2:])[..., : y.count, :]


def _apply_t(a, x):
    """z_s = sum_t A[t, s] x_t times the decay between them. [.., C, C] and [.., C, A] -> [.., C, A]."""
    batch, ladder = _common(a.shape[:-2], x.batch), x.ladder
    a = _square(a, batch)
    z = ladder.near.apply_t(_diagonal(a), _across(x.near, len(a) * a.shape[1] // _TILE)).view(len(a), a.shape[1], -1)
    for decays, late in zip(ladder.ends, x.far, strict=True):
        early, half = _halves(z, decays.shape[2])[0], decays.shape[2]
        early.addcmul_(_across(decays, len(a)), _bmm(_corners(a, half).mT, _across(late, len(a))))
    return z.view(*batch, *z.shape[-2:])[..., : x.count, :]
