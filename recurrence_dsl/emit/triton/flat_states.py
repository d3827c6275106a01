"""States that a walk carries with two of their dims as one, as its products of matrices take and give them: apart they
would be laid out anew in every chunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .order import needed
from .tiles import Dims, Kind, Result, Source, Tile, Tiles


def with_flat_states(tiles: Tiles) -> Tiles:
    """The tiles with each state flat that comes in for nothing but to be made flat, and goes out taken apart."""
    for state, flat in _flattened(tiles):
        tiles = _carried_flat(tiles, state, flat)
    return tiles


def flat_dims(tiles: Tiles) -> dict[tuple[str, int], Dims]:
    """Names and parts of the states that are carried flat, and how they then lie."""
    carried = (t for t in tiles.tiles if t.kind is Kind.CARRIED and any("*" in d for d in t.dims))
    return {_state(t): t.dims for t in carried}


def _state(t: Tile) -> tuple[str, int]:
    assert isinstance(t.attr, Source)
    return t.attr.name.removeprefix("state:"), t.attr.part


def _is_new(r: Result, state: Tile) -> bool:
    """Does this result replace a state that is carried?"""
    return r.target.kind in ("state", "dstate") and (r.target.name, r.target.part) == _state(state)


def _flattened(tiles: Tiles) -> Iterator[tuple[Tile, Tile]]:
    """States that may be carried flat, each with the tile that makes it flat."""
    wanted = needed(tiles)
    for t in tiles.tiles:
        if t.kind is Kind.CARRIED and t.index in wanted:
            users = [tiles.tiles[i] for i in sorted(wanted) if t.index in tiles.tiles[i].args]
            new = [tiles.tiles[r.tile] for r in tiles.results if _is_new(r, t)]
            merged = {u.attr for u in users} | {x.attr for x in new}
            plain = all(u.kind is Kind.FLAT for u in users) and all(x.kind is Kind.SPLIT for x in new)
            if users and new and plain and len(merged) == 1:
                yield t, users[0]


def _carried_flat(tiles: Tiles, state: Tile, flat: Tile) -> Tiles:
    """The tiles with a state flat from the start; indices stay."""
    same = {t.index for t in tiles.tiles if t.kind is Kind.FLAT and t.args == (state.index,)}

    def moved(t: Tile) -> Tile:
        if t.index == state.index:
            return replace(t, dims=flat.dims)
        if t.index in same:
            return t
        return replace(t, args=tuple(state.index if a in same else a for a in t.args))

    results = (
        replace(r, tile=tiles.tiles[r.tile].args[0]) if _is_new(r, state) else r  # what was taken apart
        for r in tiles.results
    )
    return Tiles(tuple(map(moved, tiles.tiles)), tuple(results))
