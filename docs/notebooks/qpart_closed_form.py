# The source of qpart_closed_form.ipynb: edit this, then run docs/execute_notebooks.py.
# ruff: noqa: E402

# %% [markdown]
# # From Eq. 17 to the closed form
#
# A phone wants an answer from a neural network, and a server can help. Three things have to be decided for one
# request: **where to cut** the network between device and server, **how many bits** each tensor gets before it
# crosses the link, and both under a **promise on accuracy**. The paper *QPART: Adaptive Model Quantization and
# Dynamic Workload Balancing for Accuracy-aware Edge Inference* writes the cost of such a plan as its Eq. 17.
#
# In this notebook you
#
# 1. write that cost for a network of three layers, small enough for a pencil,
# 2. solve the choice of bits in closed form, and see it as water that settles at one level,
# 3. check the answer twice, with a cone solver and with the dual,
# 4. pass from real-valued to whole bits, which makes the problem a knapsack,
# 5. do it all again for a trained network whose noise was measured, and read the proof.
#
# You need linear algebra, Lagrange multipliers, and nothing about neural networks beyond *a layer has weights, and it
# turns an input into an output*.

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
# ## 1. What a plan costs
#
# Cut the network after layer $p$: layers $1,\dots,p$ run on the device, the rest on the server. The server sends down
# the quantized weights of layers $1,\dots,p$; the device sends up the output of layer $p$, quantized as well. With
# $O_1$ and $O_2$ the multiply-accumulate operations (MACs) on either side and $Z$ the bits sent, Eq. 17 is
#
# $$J = \xi\, O_1 + \delta\, O_2 + \varepsilon\, Z, \qquad
# Z = \sum_{l \le p} b_l z_l^w + b_x z_p^x .$$
#
# The three prices collect time, energy and money. They depend on the device, the server and the link, and on nothing
# that we choose.

# %%
price = prices(problem)
print(f"xi    = {price.device:g} per MAC on the device")
print(f"delta = {price.server:g} per MAC on the server")
print(f"eps   = {price.upload:g} per bit sent")

# %% [markdown]
# So $J$ is **linear** in what we choose. At a fixed cut there is a part that no bit-width changes, and every tensor
# $i$ has its own price $\pi_i = \varepsilon z_i$ for one more bit of width:
#
# $$J(p, b) = \mathrm{base}_p + \sum_i \pi_i b_i .$$
#
# Cut 0 sends the raw input up and quantizes nothing. Here are the bases of cuts 0 to 3, and the prices at cut 2.

# %%
print("base of cuts 0..3:", base_costs(problem))
cut = 2
pi = np.array([price.download * net.weights[0], price.download * net.weights[1], price.upload * net.activations[1]])
print("prices at cut 2:  ", pi, "(weights of layers 1 and 2, output of layer 2)")

# %% [markdown]
# ## 2. What accuracy allows
#
# Fewer bits would always be cheaper; accuracy stops us. Rounding a tensor to $b$ bits moves every value by up to half
# a step, the step halves with each bit, so the *squared* error at the network's output falls by four with each bit.
# Measured in units of what the tensor tolerates (its robustness $\rho_i$), errors add up, and the level of accuracy
# leaves room for $\Delta$ (Eqs. 18-23):
#
# $$\sum_i c_i\, 4^{-b_i} \le \Delta, \qquad c_i = s_i / \rho_i .$$
#
# In the teaching instance all $\rho_i = 1$ and $\Delta = 1$.

# %%
c = np.array([problem.noise.s_weights[0], problem.noise.s_weights[1], problem.noise.s_activations[1]])
limit = problem.delta[cut - 1]
print("c =", c, "  Delta =", limit)

# %% [markdown]
# ## 3. Lagrange: one water level for all
#
# Fix the cut and let bits be real numbers for now:
#
# $$\min_b \ \sum_i \pi_i b_i \quad \text{subject to} \quad \sum_i c_i 4^{-b_i} \le \Delta .$$
#
# The objective is linear and the constraint convex, so stationarity of the Lagrangian
# $\ \sum_i \pi_i b_i + \lambda \bigl(\sum_i c_i 4^{-b_i} - \Delta\bigr)\ $ is all we need. Differentiating by $b_i$:
#
# $$\pi_i = \lambda \ln 4 \cdot c_i 4^{-b_i}
# \quad\Longleftrightarrow\quad
# \underbrace{c_i 4^{-b_i}}_{\text{noise that } i \text{ spends}} = t\, \pi_i,
# \qquad t = \frac{1}{\lambda \ln 4} .$$
#
# **Each tensor spends noise in proportion to the price of its bits.** The more values a tensor has, the dearer its
# bits are and the larger its share of the noise. How sensitive it is does not change its share, only the bits that
# the share takes. The level $t$ follows from the constraint, which is tight: $t \sum_i \pi_i = \Delta$.

# %%
t = limit / pi.sum()
b = 0.5 * np.log2(c / (t * pi))
print(f"t = {t}   b = {b}")
print(f"bits cost {pi @ b:g}, J = {base_costs(problem)[cut]:g} + {pi @ b:g} = {base_costs(problem)[cut] + pi @ b:g}")

# %% [markdown]
# Draw a tensor as a vessel as wide as its price and fill it with the noise that it spends. Then *noise per price* is
# the height, and the solution says that the surface is level. The area is the budget $\Delta$.

# %%
ax = plots.plot_water_level(problem, cut)
plt.show()

# %% [markdown]
# ## 4. Bounds: vessels with a floor and a lid
#
# Real widths lie in $[lo, hi]$. A tensor at the smallest width spends $c_i 4^{-lo}$ and cannot spend more: its vessel
# has a lid. One at the largest width still spends $c_i 4^{-hi}$: its vessel has a floor. The condition becomes
#
# $$\psi_i = \mathrm{clip}\bigl(t\, \pi_i,\ c_i 4^{-hi},\ c_i 4^{-lo}\bigr), \qquad \sum_i \psi_i(t) = \Delta,$$
#
# and the sum is a piecewise-linear, increasing function of the one unknown $t$. Sort its breakpoints, find the piece,
# solve a linear equation: $O(n \log n)$ and no iteration to a tolerance.

# %%
from qopt.kernels.waterfill import allocate

bounded = allocate(pi, c, limit, lo=3, hi=5)
print("widths in [3, 5]:", bounded.bits.round(4), "  t =", round(bounded.level, 6))
narrow = problem.replace({"bits.lo": 3, "bits.hi": 5})
ax = plots.plot_water_level(narrow, cut)
plt.show()

# %% [markdown]
# The first tensor would like 5.5 bits and gets 5: it stands above the level. The output would like 2 and gets 3: its
# lid keeps it below. What they spend too much and too little, the second tensor makes up for.
#
# ## 5. Move the limit and watch
#
# What is accuracy worth? Allow a quarter of the noise, then four times as much.

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True, layout="constrained")
for ax, allowed in zip(axes, (0.25, 1.0, 4.0), strict=True):
    request = problem.replace({"accuracy.delta": [[allowed] * 3]})
    plots.plot_water_level(request, cut, ax=ax)
    ax.get_legend().remove()
    bits = qopt.solve(request.replace({"cuts": [cut]}), "kkt").objective - base_costs(problem)[cut]
    ax.set_title(f"$\\Delta$ = {allowed:g}: bits cost {bits:g}", loc="left", fontsize=10)
    ax.set_xlabel("price $\\pi_i$")
plt.show()

# %% [markdown]
# Four times the noise saves exactly one bit on *every* tensor, $\sum_i \pi_i = 64$ in all, until a tensor meets its
# lower bound (the output does so just at $\Delta = 4$). The cost falls with slope $-\lambda$ in $\Delta$: the
# multiplier is the price of accuracy.

# %%
limits = np.geomspace(1 / 64, 4000, 200)
found = [allocate(pi, c, d, 1, 16) for d in limits]
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
left.plot(limits, [a.objective for a in found], color=plots.style.BLUE)
left.set(xscale="log", xlabel="noise allowed, $\\Delta$", ylabel="cost of the bits", title="Cost against accuracy")
names = ("first weights", "second weights", "second output")
for k, values in enumerate(np.array([a.bits for a in found]).T):
    right.plot(limits, values, plots.style.SEQUENCE[k], linestyle=("-", "--", "-.")[k], label=names[k])
right.set(xscale="log", xlabel="noise allowed, $\\Delta$", ylabel="width [bits]", title="Widths fall in step")
right.legend(frameon=False)
for panel in (left, right):
    panel.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# ## 6. Do not believe it: check it
#
# **By the dual.** For any $\lambda \ge 0$ the Lagrangian's minimum
#
# $$g(\lambda) = \mathrm{base} - \lambda \Delta
# + \sum_i \min_{lo \le b \le hi} \bigl(\pi_i b + \lambda c_i 4^{-b}\bigr)$$
#
# is a lower bound on every plan. It is easy to evaluate, so anyone who is handed $\lambda$ can check the claim
# "nobody can do better" without knowing how the plan was found. At our $\lambda$ it meets the objective: the gap is
# 0.

# %%
lam = 1 / (t * math.log(4))


def dual(multiplier):
    """g(lambda) at cut 2, widths in [1, 16]."""
    free = np.clip(0.5 * np.log2(multiplier * math.log(4) * c / pi), 1, 16)
    return base_costs(problem)[cut] - multiplier * limit + np.sum(pi * free + multiplier * c * 4.0**-free)


grid = np.geomspace(2, 1000, 300)
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.plot(grid, [dual(x) for x in grid], color=plots.style.BLUE, label="lower bound $g(\\lambda)$")
ax.axhline(304, color=plots.style.INK, linestyle=":", label="objective of the plan, 304")
ax.plot([lam], [dual(lam)], "o", color=plots.style.RED, label=f"our $\\lambda$ = {lam:.3f}")
ax.set(xscale="log", xlabel="multiplier $\\lambda$", ylabel="J", ylim=(150, 330))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="lower center")
plt.show()

# %%
solution = qopt.solve(problem, bits="real")
certificate = solution.certificate
print("cut", solution.plan.cut, "widths", *solution.plan.weights, *solution.plan.activations)
print(f"objective {certificate.objective:.12g}, proved bound {certificate.bound:.12g} ({certificate.kind})")
kkt = certificate.kkt
for name in ("stationarity", "complementarity", "primal", "dual"):
    print(f"{name:16} residual <= 1e-9: {getattr(kkt, name) <= 1e-9}")
print(f"multiplier {kkt.multiplier:.6f}, by hand {lam:.6f}")

# %% [markdown]
# **By another method.** CVXPY hands the problem to Clarabel, an interior-point solver for cones that has never heard
# of water. The accuracy row is written as $\log \sum_i \exp(\log(c_i/\Delta) - b_i \ln 4) \le 0$, one exponential
# cone a tensor. It finds the same widths and, by its own way, the same multiplier.

# %%
from qopt.formulations import qpart_convex

model = qpart_convex.convex_cvxpy(problem, cut)
model.solve(solver="CLARABEL")
_, unit = qpart_convex.units(qpart_convex.fixed_cut(problem, cut))
row = model.constraints[0]
print("widths    ", model.var_dict["width"].value.round(5))
print("multiplier", round(float(np.squeeze(row.dual_value)) * unit / limit, 4))

# %% [markdown]
# ## 7. Whole bits: a knapsack
#
# Hardware wants whole bits. Rounding *up* keeps the promise and wastes; rounding to nearest may break it. What we
# face is a **multiple-choice knapsack**: from each tensor choose one item, a width $b$ with cost $\pi_i b$ and weight
# $c_i 4^{-b}$, such that the weights fit into $\Delta$. Relaxing "one item" to "a mixture of items" gives a linear
# program, and for noise that follows the law a free chain:
#
# $$\text{real-valued} \ \le\ \text{LP relaxation} \ \le\ \text{whole} \ \le\ \text{rounded up} .$$

# %%
from scipy.optimize import linprog

widths = np.arange(1, 17)
cost = np.outer(pi, widths)
noise = c[:, None] * 4.0**-widths
one_each = np.kron(np.eye(3), np.ones(16))
lp = linprog(cost.ravel(), noise.reshape(1, -1), [limit], one_each, np.ones(3))
here = problem.replace({"cuts": [cut]})
whole, rounded = qopt.solve(here), qopt.solve(here, "round-up")
print(f"real-valued {pi @ b:g} <= LP {lp.fun:g}")
print(f"  <= whole {whole.objective - 72:g} <= rounded up {rounded.objective - 72:g}")
print("whole widths     ", *map(int, (*whole.plan.weights, *whole.plan.activations)))
print("rounded-up widths", *map(int, (*rounded.plan.weights, *rounded.plan.activations)))

# %% [markdown]
# Look at what the optimum does: it gives the *first* tensor fewer bits than 5.5 and the second more than 3.5. In the
# picture a bit more or less is a factor of four in height, and only the total area has to fit.

# %%
ax = plots.plot_water_level(problem, cut, plan=whole.plan)
plt.show()

# %% [markdown]
# ## 8. The cut: enumerate
#
# The cut $p$ is a whole number between 0 and $L$. There is nothing to differentiate by (the paper's proof of its Eq.
# 27 does, and its Eq. 40 for the cut does not hold); a network has few layers, and each cut takes microseconds. So we
# try them all, and skip those whose lower bound already exceeds the best plan found.

# %%
ax = plots.plot_objective_by_cut(problem)
plt.show()

# %% [markdown]
# ## 9. A real network
#
# `qpart/mnist-mlp6` is a 784-512-256-128-64-32-10 network, trained on handwritten digits and measured: for every
# tensor and every width, quantize this tensor alone and record the squared error of the outputs. Markers below are
# measured, lines are the law $s_i 4^{-b}$ fitted to 4 to 10 bits.

# %%
real = qopt.load("qpart/mnist-mlp6")
ax = plots.plot_noise(real)
plt.show()

# %% [markdown]
# From four bits on the law is a fair description; at one bit it is far too kind. That is where optima like to live.
# Take the law's word first:

# %%
law = real.replace({"noise.model": "law"})
by_law = qopt.solve(law)
print("the law's plan: cut", by_law.plan.cut, "widths", *map(int, (*by_law.plan.weights, *by_law.plan.activations)))
print(f"objective {by_law.objective:.6f}, {by_law.status} for the law")
judged = qopt.certify(real, by_law.plan)
print("under the measured noise: feasible", judged.feasible)
for line in judged.violations:
    print("  ", line)

# %% [markdown]
# Optimal, proved, and wrong: the *model* was wrong, not the mathematics. With real-valued bits the same law shows
# where it comes from: all tensors but two are pressed against one bit, exactly where the law is not to be trusted.

# %%
ax = plots.plot_water_level(law, 5)
plt.show()

# %% [markdown]
# The knapsack does not care where its weights come from. It takes the measured table as it is:

# %%
measured = qopt.solve(real)
cost = measured.certificate.cost
print("cut", measured.plan.cut, "widths", *map(int, (*measured.plan.weights, *measured.plan.activations)))
print(f"objective {measured.objective:.6f}: {measured.status}")
share = cost.download / (32 * real.network.weights[: measured.plan.cut].sum())
print(f"download {cost.download / 1e6:.3f} Mbit, {share:.1%} of float32, upload {cost.upload:.0f} bit")
ax = plots.plot_objective_by_cut(real)
plt.show()

# %%
answers = {name: qopt.solve(real, name) for name in ("mckp", "round-up", "uniform")}
ax = plots.plot_bits(real, {"exact": answers["mckp"], "rounded up": answers["round-up"], "uniform": answers["uniform"]})
plt.show()

# %% [markdown]
# ## 10. The cut moves with the link
#
# With one rate $r$ for both directions, the best bits of a cut do not depend on $r$: all prices scale together. So
# $J$ of a cut is a straight line in $1/r$, and the best cut is the **lower envelope** of those lines. Where it
# changes can be read off, or computed from two points a line.

# %%
ax = plots.plot_cut_by_rate(real, [1e5, 2e5, 5e5, 1e6, 1e7])
plt.show()


def line(p):
    """Intercept and slope of J at cut p as a function of 1 / rate."""
    slow, fast = (qopt.solve(real.replace({"cuts": [p], "channel.rate": r})).objective for r in (1e5, 1e6))
    slope = (slow - fast) / (1e-5 - 1e-6)
    return fast - slope * 1e-6, slope


(a1, s1), (a5, s5) = line(1), line(5)
print(f"cuts 1 and 5 cost the same at {(s1 - s5) / (a5 - a1) / 1e6:.3f} Mbit/s")

# %% [markdown]
# ## 11. The proof
#
# For whole bits the Lagrangian bound is almost never tight, so "optimal" needs more than a multiplier. The method
# `mckp` hands over a **witness**: it divides all choices into parts, and names for every part a multiplier whose
# bound already reaches the plan's objective. Checking it takes additions and comparisons of exact fractions. No
# solver, and no trust in the method that wrote it.

# %%
for p, tree in measured.witness["cuts"].items():
    leaves = [node for node in tree if node[0] == "leaf"]
    print(f"cut {p}: {len(leaves)} part{'s' if len(leaves) > 1 else ''}")
proof = measured.certificate
print(f"objective {proof.objective:.9f}, proved bound {proof.bound:.9f} ({proof.kind}), proved: {proof.proved}")

# %% [markdown]
# Verify one part by hand. At cut 1 there is only one: all choices. Its multiplier gives, in exact arithmetic,

# %%
from fractions import Fraction

from qopt.qpart.subproblem import subproblems

subproblem = subproblems(real).at(1)
_, _, multiplier, _ = measured.witness["cuts"]["1"][0]
bound = Fraction(subproblem.base) - Fraction(multiplier) * Fraction(subproblem.limit)
for costs, terms in zip(subproblem.cost, subproblem.noise, strict=True):
    bound += min(Fraction(x) + Fraction(multiplier) * Fraction(y) for x, y in zip(costs, terms, strict=True))
print(f"every plan that cuts after layer 1 costs at least {float(bound):.6f}; ours costs {measured.objective:.6f}")

# %% [markdown]
# Other exact methods come to the same objective by other ways: HiGHS by branch and bound on the joint model over cut
# and bits, once from arrays and once from Pyomo. One and the same certificate judges them all.

# %%
table = qopt.compare([real, law], methods=["mckp", "highs-mip", "pyomo", "round-up", "uniform", "kkt", "cvxpy"])
table = table[table["objective"].notna()].assign(noise=lambda d: ["table" if i < 7 else "law" for i in d.index])
print(table[["noise", "method", "bits", "cut", "objective", "status", "proved"]].round(8).to_string(index=False))

# %% [markdown]
# ## Exercises
#
# 1. *Pencil.* Do cut 1 of the teaching instance by hand: prices 16 and 112, $c$ = 512 and 56. Compare with
#    `qopt.load("qpart/teaching-3").description`.
# 2. *Sensitivity.* Double $c_1$. Which widths change, and by how much? Why does the share of noise that tensor 1
#    spends stay as it was?
# 3. *Unbounded optimum.* Show that without bounds $b_i = \tfrac12 \log_2 \bigl(c_i \sum_j \pi_j / (\Delta
#    \pi_i)\bigr)$, and find a $\Delta$ for which it is negative. What does the picture of the vessels do there?
# 4. *Ties.* Equation 14 gives the output of layer $p$ the width of its weights. Set `tie_cut` to `true`. What are
#    $\pi$ and $c$ of the tied pair? How much does the tie cost on `qpart/teaching-3`?
# 5. *Shared download.* Set `inferences` of `qpart/mnist-mlp6` to 1, 10, 100 and 1000. What happens to the best cut?
#    At one cut the whole widths stay; under the law the real-valued ones move. Which way, and why?
# 6. *Grid.* Real quantizers have $2^b - 1$ steps and not $2^b$. Set `noise.model` to `grid` and compare the optimum
#    with the law's. Is $c\,(2^b-1)^{-2}$ convex in $b$?
# 7. *Proof.* Set every multiplier of cut 5 in a copy of `measured.witness` to 0 and call `qopt.certify(real,
#    measured.plan, copy, labels=0)`. What does the certificate say, and what is still true of the plan? How far can
#    you move one multiplier before the proof breaks?
# 8. *Model.* Forbid one-bit weights in `qopt.formulations.qpart.joint(law)` with one Pyomo constraint, solve it, and
#    let `qopt.certify` judge the plan under the measured noise.
