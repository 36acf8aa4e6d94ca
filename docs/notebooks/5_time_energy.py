# The source of 5_time_energy.ipynb: edit this, then run docs/execute_notebooks.py.
# ruff: noqa: E402

# %% [markdown]
# # 5. The time-energy diagram
#
# A camera wants a neural network that knows *its* pictures, which nobody else may see. A **cloud** has trained
# networks. One of them is quantized to few bits and fine-tuned: in every epoch the device trains the first layers, an
# **edge server** the others, and the cloud keeps the full-precision copy. Fast servers burn energy, frugal ones take
# their time, and there is a deadline. *Towards Energy-Efficient Collaborative Inference and Fine-tuning* (JQODI)
# asks: *which network, how many bits, which cut, and which server in which epoch cost the least energy in time?*
#
# After this notebook the reader can
#
# * draw the paper's time-energy diagram, and say why it is a graph and need not be a tree,
# * solve it by dynamic programming over labels, by hand where it is small,
# * put a price on a second, read a bound off a straight line, and close the gap by dividing,
# * order a choice, a schedule, a path and a linear program by what they cost.
#
# Shortest paths are needed. The page is [jqodi](../jqodi.md).

# %%
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyomo.environ as pyo

import qopt
from qopt import formulations, plots
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
# ## 5.1 One epoch, and how many of them
#
# With the cut behind layer $j$, an epoch has five parts: the device computes layers $1..j$, the server the others,
# the cloud all of them; the parameters of layers $1..j$ go down to the device and back up, those of the whole network
# to the server and back to the cloud. Each part takes *amount over speed* seconds and *amount times energy* joules.
# So a **state** $s$, a server and a cut, is a point in the plane of time and energy.
#
# Fewer bits make an epoch cheaper. But quantizing hurts the loss, more so with few bits, and training brings it down
# again, epoch by epoch. Of all that the loss curves say, the optimization needs one number for each model and
# bit-width: $K$, the number of epochs until the loss is below $L_{max}$. Two bits never arrive.

# %%
four, eight = candidates(toy)
fig, ax = plt.subplots(figsize=(5.5, 3), layout="constrained")
for candidate, color, marker in ((four, ORANGE, "s"), (eight, BLUE, "o")):
    quantizing = f"quantizing {candidate.setup_time:g} s, {candidate.setup_energy:g} J"
    print(f"{candidate.bits} bits, {candidate.epochs} epochs; {quantizing}")
    ax.plot(candidate.time[0], candidate.energy[0], marker, color=color, label=f"{candidate.bits} bits")
    for s, (server, cut) in enumerate(candidate.states):
        at = (candidate.time[0, s], candidate.energy[0, s])
        print(f"   {server:6} cut {cut}: {at[0]:.2f} s {at[1]:5.1f} J")
        ax.annotate(f"{server}, {cut}", at, (5, -3), textcoords="offset points", fontsize=8)
ax.set(xlabel="time of an epoch [s]", ylabel="energy of an epoch [J]", xlim=(0.6, 2.4))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 5.2 The diagram
#
# The picture that the paper draws (its Fig. 5): from a source to a model, to a bit-width, to a state for every epoch,
# and to $\Theta$, where all plans end. A plan is a path, and its energy and its time add up along it. Changing the
# server or the cut between two epochs costs a little, on the arc. The bold path is the optimum.

# %%
solution = qopt.solve(toy)
print(solution.plan.bits, "bits:", list(zip(solution.plan.servers, solution.plan.cuts, strict=True)))
print(f"{solution.objective:g} J, {solution.certificate.cost.time:g} s of {toy.time_limit:g} s, {solution.status}")
plots.plot_diagram(toy, solution.plan)
plt.show()
print(len(diagram(toy)), "vertices as a graph;", len(diagram(toy, tree=True)), "as a tree without what is late")
for epochs in (3, 10, 29):
    print(f"{epochs} epochs and 8 states: {8 * epochs} vertices of the graph, {8.0**epochs:.0e} leaves of the tree")

# %% [markdown]
# What can come after a state does not depend on how it was reached, so one vertex is enough. The paper writes the
# *elapsed time* into the vertex. Then two ways to the same state are two vertices, and the graph becomes a tree,
# which for the 29 epochs of the paper's first experiment nobody can list. The time is not part of *where one is*, it
# is part of *what one has spent*: it belongs into a label.
#
# ## 5.3 Labels, by hand
#
# A **label** at a vertex is a way to get there, with the energy $e$ and the time $t$ spent so far. Without a deadline
# one label a vertex would do, the cheapest (Bellman). With one, a dearer and faster label may be the better
# beginning. What can go is a label that another one at the same vertex **dominates**: that has spent no more of
# either. The recursion for the set $\Lambda_k(s)$ of labels of state $s$ after epoch $k$ is
#
# $$\Lambda_{k+1}(s) = \mathrm{nondominated} \bigcup_r \bigl\{ (e + c_{rs} + e_s,\ t + d_{rs} + t_s) :
# (e, t) \in \Lambda_k(r) \bigr\} ,$$
#
# with $c_{rs}$ and $d_{rs}$ what changing costs and takes. That is a dynamic program of ten lines.


# %%
def undominated(found):
    """Labels (energy, time, states) that no other one beats in energy and time."""
    kept = []
    for label in sorted(found):
        if not kept or label[1] < kept[-1][1]:
            kept.append(label)
    return kept


def dynamic_program(candidate, deadline, prune=undominated):
    """The cheapest plan in time, and how many labels were kept."""
    states = range(len(candidate.states))
    start = candidate.setup_energy, candidate.setup_time
    at = {s: [(start[0] + candidate.energy[0, s], start[1] + candidate.time[0, s], (s,))] for s in states}
    count = sum(map(len, at.values()))
    for k in range(1, candidate.epochs):
        at = {
            s: prune(
                [
                    (
                        e + candidate.switch_energy[r, s] + candidate.energy[k, s],
                        t + candidate.switch_time[r, s] + candidate.time[k, s],
                        (*path, s),
                    )
                    for r in states
                    for e, t, path in at[r]
                ]
            )
            for s in states
        }
        count += sum(map(len, at.values()))
    return min((label for found in at.values() for label in found if label[1] <= deadline), default=None), count


for candidate in (four, eight):
    (energy, time, path), kept = dynamic_program(candidate, toy.time_limit)
    _, all_labels = dynamic_program(candidate, toy.time_limit, prune=list)
    print(f"{candidate.bits} bits: {energy:.1f} J in {time:.2f} s by", [candidate.states[s] for s in path], end="; ")
    print(f"{kept} labels of {all_labels}")

# %% [markdown]
# Two rules more make it fast, and both look ahead: a label leaves if even the fastest way to the end is late
# (*time*), or if even the cheapest way to the end costs no less than a plan that is known (*bound*). Every label of
# the plans at 8 bits, and why it left; below, how much each rule saves as the epochs grow:

# %%
story = pd.DataFrame(labels(toy).table())
print(story[story.vertex.str.startswith("M1/8")].drop(columns=["vertex", "epoch"]).round(2).to_string(index=False))
RULES = {"no rule": [], "dominance": ["dominance"], "time": ["time"], "bound": ["bound"]}
RULES["all"] = ["time", "bound", "dominance"]
drawn = {epochs: qopt.generate.jqodi(epochs, seed=5, servers=2, cuts=2, models=1, widths=[8]) for epochs in range(2, 8)}
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for (name, rules), color, marker in zip(RULES.items(), plots.style.SEQUENCE, "osD^v", strict=False):
    counts = [sum(labels(problem, rules=rules).counts().values()) for problem in drawn.values()]
    ax.plot(list(drawn), counts, marker=marker, color=color, label=name)
ax.set(yscale="log", xlabel="epochs", ylabel="labels made")
ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# ## 5.4 The price of a second
#
# Give up the deadline, and pay $\lambda$ joules for every second instead; get $\lambda T_{max}$ back for those that
# were allowed. For a plan that keeps the deadline this is a discount, so
#
# $$\min_{\text{plans}} \bigl( e + \lambda t \bigr) - \lambda T_{max} \;\le\; \text{optimum}
# \qquad\text{for every } \lambda \ge 0 ,$$
#
# and the minimum on the left is a shortest path without any limit. In the plane of time and energy it is a straight
# line of slope $-\lambda$, pushed up from below until it touches a plan (left). As a function of the price the bound
# is concave, the least of straight lines, one for each plan (right).


# %%
def all_plans(candidate):
    """Time and energy of every plan."""
    sequences = np.indices([len(candidate.states)] * candidate.epochs).reshape(candidate.epochs, -1).T
    found = np.array([totals(candidate, states) for states in sequences])
    return found[:, 1], found[:, 0]


fig, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
t, e = all_plans(eight)
prices = np.linspace(0, 40, 401)
for candidate, color, style in ((four, ORANGE, "--"), (eight, BLUE, "-")):
    times, energies = all_plans(candidate)
    bounds = np.array([(energies + price * (times - toy.time_limit)).min() for price in prices])
    right.plot(prices, bounds, color=color, linestyle=style, label=f"{candidate.bits} bits")
    print(f"{candidate.bits} bits: at least {bounds.max():.2f} J, by {prices[bounds.argmax()]:.1f} J a second")
slope, bound = prices[bounds.argmax()], bounds.max()
fits = t <= toy.time_limit
left.plot(t[fits], e[fits], "o", color=BLUE, label="in time")
left.plot(t[~fits], e[~fits], "o", markerfacecolor="white", color=GREY, label="late")
left.axvline(toy.time_limit, color=INK, linewidth=0.9, linestyle=":")
seconds = np.array([2.5, 4.0])
left.plot(seconds, bound + slope * (toy.time_limit - seconds), color=RED, linewidth=1, label=f"slope -{slope:.3g} J/s")
left.plot(toy.time_limit, bound, "D", color=RED, label="bound")
left.set(xlabel="time [s]", ylabel="energy [J]", xlim=(2.5, 5.2), ylim=(18, 50), title="plans at 8 bits")
right.axhline(solution.objective, color=INK, linestyle=":", label="optimum")
right.set(xlabel="price of a second [J/s]", ylabel="bound [J]", ylim=(10, 40))
for panel in (left, right):
    panel.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# For 4 bits a price is enough: 35.04 J exceeds the 34.5 J of our plan. For 8 bits the line rests on two plans, one in
# time and one late, and the optimum hangs above it: a **gap**. It is closed by dividing the plans, and bounding each
# part at a price of its own, in fractions. The parts below are disjoint, and every plan is in one of them.


# %%
def least(price, first, second):
    """Bound on the plans at 8 bits whose two epochs are in these sets of states, exactly."""
    weighed = []
    for r in first:
        for s in second:
            e = eight.setup_energy, eight.energy[0, r], eight.switch_energy[r, s], eight.energy[1, s]
            t = eight.setup_time, eight.time[0, r], eight.switch_time[r, s], eight.time[1, s]
            weighed.append(sum(map(Fraction, e)) + price * (sum(map(Fraction, t)) - Fraction(toy.time_limit)))
    return float(min(weighed))


index, every = eight.index, range(len(eight.states))
frugal = [s for (server, _), s in index.items() if server == "frugal"]
parts = [
    ("frugal, then frugal", 1000, frugal, frugal),
    ("fast with cut 1, then frugal", 0, [index["fast", 1]], frugal),
    ("fast with cut 2, then frugal", 1000, [index["fast", 2]], frugal),
    ("anything, then fast with cut 1", 0, every, [index["fast", 1]]),
    ("anything, then fast with cut 2", 1000, every, [index["fast", 2]]),
]
for name, price, first, second in parts:
    print(f"{name:31} at {price:4} J/s: at least {least(Fraction(price), first, second):6.1f} J")
print(f"the certificate: bound {solution.certificate.bound:g} J ({solution.certificate.kind})")

# %% [markdown]
# All at least 34.5. At 1000 J a second a part in which *every* plan is late shoots up: a high price is how a bound
# says "infeasible".
#
# ## 5.5 A choice, a schedule, a path, and the energy of every deadline
#
# * **choice**: one server and one cut for all epochs. That is a table, and no search. The published decisions are of
#   this kind, and the paper's proof that it is NP-hard uses a knapsack that it is not.
# * **schedule**: each epoch has its own, and changing is free. A multiple-choice knapsack; *this* is NP-hard.
# * **path**: changing costs. A shortest path with a limit.
#
# A choice is a path that never changes; a path without its fares is a schedule; a schedule is a point of the linear
# program. So for every deadline $\text{choice} \ge \text{path} \ge \text{schedule} \ge \text{linear program}$. The
# least energy for every deadline is a staircase, and `qopt.breakpoints` gives its corners.

# %%
free = toy.replace({"mode": "schedule", "switching": {}})
modes = {"choice": toy.replace({"mode": "choice"}), "path": toy, "schedule": free}
fronts = {name: qopt.breakpoints(problem, "time_limit") for name, problem in modes.items()}
deadlines = np.linspace(2.29, 3.8, 152)


def program_of(candidate):
    """The linear program of a schedule: the best of many prices at each deadline."""
    prices = np.linspace(0, 200, 2001)
    best = (candidate.energy[0] + prices[:, None] * candidate.time[0]).min(axis=1)
    quantizing = candidate.setup_energy + prices * candidate.setup_time
    return (quantizing + candidate.epochs * best - prices * deadlines[:, None]).max(axis=1)


fig, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
for (name, front), color, width in zip(fronts.items(), (RED, INK, BLUE), (4, 2.2, 1.2), strict=True):
    ax.step(*zip(*front.points, (3.8, front.points[-1][1]), strict=True), where="post", color=color, linewidth=width)
    ax.plot([], [], color=color, linewidth=width, label=name)
    print(f"{name:9}", [(round(limit, 2), round(energy, 1)) for limit, energy in front.points])
ax.plot(deadlines, np.minimum(program_of(four), program_of(eight)), color=GREY, linestyle="--", label="linear program")
ax.axvline(toy.time_limit, color=INK, linewidth=0.9, linestyle=":")
ax.set(xlabel="deadline [s]", ylabel="least energy [J]", xlim=(2.2, 3.8), ylim=(20, 60))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The path has a linear program too, with a variable $z_{krs}$ for each change; the file `formulations/jqodi.py`
# states it. Without the time row its vertices are paths. So the linear program proves just what the best price of 5.4
# proves, and no more (Geoffrion, 1974): a relaxation with integral vertices has the value of the Lagrangian dual.

# %%
head = formulations.jqodi.__doc__
print(head[head.index("Mode ``schedule``") : head.index("    ``assignment``")])
program = formulations.jqodi.joint(toy, "flow", relaxed=True)
pyo.SolverFactory("appsi_highs").solve(program)
print(f"linear program {pyo.value(program.cost):.2f} J, best price {bound:.2f} J, optimum {solution.objective:.2f} J")

# %% [markdown]
# The paper's first experiment, CIFAR-10 on a Raspberry Pi and two graphics cards, prints decisions and totals, but no
# speeds and energies; `jqodi/data1` holds one fit of many. Its deadline of 180 s does not bind: the cheapest of all
# plans takes 135.6 s. With less time, other servers and then other networks take over.

# %%
data1 = qopt.load("jqodi/data1")
by_deadline = qopt.breakpoints(data1, "time_limit")
for limit, energy in by_deadline.points:
    plan = by_deadline.at(limit).plan
    decision = f"{plan.model}, {plan.bits} bits, {plan.servers[0]}, cut {plan.cuts[0]}"
    print(f"from {limit:6.2f} s: {decision}, {energy:.0f} J")
plots.plot_energy_time(
    data1, {name: qopt.solve(data1, m).plan for name, m in (("optimum", "auto"), ("JQODI", "jqodi-paper"))}
)
plt.show()

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: one epoch by hand
#
# Work out one epoch of the toy at 4 bits with server *frugal* and cut 2: seconds and joules of the five parts, from
# the numbers in `toy.description`. Compare the sum with 5.1. Which part is largest, and what would halve it?

# %% [solution]
one_epoch = {  # seconds, joules
    "device, layers 1 and 2": (0.6, 1.2),
    "frugal, layer 3": (0.2, 1.6),
    "cloud, all layers": (0.1, 3.2),
    "parameters, cloud and server": (0.2, 2.0),
    "parameters, server and device": (0.4, 2.0),
}
seconds, joules = (sum(column) for column in zip(*one_epoch.values(), strict=True))
state = four.index["frugal", 2]
print(f"{seconds:.2f} s, {joules:.1f} J by hand; {four.time[0, state]:.2f} s, {four.energy[0, state]:.1f} J in 5.1")
for name, (part, energy) in one_epoch.items():
    print(f"   {name:30} {part:.1f} s {energy:.1f} J")

# %% [markdown] [solution]
# The device takes the most seconds, the cloud the most joules. Two bits in place of four would halve what is sent,
# 0.6 s and 4 J, but the loss would never come down. With cut 1 the device would save the 0.4 s of layer 2, and the
# server would spend 3.2 J more on it. *Learned*: the cut trades the server's joules against the device's seconds and
# what is sent, and the width acts on what is sent alone.

# %% [markdown]
# ### Exercise 2: change the fares
#
# The optimum changes the server once. Let a change of the server cost the same in both directions
# (`switching.server_energy`) and raise that fare from 0 on. At which fare does the plan stop changing? Why is it the
# difference of two numbers of 5.5?

# %% [solution]
for fare in (0.0, 3.0, 7.1, 7.3, 20.0):
    found = qopt.solve(toy.replace({"switching.server_energy": [[0, fare], [fare, 0]]}))
    print(f"fare {fare:4} J: {found.objective:.1f} J,", list(zip(found.plan.servers, found.plan.cuts, strict=True)))

# %% [markdown] [solution]
# Without a fare the path costs as much as the schedule, 34.2 J; never to change costs the choice's 41.4 J. With one
# change the path costs 34.2 J and the fare, so it stops changing at 7.2 J. *Learned*: the value of a right to change
# is the difference of two optima, and a restriction (a choice is a path that never changes) gives an upper bound on
# what it can be worth.

# %% [markdown]
# ### Exercise 3: a schedule is a knapsack
#
# Show that a schedule with two states an epoch can be any knapsack with items that are taken or not, and so is
# NP-hard. Then solve random schedules twice, as a path through layers without fares by `qopt.kernels.rcsp`, and as a
# multiple-choice knapsack by `qopt.kernels.mckp`.

# %% [solution]
from qopt.kernels import mckp, rcsp

rng = np.random.default_rng(0)
same = 0
for _ in range(20):
    size, states = int(rng.integers(3, 12)), int(rng.integers(2, 5))
    energy, time = rng.integers(1, 50, (size, states)).astype(float), rng.integers(1, 50, (size, states)).astype(float)
    limit = float(np.floor(0.5 * (time.min(axis=1) + time.max(axis=1)).sum()))
    none = np.zeros((states, states))
    path = rcsp.solve(rcsp.Layered(energy, time, none, none), limit)
    knapsack = mckp.solve(energy, time, limit)
    same += path.status == knapsack.status == "optimal" and path.objective == knapsack.objective
print("the same optimum:", same, "of 20")

# %% [markdown] [solution]
# Given profits $p_k$, sizes $a_k$ and a capacity $C$, let epoch $k$ have the state *take* with energy 0 and time
# $a_k$ and the state *leave* with energy $p_k$ and time 0, and let the deadline be $C$. A schedule in time is a
# packing, and its energy is the profit left behind. So whoever solves schedules solves knapsacks. *Learned*: a
# reduction goes *from* the hard problem; that the states differ from epoch to epoch is what it needs. With equal
# epochs, as in a choice, the same sentence proves nothing.
