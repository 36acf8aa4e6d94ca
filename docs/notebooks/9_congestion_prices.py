# The source of 9_congestion_prices.ipynb: edit this, then run docs/execute_notebooks.py.

# %% [markdown]
# # 9. Congestion prices of a fleet
#
# A request alone takes the cut that is best for it, as in [notebook 2](2_break_even.ipynb). Many requests that do so
# overload servers and links. *What should each do, and how does one know that nothing is much better?* A price for
# every second of a server and of airtime answers both.
#
# After this notebook the reader can
#
# * relax coupling capacities with prices, so that a million choices fall apart into single ones,
# * find the prices by a subgradient method of ten lines, and by bisection,
# * make a plan from prices, and bound what it may lose,
# * read a price as the worth of a capacity, and watch it move the cut.
#
# The authors of QPART name this problem as future work. The page is [fleet](../fleet.md).

# %%
import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo

import qopt
from qopt import formulations, plots
from qopt.fleet.witness import prices

teaching = qopt.load("fleet/teaching-4")
print(teaching.description)

# %% [markdown]
# ## 9.1 The model, and four cameras
#
# Request $r$ takes one option $o$ of its class: a server, a cut, widths. An option costs $J_{ro}$ and uses $u_{k,ro}$
# of capacity $k$. Refusing is an option of every request, at a penalty and without use, so there is always a plan.
#
# $$\min \sum_r J_{r,o_r} \quad\text{subject to}\quad \sum_r u_{k,r,o_r} \le C_k \text{ for every } k.$$
#
# Without the capacities every request would choose for itself. So give each a price $\lambda_k \ge 0$:
#
# $$L(\lambda) = \sum_r \min_o \Bigl( J_{ro} + \sum_k \lambda_k u_{k,ro} \Bigr) - \sum_k \lambda_k C_k
# \;\le\; \text{optimum} .$$
#
# $L$ is concave, the least of linear functions, one for each way in which all requests may choose; its slope in
# $\lambda_k$ is *what they use less what there is*. The arrays of a fleet with one class, one server and one cell:


# %%
def arrays(fleet):
    """Costs (n, options), uses (capacities, n, options), capacities and their names; column 0 is the refusal."""
    (options,), (server,), (cell,) = (list(x.values()) for x in (fleet.classes, fleet.servers, fleet.cells))
    asked, n = fleet.requests, len(fleet.requests)
    up, down = (np.zeros(n) if (x := asked.column(name)) is None else x for name in ("up", "down"))
    cost = (
        options.column("cost") + np.outer(up, options.column("cost_up")) + np.outer(down, options.column("cost_down"))
    )
    rows = [
        ("work", server.work, np.tile(options.column("work"), (n, 1))),
        ("airtime up", cell.up, np.outer(up, options.column("up"))),
        ("airtime down", cell.down, np.outer(down, options.column("down"))),
    ]
    names, limits, uses = zip(*(row for row in rows if row[1] is not None), strict=True)
    use = np.stack([np.column_stack([np.zeros(n), each]) for each in uses])
    return np.column_stack([asked.penalty, cost]), use, np.array(limits, dtype=float), names


def dual(data, lam):
    """L(lam), its slope in every price, and what each request chooses."""
    cost, use, limits, _ = data
    priced = cost + np.tensordot(lam, use, 1)
    choice = priced.argmin(axis=1)
    used = use[:, np.arange(len(cost)), choice].sum(axis=1)
    return priced.min(axis=1).sum() - lam @ limits, used - limits, choice


cameras = arrays(teaching)
print("costs", *cameras[0], "work", *cameras[1][0], sep="\n  ")
for price in (0.0, 0.5, 1.0, 2.0):
    bound, slope, choice = dual(cameras, np.array([price, 0.0]))
    print(f"price of work {price}: all choose {choice}, at least {bound:g}, use less capacity {slope}")
best = qopt.solve(teaching)
print(f"the optimum: {best.objective:g}, options {best.plan.option}, {best.status}")

# %% [markdown]
# At a price of 0 everybody wants cut 1 and the server is overloaded; at a price of 1 the two cuts are worth the same.
# The bound is 24, the optimum 26: with four requests there is a gap. It does not grow with the number of requests.
#
# ## 9.2 Prices by subgradients
#
# Two hundred requests, three capacities, of which each is 60 % of what all would like. Raise the price of what is
# overloaded, lower that of what has room, in steps that shrink (Polyak's rule: the step is what is missing to a
# target, over the squared length of the slope). Prices are scaled by their capacities, so that seconds of a server
# and of airtime are alike.


# %%
def small(share, **more):
    """Two hundred requests of one class, capacities a share of what all would like."""
    asked = {"seed": 4, "classes": 1, "options": 5, "servers": 1, "cells": 1, "deadlines": False, **more}
    return qopt.generate.fleet(200, load=share, **asked)


def subgradient(data, target, rounds=150):
    """The best prices of some rounds, their bound, and all bounds."""
    limits = data[2]
    scaled, best, bounds = np.zeros(len(limits)), (-np.inf, None), []
    for k in range(rounds):
        bound, slope, _ = dual(data, scaled / limits)
        bounds.append(bound)
        best = max(best, (bound, tuple(scaled / limits)))
        slope = slope / limits
        scaled = np.maximum(0.0, scaled + (target - bound) / (1 + k / 10) / max(slope @ slope, 1e-12) * slope)
    return np.array(best[1]), best[0], bounds


fleet = small(0.6)
data = arrays(fleet)
solution = qopt.solve(fleet, "lagrangian")
lam, bound, bounds = subgradient(data, 1.05 * solution.objective)
print({name: round(float(x), 1) for name, x in zip(data[3], lam, strict=True)}, "cost for a microsecond")
print("qopt's prices:", {name: round(x / 1e6, 1) for name, x in prices(fleet, solution.witness).items()})
print(
    f"our bound is {bound / solution.bound:.5f} of qopt's; its plan is {solution.objective / solution.bound:.5f} of it"
)
fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
ax.plot(bounds, ".", color=plots.style.GREY, markersize=3, label="bound of a round")
ax.plot(np.maximum.accumulate(bounds), color=plots.style.BLUE, label="best so far")
ax.axhline(solution.objective, color=plots.style.INK, linestyle=":", label="qopt's plan")
ax.set(xlabel="round", ylabel="cost", ylim=(0.975 * solution.objective, 1.003 * solution.objective))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# Single rounds go up and down, since a subgradient need not point uphill; the best so far rises. The bound needs no
# trust: whoever doubts it recomputes it from three numbers, in one pass over the requests. `qopt` does so in whole
# numbers.
#
# **Strong duality.** The best prices are the dual solution of a linear program, the one in which requests may divide
# themselves between options. The file `formulations/fleet.py` states it, and a solver that knows nothing of prices
# comes to the same number. At a vertex no more requests divide themselves than there are capacities.

# %%
head = formulations.fleet.__doc__
print(head[head.index("    minimise") : head.index("Form ``lp``")])
program = formulations.fleet.joint(fleet, "lp")
pyo.SolverFactory("appsi_highs").solve(program)
shared = {r: 0 for r, _ in program.chosen}
for (r, _), x in program.chosen.items():
    shared[r] += 1e-6 < pyo.value(x) < 1 - 1e-6
print(f"linear program over our bound: {pyo.value(program.cost) / bound:.6f}")
print(
    "requests that divide themselves:", sum(n > 0 for n in shared.values()), "of 200, with", len(data[3]), "capacities"
)

# %% [markdown]
# ## 9.3 A plan from prices
#
# At the best prices each request has a favourite, and together they use nearly what there is: what is left over or
# too much is a few requests' worth. Those with the least regret are moved. Beside it, *own best*: each its favourite
# without prices, until nothing is left.

# %%
shares = (1.0, 0.8, 0.6, 0.4, 0.2)
problems = [small(share) for share in shares]
solved = [qopt.solve(problem, "lagrangian") for problem in problems]
selfish = [qopt.solve(problem, "own-best") for problem in problems]
for share, ours, own in zip(shares, solved, selfish, strict=True):
    refused, others = ours.certificate.cost.refused, own.certificate.cost.refused
    print(
        f"capacities {share:4.0%}: refused {refused}, gap below 2 %: {ours.certificate.gap < 0.02}; own best refused "
        f"{others:3d}, {own.objective / ours.objective:.2f} times the cost"
    )
x = [100 * share for share in shares]
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
for name, found, marker in (("by prices", solved, "o"), ("own best", selfish, "s")):
    left.plot(x, [s.objective / 1e6 for s in found], marker=marker, label=name)
    right.plot(x, [s.certificate.cost.refused for s in found], marker=marker, label=name)
left.set(xlabel="capacities, % of what all would like", ylabel="cost of all requests [millions]")
right.set(xlabel="capacities, % of what all would like", ylabel="requests refused")
for panel in (left, right):
    panel.invert_xaxis()
    panel.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 9.4 The cut moves
#
# As capacities shrink, prices rise (left), and requests move to options that use less of what is dear, in the end to
# their device (right). A price above zero belongs to a capacity that is used up; what has room left is free. That is
# complementary slackness in the linear program. A whole plan may leave a request's worth of a dear capacity over, as
# the four cameras do: 8 of 10 units of work are used, at a price of 1.

# %%
worth = [prices(problem, ours.witness) for problem, ours in zip(problems, solved, strict=True)]
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
for field, marker in zip(worth[0], "osD", strict=False):
    left.plot(x, [w[field] / 1e6 for w in worth], marker=marker, label=field)
left.set(xlabel="capacities, % of what all would like", ylabel="price of a second [millions]")
left.invert_xaxis()
left.legend(frameon=False)
plots.plot_options(problems, [ours.plan for ours in solved], [-value for value in x], ax=right)
right.set_xlabel("capacities, % of what all would like, falling")
plt.show()
for share, ours in zip(shares, solved, strict=True):
    print(f"capacities {share:4.0%}: requests by option", np.bincount(ours.plan.option, minlength=6).tolist())

# %%
fig, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
plots.plot_capacities(problems[2], solved[2].plan, ax=ax)
plt.show()
certificate = qopt.certify(problems[2], solved[2].plan, solved[2].witness)
print(
    certificate.kind, "; feasible:", certificate.feasible, "; bound holds:", certificate.bound <= certificate.objective
)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: four cameras
#
# Draw $L$ of the four cameras as a function of the price of work, with airtime free. At which prices does it bend,
# and which choice changes there? Which prices are best, and what would a fifth unit of slope mean?

# %% [solution]
grid = np.linspace(0, 4, 401)
values = [dual(cameras, np.array([price, 0.0]))[0] for price in grid]
bends = [grid[k] for k in range(1, 400) if abs(values[k + 1] - 2 * values[k] + values[k - 1]) > 1e-6]
print("bends at", np.round(bends, 2), "; best bound", max(values))
fig, ax = plt.subplots(figsize=(5, 2.8), layout="constrained")
ax.plot(grid, values, color=plots.style.BLUE)
ax.axhline(best.objective, color=plots.style.INK, linestyle=":", label="optimum")
ax.set(xlabel="price of a unit of work", ylabel="bound")
ax.legend(frameon=False)
plt.show()

# %% [markdown] [solution]
# At price 1 all four go from cut 1 (work 5) to cut 2 (work 2): the slope falls from $20 - 10$ to $8 - 10$ and changes
# its sign, so 1 is the best price. Further bends are where cameras leave for their device: the far ones at 2.5, the
# near ones at 3. *Learned*: the slope is demand less supply, so the best price is where the sign changes; a bend at
# which many requests move together is where a gap comes from, since any plan must divide them.

# %% [markdown]
# ### Exercise 2: buy capacity
#
# The price of the server's work in 9.2 says what one more unit is worth. Give the server 2, 10 and 30 % more work and
# compare the saving of the bound with what the price predicts. Which of the two is larger, and why always?

# %% [solution]
field = "servers.server1.work"
work = fleet.servers["server1"].work
unit_price = prices(fleet, solution.witness)[field] * fleet.units.time
for more in (0.02, 0.1, 0.3):
    larger = qopt.solve(fleet.replace({field: int((1 + more) * work)}), "lagrangian")
    predicted, saved = unit_price * int(more * work), solution.bound - larger.bound
    print(f"{more:.0%} more work: predicted {predicted / 1e6:.3f}, saved {saved / 1e6:.3f} millions")

# %% [markdown] [solution]
# The bound as a function of the capacities is convex, the largest of linear functions $L_\lambda(C)$, and the price
# is its slope where we stand: the prediction is the tangent, and savings fall behind it as work gets less scarce.
# *Learned*: a price is a marginal worth. It decides about the next unit, and overstates what a new server brings.

# %% [markdown]
# ### Exercise 3: one capacity by bisection
#
# Show that what requests use never rises with the price, if there is one capacity. Write a bisection for the price at
# which use and capacity meet, make a plan from it, and compare plan and bound with `qopt` for the fleet of 9.2
# without limits on airtime.

# %% [solution]
single = fleet.replace({"cells.cell1.up": None, "cells.cell1.down": None})
one = arrays(single)
low, high = 0.0, 1.0
while dual(one, np.array([high]))[1][0] > 0:
    high *= 2
for _ in range(60):
    middle = (low + high) / 2
    low, high = (middle, high) if dual(one, np.array([middle]))[1][0] > 0 else (low, middle)
bound, slope, choice = dual(one, np.array([high]))
paid = one[0][np.arange(len(choice)), choice].sum()
theirs = qopt.solve(single, "lagrangian")
print(f"price {high:.4f}, by qopt {prices(single, theirs.witness)['servers.server1.work'] * single.units.time:.4f}")
print(f"work left over {-slope[0] / one[2][0]:.3%}; our plan {paid / bound - 1:.3%} above our bound")
print(f"qopt's plan {theirs.objective / bound - 1:.3%} above it")

# %% [markdown] [solution]
# Let $o$ be best at $\lambda$ and $o'$ at $\lambda' > \lambda$. Then $J_o + \lambda u_o \le J_{o'} + \lambda u_{o'}$
# and $J_{o'} + \lambda' u_{o'} \le J_o + \lambda' u_o$; added up, $(\lambda' - \lambda)(u_{o'} - u_o) \le 0$. So use
# falls, in jumps, and bisection finds the price at which it crosses the capacity. On its upper side the choice keeps
# the limit, and costs more than the bound by $\lambda$ times what is left over, a request's worth if none tie.
# *Learned*: with one capacity the dual is a search along a line, and the plan's gap does not grow with the number of
# requests.
