"""The page docs/layer-functions.md, from the functions themselves; `make golden` writes it."""

from __future__ import annotations

from ..layers.modules import LAYER_FUNCTIONS
from ..layers.modules.signature import Brackets, LayerFunction

_HEAD = """# Layer functions

The learned maps of a [layer block](language.md#the-layer-block). Each is a torch module with the keys that are listed;
the modules of a line stand under the line's name. An initialiser is written as for a [param](language.md#param), with
`fan_in` and `fan_out`, the widths that a matrix joins, and `orthogonal(gain)`. This page is generated: `make golden`
writes it from the functions themselves.
"""

_USE = {Brackets.RESULT: "[K](x)", Brackets.OVER: "[K](x)", Brackets.WIDTH: "[4](x)"}


def layer_reference() -> str:
    """The page: one section a function, its options as a table."""
    return "\n".join([_HEAD, *(_section(f) for f in LAYER_FUNCTIONS.values())])


def _section(f: LayerFunction) -> str:
    rows = [f"| `{o.name}` | {_values(o.words) or o.kind.value} | {o.default} | {o.meaning} |" for o in f.options]
    table = ["| option | takes | default | |", "|---|---|---|---|", *rows]
    lines = [f"## {f.name}", "", f"`{f.name}{_USE[f.brackets]}`; in brackets: {f.brackets.value}. {f.summary}", ""]
    return "\n".join([*lines, *table, "", f"Keys: {f.keys}.", ""])


def _values(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)
