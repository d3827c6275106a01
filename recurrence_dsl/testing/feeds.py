"""Which inputs feed a decay, and which the rest of a transition: what a generator must know to steer a spec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..check.spec import Spec
from ..expr import Apply, Expr, Fn, Kind, Now, Over, Prev, children
from ..interpreter.binding import right_hand_sides


@dataclass(frozen=True, slots=True)
class Feeds:
    """`decays`: factors of a previous state. `gates`: the inputs they read. `transition`: inputs of other factors."""

    decays: tuple[Expr, ...]
    gates: tuple[str, ...]
    transition: tuple[str, ...]


def feeds(spec: Spec) -> Feeds:
    """Read the state updates' products: what multiplies a previous state directly, and what through a contraction."""
    definitions = right_hand_sides(spec)
    direct, indirect = list[Expr](), list[Expr]()
    for state in spec.states:
        for product, contracted in _products(state.update, definitions):
            for factor, other in (product.args, product.args[::-1]):
                if _reads_state(other, definitions) and not _reads_state(factor, definitions):
                    outright = not contracted and _is_scaled_state(other, definitions)
                    (direct if outright else indirect).append(factor)
    direct += [let.value for let in spec.lets if let.decay]
    gates = _inputs(direct, definitions, spec)
    transition = tuple(name for name in _inputs(indirect, definitions, spec) if name not in gates)
    return Feeds(tuple(dict.fromkeys(direct)), gates, transition)


def _products(e: Expr, definitions: dict[str, Expr], contracted: bool = False) -> Iterator[tuple[Apply, bool]]:
    """Products inside `e`, through the lets that it reads, and whether each stands under a sum over axes."""
    if isinstance(e, Apply) and e.fn is Fn.MUL:
        yield e, contracted
    for child in _below(e, definitions):
        yield from _products(child, definitions, contracted or isinstance(e, Over))


def _below(e: Expr, definitions: dict[str, Expr]) -> tuple[Expr, ...]:
    if isinstance(e, Now) and e.kind is Kind.LET:
        return (definitions[e.name],)
    return children(e)


def _reads_state(e: Expr, definitions: dict[str, Expr]) -> bool:
    if isinstance(e, Prev) and e.kind is Kind.STATE:
        return True
    return any(_reads_state(child, definitions) for child in _below(e, definitions))


def _is_scaled_state(e: Expr, definitions: dict[str, Expr]) -> bool:
    """Whether every term of `e` is a multiple of a previous state, with no contraction in between."""
    match e:
        case Prev():
            return e.kind is Kind.STATE
        case Apply(fn=Fn.MUL | Fn.DIV | Fn.NEG):
            return any(_is_scaled_state(arg, definitions) for arg in e.args)
        case Now(kind=Kind.LET):
            return _is_scaled_state(definitions[e.name], definitions)
        case _:
            return False


def _inputs(roots: list[Expr], definitions: dict[str, Expr], spec: Spec) -> tuple[str, ...]:
    read = {name for root in roots for name in _names(root, definitions)}
    return tuple(i.name for i in spec.inputs if i.name in read)


def _names(e: Expr, definitions: dict[str, Expr]) -> Iterator[str]:
    if isinstance(e, Now | Prev) and e.kind is Kind.INPUT:
        yield e.name
    for child in _below(e, definitions):
        yield from _names(child, definitions)
