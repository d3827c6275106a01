@triton.jit
def _log1p(x):
    """log(1 + x), precise for small x."""
    u = 1.0 + x
    return tl.where(u == 1.0, x, tl.log(u) * (x / (u - 1.0)))


@triton.jit
def _expm1(x):
    """exp(x) - 1, precise for small x."""
    u = tl.exp(x)
    return tl.where(u == 1.0, x, tl.where(u == 0.0, -1.0, (u - 1.0) * (x / tl.log(tl.where(u == 1.0, 2.0, u)))))


@triton.jit
def _softplus(x):
    return tl.maximum(x, 0.0) + _log1p(tl.exp(-tl.abs(x)))


@triton.jit
def _tanh(x):
    s = x * x
    near = x * (1.0 + s * (-1.0 / 3.0 + s * (2.0 / 15.0 + s * (-17.0 / 315.0 + s * (62.0 / 2835.0)))))
    t = tl.exp(-2.0 * tl.abs(x))
    far = (1.0 - t) / (1.0 + t)
    return tl.where(tl.abs(x) < 0.25, near, tl.where(x < 0.0, -far, far))


@triton.jit
def _sign(x):
    return (x > 0.0).to(tl.float32) - (x < 0.0).to(tl.float32)


@triton.jit
def _power(x, p):
    """x ** p; not a number where x is negative and p not whole."""
    p = tl.zeros_like(x) + p
    size = tl.exp(p * tl.log(tl.maximum(tl.abs(x), 1e-38)))
    odd = tl.floor(0.5 * p) * 2.0 != p
    below = tl.where(tl.floor(p) == p, tl.where(odd, -size, size), float("nan"))
    at_zero = tl.where(p == 0.0, 1.0, tl.where(p < 0.0, float("inf"), 0.0))
    return tl.where(x == 0.0, at_zero, tl.where(x < 0.0, below, size))
