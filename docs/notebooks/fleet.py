# The source of fleet.ipynb: edit this, then run docs/execute_notebooks.py.

# %% [markdown]
# # Congestion prices move the cut
#
# A request alone takes the cut that is best for it. Many requests that do so overload servers and links. What should
# each do, and how do we know that nothing is much better? A price for every second of a server and of airtime answers
# both.

# %%
import matplotlib.pyplot as plt

import qopt
from qopt.fleet.witness import prices

fleet = qopt.generate.fleet(200, seed=4, classes=1, options=5, servers=1, cells=1, load=1.0, deadlines=False)
print(fleet)
print(*next(iter(fleet.classes.values())).name, sep="\n")

# %% [markdown]
# ## From plenty to scarcity
#
# At first the capacities are what all would like. We take them away bit by bit. The bound of the prices is exact, in
# whole numbers, and the plan is near it.

# %%
shares = (1.0, 0.8, 0.6, 0.4, 0.2)
problems, plans, worth = [], [], []
for share in shares:
    problem = qopt.generate.fleet(200, seed=4, classes=1, options=5, servers=1, cells=1, load=share, deadlines=False)
    solution = qopt.solve(problem, "lagrangian")
    own = qopt.solve(problem, "own-best")
    problems.append(problem)
    plans.append(solution.plan)
    worth.append(prices(problem, solution.witness))
    print(
        f"capacities {share:.0%}: refused {solution.certificate.cost.refused:3d}, each its own best "
        f"{own.certificate.cost.refused:3d}; {own.objective / solution.objective:.2f} times the cost; gap below 2 %: "
        f"{solution.certificate.gap < 0.02}"
    )

# %% [markdown]
# ## What a second is worth

# %%
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for field in worth[0]:
    ax.plot([100 * s for s in shares], [w[field] / 1e6 for w in worth], marker="o", label=field)
ax.set_xlabel("capacities, % of what all would like")
ax.set_ylabel("price of a second")
ax.invert_xaxis()
ax.legend()

# %% [markdown]
# ## What it costs not to know them
#
# Each its own best, until nothing is left, beside the prices' plan: cost, and who is refused.

# %%
costs = {"by prices": [], "own best": []}
refused = {"by prices": [], "own best": []}
for problem, plan in zip(problems, plans, strict=True):
    for name, made in (("by prices", plan), ("own best", qopt.solve(problem, "own-best").plan)):
        cost = qopt.certify(problem, made).cost
        costs[name].append(cost.objective / 1e6)
        refused[name].append(cost.refused)
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, values in costs.items():
    ax.plot([100 * s for s in shares], values, marker="o", label=name)
ax.set_xlabel("capacities, % of what all would like")
ax.set_ylabel("cost of all requests")
ax.invert_xaxis()
ax.legend()

# %%
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, values in refused.items():
    ax.plot([100 * s for s in shares], values, marker="o", label=name)
ax.set_xlabel("capacities, % of what all would like")
ax.set_ylabel("requests refused")
ax.invert_xaxis()
ax.legend()

# %% [markdown]
# ## The cut moves
#
# As prices rise, requests move to options that use less of what is dear, and in the end to their device.

# %%
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
qopt.plots.plot_options(problems, plans, [-100 * s for s in shares], ax=ax)
ax.set_xlabel("capacities, % of what all would like, falling")

# %% [markdown]
# ## What is full
#
# A price above zero belongs to a capacity that is used up; what has room left is free.

# %%
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
used = qopt.certify(problems[2], plans[2]).constraints
used = [row for row in used if hasattr(row, "limit") and row.limit and row.limit > 1]
ax.barh([row.name for row in used], [100 * row.used / row.limit for row in used], color="0.4")
ax.set_xlabel("used, % of the capacity")
# %% [markdown]
# ## Without a solver
#
# Whoever doubts the bound recomputes it from the prices, in one pass over the requests.

# %%
solution = qopt.solve(problems[2], "lagrangian")
certificate = qopt.certify(problems[2], solution.plan, solution.witness)
print(certificate.kind, certificate.feasible, certificate.bound <= certificate.objective)
