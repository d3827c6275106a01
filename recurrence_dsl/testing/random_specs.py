"""Random well-formed specs: axes, gates, rank-one terms, writes, reads, several states, output maps."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from ..check import load_text
from ..check.spec import Spec

DECAYS = (
    "exp({g})",
    "sigmoid({r})",
    "sigmoid({r}) ** (1/8)",
    "exp(-exp({r}))",
    "exp(-softplus({r}))",
    "0.2 + 0.8 * sigmoid({r})",
    "exp({g}) * sigmoid({r})",
    "1 - 2 ** (-3 - head)",
    "0.9",
)
"""A decay's formula; `{g}` is an input that is never positive, `{r}` one without a range."""

MAPS = (
    "{x}",
    "silu({x})",
    "elu({x}) + 1",
    "relu({x})",
    "square({x})",
    "tanh({x})",
    "softplus({x})",
    "{x}[t-1]",
    "-{x}",
)
"""Feature maps of what is written and read."""

ENDS = ("{o}", "{o} * K ** -0.5", "tanh({o})", "{o} * sigmoid({s})", "{o} + {p} * {v}", "rmsnorm[V]({o})")
"""What an output makes of a read; `{s}` is a scalar input, `{p}` a param, `{v}` the value input."""


@dataclass(slots=True)
class _Text:
    """Lines of a spec in the making; declarations are added when something first asks for a name."""

    declarations: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def input(self, name: str, axes: str, rest: str = "") -> str:
        self.declarations.setdefault(name, f"input {name} : [{axes}]{rest}")
        return name

    def param(self, name: str, axes: str, init: str) -> str:
        self.declarations.setdefault(name, f"param {name} : [{axes}] = {init}")
        return name

    def text(self, dims: str) -> str:
        return "\n".join(("mixer random", f"dim {dims}", *self.declarations.values(), *self.lines)) + "\n"


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """A random spec that the checker accepts."""
    return load_text(draw(spec_texts()))


@st.composite
def spec_texts(draw: st.DrawFn) -> str:
    """The text of a random well-formed spec: one to three states, each matrix or vector, one or two outputs."""
    text = _Text()
    count = draw(st.sampled_from((1, 1, 2, 3)))
    reads = list[str]()
    for n in range(count):
        reads.append(_state(draw, text, f"S{n}", reads))
    for n, read in enumerate(reads):
        _output(draw, text, f"o{n}", read)
    return text.text("K, V")


def _state(draw: st.DrawFn, text: _Text, name: str, earlier: list[str]) -> str:
    """Adds a state and returns an expression over [V] that reads it; it may be fed by what reads an earlier one."""
    if draw(st.booleans()) or draw(st.booleans()):
        return _matrix(draw, text, name, _value(draw, text, name, earlier))
    decay = _decay(draw, text, name, ("V", ""))
    value = _mapped(draw, _value(draw, text, name, earlier))
    text.lines.append(f"state {name} : [V] = {decay} * {name}[t-1] + {_weighted(draw, text, value)}")
    return draw(st.sampled_from((name, f"{name}[t-1]")))


def _matrix(draw: st.DrawFn, text: _Text, name: str, value: str) -> str:
    decay = _decay(draw, text, name, ("", "K", "V", "K, V"))
    grouped = draw(st.sampled_from(("", " per group")))
    key, query = text.input("k", "K", grouped), text.input("q", "K")
    before = f"{decay} * {name}[t-1]"
    write = f"{_mapped(draw, key)} * {_mapped(draw, value)}"
    match draw(st.sampled_from(("plain", "plain", "delta", "gated delta", "rank one", "right", "two writes"))):
        case "delta":
            update = f"{before} + {_beta(text)} * kn * ({value} - sum[K](kn * {name}[t-1]))"
            _let(text, "kn", f"l2norm[K]({key})")
        case "gated delta":
            text.lines.append(f"let P{name} = {before}")
            update = f"P{name} + {_beta(text)} * kn * ({value} - sum[K](kn * P{name}))"
            _let(text, "kn", f"l2norm[K]({key})")
        case "rank one":
            a, b = text.input("a", "K"), text.input("b", "K")
            update = f"{before} + {a} * sum[K]({b} * {name}[t-1]) + {write}"
        case "right":
            a, b = text.input("c", "V"), text.input("d", "V")
            update = f"{before} - 0.3 * {a} * sum[V]({b} * {name}[t-1]) + {write}"
        case "two writes":
            update = f"{before} + {write} + {text.input('k2', 'K')} * {value}"
        case _:
            update = f"{before} + {_weighted(draw, text, write)}"
    text.lines.append(f"state {name} : [K, V] = {update}")
    return _read(draw, text, name, query, key, value)


def _value(draw: st.DrawFn, text: _Text, name: str, earlier: list[str]) -> str:
    """What a state is written with: an input, or a let that reads an earlier state."""
    if earlier and draw(st.sampled_from((False, False, True))):
        _let(text, f"f{name}", earlier[-1])
        return f"f{name}"
    return text.input("v", "V")


def _read(draw: st.DrawFn, text: _Text, name: str, query: str, key: str, value: str) -> str:
    left = _mapped(draw, query)
    match draw(st.sampled_from(("now", "now", "before", "bonus"))):
        case "before":
            return f"sum[K]({left} * {name}[t-1])"
        case "bonus":
            bonus = text.param("u", "K", "normal(0, 0.5)")
            return f"sum[K]({left} * ({name}[t-1] + {bonus} * {key} * {value}))"
        case _:
            return f"sum[K]({left} * {name})"


def _output(draw: st.DrawFn, text: _Text, name: str, read: str) -> None:
    end = draw(st.sampled_from(ENDS))
    names = {"o": read if read.startswith(("S", "sum")) else f"({read})"}
    if "{s}" in end:
        names["s"] = text.input("s", "")
    if "{p}" in end:
        names |= {"p": text.param("D", "V", "1"), "v": text.input("v", "V")}
    text.lines.append(f"output {name} = {end.format(**names)}")


def _decay(draw: st.DrawFn, text: _Text, name: str, shapes: tuple[str, ...]) -> str:
    """A decay by name, or nothing that decays (`1`)."""
    if draw(st.sampled_from((False, False, False, True))):
        return "1"
    axes = draw(st.sampled_from(shapes))
    suffix = axes.replace(", ", "")
    formula = draw(st.sampled_from(DECAYS))
    names = {}
    if "{g}" in formula:
        names["g"] = text.input(f"g{suffix}", axes, " in (-inf, 0]")
    if "{r}" in formula:
        names["r"] = text.input(f"r{suffix}", axes)
    text.lines.append(f"decay w{name} = {formula.format(**names)}")
    return f"w{name}"


def _weighted(draw: st.DrawFn, text: _Text, write: str) -> str:
    if draw(st.booleans()):
        return write
    return f"{text.input('s', '')} * {write}"


def _mapped(draw: st.DrawFn, name: str) -> str:
    chosen = draw(st.sampled_from(MAPS)).format(x=name)
    return f"({chosen})" if not chosen.startswith(name) else chosen


def _beta(text: _Text) -> str:
    return text.input("beta", "", " in [0, 1]")


def _let(text: _Text, name: str, value: str) -> None:
    line = f"let {name} = {value}"
    if line not in text.lines:
        text.lines.append(line)
