# The source of allocation.ipynb: edit this, then run docs/execute_notebooks.py.

# %% [markdown]
# # A language model under 400 MB
#
# A language model of 0.75 billion weights takes 1.5 GB at 16 bits. A phone gives it 400 MB. Each of its 187 tensors
# can
# be stored in one of 37 block formats, from 1.6 to 16 bits a weight: $37^{187}$ plans. Which one does the least
# damage,
# and how do we know?
#
# The table is data of the **GGUF Tool Suite, by Thireus and its contributors**: the bytes of every tensor in every
# format,
# the divergence of the model with one tensor at a time in a coarse format, and with all tensors in each format.

# %%
import matplotlib.pyplot as plt
import numpy as np

import qopt
from qopt.allocation.certificate import closing

model = qopt.load("allocation/qwen3.5-0.8b")
print(model)
print(model.source)

# %% [markdown]
# ## The table
#
# *Assumed*: formats rank alike in all tensors, so a tensor's damage in a format is its own divergence in the coarse
# format,
# scaled by what the format does to the whole model. And damages add up. Both are assumptions, not facts; everything
# below is exact given the table.

# %%
use = model.resources["bytes"].use
rows = [model.place[name] for name in ("token_embd.weight", "blk.0.ssm_out.weight", "blk.12.ffn_up.weight")]
fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for g, marker in zip(rows, "osD", strict=True):
    shown = model.damage[g] > 0
    ax.plot(use[g][shown] / 1e6, model.damage[g][shown], marker, markersize=5, label=model.groups[g])
ax.set(xscale="log", yscale="log", xlabel="MB", ylabel="damage")
ax.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# Formats that are larger and do more damage than another are never chosen. Of the rest, what counts is the slope:
# how much
# damage a byte takes away.
#
# ## A plan, and what it weighs

# %%
solution = qopt.solve(model)
print(solution.report())

# %% [markdown]
# Not a byte above the budget: bytes are whole numbers, and are compared as whole numbers. The certificate needed
# nothing
# but the table and the plan.

# %%
qopt.plots.plot_formats(model, solution.plan)
plt.show()

# %% [markdown]
# ## Why it is the best: one multiplier
#
# Give every byte a price $\lambda$. Then each tensor chooses for itself, and whatever the price, no plan within the
# budget
# does less damage than
#
# $$D(\lambda) = \sum_g \min_f (d_{gf} + \lambda r_{gf}) - \lambda R .$$

# %%
budget = model.resources["bytes"].budget - model.resources["bytes"].fixed
best = closing.best_multiplier(model.damage, use, budget)
prices = best.multiplier * np.geomspace(0.3, 3, 61)
bounds = [closing.lagrangian(model.damage, use, budget, price) for price in prices]
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.plot(prices, bounds, label="bound of a price")
ax.axhline(solution.objective, color="black", linewidth=0.8, label="the plan's damage")
ax.set(xscale="log", xlabel="price of a byte", ylabel="damage")
ax.legend(frameon=False)
plt.show()
print(f"best bound {best.bound:.9f}, plan {solution.objective:.9f}")
print(f"open: {(solution.objective - best.bound) / solution.objective:.2e} of the damage")

# %% [markdown]
# The bound comes within a hundredth of a percent, and a price alone rarely closes the rest. But it settles most
# tensors: a
# format whose reduced cost is more than what is open is in no better plan. What is left can be enumerated.

# %%
priced = model.damage + best.multiplier * use
reduced = priced - priced.min(axis=1)[:, None]
open_formats = (reduced <= solution.objective - best.bound).sum(axis=1)
closed = closing.enumerate_below(model.damage, use, budget, solution.objective, best, exact=True)
print(f"{(open_formats == 1).sum()} of {len(open_formats)} tensors are settled by the price alone")
print("fewer than ten thousand sums:", closed.labels < 10_000, "- and nothing better is left:", closed.complete)

# %% [markdown]
# ## Every budget, and what others do
#
# Greedy lists and single formats, at the same budgets. Each gets its true gap from the same certificate.

# %%
elements = use[:, -1].sum() / 2  # bf16 takes two bytes a weight
bits = np.arange(2.0, 8.01, 0.5)
budgets = [int(b * elements / 8) for b in bits]
qopt.plots.plot_budgets(model, budgets, methods=("auto", "greedy", "uniform"))
plt.show()

# %%
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for method, marker in (("greedy", "o"), ("beam", "s")):
    gaps = []
    for size in budgets:
        other = qopt.solve(model.with_budgets(bytes=size), method)
        assert other.certificate.cost.resources["bytes"] <= size
        gaps.append(100 * other.certificate.gap)
    ax.plot(bits, np.maximum(gaps, 1e-4), marker, linestyle="-", label=method)
ax.set(yscale="log", xlabel="bits a weight", ylabel="gap [%]")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## An audit
#
# The recipe that many would write: the embedding at six bits, all else at four. What does it weigh, and what would
# the
# same bytes buy?

# %%
recipe = {name: "q6_K" if name == "token_embd.weight" else "q4_K" for name in model.groups}
found = qopt.audit(model, recipe)
print(found)

# %%
kinds = {}
for name, theirs, ours in found.changes:
    kind = name.split(".")[2] if name.startswith("blk") else name.split(".")[0]
    before, after = (model.formats.index(f) for f in (theirs, ours))
    g = model.place[name]
    kinds.setdefault(kind, []).append((use[g, after] - use[g, before]) / 1e6)
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
names = sorted(kinds, key=lambda k: sum(kinds[k]))
ax.barh(names, [sum(kinds[k]) for k in names])
ax.set_xlabel("MB given (right) or taken (left) by the optimum")
plt.show()

# %% [markdown]
# ## The other way round, and two memories
#
# The least bytes at the recipe's damage:

# %%
damage = found.certificate.cost.damage
least = qopt.solve(model.replace({"minimise": "bytes", "damage_limit": damage, "resources.bytes.budget": None}))
print(f"{least.objective / 1e6:.1f} MB do the damage of {found.certificate.cost.resources['bytes'] / 1e6:.1f} MB")
print(least.status)

# %% [markdown]
# And 300 MB on the device with 100 MB beside it: nothing is lost, since 187 tensors can be packed to the byte.

# %%
pools = {"resource": "bytes", "budgets": {"device": 300_000_000, "host": 100_000_000}}
split = qopt.solve(model.replace({"resources.bytes.budget": None, "pools": pools}))
print(split.status, split.certificate.cost.pools)
print(f"damage {split.objective:.6f}, in one pool {solution.objective:.6f}")

# %% [markdown]
# ## What this does not say
#
# The optimum is that of a table. Whether damages add up and whether formats rank alike is for measurement to say:
# pack the
# plan, measure the model, and compare. What the proof takes away is one doubt out of three: a better plan of this
# table
# does not exist.
