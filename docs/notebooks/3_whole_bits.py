# The source of 3_whole_bits.ipynb: edit this, then run docs/execute_notebooks.py.

# %% [markdown]
# # 3. Whole bits
#
# Hardware wants whole bits. [Notebook 1](1_closed_form.ipynb) gives each tensor a real-valued width; rounding up
# keeps the promise on accuracy and wastes, rounding to nearest may break it. *Which whole widths are best, and how
# does one convince somebody who did not see the computation?*
#
# After this notebook the reader can
#
# * state the choice of widths as a multiple-choice knapsack and relax it in three ways,
# * write a branch and bound that leaves a proof behind,
# * read such a proof by hand, in fractions, and refute a false one,
# * compute the list of all Pareto points, which answers every limit at once.
#
# The page [kernels](../kernels.md) describes the solver, [certificates](../certificates.md) the format of proofs.

# %%
from fractions import Fraction
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linprog

import qopt
from qopt import formulations, kernels, plots
from qopt.kernels import checker, exchange, mckp
from qopt.qpart.subproblem import subproblems

teaching = qopt.load("qpart/teaching-3")
at_two = subproblems(teaching).at(2)
print("widths ", at_two.bits[:6], "...")
print("cost   ", *(row[:6] for row in at_two.cost), sep="\n  ")
print("noise  ", *(row[:6].round(3) for row in at_two.noise), sep="\n  ")
print("allowed", at_two.limit)

# %% [markdown]
# ## 3.1 A knapsack
#
# From each tensor $i$ choose one item, a width $b$ with cost $\pi_i b$ and weight $N_i(b)$, such that the weights fit
# into $\Delta$:
#
# $$\min \sum_{i,b} \pi_i b\, x_{ib} \quad\text{subject to}\quad \sum_{i,b} N_i(b)\, x_{ib} \le \Delta,\qquad
# \sum_b x_{ib} = 1 \text{ for each } i, \qquad x \text{ binary} .$$
#
# It does not matter where the weights come from: the law $c_i 4^{-b}$ or a table that was measured. The file
# `formulations/qpart.py` holds this model for all cuts at once and opens like the paper.

# %%
head = formulations.qpart.__doc__
print(head[head.index("Variables") : head.index("``aggregated``")])
for form in ("pyomo", "mckp"):
    solved = qopt.solve(teaching, form)
    print(f"{form:6} cut {solved.plan.cut}: {solved.objective:g}, {solved.status}")

# %% [markdown]
# ## 3.2 A chain of relaxations
#
# Relaxing "one item" to "a mixture of items" gives a linear program, and leaving out "whole" altogether the closed
# form. Each allows more than the next, so for noise that follows the law
#
# $$\text{real-valued} \ \le\ \text{linear program} \ \le\ \text{whole} \ \le\ \text{rounded up} .$$
#
# The bound of the linear program is also that of the best multiplier: the minimum of $\sum_i (\pi_i b_i + \lambda
# N_i(b_i)) - \lambda\Delta$ falls apart into one minimum for each tensor, and convexifies each tensor's items to
# their lower hull. Below the chain stands for two sets of data, with the noise of a trained network in the second.

# %%
measured = qopt.load("qpart/mnist-mlp6")
at_five = subproblems(measured).at(5)


def relaxed(part):
    """The linear program of a cut, by SciPy, and how many items are fractional."""
    n, k = part.cost.shape
    one_each = np.kron(np.eye(n), np.ones(k))
    found = linprog(part.cost.ravel(), part.noise.reshape(1, -1), [part.limit], one_each, np.ones(n))
    return found.fun, int(((found.x > 1e-9) & (found.x < 1 - 1e-9)).sum())


for problem, part in ((teaching, at_two), (measured, at_five)):
    here = problem.replace({"cuts": [part.cut]})
    program, split = relaxed(part)
    whole, rounded, uniform = (qopt.solve(here, name) for name in ("mckp", "round-up", "uniform"))
    print(f"{problem.name}, cut {part.cut}: linear program {part.base + program:.6g} with {split} fractional items")
    print(f"   whole {whole.objective:.6g} <= rounded up {rounded.objective:.6g}; one width {uniform.objective:.6g}")
    if problem is teaching:
        print(f"   real-valued {qopt.solve(here, bits='real').objective:.6g} is below all of them")
    print("   whole widths", *map(int, (*whole.plan.weights, *whole.plan.activations)))
plots.plot_bits(measured, {"whole": whole, "rounded up": rounded, "one width": uniform})
plt.show()

# %%
cost, noise, limit = at_five.cost, at_five.noise, at_five.limit
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for i, marker in ((0, "o"), (4, "s")):
    left.plot(noise[i, :6] / limit, 1e3 * cost[i, :6], marker, label=f"tensor {i + 1}, 1 to 6 bits", markersize=5)
left.set(xscale="log", xlabel="noise, share of the limit", ylabel="cost of the bits [thousandths]")
left.legend(frameon=False)
multipliers = np.geomspace(3e-6, 3e-4, 400)
dual = [(cost + price * noise).min(axis=1).sum() - price * limit + at_five.base for price in multipliers]
right.plot(multipliers, dual, color=plots.style.BLUE, label="bound of a multiplier")
right.axhline(qopt.solve(measured).objective, color=plots.style.INK, linestyle=":", label="best whole plan")
right.set(xscale="log", xlabel="multiplier $\\lambda$", ylabel="J at cut 5")
right.legend(frameon=False)
plt.show()

# %% [markdown]
# The dual stops short of the best whole plan: a **gap**. No multiplier closes it, and no cleverness about multipliers
# will.
#
# ## 3.3 Branch and bound, which writes its own proof
#
# Divide the choices into two parts, bound each part by its own multiplier, and go on until every part is closed:
# because its bound reaches the best plan known, or because even its lightest items are too noisy. The bound is a
# maximum over slopes between two items of a tensor, since there the concave, piecewise linear dual has its corners.
# Around the best slope some tensor changes its item: that tensor is split.


# %%
class BranchAndBound:
    """Depth first; `solve` returns the tree of what it did, in preorder."""

    def __init__(self, cost, noise, limit):
        self.cost, self.noise, self.limit = cost, noise, limit
        saved, added = cost[:, :, None] - cost[:, None, :], noise[:, None, :] - noise[:, :, None]
        self.prices = np.unique(np.append(0.0, saved[added > 0] / added[added > 0]).clip(0))
        self.best, self.choice, self.history = np.inf, None, []

    def solve(self, allowed):
        rows = np.arange(len(self.cost))
        if np.where(allowed, self.noise, np.inf).min(axis=1).sum() > self.limit:
            return [["leaf", 0, 1.0]]
        priced = np.where(allowed, self.cost + self.prices[:, None, None] * self.noise, np.inf)
        bounds = priced.min(axis=2).sum(axis=1) - self.prices * self.limit
        k = int(bounds.argmax())
        light, heavy = (priced[j].argmin(axis=1) for j in (min(k + 1, len(bounds) - 1), max(k - 1, 0)))
        for choice in (light, heavy):
            spent, paid = self.noise[rows, choice].sum(), self.cost[rows, choice].sum()
            if spent <= self.limit and paid < self.best:
                self.best, self.choice = paid, choice
        self.history.append((bounds[k], self.best))
        if bounds[k] >= self.best:
            return [["leaf", 1, float(self.prices[k])]]
        differ = np.flatnonzero(light != heavy)
        i = int(differ[0]) if len(differ) else int(allowed.sum(axis=1).argmax())
        first = allowed[i] & (self.noise[i] <= self.noise[i, light[i]])
        if first.sum() == allowed[i].sum():
            first = allowed[i] & (np.arange(len(first)) == light[i])
        parts = [np.where(rows[:, None] == i, side, allowed) for side in (first, allowed[i] & ~first)]
        return [["split", i, np.flatnonzero(first).tolist()], *self.solve(parts[0]), *self.solve(parts[1])]


search = BranchAndBound(cost, noise, limit)
tree = search.solve(np.ones(cost.shape, dtype=bool))
print(f"best {search.best + at_five.base:.9f}, widths", *at_five.bits[search.choice])
print(f"{len(tree)} nodes, {sum(node[0] == 'leaf' for node in tree)} of them leaves")
bounds, incumbents = at_five.base + np.array(search.history).T
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(range(1, len(bounds) + 1), bounds, "o", color=plots.style.BLUE, label="bound of the part")
ax.step(range(1, len(bounds) + 1), incumbents, where="mid", color=plots.style.INK, label="best plan so far")
ax.set(xlabel="parts, in the order of the search", ylabel="J at cut 5")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The tree is a proof, and nobody need trust the class above. The file `qopt/kernels/checker.py` needs Python and its
# standard library, nothing of qopt; it computes in whole numbers, so nothing is rounded.

# %%
instance = exchange.mckp_instance(cost, noise, limit)
witness = {"format": "qopt/kernel-witness", "version": 1, "kind": "mckp", "choice": search.choice.tolist()}
print("ours:              ", checker.check(instance, {**witness, "tree": tree}).reason)
print("multipliers 0:     ", checker.check(instance, {**witness, "tree": [["leaf", 1, 0.0]]}).reason)
print("a cheaper 'answer':", checker.check(instance, {**witness, "choice": [0] * len(cost), "tree": tree}).reason)

# %% [markdown]
# ## 3.4 A proof read by hand
#
# Three tensors, widths 1 to 4, noise in thousandths of which 500 are allowed. The kernel is asked for a tree, which
# has two kinds of leaves. `["leaf", 1, lam]` claims that $\sum_i \min_b (\text{cost} + \lambda\, \text{noise}) - 500
# \lambda$ reaches the answer; `["leaf", 0, 1]` that the least noise alone exceeds 500. The minimum runs over the
# items that the splits above leave.

# %%
small_cost = np.outer([4.0, 5.0, 3.0], [1, 2, 3, 4])
small_noise = np.array([[1400.0, 350, 90, 20], [1700, 400, 110, 30], [900, 200, 60, 10]])
answer = mckp.solve(small_cost, small_noise, 500.0)
proof = mckp.prove(small_cost, small_noise, 500.0, answer.objective, 100)
print("answer: widths", answer.choice + 1, "cost", answer.objective)
print(*proof, sep="\n")

# %%
F = Fraction
EXACT = [[(F(c), F(w)) for c, w in zip(*rows, strict=True)] for rows in zip(small_cost, small_noise, strict=True)]


def read(nodes, allowed, depth=0):
    """Least bound over the next subtree, in fractions; says what it reads."""
    node = next(nodes)
    if node[0] == "split":
        _, i, columns = node
        rest = [j for j in allowed[i] if j not in columns]
        print("   " * depth + f"tensor {i + 1}: {[j + 1 for j in columns]} bits, or {[j + 1 for j in rest]}")
        return min(read(nodes, allowed | {i: side}, depth + 1) for side in (columns, rest))
    _, a, lam = node
    parts = [min(a * EXACT[i][j][0] + F(lam) * EXACT[i][j][1] for j in js) for i, js in allowed.items()]
    value = sum(parts) - F(lam) * 500
    said = f"costs at least {float(value):.4f}" if a else f"exceeds the limit by {float(value):g}"
    terms = " + ".join(f"{float(x):.3f}" for x in parts)
    print("   " * depth + f"lam = {float(lam):.5f}: {terms} - {float(F(lam) * 500):.3f}: {said}")
    assert a or value > 0
    return value if a else F(10**9)


least = read(iter(proof), {i: [0, 1, 2, 3] for i in range(3)})
print(f"every choice costs at least {float(least):.4f}; sums of whole costs are whole, so at least {-(-least // 1)}")
small = exchange.mckp_instance(small_cost, small_noise, 500.0)
print("the checker's bound:", checker.tree_bound(checker.Knapsack(small), proof))

# %% [markdown]
# That is all. A few additions of fractions show that no choice of widths costs less than the answer, whoever found
# it.
#
# ## 3.5 Pareto lists
#
# One more way to solve the problem answers all limits at once. Merge the tensors one by one; keep of the partial sums
# those that no other beats in both noise and cost (Nemhauser and Ullmann, 1969). With costs from a small set the
# lists stay short.


# %%
def pareto(points):
    """Points (noise, cost) that no other one beats, by rising noise."""
    kept = []
    for point in sorted(set(points)):
        if not kept or point[1] < kept[-1][1]:
            kept.append(point)
    return kept


lists = [[(0.0, 0.0)]]
for costs, noises in zip(cost, noise, strict=True):
    items = list(zip(noises.tolist(), costs.tolist(), strict=True))
    lists.append(pareto((w + dw, round(c + dc, 12)) for w, c in lists[-1] for dw, dc in items))
print("labels after each tensor:", [len(kept) for kept in lists], "of", [16**i for i in range(7)])
front = mckp.front(cost, noise)
print(
    "the kernel has", len(front), "points; least cost within the limit", round(front.at(limit).cost + at_five.base, 9)
)
fig, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
ax.step(*np.array(lists[-1]).T, where="post", color=plots.style.BLUE, label="all Pareto points")
limits = np.geomspace(1, 3000, 60)
ax.plot(
    limits,
    [mckp.lp_bound(cost, noise, w) for w in limits],
    color=plots.style.ORANGE,
    linestyle="--",
    label="linear program",
)
ax.axvline(limit, color=plots.style.INK, linestyle=":", label="limit")
ax.set(xscale="log", xlim=(1, 3000), ylim=(0.005, 0.035), xlabel="noise", ylabel="cost of the bits")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The dashed curve is the lower hull of the staircase, as convex as the staircase is not. `qopt.solve` combines the
# ideas: reduced costs fix most items, lists with bounds search the rest, and a tree is written for the checker.
#
# ## Exercises
#
# ### Exercise 1: read a proof, and break it
#
# Multiply the multiplier of one leaf of the proof in 3.4 by a factor, 0.5 to 1.5: for which factors does the proof
# still hold, and which leaf allows fewest? And what is still true of the answer when the proof does not hold?


# %% [solution]
def bound_of(leaf, stretch):
    """What the tree proves with the multiplier of one leaf stretched."""
    changed = [list(node) for node in proof]
    changed[leaf][2] *= stretch
    return checker.tree_bound(checker.Knapsack(small), changed)


leaves = [k for k, node in enumerate(proof) if node[0] == "leaf" and node[1] == 1]
tried = np.linspace(0.5, 1.5, 101)
for leaf in leaves:
    holds = [x for x in tried if bound_of(leaf, float(x)) >= Fraction(answer.objective)]
    print(f"node {leaf}: holds for factors from {min(holds):.2f} to {max(holds):.2f}")

# %% [markdown] [solution]
# A leaf's bound is concave in its multiplier, so the factors that serve are an interval; node 5 has the shortest. Node
# 8 proves 33 and no more, yet bears every factor, since its multiplier is 0. Outside of the interval the *proof*
# fails, and the answer is as good as before: a certificate can be wrong about an optimal plan, but not right about
# another one. *Learned*: a multiplier need not be the best, only good enough, which is why floating-point multipliers
# can be checked in exact arithmetic.

# %% [markdown]
# ### Exercise 2: beat rounding up
#
# Write a rounding heuristic that starts from the real-valued widths rounded up and takes bits away again while the
# noise allows it. Compare it with rounding up and with the optimum on a hundred random problems whose noise follows
# the law.

# %% [solution]
WIDTHS = np.arange(1, 17)


def trimmed(price, c, allowed, widths):
    """Take the dearest bit away that the noise allows, again and again."""
    widths = widths.copy()
    while True:
        spent = c * 4.0**-widths
        fits = (widths > 1) & (spent.sum() - spent + 4 * spent <= allowed)
        if not fits.any():
            return widths
        widths[np.argmax(np.where(fits, price, -1.0))] -= 1


rng = np.random.default_rng(0)
above_round, above_trim = [], []
for _ in range(100):
    n = int(rng.integers(4, 16))
    price, c = 10 ** rng.uniform(0, 2, n), 10 ** rng.uniform(0, 4, n)
    allowed = 0.01 * c.sum()
    real = kernels.waterfill.allocate(price, c, allowed, 1, 16).bits
    up = np.ceil(real - 1e-9).astype(int)
    best = mckp.solve(np.outer(price, WIDTHS), c[:, None] * 4.0**-WIDTHS, allowed).objective
    above_round.append(100 * (price @ up / best - 1))
    above_trim.append(100 * (price @ trimmed(price, c, allowed, up) / best - 1))
print("rounded up is more than 5 % above the optimum on average:", np.mean(above_round) > 5)
print("trimmed is less than half as far above:", np.mean(above_trim) < np.mean(above_round) / 2)
fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.boxplot([above_round, above_trim], tick_labels=["rounded up", "trimmed"])
ax.set_ylabel("above the optimum [%]")
plt.show()

# %% [markdown] [solution]
# Rounding up leaves a part of the noise unspent, about as much as the tensors' fractions come to; trimming spends it
# on the dearest bits. It never raises a width that rounding lowered, so swaps are missed and a distance to the
# optimum remains. *Learned*: a feasible start and greedy exchanges get most of what there is, and only a bound or an
# exact method says how much is left.

# %% [markdown]
# ### Exercise 3: how much is fractional?
#
# Show that a vertex of the linear program of 3.1 splits at most one tensor between two items. Check it on twenty
# random knapsacks. What follows for the gap between the linear program and the whole optimum as the number of tensors
# grows?

# %% [solution]
rng = np.random.default_rng(1)
split, gaps = [], []
for n in [5] * 10 + [50] * 10:
    price, c = 10 ** rng.uniform(0, 2, n), 10 ** rng.uniform(0, 4, n)
    table_cost, table_noise, allowed = np.outer(price, WIDTHS), c[:, None] * 4.0**-WIDTHS, 0.01 * c.sum()
    one_each = np.kron(np.eye(n), np.ones(16))
    found = linprog(table_cost.ravel(), table_noise.reshape(1, -1), [allowed], one_each, np.ones(n), method="highs-ds")
    taken = found.x.reshape(n, 16) > 1e-9
    split.append(int((taken.sum(axis=1) > 1).sum()))
    gaps.append(mckp.solve(table_cost, table_noise, allowed).objective / found.fun - 1)
print("tensors split:", split)
print("mean gap with 50 tensors below a fifth of that with 5:", np.mean(gaps[10:]) < np.mean(gaps[:10]) / 5)
assert all(a >= 0 for a, _ in pairwise([*gaps, 0.0]))

# %% [markdown] [solution]
# There are $n + 1$ rows, so a vertex has at most $n + 1$ variables above 0. Each of the $n$ tensors needs one; one is
# left over, and makes one tensor a mixture of two items. Taking the lighter of the two gives a feasible whole plan,
# so the gap is at most the cost of one step of one tensor, however many there are: relative to the optimum it falls
# like $1/n$. *Learned*: few coupling rows mean few fractions. With a memory row there are at most two, with $m$ rows
# $m$.
