_SPAN = 1 << 18  # elements of one input that the batched phases take at once: more would leave the cache


def _spans(call):
    """Runs of whole chunks, (start, stop, chunks), then what is left as a shorter one."""
    per_chunk = max(1, max(x[:, :1].numel() for x in call.inputs) * call.block)
    most, spans, at = max(1, _SPAN // per_chunk), [], 0
    while at < call.length:
        chunks = min(most, (call.length - at) // call.block)
        stop = at + chunks * call.block if chunks else call.length
        spans.append((at, stop, max(chunks, 1)))
        at = stop
    return spans


def _apart(tensors, chunks):
    """What belongs to each chunk of a batch that holds several."""
    if chunks == 1 or not tensors or tensors[0] is None:
        return [tensors] * chunks
    return list(zip(*(x.unflatten(0, (-1, chunks)).unbind(1) for x in tensors), strict=True))


def _together(parts):
    """One batch of what each chunk left: the reverse of `_apart`."""
    if len(parts) == 1:
        return parts[0]
    return tuple(torch.stack(x, 1).flatten(0, 1) for x in zip(*parts, strict=True))


def _forward_blocks(call, state, outputs, kept, stride):
    """Span after span; each chunk's state is kept if there is room for it. Returns the final state."""
    first = 0
    for start, stop, chunks in _spans(call):
        rows, batch = (stop - start) // chunks, call.batch * chunks
        inputs = call.tokens(call.inputs, INPUTS, start, stop, chunks)
        here, later = call.run(_forward_prepare, _forward_prepare_static, inputs, (), rows, batch=batch)
        states, left = [], []
        needed = {{"inputs" if carry_needs.forward.inputs else "()"}}
        for mine, kept_here in zip(_apart(needed, chunks), _apart(here, chunks), strict=True):
            states.append(state)
            state, more = call.run(_forward_carry, _forward_carry_static, mine, state, rows, (), kept_here)
            left.append(more)
        before, later = _together(states), (*later, *_together(left))
        values = call.run(_forward_finish, _forward_finish_static, inputs, before, rows, (), later, batch)
        for target, value, row in zip(outputs, values, OUTPUTS, strict=True):
            _store(target, value, row, start, stop, chunks)
        for room, s in zip(kept, before, strict=False):
            room[first : first + chunks] = s.unflatten(0, (-1, chunks)).transpose(0, 1)
        first += chunks
    return state


def _backward_blocks(call, kept, d_outputs, d_state, d_inputs, d_params, stride):
    """Spans in reverse, their forward values computed again. Returns the initial state's gradient."""
    last = -(-call.length // call.block)
    for start, stop, chunks in reversed(_spans(call)):
        rows, batch = (stop - start) // chunks, call.batch * chunks
        inputs = call.tokens(call.inputs, INPUTS, start, stop, chunks)
        state = tuple(room[last - chunks : last].transpose(0, 1).flatten(0, 1) for room in kept)
        coming = call.tokens(d_outputs, OUTPUTS, start, stop, chunks)
        blank = (None,) * len(STATES)
        prepared = (inputs, state, rows, (*coming, *blank), (), batch)
        here, later = call.run(_gradient_prepare, _gradient_prepare_static, *prepared)
        states, left = [], []
        needed = (
            {{"inputs" if carry_needs.gradient.inputs else "()"}},
            {{"state" if carry_needs.gradient.state else "()"}},
            {{"coming" if carry_needs.gradient.coming else "(None,) * len(OUTPUTS)"}},
            here,
        )
        pieces = zip(*(_apart(x, chunks) for x in needed), strict=True)
        for mine, before, of_outputs, kept_here in reversed(list(pieces)):
            states.append(tuple(d_state))
            passed = mine, before, rows, (*of_outputs, *d_state), kept_here
            found, more = call.run(_gradient_carry, _gradient_carry_static, *passed)
            d_state = [torch.zeros_like(s) if d is None else d for d, s in zip(found, d_state, strict=True)]
            left.append(more)
        after, later = _together(states[::-1]), (*later, *_together(left[::-1]))
        finish = (inputs, state, rows, (*coming, *after), later, batch)
        found, of_params = call.run(_gradient_finish, _gradient_finish_static, *finish)
        _add_gradients(d_inputs, found, d_params, of_params, start, stop, chunks)
        last -= chunks
    return d_state
