# Decays per channel between all pairs of tokens of a block, exp(g_{s+1} + .. + g_t), are never formed. The block is
# cut into tiles of 16 rows. Between two tiles the decay is a product: up to the end of the early tile, across the tiles
# that lie between, from the start of the late one. Inside a tile, blocks of 2, 4, 8 and 16 rows are split in an early
# and a late half, and the decay is a product of what lies on both sides of the middle. So all is matrix products, and
# every exponent is the sum of just the log-decays that it means: never positive, and no difference of large sums.

_TILE = 16
_patterns = {}


def _pattern(strict, like):
    """spans [levels + 2, 16, 16]: whose log-decays to add for each row, at each level, then from the tile's start and
    to its end. seen [levels, 16, 16]: the pairs that a level is for. With s = t in sight there is a level for it.
    """
    key = "pattern", strict, like.dtype, like.device
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


def _between(tiles, like):
    """[tiles * tiles, tiles]: which tiles lie between a late tile i and an early tile j; and [tiles, tiles]: j < i."""
    key = "between", tiles, like.dtype, like.device
    if key not in _patterns:
        tile = torch.arange(tiles, device=like.device)
        late, early, other = tile[:, None, None], tile[None, :, None], tile[None, None, :]
        inside = (early < other) & (other < late)
        _patterns[key] = inside.to(like.dtype).flatten(0, 1), (tile[None, :] < tile[:, None]).to(like.dtype)
    return _patterns[key]


def _tiles(x, batch):
    """[.., C, A] as [batch, tiles, 16, A], zeros where rows are missing."""
    n, channels = x.shape[-2:]
    missing = -n % _TILE
    x = torch.nn.functional.pad(x, (0, 0, 0, missing)) if missing else x
    return x.expand(*batch, n + missing, channels).reshape(-1, (n + missing) // _TILE, _TILE, channels)


def _square(a, batch):
    """[.., C, C] as [batch, rows, rows], zeros where rows are missing; contiguous."""
    n = a.shape[-1]
    missing = -n % _TILE
    a = torch.nn.functional.pad(a, (0, missing, 0, missing)) if missing else a
    return a.expand(*batch, n + missing, n + missing).reshape(-1, n + missing, n + missing).contiguous()


def _diagonal(a):
    """The diagonal tiles of [batch, rows, rows], a view [batch, tiles, 16, 16]."""
    tiles = a.shape[-1] // _TILE
    return a.view(-1, tiles, _TILE, tiles, _TILE).diagonal(dim1=1, dim2=3).movedim(-1, 1)


def _bmm(x, y):
    """Matrix products over all leading dims."""
    return torch.bmm(x.flatten(0, -3), y.flatten(0, -3)).view(*x.shape[:-1], y.shape[-1])


class _ladder:
    """The decays of log-decays g [.., C, A]: `near` [batch, tiles, levels, 16, A] inside tiles, `start` and `end`
    [batch, tiles, 16, A] from a tile's start and to its end, `apart` [batch, tiles, tiles, 1, A] between tiles."""

    def __init__(self, g, strict):
        self.batch = g.shape[:-2]
        g = _tiles(g, self.batch)
        spans, self.seen = _pattern(strict, g)
        count, tiles = g.shape[:2]
        flat = g.flatten(0, 1)
        decays = torch.bmm(spans.flatten(0, 1).expand(len(flat), -1, -1), flat)
        decays = _decay_(decays).view(count, tiles, -1, _TILE, g.shape[-1])
        self.near, self.start, self.end = decays[:, :, :-2], decays[:, :, -2], decays[:, :, -1]
        inside, earlier = _between(tiles, g)
        apart = _decay_(torch.bmm(inside.expand(count, -1, -1), g.sum(-2))).view(count, tiles, tiles, 1, -1)
        self.apart = apart.mul_(earlier[..., None, None])

    def across(self, x, y):
        """The leading dims of these two and the log-decays together, and the decays for all of them."""
        batch = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2], self.batch)
        times = math.prod(batch) // len(self.near)
        parts = self.near, self.start, self.end, self.apart
        return batch, parts if times == 1 else [p.repeat(times, *[1] * (p.dim() - 1)) for p in parts]


def _scores(x, y, ladder):
    """A[t, s] = sum over channels of x_t y_s times the decay between them. [.., C, A] and [.., C, A] -> [.., C, C]."""
    batch, (near, start, end, apart) = ladder.across(x, y)
    n = x.shape[-2]
    x, y = _tiles(x, batch), _tiles(y, batch)
    inside = _bmm(x[:, :, None] * near, (y[:, :, None] * near).mT).mul_(ladder.seen).sum(2)
    if near.shape[1] == 1:
        return inside.view(*batch, _TILE, _TILE)[..., :n, :n]
    early = ((y * end)[:, None] * apart).flatten(2, 3)
    a = _bmm(x * start, early.mT).flatten(1, 2)
    _diagonal(a).add_(inside)
    return a.view(*batch, *a.shape[-2:])[..., :n, :n]


def _apply(a, y, ladder):
    """z_t = sum_s A[t, s] y_s times the decay between them. [.., C, C] and [.., C, A] -> [.., C, A]."""
    batch, (near, start, end, apart) = ladder.across(a, y)
    n = y.shape[-2]
    a, y = _square(a, batch), _tiles(y, batch)
    z = _bmm(_diagonal(a)[:, :, None] * ladder.seen, y[:, :, None] * near).mul_(near).sum(2)
    if near.shape[1] > 1:
        early = ((y * end)[:, None] * apart).flatten(2, 3)
        z.addcmul_(_bmm(a.unflatten(1, (-1, _TILE)), early), start)
    return z.view(*batch, -1, z.shape[-1])[..., :n, :]


def _apply_t(a, x, ladder):
    """z_s = sum_t A[t, s] x_t times the decay between them. [.., C, C] and [.., C, A] -> [.., C, A]."""
    batch, (near, start, end, apart) = ladder.across(a, x)
    n = x.shape[-2]
    a, x = _square(a, batch), _tiles(x, batch)
    z = _bmm((_diagonal(a)[:, :, None] * ladder.seen).mT, x[:, :, None] * near).mul_(near).sum(2)
    if near.shape[1] > 1:
        late = _bmm(a.unflatten(1, (-1, _TILE)).mT, x * start).unflatten(2, (-1, _TILE))
        z.addcmul_((late * apart).sum(1), end)
    return z.view(*batch, -1, z.shape[-1])[..., :n, :]
