# The source of fronts.ipynb: edit this, then run docs/execute_notebooks.py.

# %% [markdown]
# # The whole trade-off, and what a limit is worth
#
# One plan answers one request. Here we look at all of them at once: fronts of measured networks, what an unfinished one
# still says, few points that stand for many, the two prices of a limit, and limits that contradict each other. The page
# [fronts](../fronts.md) has the definitions.

# %%
import matplotlib.pyplot as plt
import numpy as np

import qopt
from qopt import plots
from qopt.kernels import mckp
from qopt.kernels.knapsack.epsilon import epsilon_front

# %% [markdown]
# ## 1. Noise against cost, at every cut
#
# At each cut the objective and the noise are a knapsack of two criteria; the front is the staircase over all cuts. A
# request allows a noise of 1, in units of what its accuracy level allows.

# %%
front = qopt.front("qpart/mnist-cnn")
print(len(front), "points, proved:", front.proved)
ax = plots.plot_trade_off(front)
ax.set_xscale("log")
ax.axvline(1.0, color="0.6", linestyle=":")
plt.show()

# %% [markdown]
# Which cut is best changes along it: little noise asks for many bits, and then less is sent.

# %%
fig, ax = plt.subplots(figsize=(6.5, 2.6), layout="constrained")
noise = [point.values["noise"] for point in front]
ax.step(noise, [point.facts["cut"] for point in front], where="post")
ax.set(xscale="log", xlabel="noise", ylabel="cut")
plt.show()

# %% [markdown]
# ## 2. Payload within the accuracy
#
# With the noise limit kept, few plans are left: each is one solve at a limit just below what the last plan sends.

# %%
payload = qopt.front("qpart/mnist-mlp6", against="payload")
print(payload)
plots.plot_trade_off(payload)
plt.show()

# %% [markdown]
# ## 3. Few points that stand for many
#
# A front may have more points than anybody wants. An epsilon-front has for every plan one of no more weight that costs
# (1 + eps) times as much at most, proved. Below it, what no plan is cheaper than.

# %%
rng = np.random.default_rng(1)
weight = np.sort(rng.uniform(0, 1, (14, 6)), axis=1) * 10 ** rng.uniform(0, 1.5, (14, 1))
cost = np.sort(rng.uniform(0, 1, (14, 6)), axis=1)[:, ::-1].copy()
whole, few = mckp.front(cost, weight), epsilon_front(cost, weight, eps=0.05)
print(len(whole), "points in all;", len(few), "stand for them, proved:", few.proved)
fig, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
ax.step(few.weight, few.cost, where="post", label="epsilon-front")
ax.step(few.weight, few.bound, where="post", label="no plan below")
ax.plot(whole.weight, whole.cost, ".", markersize=2, color="0.5", label="all points")
ax.set(xlabel="weight", ylabel="cost")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 4. Two prices of a limit
#
# The multiplier is a slope of the relaxation; the next point is exact. On a staircase they differ, and it is said which
# is which.

# %%
said = qopt.explain("allocation/teaching-4")
print(said)
worth = said.worths[0]
ax = plots.plot_trade_off(qopt.front("allocation/teaching-4"))
here, best = worth.limit.value, said.solution.objective
span = np.array([here - 30.0, here + 40.0])
ax.plot(span, best - worth.multiplier * (span - here), "--", color="0.4", label="multiplier")
ax.plot([here, worth.next_limit], [best, worth.next_objective], "o", color="#D55E00", label="here, and the next point")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 5. Limits that contradict each other
#
# Three limits and no plan. Two of them suffice to forbid it: either one taken away leaves a plan, and each has a least
# change that does.

# %%
tight = qopt.load("qpart/mnist-mlp6").replace({"limits": {"payload": 8e5, "time": 0.02}})
print(qopt.explain(tight))
