# The source of 2_break_even.ipynb: edit this, then run docs/execute_notebooks.py.

# %% [markdown]
# # 2. Cuts, rates and break-even
#
# A server holds a trained network. Devices ask for inferences; each has its own processor, memory and radio channel,
# and the channel fades. [Notebook 1](1_closed_form.ipynb) finds the best plan of one request. *What happens when the
# request changes: where does the best cut move, at which rate exactly, and how are a hundred thousand requests
# answered without solving any of them?*
#
# After this notebook the reader can
#
# * read a plan as a straight line, and the best of all plans as a lower envelope,
# * compute break-even rates by hand and exactly,
# * tell the two prices of a limit apart: a slope of the relaxation, and the next point of the front,
# * test a published rule against the optimum on requests of every rate.
#
# The pages are [serving](../serving.md) and [fronts](../fronts.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import qopt
from qopt import plots

network = qopt.load("qpart/mnist-mlp6").replace({"cuts": None})
print(len(network.network), "layers,", f"{network.network.weights.sum():.0f} weights, {network.inferences} inferences")

# %% [markdown]
# ## 2.1 A plan is four numbers
#
# A plan has MACs on the device $O_1$, MACs on the server $O_2$, bits up $U$ and bits down $D$. A request has four
# prices, and
#
# $$J = \xi O_1 + \delta O_2 + \varepsilon_{up} U + \varepsilon_{down} D .$$
#
# If the rate $r$ is all that changes, both $\varepsilon$ are constants over $r$. A plan is then a **straight line
# in** $1/r$: its computing is the intercept, its bits are the slope. The best of all plans is the lower envelope of
# lines, concave and piecewise linear, and where two neighbours cross is a *break-even rate*.

# %%
found = qopt.breakpoints(network, "rate")
for start, stop, cut in found.by("cut"):
    print(f"from {start / 1e6:.4f} to {stop / 1e6:.4f} Mbit/s: cut {cut}")
plots.plot_breakpoints(network, "rate", low=3e4, high=3e7)
plt.show()

# %% [markdown]
# A slow link: all layers but the last on the device, and 32 numbers up. A fast one: send the picture. In between, one
# layer on the device. Cuts 2 to 4 are never the best. The values are exact, so they can be tested: just below and
# just above, solving directly must give the two neighbours.

# %%
for _, rate, cut in found.by("cut")[:-1]:
    below, above = (qopt.solve(network.replace({"channel.rate": rate * f})) for f in (1 - 1e-6, 1 + 1e-6))
    print(f"{rate / 1e6:.6f} Mbit/s: cut {below.plan.cut} below, cut {above.plan.cut} above; expected {cut} below")

# %% [markdown]
# **One download for many inferences.** $J$ is affine in $1/n$ too, with $n$ the inferences that share a download.
# Weights sent for a single picture are wasted: better to send the picture. After some hundred inferences they pay
# off.

# %%
shared = qopt.breakpoints(network, "inferences")
for start, stop, cut in shared.by("cut"):
    print(f"from {start:.1f} to {stop:.1f} inferences: cut {cut}")
plots.plot_breakpoints(network, "inferences", low=1, high=1e5)
plt.show()

# %% [markdown]
# ## 2.2 A channel that fades
#
# In Eqs. 11-13 the channel's gain is $\alpha h$ with $h$ exponential of mean 1, and
# $r = B \log_2(1 + P \alpha h / N_0)$.
#
# For one width of what goes up, the best weights' bits do not depend on any price: make the download as small as the
# noise allows. So all plans that can ever be the best are a short list, worked out once for each accuracy level.
# Deciding is one matrix product, requests by prices times prices by plans. The colours of the histogram change at the
# break-even rates of 2.1.

# %%
channel = {"bandwidth": 2e5, "gain": 1e-9, "noise_power": 1e-10, "transmit_power": 1.0}
rates = qopt.fading_rates(100_000, seed=3, **channel)
table = qopt.offline([network])
plans = table.whole[network.name, network.level_row]
decisions = qopt.decide(table, qopt.Requests.of({"channel.rate": rates}))
print(len(plans), "plans for every request there can be, and", len(rates), "requests")
for cut in np.unique(decisions.cut):
    mine = rates[decisions.cut == cut]
    print(f"cut {cut}: {mine.min() / 1e6:.4f} to {mine.max() / 1e6:.4f} Mbit/s, {len(mine) / len(rates):.1%}")
plots.plot_fading(decisions)
plt.show()

# %% [markdown]
# **Nothing is lost.** That a table gives the optimum is a claim, so it is tried: everything varies at once, and a
# sample is solved directly.

# %%
rng = np.random.default_rng(4)
n = 2000
varied = qopt.Requests.of(
    {
        "device.clock": 10 ** rng.uniform(8, 9.5, n),
        "server.price": rng.uniform(0, 100, n),
        "channel.rate": rates[:n],
        "channel.transmit_power": rng.uniform(0.1, 2, n),
        "device.memory": np.where(rng.random(n) < 0.5, np.inf, 10 ** rng.uniform(5.5, 6.5, n)),
        "inferences": rng.integers(1, 5000, n),
    }
)
answers = qopt.decide(table, varied)
sample = rng.choice(n, 30, replace=False)
direct = np.array([qopt.solve(varied.problem(int(i), network)).objective for i in sample])
equal = np.isclose(direct, answers.objective[sample], rtol=1e-9, atol=0)
print("equal to solving directly:", int(equal.sum()), "of", len(sample))

# %% [markdown]
# ## 2.3 The whole trade-off, and two prices of a limit
#
# The rate is one axis of change, the accuracy another. At each cut the objective and the noise are a knapsack of two
# criteria; the front is the staircase over all cuts. It answers every limit at once.

# %%
front = qopt.front("qpart/mnist-cnn")
print(len(front), "points, proved:", front.proved)
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
plots.plot_trade_off(front, ax=left)
left.set_xscale("log")
left.axvline(1.0, color="0.6", linestyle=":")
noise = [point.values["noise"] for point in front]
right.step(noise, [point.facts["cut"] for point in front], where="post", color=plots.style.BLUE)
right.set(xscale="log", xlabel="noise, share of what the level allows", ylabel="cut")
plt.show()

# %% [markdown]
# What is it worth to relax a limit? Two numbers are called its price. The *multiplier* is the slope of the linear
# relaxation. The *next point* of the staircase is exact: nothing is gained before it. On an allocation of four layers
# within 100 bytes:

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
# ## 2.4 The published rule
#
# The paper's Eq. 40 gives the width at the cut as $(\xi - \delta) o_p / (\varepsilon z_p) - 1/\ln 4$, Eq. 27 the
# others. Computing costs and the rate decide, and the allowed noise $\Delta$ does not occur. A slow link makes bits
# dear, so the widths shrink without end; a fast one makes them cheap, so they grow. Random networks of six layers at
# random rates: to the right of the line the promise on accuracy is broken, which is how a plan can be cheaper than
# the optimum; to the left it is kept and bits are wasted.

# %%
rng = np.random.default_rng(5)
drawn = []
for seed in range(100):
    changes = {"channel.rate": 10 ** rng.uniform(5, 8), "server.price": 0.0, "server.charge_energy": False}
    drawn.append(qopt.generate.qpart(6, seed=seed).replace(changes))
plots.plot_published(drawn)
plt.show()

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: a break-even rate by hand
#
# Two plans have $J = 3 + 2/r$ and $J = 1 + 6/r$. At which rate do they cost the same, and which is better on a slow
# link? Then find the break-even rate of cuts 5 and 1 of the network above from two solutions each, and compare it
# with `qopt.breakpoints`.


# %% [solution]
def line(p):
    """Intercept and slope of J at cut p as a function of 1 / rate."""
    slow, fast = (qopt.solve(network.replace({"cuts": [p], "channel.rate": r})).objective for r in (1e5, 1e6))
    slope = (slow - fast) / (1e-5 - 1e-6)
    return fast - slope * 1e-6, slope


(a1, s1), (a5, s5) = line(1), line(5)
print(f"by hand {(s1 - s5) / (a5 - a1) / 1e6:.6f} Mbit/s")
print(f"qopt    {found.by('cut')[0][1] / 1e6:.6f} Mbit/s")

# %% [markdown] [solution]
# $3 + 2x = 1 + 6x$ at $x = 1/2$, so $r = 2$. On a slow link $x$ is large and the smaller slope wins: the first plan,
# which sends less. *Learned*: where a family of plans has straight lines, two solutions give a line and two lines a
# break-even value. No grid over rates is needed, and no answer lies between two grid points.

# %% [markdown]
# ### Exercise 2: change the model
#
# Give the device a memory of 1 Mbit for weights (`device.memory`). Which cuts are left at a slow link, where do the
# break-even rates move, and what does the memory cost at 0.1 Mbit/s?

# %% [solution]
small = network.replace({"device.memory": 1e6})
for start, stop, cut in qopt.breakpoints(small, "rate").by("cut"):
    print(f"from {start / 1e6:.4f} to {stop / 1e6:.4f} Mbit/s: cut {cut}")
free, tight = (qopt.solve(p.replace({"channel.rate": 1e5})) for p in (network, small))
print(f"at 0.1 Mbit/s: J = {free.objective:.4f} without, {tight.objective:.4f} with the limit")
print(f"bits that the plans store: {free.certificate.cost.download:.0f}, {tight.certificate.cost.download:.0f}")

# %% [markdown] [solution]
# What is downloaded is stored. Cut 5 takes 1.18 Mbit and is out; cut 1 takes 0.84 Mbit and stays, from the slowest
# link to the break-even rate with cut 0, which is where it was: lines of plans that remain do not move. *Learned*: a
# limit takes lines away. The envelope rises where it was made of them, and nowhere else.

# %% [markdown]
# ### Exercise 3: build the envelope
#
# Show that the least $J$ is concave in $1/r$ and has at most $L + 1$ pieces by cut, if the best bits of a cut do not
# depend on $r$. Then write a function that returns the lower envelope of $n$ lines, and compare it with 2.1.


# %% [solution]
def envelope(lines):
    """Lower envelope of lines {name: (intercept, slope)} over x > 0, as (name, from x), from crossing to crossing.

    At x = 0 the least intercept is the lowest, of equal ones that of least slope. From there the next line is the one
    that is crossed first, and only flatter lines can be crossed.
    """
    at = min(lines, key=lambda name: lines[name])
    x, walked = 0.0, [(at, 0.0)]
    while True:
        a, s = lines[at]
        crossings = [((b - a) / (s - u), u, name) for name, (b, u) in lines.items() if u < s]
        if not crossings:
            return walked
        x, _, at = min(crossings)
        walked.append((at, x))


lines = {p: line(p) for p in range(len(network.network) + 1)}
for name, x in envelope(lines):
    print(f"cut {name} " + (f"below {1 / x / 1e6:.6f} Mbit/s" if x else "on the fastest link"))

# %% [markdown] [solution]
# A line is concave, and the least of concave functions is concave: $\min_k (a_k + s_k x)$ at a mixture of two points
# is at least the mixture of the values. Along it slopes fall, so no line comes back, and each contributes one piece
# at most: $L + 1$ of them. *Learned*: sensitivity analysis of a problem with finitely many plans is geometry of
# lines; each step finds a new line or ends, which is how `breakpoints` works without knowing all plans.
