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
    prepared and what the walk solves for. States alone are of no use to a way back that reads solutions."""
    kernels = _kernels("FORWARD", plan, cu)
    if "transit" in kernels or not any(name in KEEPING for name in kernels) or (SOLVED and "prepare" not in kernels):
        return 0
    return len(STATES) + (len(PREPARED) + len(SOLVED) if "prepare" in kernels else 0)


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

    def bind_stored(self, tensors, table):
        """Gives the kernels what they store for one another, as far as there is any."""
        for x, row in zip(tensors, table):
            self.args[f"made_{row[0]}"] = x

    def launch(self, name, keep=False):
        kernel, names, constants, counts, _ = KERNELS[name]
        units = self.slots if name in PARALLEL else self.sequences
        if self.heads * units == 0:
            return
        args = [self.args[n] for n in names]
        args += [self.cu, self.length, self.sequences, self.ratio, self.slots, units, self.batch * self.length]
        fixed = {n: self.args[n] for n in constants} | self.dtypes
        fixed |= {"H": self.heads, "PACKED": self.cu is not None, "WIDE": self.wide, "SPAN": BLOCK, "KEEP": keep}
        settings = self.settings[name]
        if self.device.type == "cuda" and settings == SETTINGS[name]:
            settings = _without_spills_here(name, args, fixed, self.device)
        instances = self.heads * units
        for axis, size in counts:
            instances *= -(-size // settings[axis])
        kernel[(instances,)](*args, **fixed, **settings)

    def shares(self, name):
        """Into how many shares the kernel's splits divide a sum over the split axes."""
        counts = KERNELS[name][3]
        total = 1
        for axis, size in counts:
            total *= -(-size // self.settings[name][axis])
        return total
