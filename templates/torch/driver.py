# glibc gives a large block back to the system as soon as it is free, and the next one is zeroed again, page by page: a
# sixth of a training step. Once a block of nearly 32 MiB, its limit, has been freed untouched, it keeps such blocks.
torch.empty((32 << 20) - (1 << 13), dtype=torch.uint8, device="cpu")


def _in_full(x):
    """Autocast off: states and sums keep the precision that they were given."""
    return torch.autocast(x.device.type, enabled=False)


@torch.library.custom_op(f"recurrence_dsl::{NAME}", mutates_args=())
def _run_op(
    inputs: List[Tensor], params: List[Tensor], state: List[Tensor], heads: int, block: int, stride: int, keep: bool
) -> List[Tensor]:
    """Outputs, final states and, if asked for, the states kept for the backward pass."""
    call = _Call(inputs, params, state, heads, block)
    now, groups = _inside(state, heads, call.dtype), [s.shape[1] for s in state]
    outputs = _empty_outputs(inputs, heads)
    kept = _kept(now, inputs[0].shape[1], block, stride) if keep else []
    with _in_full(inputs[0]):
        now = _forward_blocks(call, now, outputs, kept, stride)
    return [*outputs, *(s.clone() for s in _outside(now, groups)), *kept]


@_run_op.register_fake
def _(inputs, params, state, heads, block, stride, keep):
    dtype = _compute_dtype([*inputs, *params, *state])
    now = [torch.empty_like(s, dtype=dtype.to_complex() if s.is_complex() else dtype) for s in state]
    kept = _kept(_inside(state, heads, dtype), inputs[0].shape[1], block, stride) if keep else []
    return [*_empty_outputs(inputs, heads), *now, *kept]


@torch.library.custom_op(f"recurrence_dsl::{NAME}_backward", mutates_args=())
def _gradient_op(
    inputs: List[Tensor],
    params: List[Tensor],
    state: List[Tensor],
    kept: List[Tensor],
    incoming: List[Tensor],
    heads: int,
    block: int,
    stride: int,
) -> List[Tensor]:
    """Gradients of inputs, params and initial states; blocks in reverse, each block's forward values computed again."""
    call = _Call(inputs, params, state, heads, block)
    d_inputs = [torch.zeros_like(x) for x in inputs]
    d_params = [torch.zeros_like(p) for p in call.params]
    d_outputs, d_state = incoming[: len(OUTPUTS)], _inside(incoming[len(OUTPUTS) :], heads, call.dtype, True)
    with _in_full(inputs[0]):
        d_state = _backward_blocks(call, kept, d_outputs, d_state, d_inputs, d_params, stride)
    d_params = [
        _restored(d, r[2], d.dim() - len(r[2])).to(p.dtype) for d, r, p in zip(d_params, PARAMS, params, strict=True)
    ]
    outside = _outside(d_state, [s.shape[1] for s in state], True)
    d_state = [d.to(s.dtype).clone() for d, s in zip(outside, state, strict=True)]
    return [*d_inputs, *d_params, *d_state]


@_gradient_op.register_fake
def _(inputs, params, state, kept, incoming, heads, block, stride):
    return [torch.empty_like(x) for x in (*inputs, *params, *state)]


def _remember(ctx, inputs, output):
    tensors, params, state, ctx.heads, ctx.block, ctx.stride, _ = inputs
    kept = output[len(OUTPUTS) + len(STATES) :]
    ctx.counts = len(tensors), len(params), len(state)
    ctx.save_for_backward(*tensors, *params, *state, *kept)


def _pull_back(ctx, grads):
    saved, (n, p, s) = ctx.saved_tensors, ctx.counts
    incoming = [g.contiguous() for g in grads[: len(OUTPUTS) + len(STATES)]]
    found = _gradient_op(
        list(saved[:n]), list(saved[n : n + p]), list(saved[n + p : n + p + s]), list(saved[n + p + s :]), incoming,
        ctx.heads, ctx.block, ctx.stride,
    )  # fmt: skip
    return found[:n], found[n : n + p], found[n + p :], None, None, None, None


_run_op.register_autograd(_pull_back, setup_context=_remember)


def _no_second(ctx, inputs, output):
    pass


def _refuse(ctx, *grads):
    raise RuntimeError(
        f"{NAME}: the gradient of a gradient is not available; compile with backend='interpreter' to get one"
    )


_gradient_op.register_autograd(_refuse, setup_context=_no_second)


def zero_state(inputs, heads=HEADS):
    """The state before the first token, [B, H, *axes] by name ([B, G, *axes] for a grouped input's last value)."""
    by_name = dict(zip((r[0] for r in INPUTS), inputs, strict=True))
    dtype, found = _compute_dtype(inputs), {}
    for name, axes, _, per_group, _, is_complex in STATES:
        count = by_name[name].shape[-1 - len(axes)] if per_group else heads
        kind = dtype.to_complex() if is_complex else dtype
        found[name] = inputs[0].new_zeros((inputs[0].shape[0], count, *axes), dtype=kind)
    return found


def run(inputs, params, state=None, *, heads=HEADS, block=BLOCK, stride=STRIDE):
    """All tokens: inputs [B, T, H, *axes] and params by name -> outputs [B, T, H, *axes] and final states by name."""
    inputs, params = [inputs[r[0]] for r in INPUTS], [params[r[0]] for r in PARAMS]
    given = zero_state(inputs, heads) if state is None else state
    state = [given[row[0]] for row in STATES]
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in (*inputs, *params, *state))
    found = _run_op(inputs, params, state, heads, block, stride, keep)
    outputs = {row[0]: x for row, x in zip(OUTPUTS, found, strict=False)}
    return outputs, {row[0]: x for row, x in zip(STATES, found[len(OUTPUTS) :], strict=False)}


def step(inputs, params, state, *, heads=HEADS):
    """One token: inputs [B, H, *axes], params and the state by name -> outputs [B, H, *axes] and the next state."""
    inputs, params = [inputs[r[0]] for r in INPUTS], [params[r[0]] for r in PARAMS]
    state = [state[r[0]] for r in STATES]
    dtype, device, batch = _compute_dtype([*inputs, *params, *state]), inputs[0].device, inputs[0].shape[0]
    kind, inside = _output_dtype(inputs), _params(params, dtype)
    tokens = []
    for x, row in zip(inputs, INPUTS, strict=True):
        x = x.repeat_interleave(heads // x.shape[1], 1) if row[3] and x.shape[1] != heads else x
        tokens.append(_permuted(_cast(x, dtype), row[2], 2))
    with _in_full(inputs[0]):
        static, before = _step_static(inside, heads, 1, dtype, device), _inside(state, heads, dtype)
        values, after = _step(tokens, inside, before, (), (), static, batch, heads, 1, dtype, device)
    outputs = {r[0]: v.to(kind.to_complex() if r[5] else kind) for r, v in zip(OUTPUTS, values, strict=True)}
    after = _outside(after, [s.shape[1] for s in state])
    return outputs, dict(zip((r[0] for r in STATES), after, strict=True))
