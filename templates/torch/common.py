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


def _load(x, row, start, stop, heads, dtype, chunks=1):
    """Tokens [start, stop) of [B, T, H, *axes] as [B, H, C, *axes]; without C where a block is a single token.

    Several chunks at once become as many entries of the batch.
    """
    _, _, order, per_group, _, _ = row
    x = x[:, start] if RECURRENT else x[:, start:stop]
    if not RECURRENT:
        x = (x.unflatten(1, (chunks, -1)).flatten(0, 1) if chunks > 1 else x).transpose(1, 2)
    if per_group and x.shape[1] != heads and not (NARROW and x.shape[1] == 1):
        x = x.unsqueeze(2).expand(-1, -1, heads // x.shape[1], *x.shape[2:]).flatten(1, 2)
    return _permuted(_cast(x, dtype), order, x.dim() - len(order)).contiguous()


def _store(target, value, row, start, stop, chunks=1):
    """Writes a block back where `_load` took it from; heads of a group are summed."""
    _, _, order, _, _, _ = row
    value = _restored(value, order, value.dim() - len(order))
    if value.shape[1] != target.shape[2]:
        value = value.unflatten(1, (target.shape[2], -1)).sum(2)
    if RECURRENT:
        target[:, start] = value
    elif chunks == 1:
        target[:, start:stop] = value.transpose(1, 2)
    else:
        target[:, start:stop].unflatten(1, (chunks, -1))[:] = value.transpose(1, 2).unflatten(0, (-1, chunks))


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
        self.batch, length = inputs[0].shape[:2]
        self.length = length if self.batch else 0  # no rows, no tokens
        self.device = inputs[0].device
        self._static = {}

    def tokens(self, tensors, rows, start, stop, chunks=1):
        return tuple(
            _load(x, r, start, stop, self.heads, self.dtype, chunks) for x, r in zip(tensors, rows, strict=True)
        )

    def run(self, function, prepare, inputs, state, rows, incoming=(), kept=(), batch=None):
        key = (function, rows)
        if key not in self._static:
            self._static[key] = prepare(self.params, self.heads, rows, self.dtype, self.device)
        sizes = (batch or self.batch, self.heads, rows, self.dtype, self.device)
        return function(inputs, self.params, state, incoming, kept, self._static[key], *sizes)


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


def _add_gradients(d_inputs, found, d_params, of_params, start, stop, chunks=1):
    """Stores a block's gradients; None where nothing depends on an input or param."""
    for target, value, row in zip(d_inputs, found, INPUTS, strict=True):
        if value is not None:
            _store(target, value, row, start, stop, chunks)
    for total, part in zip(d_params, of_params, strict=True):
        if part is not None:
            total += part
