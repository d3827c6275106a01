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


def _rows(x, batch):
    """[.., C, A] as [batch, rows, A], with rows of zeros up to 16, 32, 64, .. of them."""
    n, channels = x.shape[-2:]
    rows = max(_TILE, 1 << max(n - 1, 0).bit_length())
    x = torch.nn.functional.pad(x, (0, 0, 0, rows - n)) if rows > n else x
    return x.expand(*batch, rows, channels).reshape(-1, rows, channels)


def _square(a, batch):
    """[.., C, C] as [batch, rows, rows], with zeros where rows are missing; contiguous."""
    n = a.shape[-1]
    missing = max(_TILE, 1 << max(n - 1, 0).bit_length()) - n
    a = torch.nn.functional.pad(a, (0, missing, 0, missing)) if missing else a
    return a.expand(*batch, n + missing, n + missing).reshape(-1, n + missing, n + missing).contiguous()


def _tiles(x):
    """[batch, rows, A] as [batch * tiles, 16, A]."""
    return x.reshape(-1, _TILE, x.shape[-1])


def _diagonal(a, side):
    """The square blocks along the diagonal of [batch, rows, rows], [batch * blocks, side, side]."""
    blocks = a.shape[-1] // side
    parts = a.view(-1, blocks, side, blocks, side)
    return torch.stack([parts[:, b, :, b] for b in range(blocks)], 1).flatten(0, 1)


def _corner(a, half, b):
    """Where the late half of the b-th pair of blocks meets the early half: a view [batch, half, half]."""
    return a[:, (2 * b + 1) * half : (2 * b + 2) * half, 2 * b * half : (2 * b + 1) * half]


def _corners(a, half):
    """All of them, [batch, pairs, half, half]."""
    return torch.stack([_corner(a, half, b) for b in range(a.shape[-1] // (2 * half))], 1)


def _pairs(x, half):
    """[batch, rows, A] as [batch, pairs, 2, half, A]: early and late blocks."""
    return x.unflatten(1, (-1, 2, half))


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

    def scores(self, x, y):
        x, y = _tiles(x), _tiles(y)
        up, down = _across(self.up, len(x)), _across(self.down, len(x))
        return torch.bmm(x * up, (y * down).mT).tril_(self.last).to(x.dtype)

    def apply(self, a, y):
        y = _tiles(y)
        up, down = _across(self.up, len(y)), _across(self.down, len(y))
        return torch.bmm(a.double().tril_(self.last), y * down).mul_(up).to(y.dtype)

    def apply_t(self, a, x):
        x = _tiles(x)
        up, down = _across(self.up, len(x)), _across(self.down, len(x))
        return torch.bmm(a.double().tril_(self.last).mT, x * up).mul_(down).to(x.dtype)


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

    def scores(self, x, y):
        x, y = _tiles(x)[:, None], _tiles(y)[:, None]
        near = _across(self.near, len(x))
        return _bmm(x * near, (y * near).mT).mul_(self.seen).sum(1)

    def apply(self, a, y):
        y = _tiles(y)[:, None]
        near = _across(self.near, len(y))
        return _bmm(a[:, None] * self.seen, y * near).mul_(near).sum(1)

    def apply_t(self, a, x):
        x = _tiles(x)[:, None]
        near = _across(self.near, len(x))
        return _bmm((a[:, None] * self.seen).mT, x * near).mul_(near).sum(1)


class _ladder:
    """The decays of log-decays g [.., C, A]: `near` inside tiles; `start` and `end` [batch, rows, A] from the start of
    a tile and to its end; `totals` for blocks of 16, 32, .. rows, each block's decay [batch, blocks, 1, A]."""

    def __init__(self, g, strict):
        self.batch = g.shape[:-2]
        g = _rows(g, self.batch)
        self.near = (_wide if g.dtype == torch.float32 else _halved)(g, strict)
        start, end, total = self.near.ends()
        self.start, self.end = start.reshape(g.shape), end.reshape(g.shape)
        self.totals = [total.reshape(len(g), -1, 1, g.shape[-1])]
        while self.totals[-1].shape[1] > 1:
            t = self.totals[-1].unflatten(1, (-1, 2))
            self.totals.append((t[:, :, 0] * t[:, :, 1]).clamp_(min=_FLOOR[t.dtype]))

    def levels(self, count):
        """(half, decays of the early blocks, of the late blocks) for each size of blocks that are joined."""
        for n, total in enumerate(self.totals[:-1]):
            yield _TILE << n, *_across(total, count).unflatten(1, (-1, 2)).unbind(2)

    def from_start(self, x):
        """For each level the late blocks' x_t times the decay from the seam to t, [batch, pairs, half, A]."""
        x, found = x * _across(self.start, len(x)), []
        for half, early, _ in self.levels(len(x)):
            late = _pairs(x, half)[:, :, 1]
            found.append(late.clone())
            late.mul_(early)
        return found

    def to_end(self, y):
        """For each level the early blocks' y_s times the decay from s to the seam, [batch, pairs, half, A]."""
        y, found = y * _across(self.end, len(y)), []
        for half, _, late in self.levels(len(y)):
            early = _pairs(y, half)[:, :, 0]
            found.append(early.clone())
            early.mul_(late)
        return found


def _scores(x, y, ladder):
    """A[t, s] = sum over channels of x_t y_s times the decay between them. [.., C, A] and [.., C, A] -> [.., C, C]."""
    batch, n = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2], ladder.batch), x.shape[-2]
    x, y = _rows(x, batch), _rows(y, batch)
    near = ladder.near.scores(x, y).unflatten(0, (len(x), -1))
    rows = x.shape[1]
    if rows == _TILE:
        return near.view(*batch, rows, rows)[..., :n, :n]
    a = x.new_zeros(len(x), rows, rows)
    for b in range(rows // _TILE):
        a[:, b * _TILE : (b + 1) * _TILE, b * _TILE : (b + 1) * _TILE] = near[:, b]
    for late, early in zip(ladder.from_start(x), ladder.to_end(y), strict=True):
        met = _bmm(late, early.mT)
        for b in range(met.shape[1]):
            _corner(a, met.shape[-1], b).copy_(met[:, b])
    return a.view(*batch, rows, rows)[..., :n, :n]


def _apply(a, y, ladder):
    """z_t = sum_s A[t, s] y_s times the decay between them. [.., C, C] and [.., C, A] -> [.., C, A]."""
    batch, n = torch.broadcast_shapes(a.shape[:-2], y.shape[:-2], ladder.batch), y.shape[-2]
    a, y = _square(a, batch), _rows(y, batch)
    z, far = ladder.near.apply(_diagonal(a, _TILE), y).view(y.shape), torch.zeros_like(y)
    joined = list(zip(ladder.to_end(y), ladder.levels(len(y)), strict=True))
    for early, (half, before, _) in reversed(joined):  # what comes from afar, as it stands at its block's start
        late = _pairs(far, half)[:, :, 1]
        late.mul_(before).add_(_bmm(_corners(a, half), early))
    z = z.addcmul_(far, _across(ladder.start, len(y))) if joined else z
    return z.view(*batch, *z.shape[-2:])[..., :n, :]


def _apply_t(a, x, ladder):
    """z_s = sum_t A[t, s] x_t times the decay between them. [.., C, C] and [.., C, A] -> [.., C, A]."""
    batch, n = torch.broadcast_shapes(a.shape[:-2], x.shape[:-2], ladder.batch), x.shape[-2]
    a, x = _square(a, batch), _rows(x, batch)
    z, far = ladder.near.apply_t(_diagonal(a, _TILE), x).view(x.shape), torch.zeros_like(x)
    joined = list(zip(ladder.from_start(x), ladder.levels(len(x)), strict=True))
    for late, (half, _, behind) in reversed(joined):  # what comes from afar, as it stands at its block's end
        early = _pairs(far, half)[:, :, 0]
        early.mul_(behind).add_(_bmm(_corners(a, half).mT, late))
    z = z.addcmul_(far, _across(ladder.end, len(x))) if joined else z
    return z.view(*batch, *z.shape[-2:])[..., :n, :]
