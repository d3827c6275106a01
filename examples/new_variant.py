"""Design a new recurrence: from an idea in equations to a trained layer.

    python examples/new_variant.py

The idea: the delta rule takes out all that the state holds under a key before it writes. Let a second gate, `eta`, say
how much is taken out, apart from how much is written, and let every key channel forget at its own rate.
"""

from __future__ import annotations

from pathlib import Path

import torch
from rich.console import Console

import recurrence_dsl as rd
from recurrence_dsl.testing import Attack, check, property_named
from recurrence_dsl.tools.train import Task, TrainOptions, TrainReport, train

IDEA = '''\
mixer two_gates
"""The delta rule with separate gates for taking out and writing, and a decay for each key channel."""
dim    K, V
input  q, k, g : [K]
input  v : [V]
input  eta, beta in [0, 1]
decay  alpha = sigmoid(g) ** (1/16)
let    P = alpha * S[t-1]
state  S : [K, V] = P + k * (beta * v - eta * sum[K](k * P))
output o = sum[K](q * S)
layer x : [D]
  q, k      = l2norm[K](conv[4](linear[K](x), act=silu))
  v         = conv[4](linear[V](x), act=silu)
  g         = linear[K](x, rank=8, bias=3)
  eta, beta = sigmoid(linear[heads](x))
  z         = linear[V](x)
  return linear[D](rmsnorm[V](o) * silu(z))
'''


def main(steps: int = 200, cases: int = 5, out: Path = Path("out/new_variant")) -> TrainReport:
    """Returns the figures of the training: `accuracy` is the share of the questions that the trained layers answer."""
    spec = rd.load(IDEA)
    # 1. What did the compiler find? The transition's class, the proven range of the decay, the canonical equations.
    print(spec.explain())
    # 2. Is the compiled mixer what the equations say? Values, gradients, causality on random cases.
    properties = tuple(property_named(name) for name in ("agreement", "gradients", "causality"))
    report = check(spec, Attack(examples=cases, dtypes=("float64",), properties=properties))
    print(f"{len(report.rows)} properties, {'all hold' if report.passed else 'some fail'}")
    assert report.passed, report.failures
    # 3. A layer, an ordinary torch module.
    layer = rd.compile_layer(spec, d_model=32, heads=2, K=16, V=16)
    print(
        f"{sum(p.numel() for p in layer.parameters()):,} parameters; y has shape",
        tuple(layer(torch.randn(1, 9, 32)).shape),
    )
    # 4. Does it remember? Multi-query associative recall: key-value pairs, then questions. By chance one answer in
    #    eight is right; a layer whose state holds what it was told answers nearly all within a minute.
    options = TrainOptions(
        spec=IDEA, out=out, task=Task.RECALL, d_model=32, layers=1, heads=1, length=16, batch=32, pairs=3, vocab=16,
        steps=steps, rate=1e-2,
    )  # fmt: skip
    return train(options, Console())


if __name__ == "__main__":
    main()
