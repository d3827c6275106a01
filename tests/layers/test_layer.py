"""What every layer must do, for each shipped spec: carry its state, keep sequences apart, behave as a torch module."""

from __future__ import annotations

import copy
import pickle
import re
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import recurrence_dsl as rd
from recurrence_dsl.layers.flow import State

from .shipped import SPECS, D, layer, tokens

each = pytest.mark.parametrize("name", SPECS)
WITHIN = 1e-11


def worst(got: State, want: State) -> float:
    assert got.keys() == want.keys()
    return max(float((got[name] - want[name]).abs().max()) for name in want)


@each
def test_token_by_token_is_the_parallel_form(name: str) -> None:
    module, x = layer(name), tokens(2, 40)
    with torch.no_grad():
        want, after = module(x, return_state=True)
        state, steps = module.initial_state(2), []
        for t in range(x.shape[1]):
            y, state = module.step(x[:, t], state)
            steps.append(y)
    assert (torch.stack(steps, 1) - want).abs().max() < WITHIN
    assert worst(state, after) < WITHIN


@each
@pytest.mark.parametrize("cut", [0, 1, 2, 17])
def test_two_parts_with_the_state_carried_are_the_whole(name: str, cut: int) -> None:
    module, x = layer(name), tokens(2, 23)
    with torch.no_grad():
        want, after = module(x, return_state=True)
        first, state = module(x[:, :cut], return_state=True)
        second, state = module(x[:, cut:], state=state, return_state=True)
    assert (torch.cat((first, second), 1) - want).abs().max() < WITHIN
    assert worst(state, after) < WITHIN


@each
def test_packed_sequences_do_not_see_each_other(name: str) -> None:
    module = layer(name)
    bounds = torch.tensor([0, 3, 3, 4, 20, 26])
    row = tokens(1, 26)
    with torch.no_grad():
        given = module(tokens(5, 4, seed=1), return_state=True)[1]
        for state in (None, given):
            y, after = module(row, state=state, return_state=True, cu_seqlens=bounds)
            for index, (start, end) in enumerate(pairwise(bounds.tolist())):
                own = None if state is None else {key: value[index : index + 1] for key, value in state.items()}
                alone, left = module(row[:, start:end], state=own, return_state=True)
                assert torch.allclose(y[:, start:end], alone, atol=WITHIN, rtol=0)
                assert worst({key: value[index : index + 1] for key, value in after.items()}, left) < WITHIN


@each
def test_the_future_does_not_matter(name: str) -> None:
    module, x = layer(name), tokens(1, 30)
    changed = x.clone()
    changed[:, 20:] += 1
    with torch.no_grad():
        assert torch.equal(module(x)[:, :20], module(changed)[:, :20])


@each
def test_every_parameter_and_the_input_have_gradients(name: str) -> None:
    module, x = layer(name), tokens(2, 20).requires_grad_()
    module(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    silent = [key for key, p in module.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert silent == []


@each
def test_gradients_flow_through_a_carried_state(name: str) -> None:
    module, x = layer(name), tokens(1, 9).requires_grad_()
    _, state = module(x, return_state=True)
    module(tokens(1, 3, seed=1), state=state).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@each
def test_copies_pickles_and_state_dicts_give_the_same(name: str) -> None:
    module, x = layer(name), tokens(2, 11)
    other = layer(name)
    for parameter in other.parameters():
        parameter.data.normal_()
    other.load_state_dict(module.state_dict())
    with torch.no_grad():
        want = module(x)
        for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), other):
            assert torch.equal(twin(x), want)


@each
def test_checkpointing_gives_the_same_gradients(name: str) -> None:
    module, x = layer(name), tokens(2, 11)
    gradients = []
    for run in (module, lambda y: checkpoint(module, y, use_reentrant=False)):
        module.zero_grad()
        leaf = x.clone().requires_grad_()
        run(leaf).square().sum().backward()
        assert leaf.grad is not None
        gradients.append([leaf.grad, *(p.grad.clone() for p in module.parameters() if p.grad is not None)])
    assert all(torch.allclose(a, b, atol=1e-12, rtol=0) for a, b in zip(*gradients, strict=True))


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_other_precisions(name: str, dtype: torch.dtype) -> None:
    module, x = layer(name), tokens(2, 20)
    with torch.no_grad():
        want = module(x)
        got = module.to(dtype)(x.to(dtype))
    assert got.dtype is dtype
    within = {torch.float32: 1e-5, torch.float16: 2e-2, torch.bfloat16: 1e-1}[dtype]
    assert (got.double() - want).abs().max() < within * max(1.0, float(want.abs().max()))


@each
def test_an_empty_row(name: str) -> None:
    module = layer(name)
    with torch.no_grad():
        y, state = module(tokens(2, 0), return_state=True)
    assert y.shape == (2, 0, D)
    assert worst(state, module.initial_state(2)) == 0


@each
def test_every_key_names_a_line_of_the_spec(name: str) -> None:
    """A key is a mixer's param, a param of the block, or a line's name, the function and what that holds."""
    module = layer(name)
    spec, graph = module.graph.spec, module.graph
    lines = {line.name for line in graph.lines} | {"out"}
    params = {f"mixer.{param.name}" for param in spec.params} | {param.name for param in graph.params}
    functions = "(linear|conv|rmsnorm|layernorm|groupnorm)(_[0-9]+)?"
    for key in module.state_dict():
        line, _, rest = key.partition(".")
        known = line in lines and re.fullmatch(rf"{functions}(\.down|\.up)?\.(weight|bias)", rest)
        assert key in params or known, key
    assert params <= module.state_dict().keys()


def test_modules_are_named_after_their_lines() -> None:
    shapes = {key: tuple(value.shape) for key, value in layer("gla").state_dict().items()}
    assert shapes == {
        "q.linear.weight": (16, 16),
        "k.linear.weight": (16, 16),
        "v.linear.weight": (24, 16),
        "g.linear.down.weight": (16, 16),
        "g.linear.up.weight": (16, 16),
        "g.linear.up.bias": (16,),
        "z.linear.weight": (24, 16),
        "out.rmsnorm.weight": (6,),
        "out.linear.weight": (16, 24),
    }


@pytest.mark.parametrize("shape", [(2, 3, D + 1), (3, D), (2, 3, 1, D)])
def test_an_input_of_the_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(rd.CallError, match="R0513"):
        layer("gla")(torch.zeros(shape))


def test_packed_rows_have_a_batch_of_one() -> None:
    with pytest.raises(rd.CallError, match="R0513"):
        layer("gla")(tokens(2, 4), cu_seqlens=torch.tensor([0, 4]))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"K": None}, "R0401"),
        ({"Q": 4}, "R0401"),
        ({"heads": 0}, "R0515"),
        ({"groups": 2}, "R0407"),
        ({"norm_epsilon": 1.0}, "R0401"),
    ],
)
def test_options_that_do_not_do(options: dict[str, int], code: str) -> None:
    given = {"d_model": D, "heads": 4, "K": 4, "V": 4} | options
    with pytest.raises(rd.CallError, match=code):
        rd.compile_layer("gla", **{name: value for name, value in given.items() if value is not None})


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch.compile itself looks at tensors between its graphs
@pytest.mark.parametrize("name", ["mamba2", "delta_net"])
def test_compiled_by_torch(name: str) -> None:
    """The same outputs and the same gradients."""
    module, x = layer(name), tokens(2, 12)
    results = []
    for run in (module, torch.compile(module, backend="aot_eager")):
        module.zero_grad()
        y = run(x)
        y.square().sum().backward()
        results.append([y.detach(), *(p.grad.clone() for p in module.parameters() if p.grad is not None)])
    assert len(results[0]) > 5
    assert all(torch.allclose(a, b, atol=1e-12, rtol=0) for a, b in zip(*results, strict=True))


def carried(state: State) -> Tensor:
    return torch.cat([value.flatten() for value in state.values() if value.is_floating_point()])


def test_a_state_is_not_changed_by_using_it() -> None:
    module, x = layer("delta_net"), tokens(1, 6)
    with torch.no_grad():
        _, state = module(x, return_state=True)
        before = carried(state).clone()
        module.step(x[:, 0], state)
        module(x, state=state)
    assert torch.equal(carried(state), before)
