def _blocks(call):
    return [(i, min(i + call.block, call.length)) for i in range(0, call.length, call.block)]


def _block(call, function, prepare, state, start, stop, incoming=()):
    inputs = call.tokens(call.inputs, INPUTS, start, stop)
    return call.run(function, prepare, inputs, state, stop - start, incoming)


def _forward_blocks(call, state, outputs, kept, stride):
    """Block after block; every `stride`-th state is kept if there is room for it. Returns the final state."""
    for n, (start, stop) in enumerate(_blocks(call)):
        if kept and n % stride == 0:
            for room, s in zip(kept, state, strict=True):
                room[n // stride] = s
        values, state = _block(call, _forward, _forward_static, state, start, stop)
        for target, value, row in zip(outputs, values, OUTPUTS, strict=True):
            _store(target, value, row, start, stop)
    return state


def _backward_blocks(call, kept, d_outputs, d_state, d_inputs, d_params, stride):
    """Blocks in reverse, each one's forward values computed again. Returns the initial state's gradient."""
    blocks = _blocks(call)
    for n in reversed(range(0, len(blocks), stride)):
        segment = blocks[n : n + stride]
        states = [tuple(room[n // stride] for room in kept)]
        for start, stop in segment[:-1]:
            states.append(_block(call, _advance, _advance_static, states[-1], start, stop)[1])
        for (start, stop), before in zip(reversed(segment), reversed(states), strict=True):
            coming = (*call.tokens(d_outputs, OUTPUTS, start, stop), *d_state)
            found, of_params, d_state = _block(call, _gradient, _gradient_static, before, start, stop, coming)
            _add_gradients(d_inputs, found, d_params, of_params, start, stop)
            d_state = [torch.zeros_like(s) if d is None else d for d, s in zip(d_state, before, strict=True)]
    return d_state
