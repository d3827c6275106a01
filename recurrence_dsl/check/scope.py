"""The names of a file and what each of them stands for."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..diagnostics import Label
from ..expr import Kind
from ..source import Span
from ..syntax import KEYWORDS, ast
from .report import Report
from .spec import Dim

Definition = ast.LetStatement | ast.StateStatement | ast.OutputStatement
Declaration = ast.InputStatement | ast.ParamStatement | ast.ConstStatement | Definition

_WORDS = ("t", "head", "heads", "inf", "true", "false", "per", "group", "shared", "complex", "in")
_LANGUAGE = frozenset({*_WORDS, *KEYWORDS})
_CALL = frozenset({"self", "state", "initial_state", "return_state", "cu_seqlens"})
_COMPILE = frozenset({"spec", "heads", "groups", "backend", "form", "chunk_size", "d_model", "self"})


@dataclass(frozen=True, slots=True)
class Symbol:
    """A declared value: `axes` as written; None for a let or an output, whose axes follow from its expression."""

    name: str
    kind: Kind
    span: Span
    statement: Declaration
    axes: tuple[str, ...] | None = None
    is_complex: bool = False

    @property
    def word(self) -> str:
        """The statement's own word for it."""
        is_decay = isinstance(self.statement, ast.LetStatement) and self.statement.decay
        return "decay" if is_decay else self.kind.value

    @property
    def definition(self) -> ast.Expression | None:
        """The expression that computes it at each time step."""
        match self.statement:
            case ast.StateStatement():
                return self.statement.update
            case ast.LetStatement() | ast.OutputStatement():
                return self.statement.value
            case _:
                return None


@dataclass(slots=True)
class Scope:
    """Dims and values by name, in the order of their declaration; `rejected` names may not be declared at all."""

    report: Report
    dims: dict[str, Dim] = field(default_factory=dict)
    symbols: dict[str, Symbol] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)

    def in_order(self, axes: Iterable[str]) -> tuple[str, ...]:
        """Axes in the order in which the dims are declared, each once."""
        wanted = set(axes)
        return tuple(name for name in self.dims if name in wanted)

    def definitions(self) -> Iterator[Symbol]:
        """Lets, states and outputs."""
        return (symbol for symbol in self.symbols.values() if symbol.definition is not None)

    def declare_dim(self, ident: ast.Ident, default: int | None) -> None:
        if self._is_free(ident, _LANGUAGE | _COMPILE):
            self.dims[ident.name] = Dim(ident.name, span=ident.span, default=default)

    def declare(self, ident: ast.Ident, symbol: Symbol) -> None:
        reserved = {Kind.INPUT: _CALL, Kind.CONST: _COMPILE}.get(symbol.kind, frozenset())
        if self._is_free(ident, _LANGUAGE | reserved):
            self.symbols[symbol.name] = symbol

    def _is_free(self, ident: ast.Ident, reserved: frozenset[str]) -> bool:
        name = ident.name
        first = self.dims.get(name) or self.symbols.get(name)
        if name in reserved or keyword.iskeyword(name):
            why = "reserved" if name in reserved else "a keyword of Python"
            message = f"the name `{name}` is {why}"
            self.report.error("R0203", message, ident.span, "choose another name", help=_other(name))
            self.rejected.add(name)
            return False
        if first is not None:
            also = (Label(first.span, "first declared here"),)
            self.report.error("R0202", f"the name `{name}` is declared twice", ident.span, "declared again", also=also)
            return False
        return True

    def axes(self, idents: tuple[ast.Ident, ...]) -> tuple[str, ...]:
        """The known axes of a bracket, as written; unknown and repeated ones are reported and left out."""
        found: list[str] = []
        for ident in idents:
            if not self.is_axis(ident):
                continue
            if ident.name in found:
                self.report.error("R0206", f"the axis `{ident.name}` stands here twice", ident.span, "repeated")
            else:
                found.append(ident.name)
        return tuple(found)

    def is_axis(self, ident: ast.Ident) -> bool:
        """Whether an axis is declared; reports it where it is not."""
        if ident.name in self.dims:
            return True
        near = self.report.nearest(ident.name, self.dims)
        also = (Label(self.dims[near].span, "a similar axis is declared here"),) if near else ()
        advice = f"did you mean `{near}`?" if near else f"declare it: `dim {ident.name}`"
        note = ("`" + ident.name + "` is a value, not an axis",) if ident.name in self.symbols else ()
        message = f"unknown axis `{ident.name}`"
        self.report.error("R0204", message, ident.span, "not declared by `dim`", also=also, notes=note, help=advice)
        return False


def _other(name: str) -> str | None:
    """A name to take instead of a reserved one."""
    return {"lambda": "write `lam` or `λ`", "in": "write `i`", "is": "write `s`"}.get(name)
