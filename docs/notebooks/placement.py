# The source of placement.ipynb: edit this, then run docs/execute_notebooks.py.
# ruff: noqa: E402

# %% [markdown]
# # Three tiers and a minimum cut
#
# A phone takes a picture and wants to know what is on it. Near the phone stands an **edge** server, faster than the
# phone; far away a **cloud**, faster still, behind a slow line. Each operation of the neural network can run on any of
# these tiers, and the network itself can be taken as it is, quantized, or cut short. *On the Impact of Black-box
# Deployment Strategies for Edge AI on Latency and Model Performance* tries 18 such strategies on four networks and
# measures. We ask for the best of **all** placements, and for a proof.
#
# In this notebook you
#
# 1. write the cost of a placement for a network of five operations, small enough for a pencil,
# 2. turn it into a minimum cut, draw it, and see why *ordered* tiers are what makes this work,
# 3. read the maximum flow as a proof that nobody can do better,
# 4. meet the linear program whose vertices are integral, and the memory row that spoils it,
# 5. watch the cut move with the rate of a link and the size of the picture,
# 6. set the study's strategies beside the optimum for its four networks.
#
# You need linear programs and "maximum flow equals minimum cut", nothing about neural networks beyond *an operation
# turns tensors into a tensor*.

# %%
import math
from fractions import Fraction

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

import qopt
from qopt import kernels, plots
from qopt.placement.costs import breakdown, labellings
from qopt.placement.plan import tiers_used

BLUE, RED, GREY, INK, ORANGE = (getattr(plots.style, name) for name in ("BLUE", "RED", "GREY", "INK", "ORANGE"))
problem = qopt.load("placement/teaching-5")
print("tiers:    ", ", ".join(f"{t.name} ({t.speed:g} MAC/s)" for t in problem.tiers))
print("links:    ", ", ".join(f"{link.rate:g} bit/s" for link in problem.links))
print("operators:", ", ".join(f"{o.name} ({o.accuracy})" for o in problem.operators))
print("accuracy asked for:", problem.targets.accuracy)

# %% [markdown]
# ## 1. What a placement costs
#
# The network prepares the picture, runs a convolution, then a block with a connection around it, and classifies.
# Numbers on the arrows are bits. Note `conv`: its output is read twice.

# %%
graph, bits = nx.DiGraph(), {("picture", "prepare"): problem.input.size}
for tensor in problem.graph.tensors:
    bits |= {(tensor.producer, reader): tensor.size for reader in tensor.readers}
graph.add_edges_from(bits)
where = {name: (i, 0.0) for i, name in enumerate(["picture", *problem.graph.operations])} | {"block": (3, 0.35)}
fig, ax = plt.subplots(figsize=(8, 1.9), layout="constrained")
nx.draw_networkx(graph, where, ax=ax, node_size=1900, node_color="white", edgecolors=INK, font_size=8)
nx.draw_networkx_edge_labels(graph, where, {e: f"{b:g}" for e, b in bits.items()}, ax=ax, font_size=8)
ax.margins(0.08, 0.35)
ax.axis("off")
plt.show()

# %% [markdown]
# Take the *quantized* network: a quarter of the bits in every tensor inside, and the edge twice as fast. These are its
# seconds. A tensor that goes from the phone to the cloud crosses both links and pays for both.

# %%
own, costs = labellings(problem)["quantized"]
nodes = ["picture", *own.names]
print("seconds of       mobile  edge  cloud")
for name, row in zip(own.names, own.time, strict=True):
    print(f"  {name:13}{row[0]:8g}{row[1]:6g}{row[2]:7g}")
print("seconds of the tensor that ... writes")
for (u, _, _), weights in zip(costs.rows, costs.weight, strict=True):
    print(f"  {nodes[u]:13} mobile-edge {weights[0]:5g}   edge-cloud {weights[1]:5g}")

# %% [markdown]
# Everything on the edge: $6 + 1 + 2 + 4 + 0 + 4 = 17$. Preparing on the phone sends 16 bits instead of 48 and saves
# 3 seconds. Classifying in the cloud saves one more. Data only moves **up** the line of tiers, so a placement is a
# staircase:

# %%
solution = qopt.solve(problem)
print(solution.plan.operator, solution.plan.tiers)
print(f"{solution.objective:g} seconds, {solution.status}")
plots.plot_placement(problem, solution.plan)
plt.show()

# %% [markdown]
# ## 2. From tiers to a cut
#
# Five operations, three tiers, $3^5$ placements: a computer tries them all. A real network has hundreds of
# operations, so look for structure. Give operation $v$ one binary for each **link**:
#
# $$x_{vk} = 1 \iff v \text{ runs above tier } k .$$
#
# With mobile = 0, edge = 1, cloud = 2, the edge is $x_{v0} = 1,\ x_{v1} = 0$. Tiers stand in a line, so
# $x_{v1} \le x_{v0}$, and that is all there is to know. With $x_{v,-1} = 1$ and $x_{v,2} = 0$ the cost becomes
#
# $$\sum_{v,k} c_{vk}\,(x_{v,k-1} - x_{vk})
# \;+\; \sum_{t,k} w_{tk}\,\bigl(\max_{r \text{ reads } t} x_{rk} - x_{u(t),k}\bigr)^+ .$$
#
# Every term is a price times a **difference of two binaries**. Read 1 as "on the side of $s$" and 0 as "on the side of
# $t$": then each term is an arc that is paid for when it is cut. Data moves up means $x_{u k} \le x_{r k}$, an arc of
# infinite capacity.
#
# `to_networkx` writes this network. It subtracts from each operation the seconds of its cheapest tier, which are paid
# whatever we do; `offset` is their sum.

# %%
network = kernels.mincut.to_networkx(costs.unary, costs.rows)
offset = network.graph["offset"]
finite = {(tail, head): c for tail, head, c in network.edges(data="capacity") if c is not None}
print(f"{len(network)} nodes, {len(finite)} arcs with a capacity, {len(network.edges) - len(finite)} infinite ones")
print(f"offset {offset:g}")


def spot(node, column):
    """Where a node is drawn: columns are operations, heights are links; s is the floor, t the ceiling."""
    if node in ("s", "t"):
        return column, 0.0 if node == "s" else 3.0
    if node[0] != "max":
        return node[0], node[1] + 1.0
    _, t, k = node
    return costs.producer[t] + 0.55, k + 1.33


def draw(ax, labels, bold=(), tiers=None):
    """The cut network: arcs of finite capacity with labels, infinite ones thin; a placement as a staircase."""
    ax.axhline(0, color=INK, linewidth=3)
    ax.axhline(3, color=INK, linewidth=3)
    ax.text(5.6, 0.06, "s", fontsize=12)
    ax.text(5.6, 2.83, "t", fontsize=12)
    single = {("max", t, k): (r[0], k) for t, r in enumerate(costs.readers) if len(r) == 1 for k in (0, 1)}
    for tail, head in network.edges:
        if head in single or (tail == "s" and head[0] == 0) or (head == "t" and tail[0] == 0):
            continue  # a maximum over one reader is that reader; the picture is born on the phone
        start, stop = single.get(tail, tail), head
        at = stop[0] if start == "s" else start[0]
        a, b = spot(start, at), spot(stop, at)
        known, strong = (tail, head) in finite, (tail, head) in bold
        style = {"color": RED if strong else INK if known else "#c8c8c8", "linewidth": 2.4 if strong else 0.9}
        bend = "arc3,rad=0.18" if not known and a[0] == b[0] else "arc3"
        arrow = {"arrowstyle": "-|>", "shrinkA": 4, "shrinkB": 4, "connectionstyle": bend, **style}
        ax.annotate("", b, a, arrowprops=arrow)
        if known:
            x, y = (0.3 * p + 0.7 * q for p, q in zip(a, b, strict=True))  # beside the staircase, not under it
            upright = a[0] == b[0]
            text = labels[tail, head]
            ax.text(x + 0.05 * upright, y + 0.05 * (not upright), text, fontsize=8, ha="left" if upright else "center")
    dots = np.array([spot(n, 0) for n in network if n not in ("s", "t") and n not in single])
    ax.plot(*dots.T, "o", color=INK, markersize=4)
    if tiers is not None:
        heights = np.array([0, *tiers]) + 0.5
        edges = np.arange(len(heights) + 1) - 0.5
        ax.stairs(heights, edges, color=BLUE, linewidth=2, linestyle="--")
        ax.stairs(heights, edges, fill=True, color=BLUE, alpha=0.10)
    ax.set_xticks(range(len(nodes)), nodes)
    ax.set_yticks([0.5, 1.5, 2.5], ["mobile", "edge", "cloud"])
    ax.set(xlim=(-0.5, 5.75), ylim=(-0.1, 3.1))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


fig, ax = plt.subplots(figsize=(9.5, 4.6), layout="constrained")
draw(ax, {arc: f"{c:g}" for arc, c in finite.items()})
plt.show()

# %% [markdown]
# How to read it: each column is an operation, a chain of three arcs from $s$ (the floor) to $t$ (the ceiling), one arc
# a tier. Arcs to the left are tensors. Light arcs are infinite. The two nodes beside `conv` are the maxima over its
# readers `block` and `add`: two infinite arcs come in and **one** priced arc goes out, so that the tensor is paid once
# a link, whoever reads it. The picture is born on the phone: its column is tied to $t$ by infinite arcs, which are left
# out of the drawing.
#
# ## 3. The cut
#
# A minimum cut takes one arc from each chain (the tier where the operation runs), and those tensor arcs that the
# staircase steps over. Capacities are quarters here, so four times each is a whole number. That matters: with
# floating-point capacities, flow algorithms compare numbers that should be equal and are not.

# %%
whole = network.copy()
for tail, head in finite:
    whole.edges[tail, head]["capacity"] = int(4 * finite[tail, head])
value, (below, above) = nx.minimum_cut(whole, "s", "t")
tiers = [sum((v, k) in below for k in (0, 1)) for v in range(1, len(nodes))]
cut = [(tail, head) for tail, head in finite if tail in below and head in above]
print(f"cut {value / 4:g} + offset {offset:g} = {value / 4 + offset:g} seconds")
print(dict(zip(own.names, [problem.tier_names[k] for k in tiers], strict=True)))
fig, ax = plt.subplots(figsize=(9.5, 4.6), layout="constrained")
draw(ax, {arc: f"{c:g}" for arc, c in finite.items()}, bold=cut, tiers=tiers)
plt.show()

# %% [markdown]
# Below the staircase is the side of $s$. Red arcs lead from below to above: they are what is paid.
#
# **Why order matters.** If the tiers were three data centres with links between any two, an operation would choose one
# of three *unordered* labels. No binaries would make each term a difference of two, and the problem, a multiway cut, is
# NP-hard from three labels on. On a line, forty tiers are as easy as two: the kernel `qopt.kernels.mincut` takes any
# number.

# %%
found = kernels.mincut.solve(costs.unary, costs.rows)
print("labels", found.labels, " cost", found.objective, " bound", found.bound, " status", found.status)
wide = qopt.generate.placement(200, seed=7, tiers=12, operators=1)
many = qopt.solve(wide)
print(f"200 operations, 12 tiers: {many.status}, tiers used: {tiers_used(wide, many.plan)}")

# %% [markdown]
# ## 4. The flow is the proof
#
# How does one convince somebody who did not see the computation? With the maximum flow.

# %%
amount, flow = nx.maximum_flow(whole, "s", "t")
labels = {(a, b): f"{flow[a][b] / 4:g}/{c:g}" for (a, b), c in finite.items()}
full = [(a, b) for (a, b), c in finite.items() if c > 0 and flow[a][b] == 4 * c]
fig, ax = plt.subplots(figsize=(9.5, 4.6), layout="constrained")
draw(ax, labels, bold=full, tiers=tiers)
ax.set_title("flow / capacity; red arcs are full", fontsize=9)
plt.show()
print(f"flow {amount / 4:g} = cut {value / 4:g}")
print("every arc of the cut is full:", all(flow[a][b] == 4 * finite[a, b] for a, b in cut))

# %% [markdown]
# The same thing without any network, in three lines. Let the readers of each tensor $t$ share out its price at each
# link $k$: numbers $f_{tkr}$ whose positive ones add up to $w_{tk}$ at most. No difference $x_{rk} - x_{uk}$ is
# negative, so
#
# $$w_{tk} \max_r (x_{rk} - x_{uk})^+ \;\ge\; \sum_r f_{tkr}\,(x_{rk} - x_{uk}) .$$
#
# On the right, every $x$ stands alone. Collect what each operation $v$ gains at each link $j$ into $g_{vj}$ (its
# readings' $f$, less the $f$ of what it writes):
#
# $$J \;\ge\; \sum_v \Bigl( c_{v,\tau_v} + \sum_{j < \tau_v} g_{vj} \Bigr)
# \;\ge\; \sum_v \min_k \Bigl( c_{vk} + \sum_{j<k} g_{vj} \Bigr) .$$
#
# Any such $f$ gives a lower bound, so a wrong one does no harm. This is `found.flow`:

# %%
tensors = found.tensors
for j, row in enumerate(found.flow):
    t, r = tensors.owner[j], tensors.reader[j]
    shares = "   ".join(f"link {k}: {f:5g} of {costs.weight[t, k]:<4g}" for k, f in enumerate(row))
    print(f"{nodes[costs.producer[t]]:>9} -> {nodes[r]:9}{shares}")

# %%
gain = [[Fraction(0)] * 2 for _ in nodes]
for j, row in enumerate(found.flow.tolist()):
    for k, f in enumerate(row):
        gain[tensors.reader[j]][k] += Fraction(f)
        gain[costs.producer[tensors.owner[j]]][k] -= Fraction(f)
before = costs.unary
after = before.copy()
after[:, 1:] += np.cumsum(np.array(gain, dtype=float), axis=1)
print("sum of the least cost of each operation:")
print(f"  before {before.min(axis=1).sum():g} seconds, after {after.min(axis=1).sum():g}")
print(f"our placement costs {found.objective:g}")

fig, panels = plt.subplots(1, 2, figsize=(9.5, 2.5), layout="constrained")
for panel, table, title in zip(panels, (before, after), ("seconds", "seconds with the flow's gains"), strict=True):
    panel.set(xlim=(-0.5, 5.5), ylim=(-0.5, 2.5), title=title)
    for v, row in enumerate(table):
        for k, c in enumerate(row):
            ours, least = found.labels[v] == k, c == row.min()
            text = "-" if math.isinf(c) else f"{c:g}"
            frame = {"boxstyle": "square", "facecolor": "white", "edgecolor": BLUE if ours else "white"}
            weight = "bold" if least else "normal"
            panel.text(v, k, text, ha="center", va="center", fontsize=9, weight=weight, bbox=frame)
    panel.set_xticks(range(len(nodes)), nodes, fontsize=8)
    panel.set_yticks(range(3), problem.tier_names)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
plt.show()

# %% [markdown]
# Bold is the cheapest tier of each operation *by itself*, squares are our placement. On the left no operation minds the
# cloud, since none of them pays for sending. On the right the flow has moved the price of sending into the columns, and
# **every operation, asked alone, agrees with the plan**. Nobody can get below the sum of the columns' minima, and we
# are there. That is all of strong duality.
#
# A flow that is not the best proves less, and never too much:

# %%
for share in (1.0, 0.9, 0.5, 0.0):
    scaled = before.copy()
    scaled[:, 1:] += share * np.cumsum(np.array(gain, dtype=float), axis=1)
    print(f"{share:4.0%} of the flow proves {scaled.min(axis=1).sum():6.3f} seconds")

# %% [markdown]
# `qopt.certify` does this sum in exact arithmetic, for each operator. That is what `optimal` means here:

# %%
certificate = solution.certificate
print(f"objective {certificate.objective:g}, bound {certificate.bound:g} ({certificate.kind})")
print("proved:", certificate.proved)

# %% [markdown]
# ## 5. A linear program with integral vertices
#
# Write each maximum as a variable $z_{tk} \ge x_{rk} - x_{uk}$ and let $0 \le x \le 1$. Every row holds a difference of
# variables, the matrix is totally unimodular, and vertices are integral. Let a solver of linear programs that knows
# nothing of binaries try it on random graphs with branches; then give the tiers a memory.

# %%
import pyomo.environ as pyo
from qopt.formulations import placement as models


def fractional(model):
    """Solve a linear program; whether some x lies strictly between 0 and the operator's y."""
    pyo.SolverFactory("appsi_highs").solve(model)
    return any(1e-6 < pyo.value(x) < 1 - 1e-6 for x in model.above.values())


free = [qopt.generate.placement(8, seed=seed, operators=1) for seed in range(20)]
tight = [qopt.generate.placement(8, seed=seed, operators=1, memory=0.3) for seed in range(20)]
relaxed = [models.joint(p) for p in tight]
for model in relaxed:
    pyo.TransformationFactory("core.relax_integer_vars").apply_to(model)
print("fractional without memory:", sum(fractional(models.joint(p, "lp")) for p in free), "of 20")
print("fractional with memory:   ", sum(fractional(model) for model in relaxed), "of 20")

# %% [markdown]
# A memory row $\sum_v m_v (x_{v,k-1} - x_{vk}) \le M_k$ adds up many differences and breaks the structure: a knapsack
# moves in. Still the cut is useful. Move the row into the objective with a multiplier $\mu \ge 0$, and what is left is
# a minimum cut again, whose value bounds every plan from below. On our five operations, with 150 bytes on the edge:

# %%
small = problem.replace({"tiers[1].memory": 150})
answer = qopt.solve(small)
print(f"{answer.method}: {answer.objective:g} seconds, {answer.status} ({answer.certificate.kind})")
print(answer.plan.tiers)

multipliers = np.linspace(0, 0.1, 201)
bounds = []
for mu in multipliers:
    dearer = costs.unary.copy()
    dearer[1:, 1] += mu * own.memory
    bounds.append(kernels.mincut.solve(dearer, costs.rows).bound - mu * 150)
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(multipliers, bounds, color=BLUE, label="lower bound, one cut for each $\\mu$")
ax.axhline(answer.objective, color=INK, linestyle=":", label="best placement with 150 bytes")
ax.set(xlabel="multiplier $\\mu$ [seconds per byte]", ylabel="seconds")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()
print(f"best multiplier {multipliers[int(np.argmax(bounds))]:.4f}: at least {max(bounds):.3f} seconds")

# %% [markdown]
# The bound stops short of 14: a gap. It is closed by asking one operation where it wants to be, and bounding both
# answers. The tree of these questions, with a multiplier and a flow for each leaf, is the witness.
#
# ## 6. Which operator? One cut each
#
# An operator changes times, sizes and accuracy of the whole network, so the cuts do not interact: solve one for each,
# keep those that are accurate enough, take the least. All of them together are the front of accuracy and latency.

# %%
front = qopt.front(problem)
for point in (*front, *front.dominated):
    mark = "front" if point in front.points else "dominated"
    accuracy, seconds = point.values["accuracy"], point.values["objective"]
    print(f"{point.name:22}{accuracy:.2f}{seconds:6g} s  {point.facts['tiers']:18} {mark}")
for target in (0.8, 0.75, 0.6):
    advice = qopt.recommend(problem, accuracy=target)
    print(f"accuracy at least {target}: {advice.plan.operator}, {advice.objective:g} s")

# %% [markdown]
# The early exit is beaten by the quantized network on both counts. Nobody needs it here, at any taste.
#
# ## 7. The cut moves with the link
#
# For a *fixed* placement the latency is a straight line in $1/r$: what it sends over the link is its slope. The best
# placement at each rate is the lower envelope of all these lines, hence **concave and piecewise linear**. The whole
# curve costs a handful of cuts: intersect the lines of two optimal placements, solve there, and go on where something
# better turns up.


# %%
def envelope(ax, found, low, high):
    """All lines of the envelope, thin, and the envelope itself, against x (the parameter or its inverse)."""
    x = np.linspace(low, high, 400)
    lines = [piece.objective.intercept + piece.objective.slope * x for piece in found.pieces]
    for piece, y, color in zip(found.pieces, lines, plots.style.SEQUENCE, strict=False):
        runs = "-".join(tier[0] for tier in piece.plan.tiers.values())
        ax.plot(x, y, color=color, linewidth=1, label=f"{piece.plan.operator}: {runs}")
    ax.plot(x, np.min(lines, axis=0), color=INK, linewidth=2.5)
    for value in found.values:
        ax.axvline(1 / value if found.inverse else value, color=GREY, linewidth=0.8, linestyle=":")
    ax.set(ylabel="seconds", ylim=(0, 1.6 * np.min(lines, axis=0).max()))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8, loc="lower right")


by_rate = qopt.breakpoints(problem, "links[1].rate", low=0.5, high=100)
print("break-even rates [bit/s]:", by_rate.values, "from", by_rate.solved, "solutions")
fig, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
envelope(ax, by_rate, 0, 1.5)
ax.set(xlabel="1 / rate from edge to cloud [s/bit]")
plt.show()

# %% [markdown]
# Letters are the tiers of prepare, conv, block, add, classify. One by hand: `classify` leaves the edge (4 s) for the
# cloud (2 s) when its 2 bits take less than the 2 seconds that are saved, at 1 bit/s. The faster the link, the higher
# the staircase:

# %%
fig, panels = plt.subplots(1, len(by_rate.pieces), figsize=(10, 2.3), layout="constrained", sharey=True)
for panel, piece in zip(panels, by_rate.pieces, strict=True):
    plots.plot_placement(problem, piece.plan, ax=panel)
    panel.get_legend().remove()
    panel.set_xticks(range(len(nodes)), nodes, rotation=90)
    panel.set_title(f"{piece.start:g} to {piece.stop:g} bit/s", fontsize=9)
plt.show()

# %% [markdown]
# **The picture's size.** Now the slope is the time that one more bit of the picture costs: nothing if it is prepared on
# the phone, $1/8$ s on the edge, $1/8 + 1/2$ s in the cloud. Small pictures travel, large ones stay. For the smallest
# the operator changes too: with everything in the cloud, quantizing gains nothing, and the more accurate network wins
# the tie.

# %%
by_size = qopt.breakpoints(problem, "input.size", low=0.5, high=100)
print("break-even sizes [bits]:", by_size.values)
fig, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
envelope(ax, by_size, 0, 40)
ax.set(xlabel="size of the picture [bits]")
plt.show()

# %% [markdown]
# ## 8. The study's four networks
#
# ResNet and ResNext classify pictures, FCN and DUC label each of their pixels. Their instances hold times fitted to the
# medians that the study prints. Its 18 strategies are four operators on one tier each, and two operators in **halves of
# equal weight size** on two tiers.

# %%
subjects = {name: qopt.load(f"placement/{name}") for name in ("resnet", "resnext", "fcn", "duc")}
best = {name: qopt.solve(subject) for name, subject in subjects.items()}
print("all proved:", all(answer.status == "optimal" for answer in best.values()))
fig, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
for i, (name, subject) in enumerate(subjects.items()):
    table = qopt.strategies(subject)
    halved = table.tiers.str.contains("-")
    shift = np.linspace(-0.25, 0.25, len(table))
    ax.plot(table.latency[~halved], i + shift[~halved], "o", color=BLUE)
    ax.plot(table.latency[halved], i + shift[halved], "D", color=ORANGE)
    optimum = best[name].objective
    ax.plot([optimum, optimum], [i - 0.38, i + 0.38], color=RED, linewidth=2.5)
    print(f"{name:8} best of {len(table)}: {table.latency.min():7.3f} s   optimum: {optimum:7.3f} s")
ax.set_yticks(range(4), subjects)
ax.invert_yaxis()
ax.set(xscale="log", xlabel="latency [s]")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(["one tier", "equal halves", "optimum, proved"], frameon=False, fontsize=8, bbox_to_anchor=(1, 0.6))
plt.show()

# %% [markdown]
# No strategy is left of the red line. For the segmenters the best single tier *is* the optimum over all placements, and
# for the classifiers it is close; on these links there is little to gain from partitioning at all. But what
# partitioning can do is not what equal halves do. Cut ResNet between mobile and edge at **every** point:

# %%
resnet = subjects["resnet"]
names = resnet.graph.operations
seconds = []
for point in range(len(names) + 1):
    at = {v: "mobile" if i < point else "edge" for i, v in enumerate(names)}
    cost = breakdown(resnet, qopt.PlacementPlan(operator="identity", tiers=at))
    seconds.append((cost.computing[0], cost.sending[0], cost.computing[1]))
parts, points = np.array(seconds).T, np.arange(len(names) + 1)
table = qopt.strategies(resnet)
halves = table[(table.operator == "identity") & (table.tiers == "mobile-edge")].iloc[0]
half = sum(tier == "mobile" for tier in halves.plan.tiers.values())
fig, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
ax.stackplot(points, parts, labels=["mobile", "link", "edge"], colors=[ORANGE, INK, plots.style.SKY], alpha=0.8)
ax.axvline(half, color=RED, linestyle="--", label="equal halves")
ax.axvline(int(np.argmin(parts.sum(axis=0))), color=RED, label="best cut")
ax.set(xlabel="operations on the mobile", ylabel="latency [s]", xlim=(0, len(names)))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
print(f"equal halves {halves.latency:.2f} s, best cut {parts.sum(axis=0).min():.2f} s")

# %% [markdown]
# Equal halves balance *bytes of weights*. Latency is made of *seconds* on two tiers of different speed and of *bits* at
# the cut, and neither is balanced by that. (The first operation includes pre-processing, whose time the study does not
# report apart; how far a gain of a few percent can be believed is discussed on the page *placement-study*.)
#
# **The front.** Crosses are strategies (those beyond 50 seconds are cut off), the line is what can be had, proved at
# every corner. Marks are the operators: a disc the network as it is, a square the quantized one, a diamond the early
# exit, a triangle both.

# %%
subject_range = {name: qopt.strategies(subject).latency.max() for name, subject in subjects.items()}
fig, panels = plt.subplots(2, 2, figsize=(9, 5.6), layout="constrained")
for panel, (name, subject) in zip(panels.flat, subjects.items(), strict=True):
    plots.plot_front(subject, ax=panel)
    panel.get_legend().remove()
    panel.set_title(name, fontsize=10)
    panel.set(xscale="linear", xlim=(0, min(50, 1.1 * subject_range[name])))
plt.show()

# %% [markdown]
# **What would have to change?** The study's line to the cloud carries 1 Mbit/s. At which rate does the cloud become
# right? The break-even rates say it for *these* networks, exactly, without another experiment:

# %%
for name, subject in subjects.items():
    moved = qopt.breakpoints(subject, "links[1].rate", low=1e5, high=1e8)
    runs = [tiers_used(subject, piece.plan) for piece in moved.pieces]
    steps = [f"{tiers} up to {value / 1e6:.2f} Mbit/s" for tiers, value in zip(runs, moved.values, strict=False)]
    print(f"{name:8} {', '.join(steps)}, then {runs[-1]}")
ax = plots.plot_break_even(subjects["resnet"], "links[1].rate", low=1e5, high=1e8)
ax.set_xlabel("rate from edge to cloud [bit/s]")
plt.show()

# %% [markdown]
# ## Exercises
#
# 1. *Pencil.* Do the *identity* network of the teaching instance by hand: seconds on the edge are 1, 4, 8, 0, 8, on the
#    cloud 1, 1, 2, 0, 2. Which operation goes to the cloud, and what does the whole take? Compare with
#    `qopt.front(problem).points[0]`.
# 2. *Once per tensor.* Replace the tensor of `conv` by two tensors of the same size, one for each reader. Draw the
#    network. For which edge-cloud rates does the optimum change?
# 3. *Read the flow.* In the picture of section 4, which tensors are paid for in full by one reader? Why may $f$ be
#    negative, and what does a negative $f$ say?
# 4. *Two tiers.* With two tiers and a chain, show that the minimum cut is the best of $n + 1$ split points. How many
#    placements does the residual connection of the teaching instance add? What kind of graph has more?
# 5. *Down again.* Let a tensor come down a link at a price of its own, $w'\,(x_{uk} - x_{rk})^+$. Is that still an arc?
#    Which assumption does the method need: that data only moves up, or that the tiers stand in a line?
# 6. *Concave.* The least latency is concave in $1/r$. Is it concave in $r$? In the speed of the edge? Draw both with
#    `qopt.breakpoints`.
# 7. *Privacy.* Set `input.private` to `true` in `placement/duc`. What does it cost, in seconds and in percent, to keep
#    the raw picture on the phone?
# 8. *Energy.* Give the mobile 5 W and both links 0.1 J a bit, and vary `objective.energy`. When does the phone stop
#    computing? Why is that curve concave, too?
# 9. *Proof.* Change one number of `found.flow` by hand and add up again. What is the largest bound that you can reach,
#    and what happens if the readers' shares exceed the price?
# 10. *Model.* Forbid that `conv` and `classify` run on the same tier, with `qopt.formulations.placement.joint` and one
#     row a tier and operator. Is its linear program still integral?
