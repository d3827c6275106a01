# --- a sequence in segments, for few heads and long sequences ---

SEGMENT = None  # tokens a segment, whole chunks; None: by the device's size
LEAST = 8  # chunks that a segment has at least
_cuts = {}  # where segments begin and end, by batch, length, segment and device


@triton.jit
def _scaled_join_kernel(
    given, added, transits, before, last, COUNT,
    H: tl.constexpr, SIZE: tl.constexpr, B: tl.constexpr, REVERSE: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """S -> M S + N, segment after segment, for M that scales each entry; PARTS is 2 for complex numbers.

    What comes from the adjoint is conj(M).
    """
    pid = tl.program_id(0).to(tl.int64)
    i = (pid % tl.cdiv(SIZE, B)).to(tl.int32) * B + tl.arange(0, B)
    pid = pid // tl.cdiv(SIZE, B)
    n, h = pid // H, pid % H
    inside = i < SIZE
    i *= PARTS
    at = (n * H + h) * (SIZE * PARTS) + i
    re = tl.load(given + at, mask=inside, other=0.0).to(tl.float32)
    im = tl.load(given + at + 1, mask=inside, other=0.0).to(tl.float32) if PARTS == 2 else re
    for step in tl.range(0, COUNT):
        segment = n * COUNT + (COUNT - 1 - step if REVERSE else step)
        here = (segment * H + h) * (SIZE * PARTS) + i
        tl.store(before + here, re, mask=inside)
        m = tl.load(transits + here, mask=inside, other=0.0)
        new = tl.load(added + here, mask=inside, other=0.0)
        if PARTS == 2:
            tl.store(before + here + 1, im, mask=inside)
            m_im = tl.load(transits + here + 1, mask=inside, other=0.0)
            m_im = m_im if REVERSE else -m_im
            new_im = tl.load(added + here + 1, mask=inside, other=0.0)
            re, im = m * re - m_im * im + new, m * im + m_im * re + new_im
        else:
            re = m * re + new
    tl.store(last + at, re, mask=inside)
    if PARTS == 2:
        tl.store(last + at + 1, im, mask=inside)


@triton.jit
def _matrix_join_kernel(
    given, added, transits, before, last, COUNT,
    H: tl.constexpr, K: tl.constexpr, V: tl.constexpr, S_K: tl.constexpr, S_V: tl.constexpr,
    M_K: tl.constexpr, M_J: tl.constexpr, B_K: tl.constexpr, B_V: tl.constexpr,
    REVERSE: tl.constexpr,
):  # fmt: skip
    """S -> M S + N, segment after segment, for M [K, K] with strides M_K, M_J; products in float32."""
    pid = tl.program_id(0).to(tl.int64)
    i_v = (pid % tl.cdiv(V, B_V)).to(tl.int32) * B_V + tl.arange(0, B_V)
    pid = pid // tl.cdiv(V, B_V)
    n, h = pid // H, pid % H
    i_k = tl.arange(0, B_K)
    entry = i_k[:, None] * S_K + i_v[None, :] * S_V
    inside = (i_k < K)[:, None] & (i_v < V)[None, :]
    square = (i_k < K)[:, None] & (i_k < K)[None, :]
    at = (n * H + h) * (K * V) + entry
    state = tl.load(given + at, mask=inside, other=0.0).to(tl.float32)
    for step in tl.range(0, COUNT):
        segment = n * COUNT + (COUNT - 1 - step if REVERSE else step)
        here = (segment * H + h) * (K * V) + entry
        tl.store(before + here, state, mask=inside)
        corner = transits + (segment * H + h) * (K * K)
        m = tl.load(corner + (i_k[:, None] * M_K + i_k[None, :] * M_J), mask=square, other=0.0)
        new = tl.load(added + here, mask=inside, other=0.0)
        state = tl.dot(m, state, new, input_precision="ieee")
    tl.store(last + at, state, mask=inside)


def segments_pay(inputs, cu, heads):
    """Are there so few sequences and heads, and so many tokens, that a sequence is better cut?"""
    if cu is not None:
        return False
    if SEGMENT:
        return inputs[0].shape[1] > SEGMENT
    few = 2 * _instances(inputs, cu, heads) <= _processors(inputs[0].device)
    return few and inputs[0].shape[1] >= 4 * LEAST * BLOCK


def _segment_size(inputs, heads):
    """Tokens a segment: so many segments that their instances keep the device busy twice over.

    A sequence too short for that is cut all the same, for it is there to show that segments compose.
    """
    if SEGMENT:
        return SEGMENT
    chunks = -(-inputs[0].shape[1] // BLOCK)
    wanted = max(2, 2 * _processors(inputs[0].device) // max(1, _instances(inputs, None, heads)))
    return BLOCK * max(LEAST if chunks >= 2 * LEAST else 1, -(-chunks // wanted))


def _cut(inputs, heads):
    """The inputs as rows of packed segments, [1, B * T, H, *axes]; where these begin; their number a sequence."""
    batch, length = inputs[0].shape[:2]
    size, device = _segment_size(inputs, heads), inputs[0].device
    count = max(1, -(-length // size))
    key = batch, length, size, device
    if key not in _cuts:
        if len(_cuts) > 64:
            _cuts.clear()
        bounds = [b * length + min(s * size, length) for b in range(batch) for s in range(count)]
        _cuts[key] = torch.tensor([*bounds, batch * length], dtype=torch.int64, device=device)
    return [x.reshape(1, batch * length, *x.shape[2:]) for x in inputs], _cuts[key], count


def _room(call, like, sizes=None):
    """A state for each segment, [N, H, *axes]."""
    kinds = [torch.complex64 if row[4] else torch.float32 for row in STATES]
    axes = sizes or [row[1] for row in STATES]
    return [like.new_empty((call.sequences, call.heads, *a), dtype=k) for a, k in zip(axes, kinds)]


def _walked(call, like, kind, name, sizes=None):
    """What a walk over each segment, which starts from what the kernel says, arrives at."""
    found = _room(call, like, sizes)
    call.bind(kind, found)
    call.launch(name)
    return found


def _joined(call, given, added, transits, count, reverse=False):
    """The state before each segment and the last one; in reverse the state's gradient after each, and the first one."""
    before, last = [torch.empty_like(x) for x in added], []
    for x, new, m, old, row in zip(given, added, transits, before, TRANSITIONS):
        x = x.contiguous()
        end = new.new_empty(x.shape)
        args = [_real(y) for y in (x, new, m, old, end)]
        sequences, size = x.shape[0], x[0, 0].numel() if x.numel() else 0
        if row and size * sequences:
            k, v, s_k, s_v, m_k, m_j = row
            m_k, m_j = (m_k, m_j) if reverse else (m_j, m_k)
            _matrix_join_kernel[(sequences * call.heads * -(-v // 32),)](
                *args, count, H=call.heads, K=k, V=v, S_K=s_k, S_V=s_v, M_K=m_k, M_J=m_j,
                B_K=max(16, triton.next_power_of_2(k)), B_V=32, REVERSE=reverse, num_warps=8,
            )  # fmt: skip
        elif size * sequences:
            _scaled_join_kernel[(sequences * call.heads * -(-size // 256),)](
                *args, count, H=call.heads, SIZE=size, B=256, REVERSE=reverse, PARTS=2 if x.is_complex() else 1
            )
        last.append(end)
    return before, last


def _transits(call, like):
    """What each segment does to a state, in float32: M transposed, or the factors of each entry, conjugated."""
    sizes = [(row[0], row[0]) if row else r[1] for row, r in zip(TRANSITIONS, STATES)]
    return _walked(call, like, "d_init", "transit", sizes)


def _run_segments(inputs, params, state, heads, plan):
    """Outputs and final states: what each segment adds and passes on, the states between them, then all segments."""
    rows, cu, count = _cut(inputs, heads)
    call = _Call(rows, params, [], cu, heads, plan)
    added, transits = _walked(call, inputs[0], "end", "segment"), _transits(call, inputs[0])
    starts, finals = _joined(call, state, added, transits, count)
    call.bind("init", starts)
    call.bind("end", added)
    call.bind("kept", added)
    outputs = _outputs(inputs, heads)
    for x, row in zip(outputs, OUTPUTS):
        call.args[f"out_{row[0]}"] = _real(x)
    call.launch("forward")
    return [*outputs, *finals]


def _segment_gradients(inputs, params, state, incoming, heads, plan):
    """Gradients of inputs, params and initial states, the segments side by side."""
    rows, cu, count = _cut(inputs, heads)
    call = _Call(rows, params, [], cu, heads, plan)
    added, transits = _walked(call, inputs[0], "end", "segment"), _transits(call, inputs[0])
    starts, _ = _joined(call, state, added, transits, count)
    kept = _kept(rows, cu, heads)
    call.bind("init", starts)
    call.bind("end", added)
    call.bind("kept", kept)
    kernels = _kernels("BACKWARD", "split")
    made = _stored(rows, cu, heads, (*PREPARED, *SOLVED)) if "prepare" in kernels else []
    summed = _stored(rows, cu, heads, SUMMED)
    call.bind_stored(made, (*PREPARED, *SOLVED))
    call.bind_stored(summed, SUMMED)
    outer = [g.reshape(1, g.shape[0] * g.shape[1], *g.shape[2:]) for g in incoming[: len(OUTPUTS)]]
    for x, row in zip(outer, OUTPUTS):
        call.args[f"grad_{row[0]}"] = _real(x)
    for name in kernels[: kernels.index("carry_back")]:
        call.launch(name, True)
    added = _walked(call, inputs[0], "d_init", "segment_back")
    ends, d_state = _joined(call, incoming[len(OUTPUTS) :], added, transits, count, reverse=True)
    found = _gradients(rows, params, starts, [*kept, *made], [*outer, *ends], cu, heads, plan, kernels, summed)
    n = len(inputs)
    d_inputs = [d.reshape(x.shape) for d, x in zip(found, inputs)]
    return [*d_inputs, *found[n : n + len(params)], *(d.to(s.dtype) for d, s in zip(d_state, state))]
