"""Specs that state exactly what a reference computes: natural-log decays as inputs, the reference's scale."""

QKV = """
dim    K, V
input  q, k : [K]
input  v : [V]
"""

SIMPLE_GLA = f"""mixer simple_gla
{QKV}
input  g in (-inf, 0]
state  S : [K, V] = exp(g) * S[t-1] + k * v
output o = sum[K](q * S) * K ** -0.5
"""

HGRN = """mixer hgrn
dim    N
input  x : [N]
input  g : [N] in (-inf, 0]
state  h : [N] = exp(g) * h[t-1] + x
output o = h
"""

LINEAR_ATTENTION = f"""mixer linear_attention
{QKV}
state  S : [K, V] = S[t-1] + k * v
state  z : [K] = z[t-1] + k
output o = sum[K](q * S) / (sum[K](q * z) + 1e-10)
"""

GATED_DELTA_RULE = f"""mixer gated_delta_rule
{QKV}
input  beta in [0, 1]
input  g in (-inf, 0]
let    P = exp(g) * S[t-1]
state  S : [K, V] = P + beta * k * (v - sum[K](k * P))
output o = sum[K](q * S) * K ** -0.5
"""

KDA = f"""mixer kda
{QKV}
input  beta in [0, 1]
input  g : [K] in (-inf, 0]
let    P = exp(g) * S[t-1]
state  S : [K, V] = P + beta * k * (v - sum[K](k * P))
output o = sum[K](q * S) * K ** -0.5
"""

DPLR = f"""mixer dplr
{QKV}
input  a, b : [K]
input  g : [K] in (-inf, 0]
state  S : [K, V] = exp(g) * S[t-1] + a * sum[K](b * S[t-1]) + k * v
output o = sum[K](q * S) * K ** -0.5
"""

GATED_SLOTS = """mixer gated_slots
dim    K, M, V
input  q, k : [K]
input  v : [V]
input  s : [M]
input  g : [M] in (-inf, 0]
state  P : [K, M] = exp(g) * P[t-1] + k * s
let    p = softmax[M](sum[K](q * P) * K ** -0.5)
state  R : [M, V] = exp(g) * R[t-1] + s * v
output o = sum[M](p * R)
"""
