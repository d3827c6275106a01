"""Faults to plant in the lowering and in the emitted source: each must make `check` fail."""

from __future__ import annotations

from recurrence_dsl.program.ops import Mask, Op, Prim

from .rewrites import Fault, Stage, addend_dropped, bypassed, decay_dropped, mask, operation, primitive, swapped

_START, _FORGET = "_inside(state, heads, call.dtype), [", "_inside([0 * s for s in state], heads, call.dtype), ["
_WRITE = "target[:, start:stop] = value.transpose(1, 2)"
_SPANS = "room[last - chunks : last].transpose(0, 1)"

_ROWS, _SLICED = "_, _, order, per_group, _, _ = row\n", "    x = x[:, start] if RECURRENT else x[:, start:stop]\n"
_PACKED = "    x = x.as_strided(x.shape, torch.empty(x.shape, device='meta').stride())\n"
_EXP = "return torch.exp(x.clamp(min=_LEAST[x.dtype]))"
_QUOTIENT = "return torch.exp(2 * x) / torch.exp(x)"
_CARRY = "            states.append(state)\n"
_ROUNDED = "            state = tuple(s.to(torch.bfloat16).to(s.dtype) for s in state)\n"
_KEEP = "    keep = torch.is_grad_enabled()"
_TAIL = "tl.where(m_t[:, None], g_S, 0.0)"
_SEEN, _LATER = (f"across = apart & (i_t[:, None] {sign} i_t[None, :])" for sign in "><")

F, B, S, T, K = Stage.FORWARD, Stage.BACKWARD, Stage.STEP, Stage.SOURCE, Stage.KERNEL

FAULTS = (
    Fault("a token does not see itself", "gla", F, mask(Mask.NOW, Mask.BEFORE)),
    Fault("a read before the write sees the token itself", "rwkv6", F, mask(Mask.BEFORE, Mask.NOW)),
    Fault("exclusive sum for the inclusive one", "gla", F, operation(Op.CUMSUM, Op.CUMSUM_BEFORE)),
    Fault("inclusive sum for the exclusive one", "rwkv6", F, operation(Op.CUMSUM_BEFORE, Op.CUMSUM)),
    Fault("a write decays by the tokens before it", "gla", F, operation(Op.CUMSUM_AFTER, Op.CUMSUM_BEFORE)),
    Fault("missing bonus term", "rwkv6", F, addend_dropped("output:o", 0)),
    Fault("missing skip term", "mamba2", F, addend_dropped("output:y", 1)),
    Fault("triangular system not solved", "delta_net", F, bypassed(Op.SOLVE, 1)),
    Fault("queries and keys exchanged in the scores", "gla", F, swapped(Op.SCORES)),
    Fault("the carried state does not decay", "gla", F, decay_dropped("state:S")),
    Fault("the block's writes are lost at its end", "retnet", F, addend_dropped("state:S", 1)),
    Fault("the carried state is lost at a block's end", "retnet", F, addend_dropped("state:S", 0)),
    Fault("normaliser multiplied instead of divided", "linear_attention", F, primitive(Prim.DIV, Prim.MUL)),
    Fault("sign of the erase", "delta_net", F, primitive(Prim.NEG, Prim.ABS)),
    Fault("dropped term in a key's gradient", "gla", B, addend_dropped("input:k", 0)),
    Fault("dropped term in a query's gradient", "rwkv6", B, addend_dropped("input:r", 1)),
    Fault("dropped term in the state's gradient", "gla", B, addend_dropped("state:S", 1)),
    Fault("the state's gradient does not decay", "gla", B, decay_dropped("state:S")),
    Fault("transposed product in the backward", "gla", B, operation(Op.APPLY_T, Op.APPLY)),
    Fault("transposed system in the backward", "gated_delta_net", B, operation(Op.SOLVE_T, Op.SOLVE)),
    Fault("a decay's gradient summed from the wrong end", "gla", B, operation(Op.REVCUMSUM, Op.CUMSUM)),
    Fault("sign in a decay's gradient", "hgrn2", B, primitive(Prim.SUB, Prim.ADD)),
    Fault("a step does not carry its write", "gla", S, addend_dropped("state:S", 1)),
    Fault("a step's state does not decay", "retnet", S, addend_dropped("state:S", 0)),
    Fault(
        "a block's last token is not written",
        "hgrn",
        T,
        source=(_WRITE, _WRITE.replace("stop]", "stop][:, :-1]") + "[:, :-1]"),
    ),
    Fault(
        "a last single token is left out", "gla", T, source=("while at < call.length:", "while at < call.length - 1:")
    ),
    Fault(
        "one block too few",
        "hgrn",
        T,
        source=("range(0, call.length, call.block)", "range(0, call.length - 1, call.block)"),
    ),
    Fault("accumulation in bfloat16", "gla", T, source=(_CARRY, _ROUNDED + _CARRY)),
    Fault("the backward has the chunks' states in another order", "delta_net", T, source=(_SPANS, _SPANS + ".flip(1)")),
    Fault(
        "a state kept for the backward one block late",
        "hgrn",
        T,
        source=("room[n // stride] = s", "room[(n + 1) // stride % len(room)] = s"),
    ),
    Fault(
        "heads of a group in the wrong order",
        "mamba2",
        T,
        source=("*x.shape[2:]).flatten(1, 2)", "*x.shape[2:]).transpose(1, 2).flatten(1, 2)"),
    ),
    Fault("the initial state is ignored", "rwkv6", T, source=(_START, _FORGET)),
    Fault("a param's gradient from one block only", "rwkv6", T, source=("total += part", "total.copy_(part)")),
    Fault("results that do not repeat", "hgrn", T, source=(_WRITE, _WRITE + " * (1 + 1e-3 * torch.rand(()))")),
    Fault("a token has the output of the next", "hgrn", T, source=(_WRITE, _WRITE + ".roll(-1, 1)")),
    Fault("a batch entry has its neighbour's output", "retnet", T, source=(_WRITE, _WRITE + ".roll(1, 0)")),
    Fault("a head has its neighbour's output", "retnet", T, source=(_WRITE, _WRITE + ".roll(1, 2)")),
    Fault("outputs that are not linear", "retnet", T, source=(_WRITE, _WRITE + ".tanh()")),
    Fault("the caller's input is changed", "gla", T, source=(_KEEP, "    inputs[0].detach().mul_(1.5)\n" + _KEEP)),
    Fault("inputs read as if they were contiguous", "gla", T, source=(_ROWS + _SLICED, _ROWS + _PACKED + _SLICED)),
    Fault("decays as quotients of exponentials", "gated_delta_net", T, source=(_EXP, _QUOTIENT)),
    Fault("an unmasked tail", "gla", K, source=(_TAIL, "g_S")),
    Fault("early and late tokens of a tile exchanged", "gla", K, source=(_SEEN, _LATER)),
    Fault("transposed scores", "gla", K, source=("_dot(q * e, tl.trans(k * e)", "_dot(k * e, tl.trans(q * e)")),
    Fault(
        "a state carried in half precision",
        "retnet",
        K,
        source=("now_S = next_now_S\n", "now_S = next_now_S.to(tl.float16).to(tl.float32)\n"),
    ),
    Fault("a last short chunk is left out", "gla", K, source=("0, tl.cdiv(length, C)", "0, length // C")),
)
