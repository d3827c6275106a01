def _scan(a, w, s0, dim):
    """S_t = a_t S_{t-1} + w_t along `dim`, from s0."""
    rows, s = [], s0
    for a_t, w_t in zip(a.expand_as(w).unbind(dim), w.unbind(dim), strict=True):
        s = torch.addcmul(w_t, a_t, s)
        rows.append(s)
    return torch.stack(rows, dim)


def _scan_t(a, x, dim):
    """y_t = x_t + conj(a_{t+1}) y_{t+1} along `dim`: the scan's transpose."""
    a_rows, x_rows = a.expand_as(x).conj().unbind(dim), x.unbind(dim)
    rows = [x_rows[-1]]
    for t in range(len(x_rows) - 2, -1, -1):
        rows.append(torch.addcmul(x_rows[t], a_rows[t + 1], rows[-1]))
    return torch.stack(rows[::-1], dim)
