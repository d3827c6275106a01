"""Known traps of kernels such as these (docs/triton.md), each with what would show it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
import torch

from recurrence_dsl.resources import shipped_specs

from .compare import Case, assert_agreement, compare, everything, mixers, random_inputs, random_state

SPLIT = {"FORWARD": "split", "BACKWARD": "split"}
SPECS = [p.stem for p in shipped_specs()]
PRODUCTS = ("_dot", "_dot_exact", "_inverse", "_pair")


class Products:
    """Which values of a function stem from a product of matrices by pointwise operations."""

    def __init__(self, function: ast.FunctionDef) -> None:
        self.defined: dict[str, list[ast.expr]] = {}
        self.calls = [x for x in ast.walk(function) if isinstance(x, ast.Call)]
        for x in ast.walk(function):
            if isinstance(x, ast.Assign):
                for target in x.targets:
                    if isinstance(target, ast.Name):
                        self.defined.setdefault(target.id, []).append(x.value)
            elif isinstance(x, ast.AugAssign) and isinstance(x.target, ast.Name):
                self.defined.setdefault(x.target.id, []).append(x.value)
        self.of_name = cache(self._of_name)
        self.open: set[str] = set()

    def _of_name(self, name: str) -> bool:
        if name in self.open:
            return False
        self.open.add(name)
        found = any(self.made(e) for e in self.defined.get(name, ()))
        self.open.discard(name)
        return found

    def made(self, e: ast.expr) -> bool:
        match e:
            case ast.Name():
                return self.of_name(e.id)
            case ast.BinOp():
                return self.made(e.left) or self.made(e.right)
            case ast.UnaryOp():
                return self.made(e.operand)
            case ast.Call() if _called(e) in PRODUCTS:
                return True
            case ast.Call() if _called(e) in ("tl.sum", "tl.max", "tl.load", "tl.cumsum", "tl.gather"):
                return False
            case ast.Call():
                return any(self.made(a) for a in e.args)
            case _:
                return False

    def turned(self, e: ast.expr) -> bool:
        """Is this a product turned over, under whatever name?"""
        match e:
            case ast.Name() if e.id in self.open:
                return False
            case ast.Name():
                self.open.add(e.id)
                found = any(self.turned(x) for x in self.defined.get(e.id, ()))
                self.open.discard(e.id)
                return found
            case ast.Call() if _called(e) == "tl.trans":
                return self.made(e.args[0])
            case ast.Call() if _called(e) in ("_factor", "_once", "tl.where"):
                return any(self.turned(a) for a in e.args)
            case _:
                return False


def _called(e: ast.Call) -> str:
    return ast.unparse(e.func)


def turned_factors(text: str) -> list[str]:
    """Products of matrices whose left factor is another one's result turned over."""
    found = []
    for function in (x for x in ast.parse(text).body if isinstance(x, ast.FunctionDef)):
        products = Products(function)
        found += [
            ast.unparse(c) for c in products.calls
            if _called(c) in ("_dot", "_dot_exact", "tl.dot") and products.turned(c.args[0])
        ]  # fmt: skip
    return found


@pytest.mark.parametrize("spec", SPECS)
def test_no_product_is_turned_over_for_another_one(spec: str) -> None:
    module = mixers(Case(spec, sizes={"K": 16, "V": 32, "J": 16, "M": 16, "N": 16}))[0].kernels
    text = Path(str(module.__file__)).read_text()
    assert turned_factors(text) == []


def test_one_that_is_turned_over_is_found() -> None:
    lines = ("p = _dot(x, y)", "w = tl.exp(p) * 2.0", "z = tl.trans(w)", "_dot(z, y)", "_dot(x, z)")
    text = "\n    ".join(("def f(x, y):", *lines))
    assert turned_factors(text) == ["_dot(z, y)"]
    assert turned_factors(text.replace("_dot(x, y)", "tl.sum(x, y)")) == []


# Triton's interpreter warns of lanes that divide by zero, whatever becomes of them
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("decay", [0.0, -1e-6, -50.0, -1e4, -float("inf")])
@pytest.mark.parametrize(("spec", "gate"), [("gla", "g"), ("rwkv6", "d")])
def test_gates_that_let_nothing_through(spec: str, gate: str, decay: float) -> None:
    """Reads before and after the write, with sums of log-decays that leave the token's own out."""
    case = Case(spec, length=19, batch=1, heads=1, plans=SPLIT)
    kernels, reference = mixers(case)
    inputs, state = random_inputs(kernels.spec, case), random_state(kernels, case, 1)
    raw = {"g": max(16 * decay, -1e5), "d": torch.tensor(max(-decay, 1e-30)).log().clamp(max=80.0).item()}[gate]
    inputs[gate] = torch.where(torch.arange(19)[None, :, None, None] % 2 == 0, raw, inputs[gate])
    wide = lambda d: {n: x.double() for n, x in d.items()}  # noqa: E731
    wanted = everything(reference, wide(inputs), wide(state), ())
    slope = max(1.0, min(-decay, 87.0)) if gate == "d" else 1.0  # of the log-decay, by which its gradient is multiplied
    for name, x in everything(kernels, inputs, state, ()).items():
        compare(name, x, wanted[name], 2e-5 * (slope if name == f"d {gate}" else 1.0))


RECIPROCALS = """
mixer reciprocals
dim K, V
input q, k : [K]
input s : [K] in [0.1, 2]
input r : [V] in [0.1, 2]
input c in [0.1, 2]
input v : [V]
decay a = exp(-c / s)
state S : [K, V] = a * S[t-1] + k / s * log(r) * v / r
output o = sum[K](q * log(s) / s ** 0.5 * S) / (r * c)
"""


RECIPROCAL_KEYS = """
mixer reciprocal_keys
dim K, V
input q, k : [K]
input s : [K] in [0.1, 2]
input c in [0.1, 2]
input v : [V]
let n = l2norm[K](k / s)
decay a = exp(-1 / c)
state S : [K, V] = a * S[t-1] + n / c * (v - sum[K](n * log(c) * S[t-1]))
output o = sum[K](q * log(s) * S) / c
"""


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("plan", ["fused", "split", "prepared", "phases", "segments", "recurrent"])
@pytest.mark.parametrize("text", [RECIPROCALS, RECIPROCAL_KEYS])
def test_lanes_beyond_an_end_hold_no_infinity(text: str, plan: str) -> None:
    """Where a lane computes on zeros, 1 / 0 and log 0 reach no sum: K, V and the last chunk are not full."""
    form, length = ("recurrent", 3) if plan == "recurrent" else ("auto", 19)
    plans = {"FORWARD": plan, "BACKWARD": plan}
    assert_agreement(Case(text, length=length, batch=1, heads=1, form=form, plans=plans))


@pytest.mark.parametrize("spec", ["gla", "gated_delta_net", "hgrn"])
def test_what_is_not_a_number_stays_in_its_sequence(spec: str) -> None:
    ends = (0, 5, 20, 37)
    case = Case(spec, length=37, batch=1, heads=1, ends=ends, plans=SPLIT)
    kernels, _ = mixers(case)
    inputs, state = random_inputs(kernels.spec, case), random_state(kernels, case, 3)
    wanted = everything(kernels, inputs, state, ends)
    free = [i.name for i in kernels.spec.inputs if i.low == -i.high]  # what the spec promises is checked here
    spoilt = inputs | {n: inputs[n].index_fill(1, torch.arange(5, 20), float("nan")) for n in free}
    found = everything(kernels, spoilt, state, ends)
    outer = [*range(5), *range(20, 37)]
    tokens = [n for n, x in found.items() if n.startswith(("out", "d ")) and x.dim() > 1 and x.shape[1] == 37]
    for name in tokens:
        assert torch.equal(found[name][:, outer], wanted[name][:, outer]), name
    assert any(found[name][:, 5:20].isnan().any() for name in tokens)


SUMS = """
mixer sums
dim K, V
input q, k : [K]
input v : [V]
state S : [K, V] = S[t-1] + k * v
output o = sum[K](q * S)
"""


@pytest.mark.parametrize(
    ("scale", "weight", "large"),
    [({"q": 2e-3, "k": 1e2, "v": 3e2}, 2e-3, "S"), ({"q": 1e2, "k": 2e-3, "v": 2e-3}, 300.0, "dS")],
    ids=["states", "their gradients"],
)
def test_states_may_exceed_float16(scale: dict[str, float], weight: float, large: str) -> None:
    """Beyond 65,504 between kernels, while every input, output and gradient of an input is far from it."""
    case = Case(SUMS, length=40, batch=1, heads=1, dtype=torch.float16, plans=SPLIT)
    kernels, reference = mixers(case)
    inputs = {n: ((x.abs() + 0.1) * scale[n]).half() for n, x in random_inputs(kernels.spec, case).items()}
    results = []
    for mixer, kind in ((kernels, torch.float16), (reference, torch.float64)):
        leaves = {n: x.detach().clone().to(kind).requires_grad_() for n, x in inputs.items()}
        before = {"S": torch.zeros(1, 1, 5, 7, dtype=torch.promote_types(kind, torch.float32)).requires_grad_()}
        out, last = mixer(**leaves, initial_state=before, return_state=True)
        out.backward(torch.full(out.shape, weight, dtype=kind))
        sizes = {"S": last["S"].detach(), "dS": before["S"].grad}
        assert float(sizes[large].abs().max()) > 65_504  # type: ignore[union-attr]
        results.append({"out": out.detach(), **{n: x.grad for n, x in leaves.items()}})
    for name, x in results[0].items():
        compare(name, x, results[1][name], 4e-3)
