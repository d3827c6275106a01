"""Small specs of unusual kinds, each with the form that every state of it must get."""

from __future__ import annotations

from dataclasses import dataclass

from recurrence_dsl.check import load_text
from recurrence_dsl.check.spec import Spec

HEADER = """\
dim K, V
input q, k, p : [K]
input v, u : [V]
input beta in [0, 1]
input g : [K] in (-inf, 0]
input h : [V] in (-inf, 0]
input c in (-inf, 0]
"""
READ = "output o = sum[K](q * S)"


@dataclass(frozen=True, slots=True)
class Unusual:
    """`forms` has a word for each state in the order of declaration: matrix, scan or step; `why` is part of the reason."""

    name: str
    body: str
    forms: str = "matrix"
    cls: str = ""
    why: str = ""
    header: str = HEADER

    @property
    def spec(self) -> Spec:
        return load_text(f"mixer {self.name}\n{self.header}{self.body}")


def _state(update: str, read: str = READ, lets: str = "") -> str:
    return f"{lets}state S : [K, V] = {update}\n{read}"


def _two(second: str, lets: str = "") -> str:
    return f"{lets}state S : [K, V] = S[t-1] + k * v\n{second}"


GATED = "decay a = exp(c)\n"
VECTOR = "decay w = exp(g)\n"

DELTA = (
    Unusual(
        "erase_decayed",
        _state("a * S[t-1] + beta * k * (v - sum[K](k * (a * S[t-1])))", lets=GATED),
        cls="scalar + rank-one",
    ),
    Unusual(
        "erase_undecayed",
        _state("a * S[t-1] + beta * k * (v - sum[K](k * S[t-1]))", lets=GATED),
        cls="scalar + rank-one",
    ),
    Unusual(
        "decay_after_erase",
        _state("a * (S[t-1] + beta * k * (v - sum[K](k * S[t-1])))", lets=GATED),
        cls="scalar + rank-one",
    ),
    Unusual(
        "decay_after_erase_vector",
        _state("w * (S[t-1] - beta * k * sum[K](k * S[t-1])) + k * v", lets=VECTOR),
        cls="key channel + rank-one",
    ),
    Unusual(
        "erase_decayed_vector",
        _state("P + beta * k * (v - sum[K](k * P))", lets=VECTOR + "let P = w * S[t-1]\n"),
        cls="key channel + rank-one",
    ),
    Unusual("other_erase_key", _state("S[t-1] - beta * p * sum[K](p * S[t-1]) + k * v"), cls="no decay + rank-one"),
    Unusual(
        "erase_and_replace_differ", _state("S[t-1] - beta * p * sum[K](k * S[t-1]) + k * v"), cls="no decay + rank-one"
    ),
    Unusual("erase_inside_sum", _state("S[t-1] + k * v - sum[K](beta * p * S[t-1]) * k"), cls="no decay + rank-one"),
    Unusual(
        "erase_as_division", _state("S[t-1] - k * sum[K](p * S[t-1]) / (1 + beta) + k * v"), cls="no decay + rank-one"
    ),
    Unusual(
        "erase_through_lets",
        _state(
            "S[t-1] + k * gain", lets="let old = sum[K](k * S[t-1])\nlet delta = v - old\nlet gain = beta * delta\n"
        ),
        cls="no decay + rank-one",
    ),
    Unusual(
        "two_rank_one",
        _state("S[t-1] - beta * k * sum[K](k * S[t-1]) + p * sum[K](q * S[t-1]) * 0.1 + k * v"),
        cls="no decay + 2 rank-one",
    ),
    Unusual(
        "two_rank_one_decayed",
        _state("w * S[t-1] - beta * k * sum[K](k * S[t-1]) - 0.1 * p * sum[K](p * S[t-1]) + k * v", lets=VECTOR),
        cls="key channel + 2 rank-one",
    ),
    Unusual(
        "householders",
        _state("H1 + beta * p * (u - sum[K](p * H1))", lets="let H1 = S[t-1] + beta * k * (v - sum[K](k * S[t-1]))\n"),
        cls="no decay + 2 rank-one",
    ),
    Unusual(
        "three_householders",
        _state(
            "H2 + beta * n * (v - sum[K](n * H2))",
            lets="input n : [K]\nlet H1 = S[t-1] + beta * k * (v - sum[K](k * S[t-1]))\nlet H2 = H1 + beta * p * (u - sum[K](p * H1))\n",
        ),
        cls="no decay + 3 rank-one",
    ),
    Unusual(
        "four_householders",
        _state(
            "H3 + beta * n * (v - sum[K](n * H3))",
            lets="input n, m : [K]\nlet H1 = S[t-1] + beta * k * (v - sum[K](k * S[t-1]))\nlet H2 = H1 + beta * p * (u - sum[K](p * H1))\n"
            "let H3 = H2 + beta * m * (v - sum[K](m * H2))\n",
        ),
        cls="no decay + 4 rank-one",
    ),
    Unusual(
        "rank_one_of_a_sum",
        _state("S[t-1] - 0.1 * k * sum[K](k * S[t-1]) - 0.1 * k * sum[K](p * S[t-1]) + k * v"),
        cls="no decay + rank-one",
    ),
    Unusual(
        "householders_decayed",
        _state(
            "H1 + beta * p * (u - sum[K](p * H1))",
            lets=VECTOR + "let P = w * S[t-1]\nlet H1 = P + beta * k * (v - sum[K](k * P))\n",
        ),
        cls="key channel + 2 rank-one",
    ),
    Unusual(
        "erase_other_side",
        _state("S[t-1] - beta * v * sum[V](v * S[t-1]) + k * v", "output o = sum[V](u * S)"),
        cls="no decay + rank-one",
    ),
    Unusual(
        "erase_other_side_decayed",
        _state("exp(h) * S[t-1] - beta * v * sum[V](v * S[t-1]) + k * v", "output o = sum[V](u * S)"),
        cls="key channel + rank-one",
    ),
    Unusual(
        "erase_and_read_cross", _state("S[t-1] - beta * v * sum[V](v * S[t-1]) + k * v"), cls="no decay + rank-one"
    ),
    Unusual(
        "decay_crosses_erase", _state("exp(h) * S[t-1] - beta * k * sum[K](k * S[t-1]) + k * v"), "step", why="rank-one"
    ),
    Unusual(
        "erase_both_sides",
        _state("S[t-1] - 0.1 * k * sum[K](k * S[t-1]) - 0.1 * v * sum[V](v * S[t-1]) + k * v"),
        "step",
        why="different axes",
    ),
    Unusual(
        "erase_everything",
        _state("S[t-1] - 0.1 * k * v * sum[K, V](k * v * S[t-1]) + k * v", "output o = sum[K, V](q * u * S)"),
    ),
    Unusual(
        "erase_scaled_along_value",
        _state("S[t-1] - beta * k * u * sum[K](k * S[t-1]) + k * v"),
        "step",
        why="scaled along V",
    ),
    Unusual("erase_no_write", _state("S[t-1] - beta * k * sum[K](k * S[t-1])"), cls="no decay + rank-one"),
    Unusual(
        "negative_eigenvalue",
        _state("S[t-1] - 2 * n * sum[K](n * S[t-1]) + k * v", lets="let n = l2norm[K](k)\n"),
        cls="no decay + rank-one",
    ),
)

READS = (
    Unusual("before", _state("w * S[t-1] + k * v", "output o = sum[K](q * S[t-1])", VECTOR), cls="key channel"),
    Unusual(
        "bonus", _state("w * S[t-1] + k * v", "output o = sum[K](q * (S[t-1] + p * k * v))", VECTOR), cls="key channel"
    ),
    Unusual(
        "bonus_apart",
        _state("a * S[t-1] + k * v", "output o = sum[K](q * S[t-1]) + sum[K](q * p * k) * v", GATED),
        cls="scalar",
    ),
    Unusual(
        "now_and_before",
        _state("a * S[t-1] + k * v", "output o = sum[K](q * S) - sum[K](q * S[t-1])", GATED),
        cls="scalar",
    ),
    Unusual(
        "before_with_erase",
        _state("a * S[t-1] - beta * k * sum[K](k * S[t-1]) + k * v", "output o = sum[K](q * S[t-1])", GATED),
    ),
    Unusual("other_axis", _state("w * S[t-1] + k * v", "output o = sum[V](u * S)", VECTOR), cls="value channel"),
    Unusual(
        "two_reads", _state("w * S[t-1] + k * v", "output o = sum[K](q * S)\noutput y = sum[K](p * S[t-1])", VECTOR)
    ),
    Unusual(
        "reads_along_both_axes",
        _state("w * S[t-1] + k * v", "output o = sum[K](q * S)\noutput y = sum[V](u * S)", VECTOR),
    ),
    Unusual("read_of_both_axes", _state("w * S[t-1] + k * v", "output o = sum[K, V](q * u * S)", VECTOR)),
    Unusual("read_twice", _state("w * S[t-1] + k * v", "output o = sum[V](u * sum[K](q * S))", VECTOR)),
    Unusual(
        "read_of_let", _state("w * S[t-1] + k * v", "let R = beta * S + 0.5 * S\noutput o = sum[K](q * R)", VECTOR)
    ),
    Unusual("mean_read", _state("w * S[t-1] + k * v", "output o = mean[K](q * S)", VECTOR)),
    Unusual("plain_sum", _state("w * S[t-1] + k * v", "output o = sum[K](S)", VECTOR)),
    Unusual(
        "query_of_a_read",
        _state("w * S[t-1] + k * v", "let r = sum[K](q * S)\noutput o = tanh(r) * sum[K](sigmoid(p) * S)", VECTOR),
    ),
    Unusual(
        "query_feeds_from_state",
        _state("w * S[t-1] + k * v", "let r = sum[V](u * S)\noutput o = sum[K](r * S)", VECTOR),
    ),
    Unusual("matrix_query", _state("w * S[t-1] + k * v", "let M = q * u\noutput o = sum[K](M * S)", VECTOR)),
    Unusual(
        "tensor_query",
        _state("w * S[t-1] + k * v", "output o = sum[K](tanh(q * u) * S)", VECTOR),
        "scan",
        why="used other than",
    ),
    Unusual("whole_state", _state("w * S[t-1] + k * v", "output o = tanh(S)", VECTOR), "scan", why="used other than"),
    Unusual(
        "squared_state", _state("w * S[t-1] + k * v", "output o = sum[K](S * S)", VECTOR), "scan", why="used other than"
    ),
    Unusual(
        "whole_and_read", _state("w * S[t-1] + k * v", "output o = sum[K](q * S)\noutput y = abs(S)", VECTOR), "scan"
    ),
    Unusual("whole_with_erase", _state("S[t-1] - beta * k * sum[K](k * S[t-1]) + k * v", "output o = tanh(S)"), "step"),
    Unusual("unread", _state("a * S[t-1] + k * v", "output o = q", GATED)),
    Unusual(
        "renamed_read",
        "dim J\n" + _state("w * S[t-1] + k * v", "output o = sum[V](sum[K](q * S) * S[K -> J])", VECTOR),
        "scan",
    ),
)

WRITES = (
    Unusual("sum_of_keys", _state("a * S[t-1] + (k + p) * v", lets=GATED)),
    Unusual("difference_of_values", _state("a * S[t-1] + k * (v - u)", lets=GATED)),
    Unusual("sums_on_both_sides", _state("w * S[t-1] + (k + p) * (v - u)", lets=VECTOR)),
    Unusual("two_writes", _state("w * S[t-1] + k * v - beta * p * u", lets=VECTOR)),
    Unusual("divided_write", _state("w * S[t-1] + k * v / (1 + v ** 2) / (1 + beta)", lets=VECTOR)),
    Unusual("divided_by_product", _state("w * S[t-1] + 1 / ((1 + exp(k)) * (1 + exp(v)))", lets=VECTOR)),
    Unusual("squared_outer", _state("w * S[t-1] + square(k * v)", lets=VECTOR)),
    Unusual("write_by_let", _state("w * S[t-1] + m", lets=VECTOR + "let m = k * v + beta * p * u\n")),
    Unusual("write_on_one_axis", _state("w * S[t-1] + k", lets=VECTOR)),
    Unusual("write_on_other_axis", _state("w * S[t-1] + v", lets=VECTOR)),
    Unusual("write_scalar", _state("w * S[t-1] + beta", lets=VECTOR)),
    Unusual("write_one", _state("w * S[t-1] + 1", lets=VECTOR)),
    Unusual("no_write", _state("w * S[t-1]", lets=VECTOR)),
    Unusual("inseparable_write", _state("w * S[t-1] + tanh(k * v)", lets=VECTOR), "scan", why="write"),
    Unusual("negated", _state("-(k * v - w * S[t-1])", lets=VECTOR)),
    Unusual("previous_key", _state("w * S[t-1] + k[t-1] * v", lets=VECTOR)),
    Unusual("previous_let", _state("w * S[t-1] + m[t-1] * v", lets=VECTOR + "let m = k * p\n")),
    Unusual("previous_of_previous", _state("w * S[t-1] + m[t-1] * v", lets=VECTOR + "let m = k[t-1]\n")),
    Unusual(
        "previous_output",
        _state("w * S[t-1] + k * v", "output y = q * beta\noutput o = sum[K](y[t-1] * S)", lets=VECTOR),
    ),
    Unusual("previous_decay", _state("w[t-1] * S[t-1] + k * v", lets=VECTOR), "scan", why="may reach zero"),
    Unusual("previous_read", _state("w * S[t-1] + k * v", "let r = sum[K](q * S)\noutput o = r[t-1] + r", lets=VECTOR)),
)

DECAYS = (
    Unusual("both_axes", _state("exp(g) * exp(h) * S[t-1] + k * v")),
    Unusual("both_axes_in_one", _state("exp(g + h) * S[t-1] + k * v")),
    Unusual("three_parts", _state("exp(g + h + c) * S[t-1] + k * v")),
    Unusual("powers", _state("sigmoid(k) ** (1/4) * sigmoid(v) ** 2 * S[t-1] + k * v")),
    Unusual("root", _state("sqrt(sigmoid(k)) * S[t-1] + k * v")),
    Unusual("full", _state("exp(g * beta + h * beta) * S[t-1] + k * v")),
    Unusual("inseparable", _state("exp(-exp(k * v)) * S[t-1] + k * v"), "scan", why="does not split"),
    Unusual("coefficients_add", _state("S[t-1] - beta * S[t-1] + k * v"), "scan", "scalar", "may reach zero"),
    Unusual("coefficients_add_vector", _state("S[t-1] - sigmoid(k) * S[t-1] + k * v"), cls="key channel"),
    Unusual("halves", _state("0.5 * S[t-1] + 0.5 * S[t-1] + k * v"), cls="no decay"),
    Unusual("cancels", _state("S[t-1] - S[t-1] + k * v"), cls=""),
    Unusual("forgets_at_once", _state("0 * S[t-1] + k * v")),
    Unusual("no_past", _state("k * v")),
    Unusual("negative_decay", _state("-0.5 * S[t-1] + k * v"), "scan", why="not in [0, 1]"),
    Unusual("growing", _state("1.01 * S[t-1] + k * v"), "scan", why="not in [0, 1]"),
    Unusual("unproven", _state("tanh(k) * S[t-1] + k * v"), "scan", why="not in [0, 1]"),
    Unusual("interpolated", _state("f * S[t-1] + (1 - f) * v", lets="decay f = sigmoid(k)\n"), cls="key channel"),
    Unusual("interpolated_scalar", _state("(1 - beta) * S[t-1] + beta * k * v"), "scan", "scalar", "may reach zero"),
    Unusual("max_decay", _state("max(sigmoid(k), 0.1) * S[t-1] + k * v"), cls="key channel"),
    Unusual("softmax_decay", _state("softmax[K](k) * S[t-1] + k * v")),
    Unusual("of_head", _state("(1 - 2 ** (-5 - head)) * S[t-1] + k * v"), cls="scalar"),
)

SHAPES = (
    Unusual("scalar_state", "state n = exp(c) * n[t-1] + beta\noutput o = n * q", "scan", "scalar state"),
    Unusual("vector_state", "state z : [K] = exp(g) * z[t-1] + k\noutput o = z", "scan", "vector"),
    Unusual("vector_state_read", "state z : [K] = exp(g) * z[t-1] + k\noutput o = sum[K](q * z)"),
    Unusual(
        "vector_state_erased", "state z : [K] = z[t-1] - beta * k * sum[K](k * z[t-1]) + p\noutput o = sum[K](q * z)"
    ),
    Unusual(
        "scalar_plus_vector",
        "state n = exp(c) * n[t-1] + beta\nstate z : [K] = exp(g) * z[t-1] + n * k\noutput o = sum[K](q * z)",
        "scan matrix",
    ),
    Unusual(
        "three_axes", "dim J\nstate S : [K, J, V] = S[t-1] + k * p[K -> J] * v\noutput o = sum[K, J](q * q[K -> J] * S)"
    ),
    Unusual(
        "three_axes_decayed",
        "dim J\nstate S : [K, J, V] = exp(g) * exp(g[K -> J]) * S[t-1] + k * p[K -> J] * v\noutput o = sum[K, J](q * q[K -> J] * S)",
    ),
    Unusual(
        "renamed_decay",
        "dim J\ndecay w = exp(-exp(p))\nstate S : [K, J, V] = w * w[K -> J] * S[t-1] + k * p[K -> J] * v\noutput o = sum[K, J](q * q[K -> J] * S)",
    ),
    Unusual(
        "three_axes_erased",
        "dim J\nlet f = l2norm[K, J](k * k[K -> J])\nstate S : [K, J, V] = S[t-1] + beta * f * (v - sum[K, J](f * S[t-1]))\noutput o = sum[K, J](q * q[K -> J] * S)",
    ),
    Unusual(
        "three_axes_one_read",
        "dim J\nstate S : [K, J, V] = exp(c) * S[t-1] + k * p[K -> J] * v\noutput o = sum[K](q * S)",
    ),
    Unusual("declared_backwards", "state S : [V, K] = exp(g) * S[t-1] + k * v\noutput o = sum[K](q * S)"),
    Unusual(
        "declared_backwards_erased",
        "state S : [V, K] = exp(g) * S[t-1] + beta * k * (v - sum[K](k * S[t-1]))\noutput o = sum[K](q * S)",
    ),
    Unusual("complex_vector", "state z : complex [K] = exp(g + 1i * k) * z[t-1] + p\noutput o = re(z)", "scan"),
    Unusual(
        "complex_state_real_decay", "state z : complex [K] = exp(g) * z[t-1] + 1i * p\noutput o = im(z * z)", "scan"
    ),
    Unusual(
        "complex_matrix",
        "state S : complex [K, V] = exp(g + 1i * k) * S[t-1] + p * v\noutput o = re(sum[K](q * S))",
        "scan",
    ),
)

SEVERAL = (
    Unusual(
        "normaliser",
        _two("state z : [K] = z[t-1] + k\noutput o = sum[K](q * S) / (1 + square(sum[K](q * z)))"),
        "matrix matrix",
    ),
    Unusual(
        "state_feeds_state",
        _two("state R : [K, V] = exp(g) * R[t-1] + k * sum[K](q * S)\noutput o = sum[K](q * R)"),
        "matrix matrix",
    ),
    Unusual(
        "state_feeds_decay",
        _two("state R : [K, V] = sigmoid(sum[V](u * S)) * R[t-1] + k * v\noutput o = sum[K](q * R)"),
        "matrix matrix",
    ),
    Unusual(
        "state_feeds_past",
        _two("state R : [K, V] = exp(c) * R[t-1] + k * sum[K](q * S[t-1])\noutput o = sum[K](q * R)"),
        "matrix matrix",
    ),
    Unusual("whole_state_feeds", _two("state R : [K, V] = exp(c) * R[t-1] + S\noutput o = sum[K](q * R)"), "scan scan"),
    Unusual(
        "momentum",
        "state M : [K, V] = 0.9 * M[t-1] + k * v\nstate S : [K, V] = exp(c) * S[t-1] + beta * M\noutput o = sum[K](q * S)",
        "scan scan",
    ),
    Unusual(
        "momentum_with_erase",
        "state M : [K, V] = 0.9 * M[t-1] + k * (v - sum[K](k * S[t-1]))\nstate S : [K, V] = S[t-1] + beta * M\noutput o = sum[K](q * S)",
        "step step",
        why="coupled",
    ),
    Unusual(
        "coupled",
        "state x : [K] = 0.9 * x[t-1] - 0.1 * y[t-1] + k\nstate y : [K] = 0.9 * y[t-1] + 0.1 * x[t-1] + p\noutput o = x * y",
        "step step",
        why="coupled with",
    ),
    Unusual(
        "through_output",
        "state S : [K, V] = S[t-1] + k * (v - 0.1 * o[t-1])\noutput o = sum[K](q * S)",
        "step",
        why="its own past",
    ),
    Unusual(
        "through_let",
        "let r = sum[K](q * S)\nstate S : [K, V] = exp(c) * S[t-1] + k * (v - 0.1 * r[t-1])\noutput o = r",
        "step",
        why="its own past",
    ),
    Unusual(
        "slots",
        "dim M\ninput s : [M]\nstate P : [K, M] = P[t-1] + k * s\nlet w = softmax[M](sum[K](q * P))\nstate R : [M, V] = R[t-1] + s * v\noutput o = sum[M](w * R)",
        "matrix matrix",
    ),
    Unusual(
        "different_rank_one_counts",
        "state S : [K, V] = exp(g) * S[t-1] - 0.1 * k * sum[K](k * S[t-1]) - 0.1 * p * sum[K](p * S[t-1]) + k * v\n"
        "state R : [K, V] = exp(g) * R[t-1] - 0.1 * k * sum[K](k * R[t-1]) - 0.1 * p * sum[K](p * R[t-1]) - 0.1 * q * sum[K](q * R[t-1]) + k * v\n"
        "output o = sum[K](q * S) + sum[K](q * R)",
        "matrix matrix",
    ),
    Unusual(
        "three_states",
        _two(
            "state z : [K] = z[t-1] + k\nstate n = 0.9 * n[t-1] + beta\noutput o = sum[K](q * S) / (1 + abs(sum[K](q * z))) + n * v"
        ),
        "matrix matrix scan",
    ),
)

NAMES = (
    Unusual(
        "letters",
        "dim A, B\ninput x, y : [A]\ninput z : [B]\nstate S : [A, B] = sigmoid(x) * S[t-1] + y * z\noutput o = sum[A](x * S)",
        header="",
    ),
    Unusual(
        "internal_names",
        "dim C, H, T\ninput x, B, dtype : [C]\ninput z, device : [H]\ninput w : [T]\n"
        "state b : [C, H] = sigmoid(B) * b[t-1] - 0.1 * x * sum[C](dtype * b[t-1]) + x * z\n"
        "state static : [T] = sigmoid(w) * static[t-1] + w\n"
        "output params = sum[C](x * b) + device\noutput inputs = sum[T](w * static)",
        "matrix matrix",
        header="",
    ),
    Unusual(
        "torch_names",
        "dim rows, half\ninput torch, math : [rows]\ninput Tensor, block : [half]\n"
        "state ladder : [rows, half] = sigmoid(torch) * ladder[t-1] + math * Tensor\n"
        "output run = sum[rows](torch * ladder) + block\noutput step = sum[half](block * ladder[t-1])",
        header="",
    ),
    Unusual(
        "lower_case",
        "dim a, b, h, s\ninput x : [a]\ninput y : [b]\ninput z : [h, s]\nstate S : [a, b] = sigmoid(x) * S[t-1] + x * y\nstate Z : [h, s] = sigmoid(z) * Z[t-1] + z\noutput o = sum[a](x * S)\noutput p = Z",
        "matrix scan",
        header="",
    ),
)

EVERY = (*DELTA, *READS, *WRITES, *DECAYS, *SHAPES, *SEVERAL, *NAMES)
