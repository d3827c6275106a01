# --- launching ---


def _real(x):
    """A complex tensor as a real one with two parts."""
    return torch.view_as_real(x.resolve_conj()) if x.is_complex() else x


def _meant(tensors, table):
    """The tensors of a table's rows by name, in order; real numbers where complex ones are meant become such."""
    found = [tensors[row[0]] for row in table]
    return [x.to(torch.complex64) if row[4] and not x.is_complex() else x for x, row in zip(found, table)]


def _laid_out(x, lead):
    """`x` with its axes, all dims behind the first `lead`, as in a contiguous tensor; a copy if need be."""
    step = 1
    for size, stride in zip(reversed(x.shape[lead:]), reversed(x.stride()[lead:])):
        if stride != step and size != 1:
            return x.contiguous()
        step *= size
    return x


def _wide(inputs, heads):
    """Do a chunk's rows reach beyond offsets of 32 bits in an input, or in what is stored for its heads?"""
    numbers = [heads * (2 if row[4] else 1) * torch.Size(row[1]).numel() for row in (*INPUTS, *OUTPUTS)]
    return BLOCK * max(*(x.stride(1) for x in inputs), *numbers) >= 2**31


def _settings(inputs):
    """How products are formed: of bfloat16 factors where an input is one, else of float32 factors taken apart."""
    kinds = {_real(x).dtype for x in inputs}
    if torch.float64 in kinds:
        raise RuntimeError(f"{NAME}: float64 is not for the triton back end; use backend='torch'")
    device = "" if inputs[0].device.type == "cpu" else "hip" if torch.version.hip else "cuda"
    low = next((kind for kind in (torch.bfloat16, torch.float16) if kind in kinds), None)
    parts = 0 if not device else 2 if low else 3
    operands = {torch.bfloat16: tl.bfloat16, torch.float16: tl.float16, None: tl.float32}[low]
    return {"DT": operands, "PRECISION": parts, "EXACT": low is None, "DEVICE": device}


_PLANS = {"FORWARD": FORWARD, "BACKWARD": BACKWARD}


def _kernels(table, plan, cu=None):
    """The kernels of a plan, in order. What stands behind a plan's name is settings that differ from SETTINGS, as in
    "split finish.num_warps=8". Packed sequences are not cut further.
    """
    name = plan.partition(" ")[0]
    return _PLANS[table]["split" if name == "segments" and cu is not None else name]


def _keeps(plan, cu):
    """How many tensors a forward plan can store for the backward pass: the states before each chunk, then what is
    prepared."""
    kernels = _kernels("FORWARD", plan, cu)
    if "transit" in kernels or not any(name in KEEPING for name in kernels):
        return 0
    return len(STATES) + (len(PREPARED) if "prepare" in kernels else 0)


_changed = {}  # a plan's text: the settings of every kernel


def _settings_of(plan):
    if plan not in _changed:
        found = {name: dict(chosen) for name, chosen in SETTINGS.items()}
        for change in plan.split()[1:]:
            where, _, value = change.partition("=")
            kernel, _, setting = where.partition(".")
            found[kernel][setting] = int(value)
        _changed[plan] = found
    return _changed[plan]


class _Call:
    """One call's tensors by the names that the kernels give them, and how a plan launches these."""

    def __init__(self, inputs, params, state, cu, heads, plan=""):
        self.heads, self.cu = heads, cu
        self.settings = _settings_of(plan)
        self.batch, self.length = inputs[0].shape[:2]
        self.sequences = self.batch if cu is None else cu.numel() - 1
        self.slots = self.batch * -(-self.length // BLOCK) if cu is None else self.length // BLOCK + self.sequences
        self.device = inputs[0].device
        self.dtypes = _settings(inputs)
        self.ratio = 1
        self.args, rows = {}, []
        for x, row in zip(inputs, INPUTS):
            rows.append(x := _laid_out(_real(x), 3))
            self.args[f"in_{row[0]}"] = x
            for name, stride in zip(("b", "t", "h"), x.stride()):
                self.args[f"in_{row[0]}_{name}"] = stride
            if row[2]:
                self.ratio = heads // x.shape[2]
        self.wide = _wide(rows, heads)
        for p, row in zip(params, PARAMS):
            self.args[f"param_{row[0]}"] = _real(p.contiguous())
        for s, row in zip(state, STATES):
            self.args[f"init_{row[0]}"] = _real(_per_head(s, heads).contiguous())

    def bind(self, kind, states):
        """Gives the kernels one tensor for each state."""
        for x, row in zip(states, STATES):
            self.args[f"{kind}_{row[0]}"] = _real(x)

    def bind_prepared(self, tensors):
        """Gives the kernels what is prepared, as far as it is."""
        for x, row in zip(tensors, PREPARED):
            self.args[f"made_{row[0]}"] = x

    def launch(self, name, keep=False):
        kernel, names, constants, counts, _ = KERNELS[name]
        settings = self.settings[name]
        instances = self.heads
        for axis, size in counts:
            instances *= -(-size // settings[axis])
        instances *= self.slots if name in PARALLEL else self.sequences
        if instances == 0:
            return
        args = [self.args[n] for n in names]
        units = self.slots if name in PARALLEL else self.sequences
        rows = self.batch * self.length
        kernel[(instances,)](
            *args, self.cu, self.length, self.sequences, self.ratio, self.slots, units, rows,
            H=self.heads, **{n: self.args[n] for n in constants}, **settings, **self.dtypes,
            PACKED=self.cu is not None, WIDE=self.wide, SPAN=BLOCK, KEEP=keep,
        )  # fmt: skip

    def shares(self, name):
        """Into how many shares the kernel's splits divide a sum over the split axes."""
        counts = KERNELS[name][3]
        total = 1
        for axis, size in counts:
            total *= -(-size // self.settings[name][axis])
        return total


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


def _prepared(inputs, cu, heads):
    """Room for what is prepared for pairs of tokens of each chunk: exactly, or as states are kept."""
    low = any(x.dtype == torch.bfloat16 for x in inputs)
    slots = _slots(inputs, cu)
    kinds = [torch.bfloat16 if low and not exact else torch.float32 for _, _, exact in PREPARED]
    shapes = [(slots, heads, tiles, BLOCK, BLOCK) for _, tiles, _ in PREPARED]
    return [inputs[0].new_empty(shape, dtype=kind) for shape, kind in zip(shapes, kinds)]


def _kept_tensors(inputs, cu, heads, count):
    """Room for the first `count` of the tensors that a forward plan can store."""
    found = _kept(inputs, cu, heads) if count else []
    return found + (_prepared(inputs, cu, heads) if count > len(STATES) else [])


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
    made = _prepared(inputs, cu, heads) if "prepare" in kernels else []
    for x, row in zip(outputs, OUTPUTS):
        call.args[f"out_{row[0]}"] = _real(x)
    call.bind("end", finals)
    call.bind("kept", kept or finals)
    call.bind_prepared(made)
    for name in kernels:
        call.launch(name, states)
    return [*outputs, *(_one_head(f, s.shape[1]) for f, s in zip(finals, state)), *([*kept, *made] if keep else [])]


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


def _gradients(inputs, params, state, kept, incoming, cu, heads, plan, kernels):
    """The same, by kernels that walk over whole sequences. `kept` holds what the first of them would store: the states,
    or the states and what is prepared, or nothing."""
    states, made = kept[: len(STATES)], kept[len(STATES) :]
    done = {"prepare": bool(made), "carry": bool(states), "carry_prepared": bool(states)}
    kernels = [name for name in kernels if not done.get(name)]
    call = _Call(inputs, params, state, cu, heads, plan)
    for x, row in zip(incoming, OUTPUTS):
        call.args[f"grad_{row[0]}"] = _real(x.contiguous())
    call.bind("grad_end", [_shared_out(x, heads).contiguous() for x in incoming[len(OUTPUTS) :]])
    call.bind("end", _finals([_per_head(s, heads) for s in state]))
    call.bind("kept", states or _kept(inputs, cu, heads))
    call.bind("kept_d", _kept(inputs, cu, heads) if any(_stores(name, "kept_d_") for name in kernels) else [])
    call.bind_prepared(made or (_prepared(inputs, cu, heads) if "prepare" in kernels else []))
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


PREFERRED = {}  # "FORWARD" and "BACKWARD": a plan, to be used whatever the sizes
TUNED = {}  # a call's `tuning_key`: the plan that was measured to be the fastest


def choose_plan(table, inputs, cu, heads):
    """The plan for a call: the one found by measuring, where there is one, else by rule."""
    if table in PREFERRED:
        return PREFERRED[table]
    if torch.compiler.is_compiling():
        return plan_by_rule(table, inputs, cu, heads) + _TRACED
    return TUNED.get(tuning_key(table, inputs, cu, heads)) or plan_by_rule(table, inputs, cu, heads)


_TRACED = " traced"  # behind the plan of a trace, which is run for many sizes


def _settled(table, plan, inputs, cu, heads, keep=False):
    """The plan itself; for a traced one the one measured for this call, where it gives what the trace expects."""
    if not plan.endswith(_TRACED):
        return plan
    found, plan = TUNED.get(tuning_key(table, inputs, cu, heads)), plan.removesuffix(_TRACED)
    return found if found and (not keep or _keeps(found, cu) == _keeps(plan, cu)) else plan


def tuning_key(table, inputs, cu, heads):
    """What a measurement holds for: device, Triton, dtypes, heads, and powers of two that bound the sizes."""
    batch, length = inputs[0].shape[:2]
    sequences = batch if cu is None else cu.numel() - 1
    kinds = "+".join(sorted({str(_real(x).dtype)[6:] for x in inputs}))
    shape = f"sequences<={_bound(sequences)} tokens<={_bound(max(length, BLOCK))}"
    where = f"{_device_name(inputs[0].device)}, triton {triton.__version__}"
    return f"{table} {kinds} heads={heads} {shape}{' packed' if cu is not None else ''} on {where}"


def _bound(count):
    return 1 << max(count - 1, 0).bit_length()


_names = {}  # a device's name


def _device_name(device):
    if device not in _names:
        _names[device] = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return _names[device]


def offered(table, inputs, cu, heads):
    """The plans that are worth measuring for a call, each with its kernels."""
    plans = _PLANS[table]
    pays = "segments" in plans and segments_pay(inputs, cu, heads)
    return {name: kernels for name, kernels in plans.items() if pays or name != "segments"}


def plan_by_rule(table, inputs, cu, heads):
    """A walk where sequences and heads alone keep the device busy, a sequence in segments where they leave most of it
    idle, else a plan whose kernels take all chunks at once.
    """
    if "segments" in offered(table, inputs, cu, heads):
        return "segments"
    busy, idle, backward = RULE
    if table == "BACKWARD":
        return backward
    return busy if _instances(inputs, cu, heads) >= _processors(inputs[0].device) else idle


def _instances(inputs, cu, heads):
    count = heads * (inputs[0].shape[0] if cu is None else cu.numel() - 1)
    for axis, size in KERNELS["forward"][3]:
        count *= -(-size // SETTINGS["forward"][axis])
    return count


def _processors(device):
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


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
