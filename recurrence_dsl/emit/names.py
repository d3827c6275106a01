"""Python names for the values of a program."""

from __future__ import annotations

import hashlib
import keyword
import re

from ..program.ops import Op, Program, Value

_WORDS = "torch math inputs params state incoming kept static block B H C dtype device first second third"
RESERVED = frozenset(re.findall(r"\w+", _WORDS))
"""What the functions of an emitted file use themselves, beside its helpers, which begin with an underscore."""


class Names:
    """Gives every value one name: its hint where it has one, made unique and legal."""

    def __init__(self, program: Program, taken: frozenset[str] = frozenset()) -> None:
        self._used = set(RESERVED | taken)
        self.of = {v.index: self.fresh(_hint(v)) for v in program.values}

    def fresh(self, hint: str) -> str:
        """A name that nothing else has."""
        base = re.sub(r"\W", "_", hint)
        base = f"{base}_" if keyword.iskeyword(base) else f"x{base}" if base.startswith("_") else base
        name, n = base, 1
        while name in self._used:
            n += 1
            name = f"{base}_{n}" if base != "x" else f"x{n}"
        self._used.add(name)
        return name


def operator_name(spec: str, text: str) -> str:
    """What an emitted file registers its operators under: equal names mean equal texts. Only ASCII is allowed there."""
    return f"{re.sub(r'[^A-Za-z0-9_]', '_', spec)}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def docstring(text: str) -> str:
    """A text as it may stand between three quotes."""
    escaped = text.replace("\\", "\\\\")
    return f'{escaped[:-1]}\\"' if escaped.endswith('"') else escaped


def _hint(v: Value) -> str:
    """Gradients that come in are `do` and `dS_out`; a state that comes in is `S_in`."""
    if v.op is Op.COTANGENT:
        kind, name = str(v.attr).split(":")
        return f"d{name}_out" if kind == "state" else f"d{name}"
    return f"{v.attr}_in" if v.op is Op.STATE else v.hint or "x"
