"""The rank-one terms of an update: a (b . S_{t-1}), as few as the algebra shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..expr import Expr
from .affine import Term
from .algebra import Algebra
from .recurrence import Erase


def rank_one(terms: Iterable[Term], algebra: Algebra) -> tuple[Erase, ...]:
    """Terms with one b, or else with one a, are added up: a product of n Householder steps has n, not 2^n - 1."""
    erases = terms_of(terms, algebra)
    erases = _merged(erases, lambda e: _key(e.b, algebra), lambda x, y: Erase(algebra.add(x.a, y.a), x.b))
    return _merged(erases, lambda e: _key(e.a, algebra), lambda x, y: Erase(x.a, algebra.add(x.b, y.b)))


def terms_of(terms: Iterable[Term], algebra: Algebra) -> tuple[Erase, ...]:
    """The terms as they are."""
    return tuple(Erase(algebra.product(t.outer), algebra.product(t.inner)) for t in terms)


def _key(e: Expr, algebra: Algebra) -> tuple[str, ...]:
    """Equal for products of the same factors in any order."""
    return tuple(sorted(map(repr, algebra.factors(e))))


def _merged(
    erases: tuple[Erase, ...], key: Callable[[Erase], tuple[str, ...]], join: Callable[[Erase, Erase], Erase]
) -> tuple[Erase, ...]:
    found: dict[tuple[str, ...], Erase] = {}
    for e in erases:
        k = key(e)
        found[k] = join(found[k], e) if k in found else e
    return tuple(found.values())
