# The source of serving.ipynb: edit this, then run docs/execute_notebooks.py.

# %% [markdown]
# # Cuts, rates and break-even
#
# A server holds a trained network. Devices ask for inferences; each has its own processor, memory and radio channel,
# and the channel fades. For one request we know how to find the best cut and the best bits (see *From Eq. 17 to the
# closed form*). Here we ask what happens **when the request changes**: where does the best cut move, at which rate
# exactly, and how can a hundred thousand requests be answered without solving any of them?

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import qopt
from qopt import plots

network = qopt.load("qpart/mnist-mlp6").replace({"cuts": None})
print(len(network.network), "layers,", f"{network.network.weights.sum():.0f} weights, {network.inferences} inferences")

# %% [markdown]
# ## 1. A plan is four numbers
#
# A plan has MACs on the device $O_1$, MACs on the server $O_2$, bits up $U$ and bits down $D$. A request has four
# prices, and $J = \xi O_1 + \delta O_2 + \varepsilon_{up} U + \varepsilon_{down} D$. If the rate $r$ is all that
# changes, a plan is a **straight line in** $1/r$, and the best of all plans is the lower envelope of lines.

# %%
found = qopt.breakpoints(network, "rate")
for start, stop, cut in found.by("cut"):
    print(f"from {start / 1e6:.4f} to {stop / 1e6:.4f} Mbit/s: cut {cut}")

# %%
plots.plot_breakpoints(network, "rate", low=3e4, high=3e7)
plt.show()

# %% [markdown]
# A slow link: all layers but the last on the device, and 32 numbers up. A fast one: send the picture. In between, one
# layer on the device. Cuts 2 to 4 are never the best. The whole network on the device would send only ten numbers, but
# those decide directly: they need more bits, and leave less noise to the weights. The values are exact, so test them:
# just below and just above, solving directly must give the two neighbours.

# %%
for _, rate, cut in found.by("cut")[:-1]:
    below, above = (qopt.solve(network.replace({"channel.rate": rate * f})) for f in (1 - 1e-6, 1 + 1e-6))
    print(f"{rate / 1e6:.6f} Mbit/s: cut {below.plan.cut} below, cut {above.plan.cut} above; expected {cut} below")

# %% [markdown]
# ## 2. One download for many inferences
#
# $J$ is affine in $1/n$ too, with $n$ the inferences that share a download. At 0.2 Mbit/s:

# %%
shared = qopt.breakpoints(network, "inferences")
for start, stop, cut in shared.by("cut"):
    print(f"from {start:.1f} to {stop:.1f} inferences: cut {cut}")
plots.plot_breakpoints(network, "inferences", low=1, high=1e5)
plt.show()

# %% [markdown]
# Weights sent for a single picture are wasted: better to send the picture. After some hundred inferences they pay off.
#
# ## 3. A channel that fades
#
# In Eqs. 11-13 the channel's gain is $\alpha h$ with $h$ exponential of mean 1, and
# $r = B \log_2(1 + P \alpha h / N_0)$. Draw it with a seed.

# %%
channel = {"bandwidth": 2e5, "gain": 1e-9, "noise_power": 1e-10, "transmit_power": 1.0}
rates = qopt.fading_rates(100_000, seed=3, **channel)
print("quantiles 1, 50, 99 % [Mbit/s]:", (np.quantile(rates, [0.01, 0.5, 0.99]) / 1e6).round(3))

# %% [markdown]
# ## 4. The table
#
# For one width of what goes up, the best weights' bits do not depend on any price: make the download as small as the
# noise allows. So all plans that can ever be the best are a short list, worked out once for each accuracy level. At the
# level of the request, one point:

# %%
table = qopt.offline([network])
plans = table.whole[network.name, network.level_row]
print(len(plans), "plans for every request there can be")
for e in range(len(plans)):
    widths = plans.widths[plans.start[e] : plans.start[e + 1]]
    print(
        f"cut {plans.cut[e]}: {plans.download[e] / 1e3:9.1f} kbit down, {plans.upload[e]:6.0f} bit up; widths", *widths
    )

# %% [markdown]
# Deciding is one matrix product: requests by prices times prices by plans.

# %%
requests = qopt.Requests.of({"channel.rate": rates})
start = time.perf_counter()
decisions = qopt.decide(table, requests)
seconds = time.perf_counter() - start
print("100 000 requests in less than a second:", seconds < 1)
plots.plot_fading(decisions)
plt.show()

# %% [markdown]
# The histogram's colours change just at the break-even rates of section 1:

# %%
for cut in np.unique(decisions.cut):
    mine = rates[decisions.cut == cut]
    print(
        f"cut {cut}: {mine.min() / 1e6:.4f} to {mine.max() / 1e6:.4f} Mbit/s, {len(mine) / len(rates):.1%} of requests"
    )

# %% [markdown]
# ## 5. Nothing is lost
#
# Solve a sample directly, with everything varied at once: speeds, rates, power, weights, memory, shared downloads.

# %%
rng = np.random.default_rng(4)
n = 100_000
varied = qopt.Requests.of(
    {
        "device.clock": 10 ** rng.uniform(8, 9.5, n),
        "server.price": rng.uniform(0, 100, n),
        "channel.rate": rates,
        "channel.download_rate": rates * rng.uniform(1, 20, n),
        "channel.transmit_power": rng.uniform(0.1, 2, n),
        "objective.energy": rng.uniform(0, 3, n),
        "device.memory": np.where(rng.random(n) < 0.5, np.inf, 10 ** rng.uniform(5.5, 6.5, n)),
        "inferences": rng.integers(1, 5000, n),
    }
)
answers = qopt.decide(table, varied)
sample = rng.choice(n, 100, replace=False)
direct = np.array([qopt.solve(varied.problem(int(i), network)).objective for i in sample])
print(
    "equal to solving directly:",
    int(np.sum(np.isclose(direct, answers.objective[sample], rtol=1e-9, atol=0))),
    "of 100",
)
print("requests by cut:", dict(zip(*[x.tolist() for x in np.unique(answers.cut, return_counts=True)], strict=True)))

# %% [markdown]
# A plan from the table passes the same certificate as one that was solved for.

# %%
row = int(sample[0])
proof = qopt.certify(varied.problem(row, network), answers.plan(row))
print("feasible:", proof.feasible, "  proved optimal:", proof.proved)

# %% [markdown]
# ## 6. Memory
#
# What is downloaded is stored. A device with less memory than the best plan needs gets the best plan that fits. The
# same slow request with memory from 0.7 to 1.3 Mbit:

# %%
sizes = np.linspace(0.7e6, 1.3e6, 300)
small = qopt.decide(table, qopt.Requests.of({"device.memory": sizes, "channel.rate": 2e5}))
colors = (*plots.style.SEQUENCE, plots.style.INK)
fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
for k, cut in enumerate(np.unique(small.cut)):
    here = small.cut == cut
    ax.plot(
        sizes[here] / 1e6,
        small.objective[here],
        plots.style.MARKERS[k % 6],
        color=colors[k],
        ms=3,
        label=f"cut {cut}",
    )
ax.set(xlabel="memory for weights [Mbit]", ylabel="objective J", ylim=(0, None))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, ncols=2)
plt.show()

# %% [markdown]
# ## 7. The published algorithm
#
# The paper's Eq. 40 gives the width at the cut as $(\xi - \delta) o_p / (\varepsilon z_p) - 1/\ln 4$, Eq. 27 the
# others. Computing costs and the rate decide, and the allowed noise $\Delta$ does not occur. A slow link makes bits
# dear, so the widths shrink without end; a fast one makes them cheap, so they grow.

# %%
camera = qopt.load("qpart/mnist-mlp6")
for rate in (2e5, 1e6, 2e6):
    request = camera.replace({"channel.rate": rate})
    paper, best = qopt.solve(request, "qpart-paper"), qopt.solve(request)
    widths = [int(b) for b in (*paper.plan.weights, *paper.plan.activations)]
    verdict = "; ".join(paper.certificate.violations) or "limits kept"
    print(
        f"{rate / 1e6:g} Mbit/s: cut {paper.plan.cut}, widths {widths}, {paper.objective / best.objective:.2f}", end=" "
    )
    print("times the optimum;", verdict)

# %% [markdown]
# Random networks of six layers at random rates, from slow to fast. To the right of the line the promise on accuracy is
# broken, which is how a plan can be cheaper than the optimum; to the left it is kept and bits are
# wasted. Part of the excess is that the published algorithm never sends the raw input (cut 0).

# %%
rng = np.random.default_rng(5)
drawn = []
for seed in range(200):
    changes = {"channel.rate": 10 ** rng.uniform(5, 8), "server.price": 0.0, "server.charge_energy": False}
    drawn.append(qopt.generate.qpart(6, seed=seed).replace(changes))
plots.plot_published(drawn)
plt.show()

# %% [markdown]
# ## Exercises
#
# 1. *Pencil.* Two plans have $J = 3 + 2/r$ and $J = 1 + 6/r$. At which rate do they cost the same, and which is better
#    on a slow link?
# 2. *Deeper.* In this network weights and MACs fall to about a quarter from layer to layer and activations to a half.
#    Explain from that why cuts 2 to 4 are never the best.
# 3. *Asymmetry.* Set `channel.download_rate` to ten times the rate of section 1. Which break-even rates move?
# 4. *Price.* Where does the server's price `price` change the best cut at 1 Mbit/s?
# 5. *Real-valued bits.* Take `network.replace({"noise.model": "law"})` and `bits="real"`. How far below the whole bits'
#    envelope is the new one, and where do its break-even rates lie?
# 6. *Power.* With `bandwidth`, `gain` and `noise_power` in place of a rate, more transmit power is faster and costs
#    energy. Why does `breakpoints` refuse `transmit_power` there?
# 7. *Published.* Find a rate at which `qpart-paper` keeps the limits of `qpart/mnist-mlp6`. What does it cost over the
#    optimum?
