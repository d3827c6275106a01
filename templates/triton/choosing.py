# --- choosing ---


FULL = 0.75  # the part of the processors that a walk back, which divides nothing, must keep busy in every round
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
    busy, idle, busy_back, idle_back = RULE
    count = _processors(inputs[0].device)
    if table == "BACKWARD":
        sequences = heads * (inputs[0].shape[0] if cu is None else cu.numel() - 1)
        return busy_back if sequences >= FULL * -(-sequences // count) * count else idle_back
    return busy if _instances(inputs, cu, heads) >= count else idle


def _instances(inputs, cu, heads):
    count = heads * (inputs[0].shape[0] if cu is None else cu.numel() - 1)
    for axis, size in KERNELS["forward"][3]:
        count *= -(-size // SETTINGS["forward"][axis])
    return count


def _processors(device):
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1
