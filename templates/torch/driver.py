# --- the loop over blocks ---


def _compute_dtype(tensors):
    """float64 where any operand has it, else float32."""
    wide = any(x.dtype in (torch.float64, torch.complex128) for x in tensors)
    return torch.float64 if wide else torch.float32


def _cast(x, dtype):
    """`x` in the computing precision, complex where it is complex."""
    return x.to(dtype.to_complex()) if x.is_complex() else x.to(dtype)


def _permuted(x, order, lead):
    """Axes from their declared order to layout order, behind `lead` other dims."""
    return x if order == tuple(sorted(order)) else x.permute(*range(lead), *(lead + i for i in order))


def _restored(x, order, lead):
    """Axes from layout order back to their declared order."""
    back = tuple(order.index(i) for i in range(len(order)))
    return _permuted(x, back, lead)


def _load(x, row, start, stop, heads, dtype):
    """Tokens [start, stop) of [B, T, H, *axes] as [B, H, C, *axes]; without C where a block is a single token."""
    _, _, order, per_group, _, _ = row
    x = x[:, start] if RECURRENT else x[:, start:stop].transpose(1, 2)
    if per_group and x.shape[1] != heads:
        x = x.unsqueeze(2).expand(-1, -1, heads // x.shape[1], *x.shape[2:]).flatten(1, 2)
    return _permuted(_cast(x, dtype), order, x.dim() - len(order))


def _store(target, value, row, start, stop):
    """Writes a block back where `_load` took it from; heads of a group are summed."""
    _, _, order, _, _, _ = row
    value = _restored(value, order, value.dim() - len(order))
    if value.shape[1] != target.shape[2]:
        value = value.unflatten(1, (target.shape[2], -1)).sum(2)
    if RECURRENT:
        target[:, start] = value
    else:
        target[:, start:stop] = value.transpose(1, 2)


def _params(params, dtype):
    return tuple(
        _permuted(_cast(p, dtype), row[2], p.dim() - len(row[2])) for p, row in zip(params, PARAMS, strict=True)
    )


class _Call:
    """One call's sizes, precision, and what its blocks share."""

    def __init__(self, inputs, params, state, heads, block):
        self.inputs, self.heads, self.block = inputs, heads, block
        self.dtype = _compute_dtype([*inputs, *params, *state])
        self.params = _params(params, self.dtype)
        self.batch, self.length = inputs[0].shape[:2]
        self.device = inputs[0].device
        self._static = {}

    def blocks(self):
        return [(i, min(i + self.block, self.length)) for i in range(0, self.length, self.block)]

    def tokens(self, tensors, rows, start, stop):
        return tuple(_load(x, r, start, stop, self.heads, self.dtype) for x, r in zip(tensors, rows, strict=True))

    def run(self, function, prepare, state, start, stop, incoming=()):
        rows = stop - start
        key = (function, rows)
        if key not in self._static:
            self._static[key] = prepare(self.params, self.heads, rows, self.dtype, self.device)
        inputs = self.tokens(self.inputs, INPUTS, start, stop)
        sizes = (self.batch, self.heads, rows, self.dtype, self.device)
        return function(inputs, self.params, state, incoming, self._static[key], *sizes)


def _inside(state, heads, dtype, share=False):
    """States in layout order, one for each head; a gradient given for a group is shared by its heads."""
    found = []
    for s, row in zip(state, STATES, strict=True):
        s = _permuted(_cast(s, dtype), row[2], 2)
        ratio = heads // s.shape[1]
        s = s.repeat_interleave(ratio, 1) if ratio > 1 else s
        found.append(s / ratio if share and ratio > 1 else s)
    return tuple(found)


def _outside(state, groups, total=False):
    """States as declared, one for each group where they are grouped: any head's, or the sum of the heads' gradients."""
    found = []
    for s, row, count in zip(state, STATES, groups, strict=True):
        s = _restored(s, row[2], 2)
        if s.shape[1] != count:
            s = s.unflatten(1, (count, -1))
            s = s.sum(2) if total else s[:, :, 0]
        found.append(s)
    return found


def _output_dtype(inputs):
    dtype = inputs[0].real.dtype if inputs[0].is_complex() else inputs[0].dtype
    for x in inputs[1:]:
        dtype = torch.promote_types(dtype, x.real.dtype if x.is_complex() else x.dtype)
    return dtype


def _empty_outputs(inputs, heads):
    dtype = _output_dtype(inputs)
    shapes = [(*inputs[0].shape[:2], heads, *row[1]) for row in OUTPUTS]
    kinds = [dtype.to_complex() if row[5] else dtype for row in OUTPUTS]
    return [inputs[0].new_empty(s, dtype=d) for s, d in zip(shapes, kinds, strict=True)]


def _kept(state, length, block, stride):
    """Room for the states at every `stride`-th block's start."""
    count = -(-length // (block * stride))
    return [s.new_empty((count, *s.shape)) for s in state]


@torch.library.custom_op(f"recurrence_dsl::{NAME}", mutates_args=())
def _run_op(
    inputs: List[Tensor], params: List[Tensor], state: List[Tensor], heads: int, block: int, stride: int, keep: bool
) -> List[Tensor]:
    """Outputs, final states and, if asked for, the states kept for the backward pass."""
    call = _Call(inputs, params, state, heads, block)
    now, groups = _inside(state, heads, call.dtype), [s.shape[1] for s in state]
    outputs = _empty_outputs(inputs, heads)
    kept = _kept(now, call.length, block, stride) if keep else []
    for n, (start, stop) in enumerate(call.blocks()):
        if keep and n % stride == 0:
            for room, s in zip(kept, now, strict=True):
                room[n // stride] = s
        values, now = call.run(_forward, _forward_static, now, start, stop)
        for target, value, row in zip(outputs, values, OUTPUTS, strict=True):
            _store(target, value, row, start, stop)
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
    blocks = call.blocks()
    for first in range(len(blocks) - len(blocks) % stride if len(blocks) % stride else len(blocks) - stride, -1, -stride):
        segment = blocks[first : first + stride]
        states = [tuple(room[first // stride] for room in kept)]
        for start, stop in segment[:-1]:
            states.append(call.run(_advance, _advance_static, states[-1], start, stop)[1])
        for (start, stop), before in zip(reversed(segment), reversed(states), strict=True):
            coming = (*call.tokens(d_outputs, OUTPUTS, start, stop), *d_state)
            found, of_params, d_state = call.run(_gradient, _gradient_static, before, start, stop, coming)
            # None: nothing depends on it
            for target, value, row in zip(d_inputs, found, INPUTS, strict=True):
                if value is not None:
                    _store(target, value, row, start, stop)
            for total, part in zip(d_params, of_params, strict=True):
                if part is not None:
                    total += part
            d_state = [torch.zeros_like(s) if d is None else d for d, s in zip(d_state, before, strict=True)]
    d_params = [_restored(d, r[2], d.dim() - len(r[2])).to(p.dtype) for d, r, p in zip(d_params, PARAMS, params, strict=True)]
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
    static = _step_static(inside, heads, 1, dtype, device)
    values, after = _step(tokens, inside, _inside(state, heads, dtype), (), static, batch, heads, 1, dtype, device)
    outputs = {r[0]: v.to(kind.to_complex() if r[5] else kind) for r, v in zip(OUTPUTS, values, strict=True)}
    after = _outside(after, [s.shape[1] for s in state])
    return outputs, dict(zip((r[0] for r in STATES), after, strict=True))
