# The source of 6_minimum_cut.ipynb: edit this, then run docs/execute_notebooks.py.
# ruff: noqa: E402

# %% [markdown]
# # 6. Three tiers and a minimum cut
#
# A phone takes a picture and wants to know what is on it. Near the phone stands an **edge** server, faster than the
# phone; far away a **cloud**, faster still, behind a slow line. Each operation of the neural network can run on any
# of these tiers, and the network itself can be taken as it is, quantized, or cut short. *On the Impact of Black-box
# Deployment Strategies for Edge AI on Latency and Model Performance* tries 18 such strategies on four networks and
# measures. *What is the best of all placements, and what proves it?*
#
# After this notebook the reader can
#
# * write the latency of a placement as a minimum cut, and say why *ordered* tiers are what makes this work,
# * read a maximum flow as a proof that nobody can do better,
# * recognize the linear program with integral vertices, and the memory row that spoils it,
# * compute the rates at which a placement changes.
#
# Linear programs and "maximum flow equals minimum cut" are needed. The page is [placement](../placement.md), what the
# study measured is discussed in [placement-study](../placement-study.md).

# %%
from fractions import Fraction

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

import qopt
from qopt import kernels, plots
from qopt.placement.costs import labellings
from qopt.placement.plan import tiers_used

BLUE, RED, GREY, INK, ORANGE = (getattr(plots.style, name) for name in ("BLUE", "RED", "GREY", "INK", "ORANGE"))
problem = qopt.load("placement/teaching-5")
print("tiers:    ", ", ".join(f"{t.name} ({t.speed:g} MAC/s)" for t in problem.tiers))
print("links:    ", ", ".join(f"{link.rate:g} bit/s" for link in problem.links))
print("operators:", ", ".join(f"{o.name} ({o.accuracy})" for o in problem.operators))
for tensor in problem.graph.tensors:
    print(f"   {tensor.producer} -> {', '.join(tensor.readers)}: {tensor.size:g} bits")

# %% [markdown]
# ## 6.1 What a placement costs
#
# The network prepares the picture, runs a convolution, then a block with a connection around it, and classifies. The
# output of `conv` is read twice. Take the *quantized* network: a quarter of the bits in every tensor inside, and the
# edge twice as fast. A tensor that goes from the phone to the cloud crosses both links and pays for both; it is sent
# once, whoever reads it.

# %%
own, costs = labellings(problem)["quantized"]
nodes = ["picture", *own.names]
print("seconds of       mobile  edge  cloud")
for name, row in zip(own.names, own.time, strict=True):
    print(f"  {name:13}{row[0]:8g}{row[1]:6g}{row[2]:7g}")
print("seconds of the tensor that ... writes")
for (u, _, _), weights in zip(costs.rows, costs.weight, strict=True):
    print(f"  {nodes[u]:13} mobile-edge {weights[0]:5g}   edge-cloud {weights[1]:5g}")
solution = qopt.solve(problem)
print(f"{solution.plan.operator}: {solution.objective:g} seconds, {solution.status}")
plots.plot_placement(problem, solution.plan)
plt.show()

# %% [markdown]
# Everything on the edge takes $6 + 1 + 2 + 4 + 0 + 4 = 17$ seconds. Preparing on the phone sends 16 bits instead of
# 48 and saves 3. Classifying in the cloud saves one more. Data only moves **up** the line of tiers, so a placement is
# a staircase.
#
# ## 6.2 From tiers to a cut
#
# Five operations, three tiers, $3^5$ placements: a computer tries them all. A real network has hundreds of
# operations, so its structure is needed. Give operation $v$ one binary for each **link**:
#
# $$x_{vk} = 1 \iff v \text{ runs above tier } k .$$
#
# With mobile = 0, edge = 1, cloud = 2, the edge is $x_{v0} = 1,\ x_{v1} = 0$. Tiers stand in a line, so
# $x_{v1} \le x_{v0}$, and that is all there is to know. With $x_{v,-1} = 1$ and $x_{v,2} = 0$ the cost becomes
#
# $$\sum_{v,k} c_{vk}\,(x_{v,k-1} - x_{vk})
# \;+\; \sum_{t,k} w_{tk}\,\bigl(\max_{r \text{ reads } t} x_{rk} - x_{u(t),k}\bigr)^+ .$$
#
# Every term is a price times a **difference of two binaries**. Read 1 as "on the side of $s$" and 0 as "on the side
# of $t$": each term is an arc that is paid for when it is cut. Data moves up means $x_{u k} \le x_{r k}$, an arc of
# infinite capacity. `to_networkx` writes this network; each operation is a chain of three arcs from $s$ (the floor)
# to $t$ (the ceiling), one arc a tier.

# %%
network = kernels.mincut.to_networkx(costs.unary, costs.rows)
offset = network.graph["offset"]  # of each operation, the seconds of its cheapest tier, paid whatever we do
finite = {(tail, head): c for tail, head, c in network.edges(data="capacity") if c is not None}
whole = network.copy()
for tail, head in finite:  # quarters of a second become whole numbers: flows in floats compare what should be equal
    whole.edges[tail, head]["capacity"] = int(4 * finite[tail, head])
value, (below, above) = nx.minimum_cut(whole, "s", "t")
tiers = [sum((v, k) in below for k in (0, 1)) for v in range(1, len(nodes))]
cut = [(tail, head) for tail, head in finite if tail in below and head in above]
amount, flow = nx.maximum_flow(whole, "s", "t")
print(f"{len(network)} nodes, {len(finite)} arcs with a capacity, {len(network.edges) - len(finite)} infinite ones")
print(f"cut {value / 4:g} + offset {offset:g} = {value / 4 + offset:g} seconds")
print(dict(zip(own.names, [problem.tier_names[k] for k in tiers], strict=True)))
print(
    "flow = cut:",
    amount == value,
    "; every arc of the cut is full:",
    all(flow[a][b] == 4 * finite[a, b] for a, b in cut),
)


def spot(node, column):
    """Where a node is drawn: columns are operations, heights are links; s is the floor, t the ceiling."""
    if node in ("s", "t"):
        return column, 0.0 if node == "s" else 3.0
    return (node[0], node[1] + 1.0) if node[0] != "max" else (costs.producer[node[1]] + 0.55, node[2] + 1.33)


fig, ax = plt.subplots(figsize=(9.5, 4.6), layout="constrained")
single = {("max", t, k): (r[0], k) for t, r in enumerate(costs.readers) if len(r) == 1 for k in (0, 1)}
for tail, head in network.edges:
    if head in single or (tail == "s" and head[0] == 0) or (head == "t" and tail[0] == 0):
        continue  # a maximum over one reader is that reader; the picture is born on the phone
    start = single.get(tail, tail)
    at = head[0] if start == "s" else start[0]
    a, b = spot(start, at), spot(head, at)
    known, strong = (tail, head) in finite, (tail, head) in cut
    style = {"color": RED if strong else INK if known else "#c8c8c8", "linewidth": 2.4 if strong else 0.9}
    ax.annotate("", b, a, arrowprops={"arrowstyle": "-|>", "shrinkA": 4, "shrinkB": 4, **style})
    if known:
        x, y = (0.3 * p + 0.7 * q for p, q in zip(a, b, strict=True))
        ax.text(x + 0.04, y + 0.04, f"{flow[tail][head] / 4:g}/{finite[tail, head]:g}", fontsize=7)
heights = np.array([0, *tiers]) + 0.5
ax.stairs(heights, np.arange(len(heights) + 1) - 0.5, fill=True, color=BLUE, alpha=0.12)
ax.set_xticks(range(len(nodes)), nodes)
ax.set_yticks([0.5, 1.5, 2.5], ["mobile", "edge", "cloud"])
ax.set(xlim=(-0.5, 5.75), ylim=(-0.1, 3.1), title="flow / capacity; the cut is red, the side of s shaded")
plt.show()

# %% [markdown]
# Light arcs are infinite. The two nodes beside `conv` are the maxima over its readers: two infinite arcs come in and
# **one** priced arc goes out, so that the tensor is paid once a link.
#
# **Why order matters.** If the tiers were three data centres with links between any two, an operation would choose
# one of three *unordered* labels. No binaries would make each term a difference of two, and the problem, a multiway
# cut, is NP-hard from three labels on. On a line, forty tiers are as easy as two.
#
# ## 6.3 The flow is the proof
#
# Let the readers of each tensor $t$ share out its price at each link $k$: numbers $f_{tkr}$ whose positive ones add
# up to $w_{tk}$ at most. No difference $x_{rk} - x_{uk}$ is negative, so
#
# $$w_{tk} \max_r (x_{rk} - x_{uk})^+ \;\ge\; \sum_r f_{tkr}\,(x_{rk} - x_{uk}) .$$
#
# On the right, every $x$ stands alone. Collect what each operation $v$ gains at each link $j$ into $g_{vj}$ (its
# readings' $f$, less the $f$ of what it writes):
#
# $$J \;\ge\; \sum_v \Bigl( c_{v,\tau_v} + \sum_{j < \tau_v} g_{vj} \Bigr)
# \;\ge\; \sum_v \min_k \Bigl( c_{vk} + \sum_{j<k} g_{vj} \Bigr) .$$

# %%
found = kernels.mincut.solve(costs.unary, costs.rows)
gain = [[Fraction(0)] * 2 for _ in nodes]
for j, row in enumerate(found.flow.tolist()):
    for k, f in enumerate(row):
        gain[found.tensors.reader[j]][k] += Fraction(f)
        gain[costs.producer[found.tensors.owner[j]]][k] -= Fraction(f)
gains = np.cumsum(np.array(gain, dtype=float), axis=1)
for share in (1.0, 0.9, 0.5, 0.0):
    priced = costs.unary.copy()
    priced[:, 1:] += share * gains
    print(f"{share:4.0%} of the flow proves {priced.min(axis=1).sum():6.3f} seconds")
print(f"our placement takes {found.objective:g}")
after = costs.unary.copy()
after[:, 1:] += gains
fig, panels = plt.subplots(1, 2, figsize=(9.5, 2.5), layout="constrained")
for panel, table, title in zip(panels, (costs.unary, after), ("seconds", "seconds with the flow's gains"), strict=True):
    panel.set(xlim=(-0.5, 5.5), ylim=(-0.5, 2.5), title=title)
    for (v, k), c in np.ndenumerate(table):
        frame = {"boxstyle": "square", "facecolor": "white", "edgecolor": BLUE if found.labels[v] == k else "white"}
        text = "-" if np.isinf(c) else f"{c:g}"
        weight = "bold" if c == table[v].min() else "normal"
        panel.text(v, k, text, ha="center", va="center", fontsize=9, weight=weight, bbox=frame)
    panel.set_xticks(range(len(nodes)), nodes, fontsize=8)
    panel.set_yticks(range(3), problem.tier_names)
plt.show()

# %% [markdown]
# Bold is the cheapest tier of each operation *by itself*, squares are our placement. On the left no operation minds
# the cloud, since none of them pays for sending. On the right the flow has moved the price of sending into the
# columns, and **every operation, asked alone, agrees with the plan**. Nobody can get below the sum of the columns'
# minima, and we are there: strong duality. A flow that is not the best proves less, and never too much.
#
# ## 6.4 Integral vertices, and the row that spoils them
#
# Write each maximum as a variable $z_{tk} \ge x_{rk} - x_{uk}$ and let $0 \le x \le 1$. Every row holds a difference
# of variables, the matrix is totally unimodular, and vertices are integral. A memory row $\sum_v m_v (x_{v,k-1} -
# x_{vk}) \le M_k$ adds up many differences and breaks the structure: a knapsack moves in. Moving the row into the
# objective with a multiplier $\mu \ge 0$ leaves a minimum cut again, whose value bounds every plan from below.

# %%
import pyomo.environ as pyo
from qopt.formulations import placement as models


def fractional(model):
    """Solve a linear program; whether some x lies strictly between 0 and the operator's y."""
    pyo.SolverFactory("appsi_highs").solve(model)
    return any(1e-6 < pyo.value(x) < 1 - 1e-6 for x in model.above.values())


print(models.__doc__[models.__doc__.index("Model ``lp``") : models.__doc__.index("It is the dual")])
free = [qopt.generate.placement(8, seed=seed, operators=1) for seed in range(10)]
relaxed = [models.joint(qopt.generate.placement(8, seed=seed, operators=1, memory=0.3)) for seed in range(10)]
for model in relaxed:
    pyo.TransformationFactory("core.relax_integer_vars").apply_to(model)
print("fractional without memory:", sum(fractional(models.joint(p, "lp")) for p in free), "of 10")
print("fractional with memory:   ", sum(fractional(model) for model in relaxed), "of 10")
answer = qopt.solve(problem.replace({"tiers[1].memory": 150}))
multipliers = np.linspace(0, 0.1, 101)
bounds = []
for mu in multipliers:
    dearer = costs.unary.copy()
    dearer[1:, 1] += mu * own.memory
    bounds.append(kernels.mincut.solve(dearer, costs.rows).bound - mu * 150)
print(f"150 bytes on the edge: {answer.objective:g} seconds, {answer.status} ({answer.certificate.kind})")
print(f"best multiplier {multipliers[int(np.argmax(bounds))]:.3f}: at least {max(bounds):.2f} seconds")
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
ax.plot(multipliers, bounds, color=BLUE, label="lower bound, one cut for each $\\mu$")
ax.axhline(answer.objective, color=INK, linestyle=":", label="best placement with 150 bytes")
ax.set(xlabel="multiplier $\\mu$ [seconds per byte]", ylabel="seconds")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The bound stops short of 14: a gap. It is closed by asking one operation where it wants to be, and bounding both
# answers. The tree of these questions, with a multiplier and a flow for each leaf, is the certificate's witness.
#
# ## 6.5 The cut moves with the link
#
# For a *fixed* placement the latency is a straight line in $1/r$, so the best one at each rate is the lower envelope
# of lines, as in [notebook 2](2_break_even.ipynb). The whole curve costs a handful of cuts: intersect the lines of
# two optimal placements, solve there, and go on where something better turns up. Below, the teaching network and the
# study's ResNet, with all placements allowed.

# %%
by_rate = qopt.breakpoints(problem, "links[1].rate", low=0.5, high=100)
print("break-even rates of the teaching network [bit/s]:", by_rate.values, "from", by_rate.solved, "solutions")
resnet = qopt.load("placement/resnet")
moved = qopt.breakpoints(resnet, "links[1].rate", low=1e5, high=1e8)
runs = [tiers_used(resnet, piece.plan) for piece in moved.pieces]
print(
    "resnet:",
    ", ".join(f"{t} up to {v / 1e6:.2f} Mbit/s" for t, v in zip(runs, moved.values, strict=False)),
    "then",
    runs[-1],
)
fig, (upper, lower) = plt.subplots(2, 1, figsize=(9, 5.6), layout="constrained")
plots.plot_break_even(problem, "links[1].rate", low=0.5, high=100, ax=upper)
plots.plot_break_even(resnet, "links[1].rate", low=1e5, high=1e8, ax=lower)
plt.show()

# %% [markdown]
# ## 6.6 The study's strategies
#
# The study's 18 strategies are four operators on one tier each, and two operators in **halves of equal weight size**
# on two tiers. Instances hold times fitted to the medians that it prints. Below, each strategy as a mark and the
# optimum over all placements as a line.

# %%
subjects = {name: qopt.load(f"placement/{name}") for name in ("resnet", "resnext", "fcn", "duc")}
fig, ax = plt.subplots(figsize=(8, 3), layout="constrained")
for i, (name, subject) in enumerate(subjects.items()):
    table, best = qopt.strategies(subject), qopt.solve(subject)
    halved = table.tiers.str.contains("-")
    shift = np.linspace(-0.25, 0.25, len(table))
    ax.plot(table.latency[~halved], i + shift[~halved], "o", color=BLUE)
    ax.plot(table.latency[halved], i + shift[halved], "D", color=ORANGE)
    ax.plot([best.objective, best.objective], [i - 0.38, i + 0.38], color=RED, linewidth=2.5)
    print(f"{name:8} best of {len(table)}: {table.latency.min():7.3f} s   {best.status}: {best.objective:7.3f} s")
ax.set_yticks(range(4), subjects)
ax.invert_yaxis()
ax.set(xscale="log", xlabel="latency [s]")
ax.legend(["one tier", "equal halves", "optimum, proved"], frameon=False, fontsize=8, bbox_to_anchor=(1, 0.6))
plt.show()

# %% [markdown]
# For the segmenters `fcn` and `duc` the best single tier *is* the optimum, and for the classifiers it is close. What
# partitioning can do is not what equal halves do: they balance *bytes of weights*, and latency is made of *seconds*
# on two tiers of different speed and of *bits* at the cut.
#
# ## Exercises
#
# ### Exercise 1: the identity network by hand
#
# For the network as it is (operator *identity*) the operations take 1, 4, 8, 0, 8 seconds on the edge and 1, 1, 2, 0,
# 2 in the cloud, and tensors have four times the bits of 6.1. Which operations go to the cloud, and how long does the
# whole take? Compare with `qopt.front(problem)`.

# %% [solution]
_, plain = labellings(problem)["identity"]
alone = kernels.mincut.solve(plain.unary, plain.rows)
print({name: problem.tier_names[k] for name, k in zip(nodes, alone.labels.tolist(), strict=True)})
for point in qopt.front(problem):
    print(f"{point.name:22} {point.values['accuracy']:.2f} {point.values['objective']:5g} s  {point.facts['tiers']}")

# %% [markdown] [solution]
# All on the edge takes $6 + 1 + 4 + 8 + 0 + 8 = 27$ seconds. Classifying in the cloud saves 6 and sends 8 bits over
# the slow line, which takes 4: 25 seconds. Preparing on the phone takes $2 + 8$ seconds in place of $6 + 1$, since
# what is prepared is larger than the picture here. *Learned*: an operator changes all numbers at once, and the cuts
# of two operators have nothing to do with each other; one cut each, and the least is taken.

# %% [markdown]
# ### Exercise 2: keep the picture at home
#
# Set `input.private` to `true` in `placement/duc` and in `placement/resnet`: the raw picture must not leave the
# phone. What does that cost, in seconds and in percent, and why is it so much more for one of them?

# %% [solution]
for name in ("resnet", "duc"):
    open_one = qopt.solve(subjects[name])
    private = qopt.solve(subjects[name].replace({"input.private": True}))
    more = private.objective - open_one.objective
    runs = tiers_used(subjects[name], open_one.plan), tiers_used(subjects[name], private.plan)
    print(f"{name:7} {runs[0]} to {runs[1]}: {more:.3f} s more, {more / open_one.objective:.1%}")

# %% [markdown] [solution]
# ResNet's best placement prepares the picture on the phone anyhow, so the restriction costs nothing. DUC's runs
# wholly on the edge, and must now compute something on the phone first. *Learned*: the price of a restriction is the
# difference of two optima, and is 0 exactly where some optimum keeps it already; a certificate makes such a
# difference a fact about the problem and not about a heuristic.

# %% [markdown]
# ### Exercise 3: two tiers and a chain
#
# Show that on a chain with two tiers the minimum cut is the best of $n + 1$ split points. Write that search and
# compare it with `kernels.mincut` on random chains. What does a connection around an operation add?

# %% [solution]
rng = np.random.default_rng(0)
same = 0
for _ in range(50):
    n = int(rng.integers(3, 30))
    seconds = rng.integers(1, 100, (n + 1, 2)).astype(float)
    seconds[0] = 0.0, np.inf  # the picture is on the phone
    sending = rng.integers(1, 100, n).astype(float)
    by_cut = kernels.mincut.solve(seconds, [(v, [v + 1], [sending[v]]) for v in range(n)])
    splits = [
        seconds[: s + 1, 0].sum() + seconds[s + 1 :, 1].sum() + (sending[s] if s < n else 0.0) for s in range(n + 1)
    ]
    same += by_cut.objective == min(splits)
print("the best split is the minimum cut:", same, "of 50")

# %% [markdown] [solution]
# Data only moves up, so along the chain tiers never fall: with two tiers a placement is *phone up to $s$, edge from
# there on*, $n + 1$ placements. A connection around an operation lets the operation stay on the phone while nothing
# after it does, or not: on a graph the placements are the closed sets of a partial order, of which there may be
# exponentially many. *Learned*: enumeration works for chains because closed sets of a chain are its prefixes; the cut
# works for all graphs.
