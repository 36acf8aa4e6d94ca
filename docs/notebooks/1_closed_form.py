# The source of 1_closed_form.ipynb: edit this, then run docs/execute_notebooks.py.
# ruff: noqa: E402

# %% [markdown]
# # 1. From Eq. 17 to the closed form
#
# A phone wants an answer from a neural network, and a server can help. Three things have to be decided for one
# request: **where to cut** the network between device and server, **how many bits** each tensor gets before it
# crosses the link, and both under a **promise on accuracy**. The paper *QPART: Adaptive Model Quantization and
# Dynamic Workload Balancing for Accuracy-aware Edge Inference* writes the cost of such a plan as its Eq. 17. *How
# many bits are best, and how does one know?*
#
# After this notebook the reader can
#
# * write the cost and the accuracy of a plan as a convex program,
# * solve it in closed form, as water that settles at one level,
# * check the answer twice: by the dual, and by a cone solver that has never heard of water,
# * say which part of the problem the calculus does not reach.
#
# Lagrange multipliers are needed, and nothing about neural networks beyond *a layer has weights, and it turns an
# input into an output*. Definitions and proofs are on the page [qpart](../qpart.md).

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import qopt
from qopt import plots
from qopt.qpart.costs import base_costs, prices

problem = qopt.load("qpart/teaching-3")
net = problem.network
for name, macs, weights, activations in zip(net.names, net.macs, net.weights, net.activations, strict=True):
    print(f"{name:7}{macs:5.0f} MACs {weights:5.0f} weights {activations:5.0f} outputs")
print(f"raw input: {net.input_size:.0f} values of {net.input_bits} bits")

# %% [markdown]
# ## 1.1 What a plan costs
#
# Cut the network after layer $p$: layers $1,\dots,p$ run on the device, the rest on the server. The server sends down
# the quantized weights of layers $1,\dots,p$; the device sends up the output of layer $p$, quantized as well. With
# $O_1$ and $O_2$ the multiply-accumulate operations (MACs) on either side and $Z$ the bits sent, Eq. 17 is
#
# $$J = \xi\, O_1 + \delta\, O_2 + \varepsilon\, Z, \qquad
# Z = \sum_{l \le p} b_l z_l^w + b_x z_p^x .$$
#
# The three prices collect time, energy and money. They depend on the device, the server and the link, and on nothing
# that we choose. So $J$ is **linear** in the bits: at a fixed cut there is a part that no width changes, and tensor
# $i$ has a price $\pi_i = \varepsilon z_i$ for one more bit of width,
#
# $$J(p, b) = \mathrm{base}_p + \sum_i \pi_i b_i .$$

# %%
price = prices(problem)
print(f"xi    = {price.device:g} per MAC on the device")
print(f"delta = {price.server:g} per MAC on the server")
print(f"eps   = {price.upload:g} per bit sent")
print("base of cuts 0 to 3:", base_costs(problem))
cut = 2
pi = np.array([price.download * net.weights[0], price.download * net.weights[1], price.upload * net.activations[1]])
print("prices at cut 2:    ", pi, "(weights of layers 1 and 2, output of layer 2)")

# %% [markdown]
# ## 1.2 What accuracy allows
#
# Rounding a tensor to $b$ bits moves every value by up to half a step, and the step halves with each bit. So the
# *squared* error at the network's output falls by four with each bit. In units of what the tensor tolerates (its
# robustness $\rho_i$) errors add up, and the level of accuracy leaves room for $\Delta$ (Eqs. 18-23):
#
# $$\sum_i c_i\, 4^{-b_i} \le \Delta, \qquad c_i = s_i / \rho_i .$$
#
# **Lagrange.** Fix the cut and let bits be real numbers for now. The objective is linear and the constraint convex,
# so a stationary point of
#
# $$\sum_i \pi_i b_i + \lambda \Bigl(\sum_i c_i 4^{-b_i} - \Delta\Bigr)$$
#
# is all that is needed. Differentiating by $b_i$:
#
# $$\pi_i = \lambda \ln 4 \cdot c_i 4^{-b_i}
# \quad\Longleftrightarrow\quad
# \underbrace{c_i 4^{-b_i}}_{\text{noise that } i \text{ spends}} = t\, \pi_i,
# \qquad t = \frac{1}{\lambda \ln 4} .$$
#
# **Each tensor spends noise in proportion to the price of its bits.** How sensitive it is does not change its share,
# only the bits that the share takes. The constraint is tight, $t \sum_i \pi_i = \Delta$, which gives the level $t$.

# %%
c = np.array([problem.noise.s_weights[0], problem.noise.s_weights[1], problem.noise.s_activations[1]])
limit = problem.delta[cut - 1]
t = limit / pi.sum()
b = 0.5 * np.log2(c / (t * pi))
base = base_costs(problem)[cut]
print(f"c = {c}, Delta = {limit}, t = {t}")
print(f"widths {b}: bits cost {pi @ b:g}, J = {base:g} + {pi @ b:g} = {base + pi @ b:g}")

# %% [markdown]
# Draw a tensor as a vessel as wide as its price and fill it with the noise that it spends. Then *noise per price* is
# the height, and the solution says that the surface is level. The area is $\Delta$.
#
# Real widths lie in $[lo, hi]$. A tensor at the smallest width spends $c_i 4^{-lo}$ and cannot spend more: its vessel
# has a lid. One at the largest width still spends $c_i 4^{-hi}$: its vessel has a floor. The condition becomes
#
# $$\psi_i(t) = \mathrm{clip}\bigl(t\, \pi_i,\ c_i 4^{-hi},\ c_i 4^{-lo}\bigr), \qquad \sum_i \psi_i(t) = \Delta,$$
#
# a piecewise linear, increasing function of the one unknown $t$. Sort its breakpoints, find the piece, solve a linear
# equation: $O(n \log n)$, and no iteration to a tolerance. That is the kernel `waterfill`.

# %%
from qopt.kernels.waterfill import allocate

bounded = allocate(pi, c, limit, lo=3, hi=5)
print("widths in [3, 5]:", bounded.bits.round(4), "  t =", round(bounded.level, 6))
fig, axes = plt.subplots(2, 1, figsize=(8, 6.4), layout="constrained")
plots.plot_water_level(problem, cut, ax=axes[0])
plots.plot_water_level(problem.replace({"bits.lo": 3, "bits.hi": 5}), cut, ax=axes[1])
plt.show()

# %% [markdown]
# Below, the first tensor would like 5.5 bits and gets 5: it stands above the level. The output would like 2 and
# gets 3: its lid keeps it below. What they spend too much and too little, the second tensor makes up for.
#
# ## 1.3 The price of accuracy
#
# What is one unit of $\Delta$ worth? Move the limit and watch. Four times the noise saves one bit on *every* tensor,
# until a tensor meets its lower bound. The cost falls with slope $-\lambda$: the multiplier is the price of accuracy.

# %%
limits = np.geomspace(1 / 64, 4000, 200)
found = [allocate(pi, c, d, 1, 16) for d in limits]
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
left.plot(limits, [a.objective for a in found], color=plots.style.BLUE)
left.set(xscale="log", xlabel="noise allowed, $\\Delta$", ylabel="cost of the bits")
names = ("first weights", "second weights", "second output")
for k, values in enumerate(np.array([a.bits for a in found]).T):
    right.plot(limits, values, plots.style.SEQUENCE[k], linestyle=("-", "--", "-.")[k], label=names[k])
right.set(xscale="log", xlabel="noise allowed, $\\Delta$", ylabel="width [bits]")
right.legend(frameon=False)
plt.show()
here = allocate(pi, c, limit, 1, 16)
step = 1e-4
slope = (allocate(pi, c, limit + step, 1, 16).objective - allocate(pi, c, limit - step, 1, 16).objective) / (2 * step)
print(f"slope at Delta = 1: {slope:.3f}; multiplier: {here.multiplier:.3f}")

# %% [markdown]
# ## 1.4 Checked by the dual
#
# For any $\lambda \ge 0$ the Lagrangian's minimum
#
# $$g(\lambda) = \mathrm{base} - \lambda \Delta
# + \sum_i \min_{lo \le b \le hi} \bigl(\pi_i b + \lambda c_i 4^{-b}\bigr)$$
#
# is a lower bound on every plan: whoever keeps the limit is charged nothing or less than nothing for it. It is easy
# to evaluate, so anyone who is handed $\lambda$ can check the claim "nobody can do better" without knowing how the
# plan was found. At our $\lambda$ it meets the objective. A wrong $\lambda$ proves less, and never too much.

# %%
lam = 1 / (t * math.log(4))


def dual(multiplier):
    """g(lambda) at cut 2, widths in [1, 16]."""
    free = np.clip(0.5 * np.log2(multiplier * math.log(4) * c / pi), 1, 16)
    return base - multiplier * limit + np.sum(pi * free + multiplier * c * 4.0**-free)


grid = np.geomspace(2, 1000, 300)
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.plot(grid, [dual(x) for x in grid], color=plots.style.BLUE, label="lower bound $g(\\lambda)$")
ax.axhline(304, color=plots.style.INK, linestyle=":", label="objective of the plan, 304")
ax.plot([lam], [dual(lam)], "o", color=plots.style.RED, label=f"our $\\lambda$ = {lam:.3f}")
ax.set(xscale="log", xlabel="multiplier $\\lambda$", ylabel="J", ylim=(150, 330))
ax.legend(frameon=False, loc="lower center")
plt.show()
for multiplier in (10, lam, 100):
    print(f"lambda {multiplier:7.3f}: no plan at cut 2 costs less than {dual(multiplier):.3f}")

# %% [markdown]
# ## 1.5 Checked by another method
#
# CVXPY hands the problem to Clarabel, an interior-point solver for cones. The file of the formulation opens with the
# model in the paper's letters; what follows in it are the same rows in code.

# %%
from qopt.formulations import qpart_convex

print(qpart_convex.__doc__.split("\n\nIn Pyomo")[0], end="\n\n")
model = qpart_convex.convex_cvxpy(problem, cut)
model.solve(solver="CLARABEL")
_, unit = qpart_convex.units(qpart_convex.fixed_cut(problem, cut))
row = model.constraints[0]
print("widths    ", model.var_dict["width"].value.round(3))
print("multiplier", round(float(np.squeeze(row.dual_value)) * unit / limit, 3))

# %% [markdown]
# `qopt.solve` does all of this and adds a certificate, which is computed from the plan and the data alone.
#
# ## 1.6 What calculus does not reach
#
# The cut $p$ is a whole number between 0 and $L$. There is nothing to differentiate by: the paper's proof of its Eq.
# 27 does so, and its Eq. 40 at the cut does not hold ([ledger](../ledger.md)). A network has few layers and each cut
# takes microseconds, so all are tried.

# %%
solution = qopt.solve(problem, bits="real")
certificate = solution.certificate
print("cut", solution.plan.cut, "widths", *solution.plan.weights, *solution.plan.activations)
print(f"objective {certificate.objective:.12g}, proved bound {certificate.bound:.12g} ({certificate.kind})")
plots.plot_objective_by_cut(problem)
plt.show()

# %% [markdown]
# Nor are bits real numbers. In the picture the mark below each bar is the real-valued bound; whole widths cost more,
# and finding them is a problem of another kind. It is the subject of [notebook 3](3_whole_bits.ipynb). And the law
# $4^{-b}$ is a model: on a trained network it asks for one bit nearly everywhere, where it is least to be trusted.

# %%
measured = qopt.load("qpart/mnist-mlp6")
law = measured.replace({"noise.model": "law"})
by_law = qopt.solve(law)
judged = qopt.certify(measured, by_law.plan)
print("the law's plan: cut", by_law.plan.cut, "widths", *map(int, (*by_law.plan.weights, *by_law.plan.activations)))
print(f"{by_law.status} for the law; under the measured noise feasible: {judged.feasible}")
plots.plot_water_level(law, 5)
plt.show()

# %% [markdown]
# Optimal, proved, and wrong: the *model* was wrong, not the mathematics. [Notebook 4](4_measuring.ipynb) measures the
# noise instead.
#
# ## Exercises
#
# ### Exercise 1: read the vessels
#
# At cut 1 the prices are 16 (weights of layer 1) and 112 (its output), $c$ = 512 and 56, and $\Delta = 1$. Find $t$,
# the noise that each tensor spends, and the widths. Which tensor spends most of the noise, and why is it not the one
# with the larger $c$?

# %% [solution]
pi_1, c_1 = np.array([16.0, 112.0]), np.array([512.0, 56.0])
t_1 = 1.0 / pi_1.sum()
b_1 = 0.5 * np.log2(c_1 / (t_1 * pi_1))
print(f"t = 1/{1 / t_1:g}, noise {t_1 * pi_1}, widths {b_1}")
print(f"J = {base_costs(problem)[1]:g} + {pi_1 @ b_1:g} = {base_costs(problem)[1] + pi_1 @ b_1:g}")
assert np.allclose(b_1, allocate(pi_1, c_1, 1.0, 1, 16).bits)

# %% [markdown] [solution]
# $t = 1/128$, so the weights spend $16/128 = 1/8$ and the output $112/128 = 7/8$. The output is seven times as large,
# so a bit of it costs seven times as much, and noise is spent where bits are dear. *Learned*: shares of noise follow
# prices; the sensitivity $c$ only decides how many bits a share takes, here 6 and 3.

# %% [markdown]
# ### Exercise 2: change the model
#
# Equation 14 gives the output of layer $p$ the width of its weights. At cut 2 tensors 2 and 3 then share one width.
# What are $\pi$ and $c$ of the pair, what are the new widths, and what does the tie cost? Check with `tie_cut` set to
# `true`.

# %% [solution]
pi_tied, c_tied = np.array([pi[0], pi[1] + pi[2]]), np.array([c[0], c[1] + c[2]])
tied = allocate(pi_tied, c_tied, limit, 1, 16)
by_qopt = qopt.solve(problem.replace({"tie_cut": True, "cuts": [cut]}), bits="real")
print(f"prices {pi_tied}, c {c_tied}: widths {tied.bits.round(4)}")
print(f"by hand {base + tied.objective:.4f}, qopt {by_qopt.objective:.4f}, without the tie {base + pi @ b:.4f}")

# %% [markdown] [solution]
# One variable stands in both terms, so prices add up and so do the $c$: $\pi = 48$, $c = 68$. The first tensor keeps
# its share $16/64$ and its 5.5 bits. The pair spends $3/4$ at $\tfrac12\log_2(68 \cdot 64/48) \approx 3.25$ bits,
# which is more for the output, that would like 2, and less for the weights. *Learned*: an equation between variables
# is a restriction, it can only raise the optimum, and aggregated data keep the closed form.

# %% [markdown]
# ### Exercise 3: write it yourself
#
# Show that $\sum_i \psi_i(t)$ never falls, and that it reaches every value between $\sum_i c_i 4^{-hi}$ and
# $\sum_i c_i 4^{-lo}$. Write a water-filling that finds $t$ by bisection, and compare it with `allocate` on a hundred
# random problems. What can bisection not do that sorting can?


# %% [solution]
def by_bisection(price, c, limit, lo, hi):
    """Widths from a level that is found by halving an interval of logarithms."""
    least, most = c * 4.0**-hi, c * 4.0**-lo
    low, high = np.log((least / price).min()), np.log((most / price).max())
    for _ in range(100):
        middle = (low + high) / 2
        spent = np.clip(np.exp(middle) * price, least, most).sum()
        low, high = (middle, high) if spent < limit else (low, middle)
    return np.clip(0.5 * np.log2(c / (np.exp(high) * price)), lo, hi)


rng = np.random.default_rng(0)
worst = 0.0
for _ in range(100):
    n = int(rng.integers(2, 30))
    p, coefficient = 10 ** rng.uniform(-3, 3, n), 10 ** rng.uniform(0, 4, n)
    allowed = rng.uniform(0.02, 0.9) * (coefficient * 4.0**-1).sum()
    exact = allocate(p, coefficient, allowed, 1, 16)
    worst = max(worst, float(np.abs(by_bisection(p, coefficient, allowed, 1, 16) - exact.bits).max()))
print("largest difference of a width below 1e-9:", worst < 1e-9)

# %% [markdown] [solution]
# Each $\psi_i$ is $t\pi_i$ with $\pi_i > 0$, cut off on both sides: continuous and nowhere falling, and so is the
# sum. For small $t$ all tensors spend their least, for large $t$ their most; by the intermediate value theorem every
# sum between is reached. *Learned*: bisection approaches the level and needs a tolerance; sorting the $2n$
# breakpoints names the piece, on which the level is the solution of a linear equation. The second is finite, and can
# be done in rational numbers.
