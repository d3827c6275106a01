# --- operators ---


def _per_head(s, heads):
    """A grouped state [B, G, *axes] for each head."""
    return s if s.shape[1] == heads else s.repeat_interleave(heads // s.shape[1], 1)


def _output_dtype(inputs):
    dtype = _real(inputs[0]).dtype
    for x in inputs[1:]:
        dtype = torch.promote_types(dtype, _real(x).dtype)
    return dtype


def _outputs(inputs, heads):
    dtype = _output_dtype(inputs)
    kinds = [torch.complex64 if row[4] else dtype for row in OUTPUTS]
    return [inputs[0].new_empty((*inputs[0].shape[:2], heads, *row[1]), dtype=k) for row, k in zip(OUTPUTS, kinds)]


def _finals(state):
    return [s.new_empty(s.shape, dtype=torch.complex64 if s.is_complex() else torch.float32) for s in state]


def _slots(inputs, cu):
    batch, length = inputs[0].shape[:2]
    return batch * -(-length // BLOCK) if cu is None else length // BLOCK + cu.numel() - 1


def _kept(inputs, cu, heads):
    """Room for the states before each chunk, in bfloat16 where the inputs are; never in float16, which overflows."""
    low = any(x.dtype == torch.bfloat16 for x in inputs)
    dtype = torch.bfloat16 if low else torch.float32
    shapes = [(_slots(inputs, cu), heads, *row[1], *((2,) if row[4] else ())) for row in STATES]
    return [inputs[0].new_empty(shape, dtype=dtype) for shape in shapes]


def _stored(inputs, cu, heads, table):
    """Room for what kernels store for one another: exactly, or as states are kept."""
    low = any(x.dtype == torch.bfloat16 for x in inputs)
    slots, tokens = (_slots(inputs, cu), heads), (*inputs[0].shape[:2], heads)
    kinds = [torch.bfloat16 if low and not exact else torch.float32 for _, _, exact, _ in table]
    shapes = [(*slots, tiles, BLOCK, BLOCK) if axes is None else (*tokens, tiles, *axes) for _, tiles, _, axes in table]
    return [inputs[0].new_empty(shape, dtype=kind) for shape, kind in zip(shapes, kinds)]


def _kept_tensors(inputs, cu, heads, count):
    """Room for the first `count` of the tensors that a forward plan can store."""
    found = _kept(inputs, cu, heads) if count else []
    return found + (_stored(inputs, cu, heads, (*PREPARED, *SOLVED)) if count > len(STATES) else [])


@torch.library.custom_op(f"recurrence_dsl::{NAME}", mutates_args=())
def _run_op(
    inputs: List[Tensor],
    params: List[Tensor],
    state: List[Tensor],
    cu: Optional[Tensor],
    heads: int,
    plan: str,
    keep: bool,
) -> List[Tensor]:
    """Outputs, final states and, if asked for, the states before each chunk and what the plan prepares."""
    plan = _settled("FORWARD", plan, inputs, cu, heads, keep)
    kernels = _kernels("FORWARD", plan, cu)
    if "transit" in kernels:
        return _run_segments(inputs, params, state, heads, plan)
    call = _Call(inputs, params, state, cu, heads, plan)
    outputs, finals = _outputs(inputs, heads), _finals([_per_head(s, heads) for s in state])
    states = keep or any(name.startswith("carry") for name in kernels)
    kept = _kept(inputs, cu, heads) if states else []
    made = _stored(inputs, cu, heads, PREPARED if "prepare" in kernels else ())
    solved = _stored(inputs, cu, heads, SOLVED if made and states else ())
    for x, row in zip(outputs, OUTPUTS):
        call.args[f"out_{row[0]}"] = _real(x)
    call.bind("end", finals)
    call.bind("kept", kept or finals)
    call.bind_stored(made, PREPARED)
    call.bind_stored(solved or [_real(finals[0])] * len(SOLVED), SOLVED)  # without KEEP nothing is stored there
    for name in kernels:
        call.launch(name, states)
    found = [*outputs, *(_one_head(f, s.shape[1]) for f, s in zip(finals, state))]
    return [*found, *kept, *made, *solved] if keep else found


def _one_head(s, groups):
    """A grouped state from any of its heads."""
    return s if s.shape[1] == groups else s.unflatten(1, (groups, -1))[:, :, 0].contiguous()


@_run_op.register_fake
def _(inputs, params, state, cu, heads, plan, keep):
    kept = _kept_tensors(inputs, cu, heads, _keeps(plan.removesuffix(_TRACED), cu) if keep else 0)
    return [*_outputs(inputs, heads), *_finals(state), *kept]


@torch.library.custom_op(f"recurrence_dsl::{NAME}_backward", mutates_args=())
def _gradient_op(
    inputs: List[Tensor],
    params: List[Tensor],
    state: List[Tensor],
    kept: List[Tensor],
    incoming: List[Tensor],
    cu: Optional[Tensor],
    heads: int,
    plan: str,
) -> List[Tensor]:
    """Gradients of inputs, params and initial states."""
    plan = _settled("BACKWARD", plan, inputs, cu, heads)
    kernels = _kernels("BACKWARD", plan, cu)
    if "transit" in kernels:
        return _segment_gradients(inputs, params, state, incoming, heads, plan)
    return _gradients(inputs, params, state, kept, incoming, cu, heads, plan, kernels)


def _gradients(inputs, params, state, kept, incoming, cu, heads, plan, kernels, summed=()):
    """The same, by kernels that walk over whole sequences. `kept` holds what the first of them would store: the states,
    or the states and all else, or nothing; `summed` what is summed up ahead of the walk back, where it is known."""
    states, made = kept[: len(STATES)], kept[len(STATES) :]
    done = {"prepare": bool(made), "carry": bool(states), "carry_prepared": bool(states), "sums_back": bool(summed)}
    kernels = [name for name in kernels if not done.get(name)]
    call = _Call(inputs, params, state, cu, heads, plan)
    for x, row in zip(incoming, OUTPUTS):
        call.args[f"grad_{row[0]}"] = _real(x.contiguous())
    call.bind("grad_end", [_shared_out(x, heads).contiguous() for x in incoming[len(OUTPUTS) :]])
    call.bind("end", _finals([_per_head(s, heads) for s in state]))
    call.bind("kept", states or _kept(inputs, cu, heads))
    call.bind("kept_d", _kept(inputs, cu, heads) if any(_stores(name, "kept_d_") for name in kernels) else [])
    call.bind("held", _held(call, inputs) if any(_stores(name, "held_") for name in kernels) else [])
    stored = (*PREPARED, *SOLVED)
    call.bind_stored(made or (_stored(inputs, cu, heads, stored) if "prepare" in kernels else []), stored)
    solves = any(_stores(name, "made_dsolved") for name in kernels)
    call.bind_stored(_stored(inputs, cu, heads, SOLVED_BACK if solves else ()), SOLVED_BACK)
    call.bind_stored(summed or _stored(inputs, cu, heads, SUMMED if "sums_back" in kernels else ()), SUMMED)
    d_inputs = [_input_gradient(call, x, row, _writer(kernels, row)) for x, row in zip(inputs, INPUTS)]
    d_params = [_param_gradient(call, p, row, _writer(kernels, row)) for p, row in zip(params, PARAMS)]
    d_state = [
        s.new_empty((s.shape[0], heads, *row[1]), dtype=f.dtype) for s, f, row in zip(state, _finals(state), STATES)
    ]
    call.bind("d_init", d_state)
    for name in kernels:
        call.launch(name, name in KEEPING)
    return [
        *(_reduced(d, x, row) for d, x, row in zip(d_inputs, inputs, INPUTS)),
        *(_reduced_param(d, p, row) for d, p, row in zip(d_params, params, PARAMS)),
        *(_reduced_state(d, s) for d, s in zip(d_state, state)),
    ]


def _held(call, inputs):
    """Room for what a walk carries in memory: what a chunk reads, and what it writes for the next one."""
    shapes = [(call.sequences, call.heads, 2, *row[1], *((2,) if row[4] else ())) for row in STATES]
    return [inputs[0].new_empty(shape, dtype=torch.float32) for shape in shapes]


def _stores(name, kind):
    """Does a kernel use tensors of a kind?"""
    return any(n.startswith(kind) for n in KERNELS[name][1])


def _shared_out(d, heads):
    """The gradient of a grouped state, which one of its heads gave, as equal parts of all of them."""
    return d if d.shape[1] == heads else _per_head(d, heads) * (d.shape[1] / heads)


def _writer(kernels, row):
    """The kernel that stores a tensor's gradient; None for a tensor that no result depends on."""
    return next((name for name in reversed(kernels) if f"d_{row[0]}" in KERNELS[name][1]), None)


def _input_gradient(call, x, row, kernel):
    """Room for an input's gradient: for each head, and for each share where splits divide a sum."""
    if kernel is None:
        return x.new_zeros((1, x.shape[0], x.shape[1], call.heads, *row[1]))
    shares = call.shares(kernel) if row[0] in KERNELS[kernel][4] else 1
    whole = shares == 1 and x.shape[2] == call.heads
    dtype = x.dtype if whole else torch.complex64 if row[4] else torch.float32
    shape = (shares, x.shape[0], x.shape[1], call.heads, *row[1])
    found = x.new_empty(shape, dtype=dtype)
    call.args[f"d_{row[0]}"] = _real(found)
    return found


def _param_gradient(call, p, row, kernel):
    """Room for a param's gradient from each sequence (or chunk)."""
    if kernel is None:
        return p.new_zeros((1, call.heads, *row[1]))
    units = (call.slots if kernel in PARALLEL else call.sequences) * call.shares(kernel)
    dtype = torch.complex64 if row[4] else torch.float32
    found = p.new_zeros((units, call.heads, *row[1]), dtype=dtype)
    call.args[f"d_{row[0]}"] = _real(found)
    return found


def _reduced(d, x, row):
    """Shares and the heads of a group added up."""
    d = d[0] if d.shape[0] == 1 else d.sum(0)
    d = d if d.shape[2] == x.shape[2] else d.unflatten(2, (x.shape[2], -1)).sum(3)
    return d.to(x.dtype)


def _reduced_param(d, p, row):
    d = d.sum(0)
    return (d.sum(0) if row[3] else d).to(p.dtype)


def _reduced_state(d, s):
    d = d if d.shape[1] == s.shape[1] else d.unflatten(1, (s.shape[1], -1)).sum(2)
    return d.to(s.dtype)


@_gradient_op.register_fake
def _(inputs, params, state, kept, incoming, cu, heads, plan):
    return [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (*inputs, *params, *state)]


def _remember(ctx, inputs, output):
    tensors, params, state, cu, ctx.heads, _, _ = inputs
    kept = output[len(OUTPUTS) + len(STATES) :]
    ctx.counts = len(tensors), len(params), len(state)
    ctx.save_for_backward(*tensors, *params, *state, *kept, *(() if cu is None else (cu,)))
    ctx.packed = cu is not None


def _pull_back(ctx, grads):
    saved, (n, p, s) = list(ctx.saved_tensors), ctx.counts
    cu = saved.pop() if ctx.packed else None
    incoming = [g.contiguous() for g in grads[: len(OUTPUTS) + len(STATES)]]
    inputs, params, state, kept = saved[:n], saved[n : n + p], saved[n + p : n + p + s], saved[n + p + s :]
    plan = choose_plan("BACKWARD", inputs, cu, ctx.heads)
    found = _gradient_op(inputs, params, state, kept, incoming, cu, ctx.heads, plan)
    return found[:n], found[n : n + p], found[n + p :], None, None, None, None


_run_op.register_autograd(_pull_back, setup_context=_remember)


def _no_second(ctx, inputs, output):
    pass


def _refuse(ctx, *grads):
    raise RuntimeError(
        f"{NAME}: the gradient of a gradient is not available; compile with backend='interpreter' to get one"
    )


_gradient_op.register_autograd(_refuse, setup_context=_no_second)


def zero_state(inputs, heads=HEADS, sequences=None):
    """The state before the first token, [B, H, *axes] by name ([B, G, *axes] for a grouped input's last value)."""
    by_name = dict(zip((r[0] for r in INPUTS), inputs))
    found = {}
    for name, axes, per_group, _, is_complex in STATES:
        count = by_name[name].shape[-1 - len(axes)] if per_group else heads
        kind = torch.complex64 if is_complex else torch.float32
        found[name] = inputs[0].new_zeros((sequences or inputs[0].shape[0], count, *axes), dtype=kind)
    return found


def run(inputs, params, state=None, *, heads=HEADS, cu_seqlens=None):
    """All tokens: inputs [B, T, H, *axes] and params by name -> outputs [B, T, H, *axes] and final states by name.

    `cu_seqlens` [N + 1] packs N sequences into one row, B = 1; states are then [N, H, *axes].
    """
    inputs, params = _meant(inputs, INPUTS), _meant(params, PARAMS)
    sequences = None if cu_seqlens is None else cu_seqlens.numel() - 1
    given = zero_state(inputs, heads, sequences) if state is None else state
    state = _meant(given, STATES)
    plan = choose_plan("FORWARD", inputs, cu_seqlens, heads)
    learning = torch.is_grad_enabled() and any(x.requires_grad for x in (*inputs, *params, *state))
    keep = learning and _keeps(plan, cu_seqlens) > 0
    found = _run_op(inputs, params, state, cu_seqlens, heads, plan, keep)
    outputs = {row[0]: x for row, x in zip(OUTPUTS, found)}
    return outputs, {row[0]: x for row, x in zip(STATES, found[len(OUTPUTS) :])}


@torch.library.custom_op(f"recurrence_dsl::{NAME}_step", mutates_args=())
def _step_op(inputs: List[Tensor], params: List[Tensor], state: List[Tensor], heads: int) -> List[Tensor]:
    """Outputs [B, 1, H, *axes] and the next state, from inputs [B, 1, H, *axes], in one launch."""
    call = _Call(inputs, params, state, None, heads)
    outputs, finals = _outputs(inputs, heads), _finals([_per_head(s, heads) for s in state])
    for x, row in zip(outputs, OUTPUTS):
        call.args[f"out_{row[0]}"] = _real(x)
    call.bind("end", finals)
    call.bind("kept", finals)
    call.launch(STEP)
    return [*outputs, *(_one_head(f, s.shape[1]) for f, s in zip(finals, state))]


@_step_op.register_fake
def _(inputs, params, state, heads):
    return [*_outputs(inputs, heads), *_finals(state)]


def step(inputs, params, state, *, heads=HEADS):
    """One token: inputs [B, H, *axes], params and the state by name -> outputs [B, H, *axes] and the next state."""
    inputs, params = [x.unsqueeze(1) for x in _meant(inputs, INPUTS)], _meant(params, PARAMS)
    state = _meant(state, STATES)
    learning = torch.is_grad_enabled() and any(x.requires_grad for x in (*inputs, *params, *state))
    if learning:  # the step kernel has no backward; a chunk of one token has
        plan = choose_plan("FORWARD", inputs, None, heads)
        found = _run_op(inputs, params, state, None, heads, plan, _keeps(plan, None) > 0)
    else:
        found = _step_op(inputs, params, state, heads)
    outputs = {row[0]: x.squeeze(1) for row, x in zip(OUTPUTS, found)}
    return outputs, {row[0]: x for row, x in zip(STATES, found[len(OUTPUTS) :])}
