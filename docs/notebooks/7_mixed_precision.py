# The source of 7_mixed_precision.ipynb: edit this, then run docs/execute_notebooks.py.
# ruff: noqa: E402

# %% [markdown]
# # 7. Mixed precision of a language model
#
# A language model of 0.75 billion weights takes 1.5 GB at 16 bits. A phone gives it 400 MB. Each of its 187 tensors
# can be stored in one of 37 block formats, from 1.6 to 16 bits a weight: $37^{187}$ plans. *Which one does the least
# damage, how does one know, and is the table on which the answer rests to be believed?*
#
# After this notebook the reader can
#
# * state mixed precision as a knapsack, and read a plan that is kept to the byte,
# * prove it with one multiplier, and say how many tensors the multiplier alone settles,
# * audit a recipe and a greedy list against the optimum,
# * test on a small model whether the damages of single tensors predict that of a plan.
#
# The table of the large model is data of the **GGUF Tool Suite, by Thireus and its contributors**. The pages are
# [allocation](../allocation.md) and [a language model](../language-model.md).
#
# In section 7.5 numbers agree within 10 %: float32 sums differ from processor to processor, and other versions of
# Python ship another manual.

# %%
import sys

import matplotlib.pyplot as plt
import numpy as np

import qopt
from qopt import plots
from qopt.allocation.certificate import closing
from qopt.kernels.knapsack.relaxation import frontier

model = qopt.load("allocation/qwen3.5-0.8b")
print(model)
bytes_of = model.resources["bytes"].use
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, marker in (("token_embd.weight", "o"), ("blk.0.ssm_out.weight", "s"), ("blk.12.ffn_up.weight", "D")):
    g = model.place[name]
    shown = model.damage[g] > 0
    ax.plot(bytes_of[g][shown] / 1e6, model.damage[g][shown], marker, markersize=5, label=name)
ax.set(xscale="log", yscale="log", xlabel="MB", ylabel="damage")
ax.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## 7.1 The model
#
# Groups $g$ (tensors) take one format $f$ each, with damage $d_{gf}$ and bytes $r_{gf}$:
#
# $$\min \sum_{g,f} d_{gf}\, x_{gf} \quad\text{subject to}\quad \sum_{g,f} r_{gf}\, x_{gf} \le R, \qquad
# \sum_f x_{gf} = 1 \text{ for each } g,\qquad x \text{ binary}.$$
#
# *Assumed*: formats rank alike in all tensors, so a tensor's damage in a format is its own divergence in one coarse
# format, scaled by what the format does to the whole model. And damages add up. Both are assumptions, not facts;
# everything up to 7.4 is exact given the table.
#
# Formats that are larger and do more damage than another are never chosen. Of the rest, what counts is the slope: how
# much damage a byte takes away.

# %%
solution = qopt.solve(model)
cost = solution.certificate.cost
print(f"damage {solution.objective:.7f}, {solution.status}; {cost.resources['bytes']:,.0f} B of 400,000,000 B")
print(solution.certificate)
plots.plot_formats(model, solution.plan)
plt.show()

# %% [markdown]
# Not a byte above the budget: bytes are whole numbers, and are compared as whole numbers.
#
# ## 7.2 Why it is the best: one multiplier
#
# Give every byte a price $\lambda$. Then each tensor chooses for itself, and whatever the price, no plan within the
# budget does less damage than
#
# $$D(\lambda) = \sum_g \min_f (d_{gf} + \lambda r_{gf}) - \lambda R .$$
#
# A price alone rarely closes the gap, but it settles most tensors: a format whose *reduced cost*
# $(d_{gf} + \lambda r_{gf}) - \min_h (d_{gh} + \lambda r_{gh})$ is more than what is open is in no better plan.

# %%
budget = model.resources["bytes"].budget - model.resources["bytes"].fixed
best = closing.best_multiplier(model.damage, bytes_of, budget)
prices = best.multiplier * np.geomspace(0.3, 3, 61)
bounds = [closing.lagrangian(model.damage, bytes_of, budget, price) for price in prices]
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.plot(1e6 * prices, bounds, color=plots.style.BLUE, label="bound of a price")
ax.axhline(solution.objective, color="black", linestyle=":", label="the plan's damage")
ax.set(xscale="log", xlabel="price of a megabyte [damage]", ylabel="damage")
ax.legend(frameon=False)
plt.show()
still_open = solution.objective - best.bound
print(f"best bound {best.bound:.9f}, plan {solution.objective:.9f}: open {still_open / solution.objective:.1e} of it")
priced = model.damage + best.multiplier * bytes_of
reduced = priced - priced.min(axis=1)[:, None]
left = (reduced <= still_open).sum(axis=1)
closed = closing.enumerate_below(model.damage, bytes_of, budget, solution.objective, best, exact=True)
print(f"{(left == 1).sum()} of {len(left)} tensors are settled by the price alone")
print("the rest, listed: fewer than ten thousand sums:", closed.labels < 10_000, "; nothing better:", closed.complete)

# %% [markdown]
# ## 7.3 Every budget, and what others do
#
# A greedy list takes the best next step of damage per byte; a single format for all tensors takes none. Each is set
# beside the proved optimum of the same budget.

# %%
elements = bytes_of[:, -1].sum() / 2  # bf16 takes two bytes a weight
bits = np.arange(2.0, 8.01, 1.0)
found = {"optimum": [], "greedy": [], "one format": []}
for size in (bits * elements / 8).astype(int).tolist():
    problem = model.with_budgets(bytes=size)
    found["optimum"].append(qopt.solve(problem).objective)
    found["greedy"].append(qopt.solve(problem, "greedy").objective)
    fits = bytes_of.sum(axis=0) + model.resources["bytes"].fixed <= size
    found["one format"].append(model.damage.sum(axis=0)[fits].min())
fig, (left_ax, right_ax) = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
colors = plots.style.BLUE, plots.style.ORANGE, plots.style.GREEN
for (name, values), marker, color in zip(found.items(), "os^", colors, strict=True):
    left_ax.plot(bits, values, marker=marker, color=color, markersize=5, label=name)
    if name != "optimum":
        above = 100 * (np.array(values) / found["optimum"] - 1)
        right_ax.plot(bits, np.maximum(above, 1e-4), marker=marker, color=color)
        print(f"{name:10} above the optimum at 2 to 8 bits [%]:", *(f"{x:.3g}" for x in above))
left_ax.set(yscale="log", xlabel="bits a weight", ylabel="damage")
right_ax.set(yscale="log", xlabel="bits a weight", ylabel="above the optimum [%]")
left_ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 7.4 An audit
#
# The recipe that many would write: the embedding at six bits, all else at four. What does it weigh, and what would
# the same bytes buy?

# %%
recipe = {name: "q6_K" if name == "token_embd.weight" else "q4_K" for name in model.groups}
found = qopt.audit(model, recipe)
print(found)
moved = {}
for name, theirs, ours in found.changes:
    kind = name.split(".")[2] if name.startswith("blk") else name.split(".")[0]
    before, after = (model.formats.index(f) for f in (theirs, ours))
    g = model.place[name]
    moved.setdefault(kind, []).append((bytes_of[g, after] - bytes_of[g, before]) / 1e6)
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
kinds = sorted(moved, key=lambda k: sum(moved[k]))
ax.barh(kinds, [sum(moved[k]) for k in kinds], color=plots.style.BLUE)
ax.set_xlabel("MB given (right) or taken (left) by the optimum")
plt.show()

# %% [markdown]
# ## 7.5 Is the table to be believed?
#
# The optimum is that of a table. Whether damages add up is for measurement to say. A model small enough to look at
# every tensor: two transformer blocks on characters, trained on the manual that Python ships. Its score is the loss
# per token, a number without bounds, and what is resampled for an interval is a whole sequence.
#
# How hard a sequence is varies much more than what quantization adds to it, so losses are *paired*, sequence by
# sequence (left). On the right the loss of uniform widths, with the 0.5 % that the request allows.

# %%
sys.path.append("../../instances/tiny_lm")
import torch
from text import divided, sequences

from qopt.measuring.language import LossPerToken, token_loss
from qopt.measuring.loading import load_module
from qopt.measuring.plans import PlanRunner, Widths
from qopt.measuring.profile import trace
from qopt.measuring.sensitivity import Sensitivity

torch.set_num_threads(1)
FOLDER = "../../instances/tiny_lm"
network = trace(*load_module(f"{FOLDER}/model.py:network", f"{FOLDER}/tiny-lm.safetensors"))
test = sequences(divided()["held out"]).split([48, 200, 400], seed=0)[2][:200]
losses = token_loss(network(test.x), test.labels).numpy()
measured = Sensitivity.load(f"{FOLDER}/sensitivity.json")
unit = float(losses.mean())
runner = PlanRunner(network, test, measured, score=LossPerToken(unit))
cut, high = len(network), int(measured.bits[-1])
uniform = {b: Widths((b,) * cut, (high,)) for b in (3, 4, 5, 6, 8)}
after = -runner.run(uniform[4])[0] * unit
fig, (left_ax, right_ax) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left_ax.scatter(losses, after, s=6)
left_ax.plot([losses.min(), losses.max()], [losses.min(), losses.max()], color="gray", lw=0.8)
left_ax.set(xlabel="loss per token, unquantized", ylabel="loss per token, 4 bits")
for b, widths in uniform.items():
    lost = runner.loss(widths)
    right_ax.errorbar(
        b, 100 * lost.value, [[100 * (lost.value - lost.low)], [100 * (lost.high - lost.value)]], fmt="ko"
    )
right_ax.axhline(0.5, color="gray", lw=0.8)
right_ax.set_yscale("symlog", linthresh=0.1)
right_ax.set(xlabel="bits of every weight", ylabel="more loss per token (%)")
plt.show()

# %% [markdown]
# The bundled request, a keyboard with 48 KiB for weights that keeps what is typed, is solved as in
# [notebook 3](3_whole_bits.ipynb), and its plan is run. The table predicted that it stays within 0.5 %; the limit was
# calibrated on other sequences.

# %%
problem = qopt.load("qpart/tiny-lm")
small = qopt.solve(problem)
print(small.status, "cut", small.plan.cut, "weights", [int(b) for b in small.plan.weights])
lost = runner.loss(Widths.of(small.plan))
print("more loss per token at most 0.5 %:", lost.value <= 0.005, "; its interval reaches beyond 1 %:", lost.high > 0.01)
first = network.layers[: small.plan.cut]
sizes = [4e-3 * layer.parameters for layer in first]
kept = [layer.parameters * b / 8e3 for layer, b in zip(first, small.plan.weights, strict=True)]
fig, ax = plt.subplots(figsize=(9, 2.6), layout="constrained")
ax.bar(range(len(first)), sizes, color="0.8", label="float32")
ax.bar(range(len(first)), kept, color="0.3", label="the plan")
ax.set_xticks(range(len(first)), [layer.name for layer in first], rotation=30)
ax.set_ylabel("kB of weights")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# What a proof takes away is one doubt out of three: a better plan *of this table* does not exist. That damages add
# up, and that formats rank alike, stays for measurement.
#
# ## Exercises
#
# ### Exercise 1: read a price
#
# At the best multiplier of 7.2, how much damage is a megabyte worth? Find the formats that `token_embd.weight` would
# choose at a tenth of that price, at the price, and at ten times the price.

# %% [solution]
g = model.place["token_embd.weight"]
megabyte = 1e6 * best.multiplier
print(f"a megabyte is worth {megabyte:.2e} of damage, {megabyte / solution.objective:.2%} of all")
for factor in (0.1, 1.0, 10.0):
    f = int((model.damage[g] + factor * best.multiplier * bytes_of[g]).argmin())
    print(f"{factor:4g} times the price: {model.formats[f]:8} {bytes_of[g, f] / 1e6:6.1f} MB")
print("in the optimal plan:", solution.plan.formats["token_embd.weight"])

# %% [markdown] [solution]
# The dearer a byte, the lighter the format; between its corners the choice stands still. The optimal plan has what
# the price says, except for the few tensors that 7.2 leaves open. *Learned*: with one coupling row a price decides
# everything but a handful of tensors, which is why 187 tensors take milliseconds.

# %% [markdown]
# ### Exercise 2: turn the model round
#
# What is the least number of bytes that does no more damage than the recipe of 7.4? And what does it cost to split
# the 400 MB into a pool of 300 MB on the device and one of 100 MB beside it?

# %% [solution]
damage = found.certificate.cost.damage
least = qopt.solve(model.replace({"minimise": "bytes", "damage_limit": damage, "resources.bytes.budget": None}))
print(f"{least.objective / 1e6:.1f} MB do the damage of {found.certificate.cost.resources['bytes'] / 1e6:.1f} MB")
pools = {"resource": "bytes", "budgets": {"device": 300_000_000, "host": 100_000_000}}
split = qopt.solve(model.replace({"resources.bytes.budget": None, "pools": pools}))
print(f"{split.status}: damage {split.objective:.7f} in two pools, {solution.objective:.7f} in one")

# %% [markdown] [solution]
# The constraint becomes the objective and the other way round; the front is the same, read along the other axis. Two
# pools are two knapsack rows, a restriction, and could cost something; with 187 tensors of many sizes there is a way
# to fill both to the byte. *Learned*: many small items make coupling rows nearly free, one large item (the embedding
# is a third of the model) would not.

# %% [markdown]
# ### Exercise 3: write the greedy list
#
# Write the greedy of slopes: begin with each tensor's lightest format, and take steps along the lower hulls of the
# tensors in the order of damage saved per byte while they fit (`frontier` gives the steps, steepest first). What does
# skipping a step that does not fit, and going on, gain over stopping there? Compare both with the bound.

# %% [solution]
_, steps = frontier(model.damage, bytes_of)


def greedy(go_on):
    """Damage of the greedy's plan, which stops at the first step that does not fit, or leaves that tensor as it is."""
    choice, blocked = steps.start.copy(), set()
    room = budget - bytes_of[np.arange(len(choice)), choice].sum()
    for owner, item, load in zip(steps.owner.tolist(), steps.item.tolist(), steps.load.tolist(), strict=True):
        if owner in blocked:
            continue
        if load > room:
            if not go_on:
                break
            blocked.add(owner)
            continue
        choice[owner], room = item, room - load
    return model.damage[np.arange(len(choice)), choice].sum()


for go_on, name in ((False, "stops"), (True, "goes on")):
    print(f"greedy that {name:8} {100 * (greedy(go_on) / best.bound - 1):.4f} % above the bound")
print(f"the optimum         {100 * (solution.objective / best.bound - 1):.4f} % above the bound")

# %% [markdown] [solution]
# Up to the step that does not fit, the greedy follows the linear program exactly; the bound is that step taken in
# part. So whoever stops there loses at most one step, and whoever goes on fills what is left with smaller ones.
# *Learned*: the greedy is not a guess but a rounded optimum of the relaxation, and carries its own bound; that is why
# greedy tools do well here, and why the exact method has little left to find. It is the proof that they lack.
