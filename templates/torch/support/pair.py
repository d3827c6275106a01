_SIDE = 64
_lying = {}


def _sums(side, strict, like):
    """Ones for `side` rows: rows up to t (strict: before it), after s, between them; and which pairs are seen."""
    key = side, strict, like.dtype, like.device
    if key not in _lying:
        row = torch.arange(side, device=like.device)
        t, s, r = row[:, None, None], row[None, :, None], row[None, None, :]
        upto = (r < t) if strict else (r <= t)
        between = (upto & (r > s)).flatten(0, 1).to(like.dtype)
        seen = (row[None, :] < row[:, None]) if strict else (row[None, :] <= row[:, None])
        _lying[key] = upto[:, 0].to(like.dtype), (r > s)[0].to(like.dtype), between, seen.to(like.dtype)
    return _lying[key]


def _middle(tiles, like):
    """[tiles * tiles, tiles]: which tiles lie between a late and an early one; [tiles, tiles]: is the one earlier?"""
    key = "middle", tiles, like.dtype, like.device
    if key not in _lying:
        tile = torch.arange(tiles, device=like.device)
        late, early, other = tile[:, None, None], tile[None, :, None], tile[None, None, :]
        inside = ((early < other) & (other < late)).to(like.dtype).flatten(0, 1)
        _lying[key] = inside, (tile[None, :] < tile[:, None]).to(like.dtype)
    return _lying[key]


def _pair(g, strict):
    """exp(g_{s+1} + .. + g_t) for s <= t, or exp(g_{s+1} + .. + g_{t-1}) for s < t when strict; else 0.

    [.., C] -> [.., C, C]. Each exponent is the sum of just the log-decays that it means, by a product with ones. Beyond
    64 rows the decay between two tiles is the product of what lies in the late tile, between the tiles, and in the
    early tile.
    """
    batch, n = g.shape[:-1], g.shape[-1]
    side = min(max(n, 1), _SIDE)
    upto, after, between, seen = _sums(side, strict, g)
    if n <= side:
        return _decay_(g @ between.mT).unflatten(-1, (side, side)).mul_(seen)[..., :n, :n]
    g = torch.nn.functional.pad(g, (0, -n % side)).reshape(-1, -(-n // side), side)
    tiles = g.shape[1]
    near = _decay_(g @ between.mT).unflatten(-1, (side, side)).mul_(seen)
    inside, earlier = _middle(tiles, g)
    apart = _decay(g.sum(-1) @ inside.mT).unflatten(-1, (tiles, tiles)).mul_(earlier)
    start, end = _decay(g @ upto.mT), _decay(g @ after.mT)
    early = apart[..., None] * end[:, None]
    pairs = start[..., None, None] * early[:, :, None]
    pairs.diagonal(dim1=1, dim2=3).copy_(near.movedim(1, -1))
    return pairs.view(*batch, tiles * side, tiles * side)[..., :n, :n]
