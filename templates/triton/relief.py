# --- registers ---


def without_spills(name, spills):
    """The settings of a kernel that keep every number in registers: its own ones or the first of RELIEF; where all
    spill, those that spill the least. With them a line that says what was chosen and why, empty for its own ones.

    `spills(settings)` compiles the kernel, and gives a thread's registers and how many bytes it spills.
    """
    own = SETTINGS[name]
    registers, first = spills(own)
    if not first:
        return own, ""
    chosen, least, change = own, first, {}
    for other in RELIEF.get(name, ()):
        if not least:
            break
        if "maxnreg" in other and registers >= 0.9 * other["maxnreg"]:
            continue  # it has them
        found = spills({**own, **other})[1]
        if found < least:
            chosen, least, change = {**own, **other}, found, other
    what = " ".join(f"{key}={value}" for key, value in change.items()) or "no other setting spills less"
    left = f", which leaves {least}" if change and least else ""
    fault = "does not fit" if first == float("inf") else f"spills {first} bytes of each thread's registers"
    return chosen, f"{name} {fault}: {what}{left}"


_relieved = {}  # a kernel and what it is compiled for: its settings
_said = set()


def _without_spills_here(name, args, fixed, device):
    """The settings of a kernel for this call on this device, found by compiling it once for each kind of call. While a
    CUDA graph is captured nothing is compiled that has not been: its own ones.
    """
    key = (name, device, *fixed.values())
    if key not in _relieved:
        if torch.cuda.is_current_stream_capturing():
            return SETTINGS[name]
        _relieved[key], line = without_spills(name, lambda settings: _spills(name, args, fixed, settings))
        if line and line not in _said:
            _said.add(line)
            say(line)
    return _relieved[key]


def _spills(name, args, fixed, settings):
    """Registers of a thread and bytes of them that are spilled, of a kernel compiled but not run; infinitely many
    where that fails: if nothing else is left, its launch says why."""
    if "maxnreg" in settings and fixed["DEVICE"] != "cuda":
        return 0, float("inf")
    try:
        compiled = KERNELS[name][0].warmup(*args, grid=(1,), **fixed, **settings)
        compiled._init_handles()
    except (triton.TritonError, RuntimeError):
        return 0, float("inf")
    # what functions of the device keep in memory, in whole units of 8 bytes, is no register
    kept = sum(-(-int(size) // 8) * 8 for size in re.findall(r"__local_depot\d+\[(\d+)\]", compiled.asm.get("ptx", "")))
    return compiled.n_regs, max(0, 4 * compiled.n_spills - kept)


def say(line):
    """One line for people. Whoever loads this module may replace it."""
    print(f"recurrence_dsl: {NAME}: {line}", file=sys.stderr)
