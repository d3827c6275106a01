@triton.jit
def _inverse(
    a,
    UPPER: tl.constexpr,
    C: tl.constexpr,
    LEVELS: tl.constexpr,
    PRECISION: tl.constexpr,
    SPARING: tl.constexpr,
    DEVICE: tl.constexpr,
):
    """(I - A)^-1 for A strictly lower triangular, or strictly upper when UPPER; [C, C].

    The inverses of diagonal blocks of 2, 4, 8, .. rows from those of half as many: substitution by blocks.
    """
    i = tl.arange(0, C)
    late = i[None, :] if UPPER else i[:, None]
    early = i[:, None] if UPPER else i[None, :]
    corner = (late // 2 == early // 2) & (late > early)
    found = tl.where(late == early, 1.0, tl.where(corner, a, 0.0))
    for level in tl.range(1, LEVELS, disable_licm=True):
        level = _rolled(level, 1, SPARING, DEVICE)
        corner = ((late ^ early) >> level == 1) & (late > early)
        by = _dot_exact(found, tl.where(corner, a, 0.0), PRECISION, 0)
        found = _dot_exact(by, found, PRECISION, 1, found)
    return found
