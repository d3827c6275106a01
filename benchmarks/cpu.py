"""Times compiled mixers on a CPU against what people use today; prints a table and writes JSON.

    python benchmarks/cpu.py                          # the whole grid: minutes
    python benchmarks/cpu.py --spec gla --length 2048 --no-naive

Float32, B = 1, H = 8, K = V = 64, two threads, the median of several runs. Beside every mixer stand
(a) torch's causal scaled_dot_product_attention at the same shape,
(b) fla's naive token-by-token recurrence, where fla-core is installed,
(c) one large matrix product with as many FLOPs as the mixer's chunk form.
All but (b) take turns, run by run, so that a host whose speed wanders is as fast or slow for each of them.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import logsigmoid, scaled_dot_product_attention, softplus

import recurrence_dsl as rd
from recurrence_dsl.testing import case_for, draw_inputs

SPECS = ("retnet", "mamba2", "gla", "hgrn2", "rwkv6", "delta_net")
LENGTHS = (2048, 8192)
HEADS, SIZE = 8, 64
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one subject at one length, forward and forward with backward; None where it was not run."""

    subject: str
    kind: str
    length: int
    forward: float | None
    both: float | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is timed: a function of named tensors."""

    name: str
    kind: str
    length: int
    call: Callable[..., Tensor]
    inputs: dict[str, Tensor]

    def passes(self) -> tuple[Callable[[], object], Callable[[], object]]:
        """`call(**inputs)`, and the same followed by a backward pass into every input."""
        leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in self.inputs.items()}
        with torch.no_grad():
            weight = torch.randn_like(self.call(**self.inputs))

        def forward() -> None:
            with torch.no_grad():
                self.call(**self.inputs)

        def both() -> None:
            torch.autograd.grad(self.call(**leaves), tuple(leaves.values()), weight, allow_unused=True)

        return forward, both


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def medians(runs: list[Callable[[], object]], least: float) -> list[float]:
    """Medians over at least three rounds in which all take turns, and as many more as `least` seconds for each allow.

    One round before warms up.
    """
    for run in runs:
        run()
    taken = list[list[float]]()
    while len(taken) < 3 or (sum(map(sum, taken)) < least * len(runs) and len(taken) < 50):
        taken.append([seconds(run) for run in runs])
    return [statistics.median(of_one) for of_one in zip(*taken, strict=True)]


def timed(subjects: list[Subject], least: float) -> list[Timing]:
    """Times subjects that take turns."""
    found = medians([run for s in subjects for run in s.passes()], least)
    pairs = zip(found[::2], found[1::2], strict=True)
    return [Timing(s.name, s.kind, s.length, f, b) for s, (f, b) in zip(subjects, pairs, strict=True)]


def mixer(name: str, length: int) -> Subject:
    """A spec's compiled mixer."""
    spec = rd.load(name)
    case = case_for(spec, size=SIZE, heads=HEADS, groups=1, length=length, dtype="float32")
    drawn = draw_inputs(spec, case)
    compiled = rd.compile(spec, heads=HEADS, **dict(case.sizes))
    with torch.no_grad():
        for key, parameter in compiled.named_parameters():
            parameter.copy_(drawn.params[key])
    return Subject(name, "compiled", length, compiled, dict(drawn.inputs))


def flops(length: int, chunk: int = 64) -> int:
    """Multiplications and additions of a chunked pass over every head: 2 C (K + V) + 4 K V a token."""
    return HEADS * length * (2 * chunk * (SIZE + SIZE) + 4 * SIZE * SIZE)


def attention(length: int) -> Subject:
    """(a): [B, H, T, D] as torch wants it."""
    inputs = {name: torch.randn(1, HEADS, length, SIZE) for name in ("query", "key", "value")}

    def call(**tensors: Tensor) -> Tensor:
        return scaled_dot_product_attention(**tensors, is_causal=True)

    return Subject("causal attention", "(a)", length, call, inputs)


def product(length: int) -> Subject:
    """(c): a square matrix product with the FLOPs of a chunked pass."""
    side = round((flops(length) / 2) ** (1 / 3))
    inputs = {"a": torch.randn(side, side), "b": torch.randn(side, side)}
    return Subject(f"matrix product, {side} x {side}", "(c)", length, lambda a, b: a @ b, inputs)


def naive_timing(name: str, length: int) -> Timing | None:
    """(b), forward only beyond 2048 tokens: autograd through a long loop takes minutes. None without fla-core."""
    found = naive(name, length)
    if found is None:
        return None
    subject = Subject(f"fla naive, {name}", "(b)", length, *found)
    if length <= 2048:
        return timed([subject], 0.0)[0]
    (forward,) = medians([subject.passes()[0]], 0.0)
    return Timing(subject.name, subject.kind, length, forward, None)


def naive(name: str, length: int) -> tuple[Callable[..., Tensor], dict[str, Tensor]] | None:
    """fla's naive form of a named architecture and inputs in its own layout."""
    time_first, heads_first = (1, length, HEADS), (1, HEADS, length)
    path, function, lead, scalars = {
        "retnet": ("simple_gla.naive", "naive_recurrent_simple_gla", time_first, ("g",)),
        "mamba2": ("simple_gla.naive", "naive_recurrent_simple_gla", time_first, ("g",)),
        "gla": ("gla.naive", "naive_recurrent_gla", time_first, ()),
        "hgrn2": ("gla.naive", "naive_recurrent_gla", time_first, ()),
        "rwkv6": ("rwkv6.recurrent_naive", "naive_recurrent_rwkv6", heads_first, ()),
        "delta_net": ("delta_rule.naive", "delta_rule_recurrence", heads_first, ("beta",)),
    }[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run: Callable[..., Any] = getattr(import_module(f"fla.ops.{path}"), function)
        except ImportError:
            return None
    vectors = {"q": torch.randn(*lead, SIZE), "k": torch.randn(*lead, SIZE) / SIZE**0.5, "v": torch.randn(*lead, SIZE)}
    gate = {"gla": "gk", "hgrn2": "gk", "rwkv6": "w"}.get(name)
    extra = {gate: logsigmoid(torch.randn(*lead, SIZE))} if gate else {}
    extra |= {s: -softplus(torch.randn(lead)) if s == "g" else torch.rand(lead) for s in scalars}
    if name == "rwkv6":
        extra["u"] = torch.randn(HEADS, SIZE)
    return (lambda **tensors: run(**tensors)[0]), vectors | extra


def run_all(specs: tuple[str, ...], lengths: tuple[int, ...], least: float, with_naive: bool) -> Iterator[Timing]:
    """Every timing of the grid, length by length."""
    for length in lengths:
        yield from timed([attention(length), product(length), *(mixer(name, length) for name in specs)], least)
        for name in specs if with_naive else ():
            found = naive_timing(name, length)
            if found is not None:
                yield found


def table(timings: list[Timing]) -> Table:
    """Milliseconds, and what part of causal attention's time that is."""
    of_attention = {t.length: t for t in timings if t.kind == "(a)"}
    shown = Table(title=f"float32, B=1, H={HEADS}, K=V={SIZE}, {torch.get_num_threads()} threads, median, ms")
    for heading in ("", "T", "forward", "of (a)", "forward+backward", "of (a)"):
        shown.add_column(heading, justify="left" if not heading else "right")
    for t in timings:
        a = of_attention[t.length]
        cells = (*_cells(t.forward, a.forward), *_cells(t.both, a.both))
        shown.add_row(f"{t.subject} {t.kind if t.kind != 'compiled' else ''}", str(t.length), *cells)
    return shown


def _cells(found: float | None, of_attention: float | None) -> tuple[str, str]:
    if found is None or of_attention is None:
        return "-", "-"
    return f"{found * 1e3:.1f}", f"{found / of_attention:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", action="append", choices=SPECS, help="only these (repeat it); default: all six")
    parser.add_argument("--length", action="append", type=int, help="only these lengths; default: 2048 and 8192")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="least time spent on one median")
    parser.add_argument(
        "--no-naive", action="store_true", help="leave fla's token loops out; they take most of the time"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "cpu.json")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    console, timings = Console(), list[Timing]()
    specs, lengths = tuple(chosen.spec or SPECS), tuple(chosen.length or LENGTHS)
    with console.status("measuring") as status:
        for timing in run_all(specs, lengths, chosen.seconds, not chosen.no_naive):
            timings.append(timing)
            status.update(f"measured {timing.subject}, T={timing.length}")
    console.print(table(timings))
    about = {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "threads": chosen.threads,
        "heads": HEADS,
        "size": SIZE,
    }
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps({"about": about, "timings": [asdict(t) for t in timings]}, indent=2) + "\n")
    console.print(f"written to {chosen.output}")


if __name__ == "__main__":
    main()
