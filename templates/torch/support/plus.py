def _plus(total, x, y, sign=1):
    """total + x @ y, or total - x @ y, written over the total."""
    if x.shape[:-2] != total.shape[:-2] or y.shape[:-2] != total.shape[:-2] or not total.is_contiguous():
        return total.add_(x @ y, alpha=sign)
    total.flatten(0, -3).baddbmm_(x.flatten(0, -3), y.flatten(0, -3), alpha=sign)
    return total
