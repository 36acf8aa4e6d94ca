# The source of jqodi.ipynb: edit this, then run docs/execute_notebooks.py.
# ruff: noqa: E402

# %% [markdown]
# # Energy against time
#
# A camera wants a neural network that knows *its* pictures, which nobody else may see. A **cloud** has trained
# networks. One of them is quantized to few bits and fine-tuned: in every epoch the device trains the first layers, an
# **edge server** the others, and the cloud keeps the full-precision copy. Fast servers burn energy, frugal ones take
# their time, and there is a deadline. *Towards Energy-Efficient Collaborative Inference and Fine-tuning* (JQODI) asks
# which network, how many bits, which cut between device and server, and which server; and answers with a tree of all
# paths.
#
# In this notebook you
#
# 1. work out what an epoch costs, and how many there are, on an example for a pencil,
# 2. draw the time-energy diagram of the paper's Fig. 5, as a graph and as the tree that the paper makes of it,
# 3. follow the labels through it, and see each of them leave,
# 4. put a price on a second, and read a bound off a straight line,
# 5. set one choice, a schedule and a path beside each other: a chain of bounds,
# 6. look where the published decisions come from, and what they assume,
# 7. change rates and deadlines, and watch model, bits, cut and server move,
# 8. count the paths of the published algorithm, and stop counting,
# 9. trade exactness for time, with a guarantee.
#
# You need shortest paths and the idea of a linear bound, nothing about neural networks beyond *layers one after the
# other, each with its work and its parameters*.

# %%
from fractions import Fraction
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import qopt
from qopt import plots
from qopt.jqodi.diagram import diagram
from qopt.jqodi.labels import labels
from qopt.jqodi.terms import candidates, totals

BLUE, RED, GREY, INK, ORANGE, GREEN = (
    getattr(plots.style, name) for name in ("BLUE", "RED", "GREY", "INK", "ORANGE", "GREEN")
)
toy = qopt.load("jqodi/fig5")
print("device :", f"{toy.decided.speed:g} MAC/s, {toy.decided.energy:g} J/MAC, {toy.images:g} images an epoch")
for server in toy.servers:
    print(f"{server.name:7}: {server.speed:g} MAC/s, {server.energy:g} J/MAC")
(net,) = toy.models
print("network:", len(net), "layers,", net.macs.tolist(), "MACs,", net.weights.tolist(), "parameters")
print("limits :", f"{toy.time_limit:g} s, loss {net.loss_limit}")

# %% [markdown]
# ## 1. One epoch, and how many of them
#
# With the cut behind layer $j$, an epoch has five parts: the device computes layers $1..j$, the server the others, the
# cloud all of them; the parameters of layers $1..j$ go down to the device and back up, those of the whole network to
# the server and back to the cloud. Each part takes *amount over speed* seconds and *amount times energy* joules. So a
# **state**, a server and a cut, is a point in the plane of time and energy:

# %%
four, eight = candidates(toy)  # two bits never get there, as we shall see
for candidate in (four, eight):
    quantizing = f"quantizing {candidate.setup_time:g} s, {candidate.setup_energy:g} J"
    print(f"{candidate.bits} bits, {candidate.epochs} epochs; {quantizing}")
    for s, (server, cut) in enumerate(candidate.states):
        print(f"   {server:6} cut {cut}: {candidate.time[0, s]:.2f} s {candidate.energy[0, s]:5.1f} J")
fig, ax = plt.subplots(figsize=(5.5, 3), layout="constrained")
for candidate, color in ((four, ORANGE), (eight, BLUE)):
    ax.plot(candidate.time[0], candidate.energy[0], "o", color=color, label=f"{candidate.bits} bits")
    for s, (server, cut) in enumerate(candidate.states):
        at = (candidate.time[0, s], candidate.energy[0, s])
        ax.annotate(f"{server}, {cut}", at, (5, -3), textcoords="offset points", fontsize=8)
ax.set(xlabel="time of an epoch [s]", ylabel="energy of an epoch [J]", xlim=(0.6, 2.4))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# No state is best in both, but some are worse than another in both: fast with cut 2, at 4 bits, loses to frugal with
# cut 1. (Is it useless, then? Not where changing costs: a state is also a place to come from.)
#
# Fewer bits make an epoch cheaper. But quantizing hurts the loss, more so with few bits, and training brings it down
# again, epoch by epoch. What counts is when it falls below $L_{max}$:

# %%
from qopt.jqodi.losses import losses

fig, ax = plt.subplots(figsize=(5.5, 3), layout="constrained")
for width, color in zip(net.widths, (RED, ORANGE, BLUE), strict=True):
    for estimate, style in (("expected", "-"), ("robust", ":")):
        values = [float(x) for x in losses(*net.loss_parts(width, estimate), 5)]
        ax.plot(values, color=color, linestyle=style, marker=".", label=f"{width.bits} bits, {estimate}")
    print(f"{width.bits} bits: K expected and robust", net.epochs(width))
ax.axhline(net.loss_limit, color=INK, linewidth=1)
ax.annotate("$L_{max}$", (5, net.loss_limit), (0, 3), textcoords="offset points", ha="right")
ax.set(xlabel="epochs", ylabel="loss", xticks=range(6))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# Loss does not depend on where the work is done. So of all that the two curves say, the optimization needs one number
# for each model and bit-width: $K$, the number of epochs. Two bits never arrive: out. Eight bits cost more an epoch
# than four, and take one epoch less. *Which is better depends on the deadline*, as everything will.
#
# ## 2. The time-energy diagram
#
# Now the picture that the paper draws (its Fig. 5): from a source to a model, to a bit-width, to a state for every
# epoch, and to $\Theta$, where all plans end. A plan is a path, and its energy and its time add up along it. Changing
# the server or the cut between two epochs costs a little, on the arc. The bold path is the optimum.

# %%
solution = qopt.solve(toy)
print(solution.plan.bits, "bits:", list(zip(solution.plan.servers, solution.plan.cuts, strict=True)))
print(f"{solution.objective:g} J, {solution.certificate.cost.time:g} s of {toy.time_limit:g} s, {solution.status}")
ax = plots.plot_diagram(toy, solution.plan)
plt.show()

# %% [markdown]
# A vertex is a state in an epoch. What can come after it does not depend on how it was reached, so one vertex is
# enough, and the diagram has (epochs x states) of them. The paper writes the *elapsed time* into the vertex. Then two
# ways to the same state are two vertices, hardly ever two ways take equally long, and the graph becomes a tree:

# %%
ax = plots.plot_diagram(toy, solution.plan, tree=True)
ax.figure.set_size_inches(11, 10)
plt.show()
print(len(diagram(toy)), "vertices as a graph;", len(diagram(toy, tree=True)), "as a tree without what is late")
for epochs in (3, 10, 29):
    print(f"{epochs} epochs and 8 states: {8 * epochs} vertices of the graph, {8.0**epochs:.0e} leaves of the tree")

# %% [markdown]
# Twenty-nine epochs and eight states are what the paper's own first experiment has for one network at one width. The
# tree is not needed. The time is not part of *where one is*, it is part of *what one has spent*: it belongs into a
# label.
#
# ## 3. Labels
#
# A **label** at a vertex is a way to get there, with the energy $e$ and the time $t$ spent so far. Without a deadline
# one label a vertex would do, the cheapest (Bellman). With one, a dearer and faster label may be the better beginning.
# Still, most can go:
#
# * **time**: even the fastest way to the end is late,
# * **bound**: even the cheapest way to the end, or the best one at a price for time (section 4), costs no less than a
#   plan that we have,
# * **dominance**: another label at the same vertex has spent no more of either.

# %%
walk = labels(toy)
story = pd.DataFrame(walk.table())
print(story[story.vertex.str.startswith("M1/8")].drop(columns=["vertex", "epoch"]).round(2).to_string(index=False))

# %% [markdown]
# The same for 4 bits as a picture, epoch by epoch. The deadline is the dotted line. After the first epoch nothing can
# be said yet: all four states are on the way to some plan that may be good.

# %%
FATES = {"kept": (BLUE, "o"), "time": (RED, "x"), "bound": (ORANGE, "^"), "dominance": (GREEN, "v")}
fig, panels = plt.subplots(1, four.epochs, figsize=(10, 3.2), layout="constrained", sharey=True)
for k, panel in enumerate(panels, start=1):
    for fate, (color, marker) in FATES.items():
        rows = story[(story.epoch == k) & (story.fate == fate) & story.vertex.str.startswith("M1/4")]
        panel.plot(rows.time, rows.energy, marker, color=color, label=fate)
    panel.axvline(toy.time_limit, color=INK, linewidth=0.9, linestyle=":")
    panel.set(title=f"after epoch {k}", xlabel="time [s]", xlim=(0.5, 4.8))
    panel.spines[["top", "right"]].set_visible(False)
panels[0].set_ylabel("energy [J]")
panels[-1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# How much does each rule save? On a problem that is a little larger, with servers whose speeds change from epoch to
# epoch:

# %%
RULES = {
    "no rule": [],
    "dominance": ["dominance"],
    "time": ["time"],
    "time, dominance": ["time", "dominance"],
    "bound": ["bound"],
    "all": ["time", "bound", "dominance"],
}
drawn = {epochs: qopt.generate.jqodi(epochs, seed=5, servers=2, cuts=2, models=1, widths=[8]) for epochs in range(2, 8)}
made = {
    name: [sum(labels(problem, rules=rules).counts().values()) for problem in drawn.values()]
    for name, rules in RULES.items()
}
print(pd.DataFrame(made, index=pd.Index(drawn, name="epochs")).to_string())
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for (name, counts), color in zip(made.items(), plots.style.SEQUENCE, strict=True):
    ax.plot(list(drawn), counts, marker="o", color=color, label=name)
ax.set(yscale="log", xlabel="epochs", ylabel="labels made")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# Every rule is safe, so every combination finds the same optimum. Dominance keeps the growth in check, because ways
# meet again in the same states; the bound looks ahead, and together they are better than either. Where does it come
# from?
#
# ## 4. The price of a second
#
# Give up the deadline, and pay $\lambda$ joules for every second instead; get $\lambda T_{max}$ back for those that
# were allowed. For a plan that keeps the deadline this is a discount, so
#
# $$\min_{\text{plans}} \bigl( e + \lambda t \bigr) - \lambda T_{max} \;\le\; \text{optimum}
# \qquad\text{for every } \lambda \ge 0 ,$$
#
# and the minimum on the left is a shortest path without any limit. In the plane of time and energy it is a straight
# line of slope $-\lambda$, pushed up from below until it touches a plan. Where it crosses the deadline is the bound.
# Here are all plans at 8 bits, and the best line:


# %%
def all_plans(candidate):
    """Time and energy of every plan, in the order of its states."""
    size, epochs = len(candidate.states), candidate.epochs
    sequences = np.indices([size] * epochs).reshape(epochs, -1).T
    found = np.array([totals(candidate, states) for states in sequences])
    assert len(found) == size**epochs
    return found[:, 1], found[:, 0]


time, energy = all_plans(eight)
slope = walk.multipliers["M1/8"]
bound = (energy + slope * (time - toy.time_limit)).min()
print(f"{slope:.6g} J a second: no plan at 8 bits below {bound:.6g} J; the optimum is {solution.objective:g} J")
fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
fits = time <= toy.time_limit
ax.plot(time[fits], energy[fits], "o", color=BLUE, label="in time")
ax.plot(time[~fits], energy[~fits], "o", markerfacecolor="white", color=GREY, label="late")
ax.axvline(toy.time_limit, color=INK, linewidth=0.9, linestyle=":")
seconds = np.array([2.5, 4.0])
ax.plot(seconds, bound + slope * (toy.time_limit - seconds), color=RED, linewidth=1, label=f"slope -{slope:.3g} J/s")
ax.plot(toy.time_limit, bound, "D", color=RED, label="bound")
ax.set(xlabel="time [s]", ylabel="energy [J]", xlim=(2.5, 5.2), ylim=(18, 50))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# The line rests on two plans, one in time and one late, and the optimum hangs above it: a **gap**. A mixture of the
# two, most of the frugal one, would be on the line, and that is what the linear program would choose. A plan is no
# mixture.
#
# The bound as a function of the price is concave, the least of straight lines, one for each plan. At its top it is the
# best that prices can do. For 4 bits it is enough: 35.04 J exceeds the 34.5 J that we have. For 8 bits it is not.

# %%
prices = np.linspace(0, 40, 401)
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for candidate, color in ((four, ORANGE), (eight, BLUE)):
    t, e = all_plans(candidate)
    bounds = np.array([(e + price * (t - toy.time_limit)).min() for price in prices])
    ax.plot(prices, bounds, color=color, label=f"{candidate.bits} bits")
    print(f"{candidate.bits} bits: {bounds.max():.2f} J at {prices[bounds.argmax()]:.1f} J/s")
ax.axhline(solution.objective, color=INK, linestyle=":", label="optimum")
ax.set(xlabel="price of a second [J/s]", ylabel="bound [J]", ylim=(10, 40))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The gap is closed by dividing the plans and bounding each part by itself, at a price of its own. The parts below are
# disjoint, and every plan is in one of them. That is a proof of optimality, and somebody else can check it with a
# pocket calculator.


# %%
def least(candidate, price, first, second):
    """Bound on the plans at 8 bits whose two epochs are in these sets of states, exactly."""
    weighed = []
    for r in first:
        for s in second:
            e = candidate.setup_energy, candidate.energy[0, r], candidate.switch_energy[r, s], candidate.energy[1, s]
            t = candidate.setup_time, candidate.time[0, r], candidate.switch_time[r, s], candidate.time[1, s]
            weighed.append(sum(map(Fraction, e)) + price * (sum(map(Fraction, t)) - Fraction(toy.time_limit)))
    return float(min(weighed))


index, every = eight.index, range(len(eight.states))
frugal = [s for (server, _), s in index.items() if server == "frugal"]
fast = [s for (server, _), s in index.items() if server == "fast"]
parts = [
    ("frugal, then frugal", 1000, frugal, frugal),
    ("fast with cut 1, then frugal", 0, [index["fast", 1]], frugal),
    ("fast with cut 2, then frugal", 1000, [index["fast", 2]], frugal),
    ("anything, then fast with cut 1", 0, every, [index["fast", 1]]),
    ("anything, then fast with cut 2", 1000, every, [index["fast", 2]]),
]
for name, price, first, second in parts:
    print(f"{name:31} at {price:4} J/s: at least {least(eight, Fraction(price), first, second):6.1f} J")

# %% [markdown]
# All at least 34.5. At 1000 J a second a part in which *every* plan is late shoots up: a high price is how a bound says
# "infeasible". `qopt.solve` returns such a tree for every model and width, the **witness**, and the certificate checks
# it in exact arithmetic:

# %%
for key, tree in solution.witness["candidates"].items():
    print(f"{key}: {sum(node[0] == 'leaf' for node in tree)} part(s)")
certificate = solution.certificate
print(f"bound {certificate.bound:g} J ({certificate.kind}), proved: {certificate.proved}")

# %% [markdown]
# ## 5. A choice, a schedule, a path
#
# Three questions stand side by side.
#
# * **choice**: one server and one cut for all epochs. That is a table, and no search; the published decisions are of
#   this kind. The paper proves it NP-hard with a knapsack that it is not.
# * **schedule**: each epoch has its own, and changing is free. A multiple-choice knapsack: one item of each class.
#   *This* is NP-hard.
# * **path**: changing costs. A shortest path with a limit.
#
# A choice is a path that never changes; a path without its fares is a schedule; a schedule is a point of the linear
# program. So for every deadline
#
# $$\text{choice} \ge \text{path} \ge \text{schedule} \ge \text{linear program} .$$

# %%
free = toy.replace({"mode": "schedule", "switching": {}})
modes = {"choice": toy.replace({"mode": "choice"}), "path": toy, "schedule": free}
fronts = {name: qopt.breakpoints(problem, "time_limit") for name, problem in modes.items()}
deadlines = np.linspace(2.29, 3.8, 152)


def line(candidate, deadlines):
    """The linear program of a schedule: the best of many prices at each deadline."""
    prices = np.linspace(0, 200, 2001)
    best = (candidate.energy[0] + prices[:, None] * candidate.time[0]).min(axis=1)
    quantizing = candidate.setup_energy + prices * candidate.setup_time
    return (quantizing + candidate.epochs * best - prices * deadlines[:, None]).max(axis=1)


program = np.minimum(line(four, deadlines), line(eight, deadlines))
fig, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
for (name, front), color, width in zip(fronts.items(), (RED, INK, BLUE), (4, 2.2, 1.2), strict=True):
    steps = [*front.points, (3.8, front.points[-1][1])]
    ax.step(*zip(*steps, strict=True), where="post", color=color, linewidth=width, label=name)
    print(f"{name:9}", [(round(limit, 2), round(energy, 1)) for limit, energy in front.points])
ax.plot(deadlines, program, color=GREY, label="linear program")
ax.axvline(toy.time_limit, color=INK, linewidth=0.9, linestyle=":")
ax.set(xlabel="deadline [s]", ylabel="least energy [J]", xlim=(2.2, 3.8), ylim=(20, 60))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# Pairs are *from this deadline on, so many joules*. Staircases fall: more time never hurts. Between two steps of the
# choice there is room for schedules that mix the two servers. Over many epochs the stairs become fine, and come down
# to the linear program: that is why it is such a good bound.
#
# ## 6. Where the published decisions come from
#
# The paper's first experiment: CIFAR-10 on a Raspberry Pi 5, two graphics cards as edge servers, an A100 as the cloud,
# three networks, bit-widths 2 to 8, and $T_{max}$ = 180 s. It prints the epochs (Table VI), the decisions, and six
# totals. It does not print speeds, rates, or energies. `jqodi/data1` holds one fit of many.

# %%
data1 = qopt.load("jqodi/data1")
PUBLISHED = {
    "inspection": ("Optimum", "LeNet-like, 8 bits, RTX 3090, cut 1", "6988.1 J, 135.564 s"),
    "jqodi-paper": ("JQODI", "LeNet-like, 6 bits, RTX 3090, cut 1", "7651.3 J, 142.335 s"),
    "full-model": ("Full Model", "VGG-like, 32 bits, RTX 4090, cut 1", "19091 J, 330.86 s"),
    "minimal-model": ("Minimal Model", "LeNet-like, 1 bit, RTX 3090, cut 2", "not printed"),
}
plans = {}
for method, (name, decision, printed) in PUBLISHED.items():
    found = qopt.solve(data1, method)
    plan, cost = found.plan, found.certificate.cost
    plans[name] = plan
    print(f"{name:14} printed: {decision}; {printed}")
    mark = "" if found.certificate.feasible else "; not feasible"
    ours = f"{plan.model}, {plan.bits} bits, {plan.servers[0]}, cut {plan.cuts[0]}, {len(plan.cuts)} epochs"
    print(f"{'':14} here:    {ours}; {cost.energy:.1f} J, {cost.time:.3f} s{mark}")

# %%
fig, panels = plt.subplots(2, 1, figsize=(9, 5), layout="constrained")
for panel, what in zip(panels, ("time", "energy"), strict=True):
    plots.plot_breakdown(data1, plans, what, ax=panel)
panels[1].get_legend().remove()
plt.show()

# %% [markdown]
# Everything agrees, so everything follows? No. There are six totals and fourteen unknown speeds and energies, and the
# number of epochs at 32 bits and at 1 bit on top. The totals determine six combinations: seconds computed and sent, and
# joules computed and sent, of an epoch. How these divide among the nodes, they do not say. In the bars above, what is
# sent to the cloud and back dominates, and that is about all that can be believed of them. Which *server* is
# cheapest is among the things that the totals leave open: of parameter sets that fit them equally well, drawn at
# random, some 3 in 100 have the printed optimum, and most prefer the other card (`instances/jqodi/study`).
#
# **What may be said without any parameter.** JQODI's decision for 6 bits costs more than 8 bits *in the paper's own
# totals*. Its Algorithm 4 takes the path of least
#
# $$\text{score} = \text{weight} \cdot \frac{\text{risk}}{\text{opp}}, \qquad
# \text{opp} = \frac{T(K^{exp})}{T(K^{rob})} ,$$
#
# the weight being the energy of $K^{rob}$ epochs. If every epoch is alike, $\text{weight} = K^{rob} e$ and
# $\text{opp} = K^{exp} / K^{rob}$: the score is $e\,(K^{rob})^2/K^{exp}\cdot\text{risk}$, and an epoch's energy $e$ is
# a printed total over $K^{exp}$.

# %%
scores = {}
for bits, total, expected, robust in ((6, 7651.3, 33, 36), (8, 6988.1, 26, 29)):
    scores[bits] = total / expected * robust**2 / expected
    print(f"{bits} bits: {total / expected:.1f} J an epoch, score {scores[bits]:.0f} x risk")
print(f"so the risk at 6 bits must be below {scores[8] / scores[6]:.3f} of that at 8")
by_risk = {}
for risk in (0.80, 0.86, 0.87, 1.00):
    plan = qopt.solve(data1.replace({"models[0].widths[3].risk": risk}), "jqodi-paper").plan
    by_risk[risk] = f"{plan.model} at {plan.bits} bits"
print("risk of LeNet-like at 6 bits, all others 1:", by_risk)

# %% [markdown]
# The paper prints no losses from which a risk could be worked out. 0.86 is what the instance assumes, so that the
# published algorithm makes the published decision; it is written there as an assumption.
#
# **And the Full Model?** VGG-like at 32 bits, with twelve times the work of LeNet-like, is the cheapest only if it
# needs far fewer epochs. Nobody printed how many.

# %%
for epochs in (3, 4, 5, 29):
    changed = {f"models[2].widths[5].epochs.{estimate}": epochs for estimate in ("expected", "robust")}
    found = qopt.solve(data1.replace(changed), "full-model")
    decision = f"{found.plan.model}, {found.plan.servers[0]}, cut {found.plan.cuts[0]}"
    print(f"VGG-like with {epochs:2} epochs at 32 bits: Full Model is {decision}, {found.objective:.0f} J")

# %% [markdown]
# ## 7. What would change the decision
#
# The front of Data 1 over the deadline. The published deadline of 180 s does not bind: the cheapest of all plans takes
# 135.6 s. With less time, other servers and then other networks take over; and a schedule, which may change the server
# from epoch to epoch, fills the steps.

# %%
mixing = qopt.breakpoints(data1.replace({"mode": "schedule"}), "time_limit")
fig, panels = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
for panel, window in zip(panels, ((55, 200, 6500, 11500), (110, 150, 6950, 7200)), strict=True):
    plots.plot_energy_time(data1, {name: plans[name] for name in ("Optimum", "JQODI")}, ax=panel)
    steps = [*mixing.points, (200, mixing.points[-1][1])]
    panel.step(*zip(*steps, strict=True), where="post", color=GREEN, label="least, schedule")
    panel.axis(window)
    panel.get_legend().remove()
panels[1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()
by_deadline = qopt.breakpoints(data1, "time_limit")
for limit, energy in by_deadline.points:
    plan = by_deadline.at(limit).plan
    decision = f"{plan.model}, {plan.bits} bits, {plan.servers[0]}, cut {plan.cuts[0]}"
    print(f"from {limit:6.2f} s: {decision}, {energy:.0f} J")

# %% [markdown]
# Now two things at once: the deadline, and the rate between cloud and RTX 3090. One front for each rate paints a map.

# %%
rates, limits = np.geomspace(2e6, 2e8, 61), np.linspace(40, 200, 81)


def painted(ax, decisions, xs, ys):
    """A colour for each decision; None is white."""
    known = sorted({d for row in decisions for d in row if d is not None})
    colors = dict(zip(known, plots.style.SEQUENCE, strict=False))
    shades = [[colors.get(d, "white") for d in row] for row in decisions]
    rgb = np.array([[plt.matplotlib.colors.to_rgb(c) for c in row] for row in shades])
    ax.pcolormesh(xs, ys, rgb, alpha=0.75)
    for name in known:
        ax.plot([], [], "s", color=colors[name], label=name)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return known


def decided(front, limit):
    """Model, bits and server at a deadline; None where nothing is feasible."""
    plan = front.at(limit).plan
    return None if plan is None else f"{plan.model}, {plan.bits} bits, {plan.servers[0]}"


by_rate = [qopt.breakpoints(data1.replace({"servers[0].cloud_rate": rate}), "time_limit") for rate in rates.tolist()]
fig, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
known = painted(ax, [[decided(front, limit) for front in by_rate] for limit in limits.tolist()], rates, limits)
ax.plot(data1.servers[0].cloud_rate, data1.time_limit, "P", color=INK, markersize=9)
ax.set(xscale="log", xlabel="rate of cloud and RTX 3090 [bit/s]", ylabel="deadline [s]")
plt.show()
print(len(known), "decisions; the cross is Data 1")

# %% [markdown]
# A faster link makes the RTX 3090 affordable in less and less time, and with it LeNet-like, which has fewer MACs than
# ResNet20 and nine times its parameters. The *cut* stands still at 1 here: moving it up would send more parameters over
# a Wi-Fi that is dear. On the toy, where sending can be made cheap, it moves:

# %%
prices, limits = np.geomspace(1e-6, 1e-3, 31), np.linspace(2.2, 6.0, 77)
by_price = []
for price in prices.tolist():
    links = {f"devices[0].links[{i}].energy": price for i in (0, 1)}
    by_price.append(qopt.breakpoints(toy.replace(links), "time_limit", low=2.0, high=6.0))


def in_words(front, limit):
    """Bits and cuts at a deadline."""
    plan = front.at(limit).plan
    if plan is None:
        return None
    cuts = sorted(set(plan.cuts))
    return f"{plan.bits} bits, cut {' and '.join(map(str, cuts))}"


fig, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
known = painted(ax, [[in_words(front, limit) for front in by_price] for limit in limits.tolist()], prices, limits)
ax.plot(toy.decided.links[0].energy, toy.time_limit, "P", color=INK, markersize=9)
ax.set(xscale="log", xlabel="energy of a bit between server and device [J]", ylabel="deadline [s]")
plt.show()
print(known)

# %% [markdown]
# **Epoch by epoch.** In a `path`, speeds and rates may change, servers come and go, and every change of state costs.
# Up to forty epochs, four servers, three cuts: which ones when? Crosses are epochs in which a server is away. The plan
# leaves its server only then, and moves the cut for that one epoch.

# %%
moving = qopt.generate.jqodi(40, seed=3, servers=4, cuts=3, tightness=0.2)
exact = qopt.solve(moving)
names, epochs = list(moving.server_names), len(exact.plan.servers)
where = [names.index(server) for server in exact.plan.servers]
fig, panels = plt.subplots(2, 1, figsize=(9, 4), layout="constrained", sharex=True, height_ratios=(3, 1))
speed = np.array([moving.conditions.servers[name].speed[:epochs] for name in names])
panels[0].imshow(speed, aspect="auto", cmap="Greys", vmin=0, vmax=1.6, extent=(0.5, epochs + 0.5, 3.5, -0.5))
for x, name in enumerate(names):
    away = [k + 1 for k in range(epochs) if not moving.conditions.servers[name].available[k]]
    panels[0].plot(away, [x] * len(away), "x", color=RED)
panels[0].plot(range(1, epochs + 1), where, color=BLUE, marker="o", markersize=3)
labelled = [f"{server.name}\n{server.speed:.1e} MAC/s" for server in moving.servers]
panels[0].set_yticks(range(4), labelled, fontsize=8)
panels[1].step(range(1, epochs + 1), exact.plan.cuts, where="mid", color=BLUE)
panels[1].set(xlabel="epoch (dark: the server is at its full speed)", ylabel="cut", yticks=(1, 2, 3))
plt.show()
print(f"{exact.status}: {exact.objective:.1f} J, {exact.plan.model} at {exact.plan.bits} bits, {epochs} epochs")
print("changes of server:", sum(a != b for a, b in pairwise(where)))
print("changes of cut:   ", sum(a != b for a, b in pairwise(exact.plan.cuts)))

# %% [markdown]
# ## 8. The published algorithm, and why it cannot last
#
# CreateTree, Traversal and SelectPath list **every** path that is in time. `jqodi-paper` does what is printed, up to a
# million paths, and beyond that looks only at plans that never change. With four states, each epoch makes four times as
# many. The shortest path has a handful of labels a vertex.

# %%
rows = []
for epochs in (1, 2, 3, 4, 5, 6, 7, 8, 20, 60):
    problem = qopt.generate.jqodi(epochs, seed=1, models=1, widths=[8], servers=2, cuts=2, estimate="robust")
    paper, best = qopt.solve(problem, "jqodi-paper"), qopt.solve(problem)
    assert best.certificate.proved
    listed, robust = paper.details["listed"] == "all", len(best.plan.servers)
    rows.append(
        {
            "epochs": robust,
            "paths": f"{4.0**robust:.0e}",
            "vertices met": paper.details["vertices"] if listed else "too many",
            "JQODI [J]": "no answer" if paper.plan is None else round(paper.objective, 1),
            "optimum [J]": round(best.objective, 1),
            "listing": paper.seconds if listed else np.nan,
            "exact": best.seconds,
        }
    )
table = pd.DataFrame(rows)
print(table.drop(columns=["listing", "exact"]).to_string(index=False))
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(table.epochs, table.listing, "o-", color=RED, label="listing all paths")
ax.plot(table.epochs, table.exact, "s-", color=BLUE, label="exact")
ax.set(yscale="log", xlabel="epochs", ylabel="seconds")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# Where the vertices are too many, only plans that never change are looked at; if none of these is in time there is no
# answer, though there are plans. And where there is one, it need not be the optimum, since the score is not the energy.
#
# ## 9. Nearly optimal, on purpose
#
# For very large problems there is a *fully polynomial approximation scheme*. Round every energy down to a multiple of
# a unit; then there are few different sums, and dynamic programming over (vertex, energy) keeps for each the least
# time. The error is at most one unit an epoch. Choose the unit so small that all of them together are $\varepsilon$ of
# the optimum: the answer is at most $1 + \varepsilon$ times the optimum, in time polynomial in the size and in
# $1/\varepsilon$.

# %%
hard = qopt.generate.jqodi(60, seed=1, models=1, widths=[8], servers=2, cuts=2, conditions=False)
exact = qopt.solve(hard)
rows, told = [], []
for gap in (0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
    rough = qopt.solve(hard, "fptas", gap=gap)
    above = rough.objective / exact.objective - 1
    assert above <= gap
    rows.append((gap, above, rough.objective / rough.bound - 1, rough.seconds))
    told.append(f"gap {gap:7g}: {rough.objective:.1f} J, {above:.2%} above the optimum")
print("\n".join(told))
gaps, above, proved, seconds = np.array(rows).T
fig, panels = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
panels[0].plot(1 / gaps, gaps, color=GREY, label="allowed")
panels[0].plot(1 / gaps, proved, "o-", color=ORANGE, label="shown by the method's bound")
panels[0].plot(1 / gaps[above > 1e-12], above[above > 1e-12], "s", color=BLUE, label="true, where not 0")
panels[0].set(xscale="log", yscale="log", xlabel="1 / gap", ylabel="relative gap")
panels[0].legend(frameon=False, fontsize=8)
panels[1].plot(1 / gaps, seconds, "o-", color=BLUE)
panels[1].set(xscale="log", xlabel="1 / gap", ylabel="seconds", ylim=(0, None))
for panel in panels:
    panel.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# Prices (section 4) come first here too, and often settle a coarse gap alone; rounding starts where they end.
#
# ## Exercises
#
# 1. *Pencil.* Work out one epoch of the toy at 4 bits with frugal and cut 2: seconds and joules of the five parts. The
#    description of the instance has all numbers. Compare with section 1.
# 2. *Why not Bellman?* Find two labels at one vertex of section 3 of which neither dominates the other, and a deadline
#    for which each of them is the better beginning.
# 3. *Order.* Which labels at 4 bits would be made if the plan of 34.5 J were known before? With which width should one
#    begin, and which number of section 4 says so?
# 4. *Read the line.* In the picture of section 4, for which deadlines does the bound meet the optimum?
# 5. *Concave.* Why is the bound concave in the price? And is the least energy convex in the deadline, for a choice, for
#    a linear program?
# 6. *Robust.* Solve the toy with `estimate="robust"`. Which plan is taken, and what does being sure cost? Why does the
#    energy of the last epochs not count?
# 7. *Fares.* Raise `switching.server_energy` of the toy from 0 on. When does the plan stop changing? Why is that the
#    difference of two numbers of section 5?
# 8. *Requests.* Set `inference.requests` of `jqodi/data1` to 100, 300, 1000. Which width wins, and why do requests
#    favour few bits if the MACs are the same?
# 9. *Property 2.* The paper bounds its algorithm by a polynomial in the number of vertices. What is missing in the
#    argument? How many vertices has the tree of section 2, as a function of K?
# 10. *Identify.* Give the RTX 4090 of `jqodi/data1` less energy a MAC, and so much more for a bit to the cloud that the
#     Full Model's total stays as it is. How much is needed for another Optimum? Which of the six totals change?
# 11. *Knapsack.* Show that a schedule with two states an epoch, other ones in every epoch, can be any knapsack. Which
#     field of the instance gives each epoch its own states?
