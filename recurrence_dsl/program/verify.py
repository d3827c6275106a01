"""Checks a block program: values follow their operands, and dims, arities and complexity are inferred again."""

from __future__ import annotations

from typing import assert_never

from ..stage_error import require
from .ops import COL, LEADING, LEAVES, ROW, TERM, TERM2, Mask, Op, Prim, Program, Value

STAGE = "derive"
ADJOINT = frozenset(
    (Op.COTANGENT, Op.REVCUMSUM, Op.UNSHIFT, Op.PLACE_FIRST, Op.PLACE_LAST, Op.APPLY_T, Op.SOLVE_T, Op.SCAN_T)
)
"""Ops that only an adjoint has."""

_BINARY = frozenset((Prim.ADD, Prim.SUB, Prim.MUL, Prim.DIV, Prim.POW, Prim.MIN, Prim.MAX, Prim.LESS, Prim.EQUAL))
_REAL = frozenset((Prim.RE, Prim.IM, Prim.ABS, Prim.LESS, Prim.EQUAL, Prim.SIGN))
_ARITY = {
    **dict.fromkeys(LEAVES, 0),
    **dict.fromkeys((Op.SHIFT, Op.CONTRACT, Op.SOLVE, Op.SOLVE_T, Op.SCAN_T), 2),
    **dict.fromkeys((Op.SCORES, Op.APPLY, Op.APPLY_T, Op.SCAN), 3),
}
_KINDS = {Op.INPUT: "input", Op.PARAM: "param", Op.STATE: "state"}


def verify_program(program: Program) -> None:
    """Raises StageError where the program does not hold together."""
    is_adjoint = not any(key.startswith("output:") for key, _ in program.outputs)
    for place, v in enumerate(program.values):
        require(v.index == place and all(a < place for a in v.args), STAGE, f"%{place} comes before its operands")
        require(is_adjoint or v.op not in ADJOINT, STAGE, f"{v.op} in a program that is no adjoint")
        _value(program, v)
    _outputs(program, is_adjoint)
    needed = {i for _, i in program.outputs} | {a for v in program.values for a in v.args}
    require(needed == set(range(len(program.values))), STAGE, "a value is never used")


def _value(program: Program, v: Value) -> None:
    what = f"%{v.index} ({v.op.value})"
    known = (*LEADING, *program.axes)
    require(v.dims == tuple(d for d in known if d in v.dims), STAGE, f"{what} has unknown or unordered dims {v.dims}")
    require(_arity_fits(v), STAGE, f"{what} has {len(v.args)} operands")
    require(_attribute_fits(v), STAGE, f"{what} has the attribute {v.attr!r}")
    if v.op in LEAVES:
        return
    operands = [program.values[a] for a in v.args]
    dims = inferred(v, [frozenset(x.dims) for x in operands])
    require(frozenset(v.dims) == dims, STAGE, f"{what} has the dims {v.dims}, its operands make {sorted(dims)}")
    cplx = any(x.is_complex for x in operands) and v.attr not in _REAL
    require(v.is_complex == cplx, STAGE, f"{what} is wrong about being complex")


def _arity_fits(v: Value) -> bool:
    match v.op:
        case Op.MAP:
            return len(v.args) == (2 if v.attr in _BINARY else 1)
        case Op.STACK:
            return len(v.args) > 1
        case Op.PAIR:
            return len(v.args) <= 1
        case _:
            return len(v.args) == _ARITY.get(v.op, 1)


def _attribute_fits(v: Value) -> bool:
    match v.op:
        case Op.MAP:
            return isinstance(v.attr, Prim)
        case Op.PAIR:
            return isinstance(v.attr, Mask)
        case Op.NUMBER:
            return isinstance(v.attr, (float, complex)) and v.is_complex == isinstance(v.attr, complex)
        case Op.INPUT | Op.PARAM | Op.STATE | Op.COTANGENT | Op.SIZE | Op.HEAD_INDEX | Op.HEAD_COUNT | Op.STACK:
            return isinstance(v.attr, str)
        case Op.SUM | Op.AMAX | Op.PEAK | Op.EXPAND | Op.RENAME | Op.SELECT | Op.CONTRACT | Op.SCORES:
            return isinstance(v.attr, tuple)
        case _:
            return v.attr is None


def inferred(v: Value, args: list[frozenset[str]]) -> frozenset[str]:
    """The dims that a value's operands give it; StageError where they do not fit the operation."""
    union = frozenset().union(*args)
    attr = frozenset(v.attr) if isinstance(v.attr, tuple) else frozenset()

    def fits(condition: object) -> None:
        require(condition, STAGE, f"the operands of %{v.index} ({v.op.value}) do not fit: {[sorted(a) for a in args]}")

    match v.op:
        case Op.MAP:
            return union
        case Op.SUM | Op.AMAX | Op.PEAK:
            fits(attr and attr <= union)
            return union - attr
        case Op.EXPAND:
            fits(union < attr)
            return frozenset(v.dims) if v.attr == v.dims else frozenset()
        case Op.RENAME:
            source, target = v.attr  # type: ignore[misc]
            fits(source in union and target not in union)
            return (union - {source}) | {str(target)}
        case Op.STACK:
            fits(all(a == union for a in args) and v.attr not in union)
            return union | {str(v.attr)}
        case Op.SELECT:
            dim, _ = v.attr  # type: ignore[misc]
            fits(dim in union)
            return union - {dim}
        case Op.CUMSUM | Op.CUMSUM_BEFORE | Op.CUMSUM_AFTER | Op.REVCUMSUM | Op.UNSHIFT:
            fits(ROW in union)
            return union
        case Op.SHIFT:
            fits(ROW in args[0] and ROW not in args[1])
            return union
        case Op.FIRST | Op.LAST:
            fits(ROW in union)
            return union - {ROW}
        case Op.PLACE_FIRST | Op.PLACE_LAST:
            fits(ROW not in union)
            return union | {ROW}
        case Op.CONTRACT:
            fits(attr and attr <= args[0] and attr <= args[1])
            return union - attr
        case Op.PAIR:
            fits(not args or ROW in union)
            return union | {ROW, COL}
        case Op.SCORES:
            fits({ROW, *attr} <= args[0] and {ROW, *attr} <= args[1] and {ROW, COL} <= args[2])
            return union - attr
        case Op.APPLY | Op.APPLY_T:
            fits({ROW, COL} <= args[0] and args[2] - {COL} <= args[1] and {ROW, COL} <= args[2])
            return union - {COL}
        case Op.SOLVE | Op.SOLVE_T:
            fits(
                {ROW, COL} <= args[0] and args[0] - {COL, TERM2} <= args[1] and (TERM in args[0]) == (TERM2 in args[0])
            )
            return args[1]
        case Op.INVERSE:
            fits({ROW, COL} <= args[0] and (TERM in args[0]) == (TERM2 in args[0]))
            return args[0]
        case Op.SCAN:
            fits(ROW in args[0] and args[0] <= args[1] and args[2] == args[1] - {ROW})
            return args[1]
        case Op.SCAN_T:
            fits(ROW in args[0] and args[0] <= args[1])
            return args[1]
        case Op.INPUT | Op.PARAM | Op.STATE | Op.COTANGENT | Op.NUMBER | Op.SIZE | Op.HEAD_INDEX | Op.HEAD_COUNT:
            return frozenset(v.dims)
        case _:
            assert_never(v.op)


def _outputs(program: Program, is_adjoint: bool) -> None:
    keys = [key for key, _ in program.outputs]
    require(len(set(keys)) == len(keys), STAGE, "two results have one key")
    leaves = {f"{_KINDS[v.op]}:{v.attr}": v for v in program.values if v.op in _KINDS}
    for key, i in program.outputs:
        v = program.values[i]
        kinds = ("input", "param", "state") if is_adjoint else ("output", "state")
        require(key.split(":")[0] in kinds, STAGE, f"no result of this program is a `{key}`")
        if key.startswith("state:"):
            require(ROW not in v.dims, STAGE, f"`{key}` has rows")
        if is_adjoint and key in leaves:
            require(v.dims == leaves[key].dims, STAGE, f"the gradient `{key}` has not the dims of its leaf")
