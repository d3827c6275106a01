"""Operation and byte counts against counts by hand."""

import pytest

from recurrence_dsl.check import load_text
from recurrence_dsl.pipeline import derive, lifted
from recurrence_dsl.program.lower import Known
from recurrence_dsl.schedule.cost import Cost, costs

LINEAR = """mixer m
dim    K, V
input  q, k : [K]
input  v : [V]
state  S : [K, V] = S[t-1] + k * v
output o = sum[K](q * S)
"""


def cost(text: str, chunk: int | None, form: str = "chunk", **sizes: int) -> tuple[Cost, Cost]:
    spec = load_text(text)
    compiled = derive(lifted(spec), Known(sizes, 1), form, chunk)
    return costs(spec, compiled.programs.body, compiled.programs.backward, compiled.plan, sizes)


@pytest.mark.parametrize(("chunk", "key", "value"), [(16, 32, 32), (64, 64, 64), (64, 128, 32)])
def test_linear_attention_by_hand(chunk, key, value):
    forward, _ = cost(LINEAR, chunk, K=key, V=value)
    products = 2 * chunk * key + 2 * chunk * value + 4 * key * value  # q k', (q k') v, q S, k' v
    assert products <= forward.flops <= products + chunk + value + 2 * key * value / chunk


def test_a_backward_costs_two_to_three_forwards():
    forward, backward = cost(LINEAR, 64, K=64, V=64)
    assert 2 < backward.flops / forward.flops < 3.2


def test_the_recurrent_form_by_hand():
    forward, _ = cost(LINEAR, None, "recurrent", K=8, V=4)
    assert forward.flops == 8 * 4 + 8 * 4 + 2 * 8 * 4  # k v', the sum, the read


def test_bytes():
    forward, backward = cost(LINEAR, 64, K=8, V=4)
    assert forward.least == 4 * (8 + 8 + 4 + 4)
    assert forward.moved == forward.least + 4 * 8 * 4 / 64
    assert backward.least == 4 * (2 * (8 + 8 + 4) + 4)


def test_what_is_the_same_for_every_token_is_free():
    plain = cost(LINEAR, 64, K=8, V=4)[0]
    scaled = cost(LINEAR + "param p : [K] = 1\n", 64, K=8, V=4)[0]
    used = LINEAR.replace("sum[K](q * S)", "sum[K](q * S) * sum[K](exp(p))") + "param p : [K] = 1\n"
    assert scaled == plain
    assert cost(used, 64, K=8, V=4)[0].flops == plain.flops + 4  # one product with each entry of o


def test_complex_numbers_cost_four_times():
    text = "mixer m\ndim N\ninput x : [N]\nstate h : {}[N] = {} * h[t-1] + x\noutput o = {}(h)\n"
    real = cost(text.format("", "0.5", "abs"), None, "recurrent", N=8)[0].flops
    rotating = cost(text.format("complex ", "0.5i", "abs"), None, "recurrent", N=8)[0].flops
    assert rotating == 4 * (real - 8) + 8
