# The source of language_model.ipynb: edit this, then run docs/execute_notebooks.py.

# %% [markdown]
# # Measuring a language model
#
# A classifier is right or wrong; a language model is more or less surprised. So its score is the mean loss per token,
# a number without bounds, and what is resampled for an interval is a whole sequence. Everything else of
# [Measuring a network](measuring.ipynb) stays. The model is small enough to look at every tensor: two transformer
# blocks on characters, trained on the manual that Python ships ([instances/tiny_lm](../../instances/tiny_lm)).
#
# Numbers here agree within 10 %: float32 sums differ from processor to processor, and other versions of Python ship
# another manual. The page [a language model](../language-model.md) states the definitions.

# %%
import sys

sys.path.append("../../instances/tiny_lm")
import matplotlib.pyplot as plt
import torch
from text import CHARACTERS, divided, sequences

import qopt
from qopt.measuring.language import LossPerToken, perplexity, token_loss
from qopt.measuring.loading import load_module
from qopt.measuring.plans import PlanRunner, Widths
from qopt.measuring.profile import trace
from qopt.measuring.sensitivity import Sensitivity

torch.set_num_threads(1)
FOLDER = "../../instances/tiny_lm"
network = trace(*load_module(f"{FOLDER}/model.py:network", f"{FOLDER}/tiny-lm.safetensors"))
test = sequences(divided()["held out"]).split([48, 200, 400], seed=0)[2][:200]
print("".join(CHARACTERS[int(c)] for c in test.x[0]))
losses = token_loss(network(test.x), test.labels).numpy()
found = perplexity(losses)
print(f"loss {losses.mean():.3f} nats per character, perplexity {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")

# %% [markdown]
# ## 1. Layers
#
# The embedding is a layer without MACs; the head multiplies by the same weight, so the two are one tie. Attention's
# products have no weight.

# %%
for layer in network.layers:
    print(f"{layer.number:2} {layer.name:16} {layer.kind:9} {layer.macs:8,} MACs {layer.parameters:6,} weights")
print("share one weight:", network.shared)
figure, axes = plt.subplots(figsize=(9, 2.6), layout="constrained")
axes.bar([f"{layer.number}" for layer in network.layers], [layer.parameters for layer in network.layers], color="0.4")
axes.set_xlabel("layer")
axes.set_ylabel("weights")
plt.show()

# %% [markdown]
# ## 2. Sequences differ, the loss of a plan does not
#
# How hard a sequence is varies much more than what quantization adds to it. Perplexities before and after overlap; the
# paired difference, sequence by sequence, is what tells them apart.

# %%
measured = Sensitivity.load(f"{FOLDER}/sensitivity.json")
unit = float(losses.mean())
runner = PlanRunner(network, test, measured, score=LossPerToken(unit))
cut, high = len(network), int(measured.bits[-1])
uniform = {b: Widths((b,) * cut, (high,)) for b in (3, 4, 5, 6, 8)}
after = {b: -runner.run(plan)[0] * unit for b, plan in uniform.items()}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.scatter(losses, after[4], s=6)
left.plot([losses.min(), losses.max()], [losses.min(), losses.max()], color="gray", lw=0.8)
left.set_xlabel("loss per token, unquantized")
left.set_ylabel("loss per token, 4 bits")
for b, plan in uniform.items():
    lost = runner.loss(plan)
    right.errorbar(b, 100 * lost.value, [[100 * (lost.value - lost.low)], [100 * (lost.high - lost.value)]], fmt="ko")
right.axhline(0.5, color="gray", lw=0.8)
right.set_yscale("symlog", linthresh=0.1)
right.set_xlabel("bits of every weight")
right.set_ylabel("more loss per token (%)")
plt.show()

# %% [markdown]
# ## 3. Which tensors matter
#
# Noise that each weight's quantization adds to the logits at 4 bits, over what the level of 0.5 % bears of it: its
# share of the limit. A plan gives bits where this is large for each weight that is sent.

# %%
column = measured.bits.tolist().index(4)
for layer in network.layers:
    if layer.parameters and layer.number not in [group[-1] for group in network.shared]:
        name = next(t for t in measured.tensors if t.kind == "weight" and t.layer == layer.number)
        print(
            f"{layer.name:16} {measured.terms(name, 0.005)[column] / layer.parameters * 1e6:8.3f} millionths a weight"
        )

# %%
figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
for tensor, one in list(measured.tensors.items())[::5]:
    axes.plot(measured.bits, one.noise, ".-", label=str(tensor))
axes.set_yscale("log")
axes.set_xlabel("bits")
axes.set_ylabel("noise in the logits")
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## 4. A plan
#
# The bundled request: a keyboard with 48 KiB for weights that keeps what is typed.

# %%
problem = qopt.load("qpart/tiny-lm")
solution = qopt.solve(problem)
print(solution.status, "cut", solution.plan.cut, "weights", [int(b) for b in solution.plan.weights])
lost = runner.loss(Widths.of(solution.plan))
print(f"more loss per token: {100 * lost.value:.2f} % [{100 * lost.low:.2f}, {100 * lost.high:.2f}]")

figure, axes = plt.subplots(figsize=(9, 2.6), layout="constrained")
axes.bar([layer.name for layer in network.layers[: solution.plan.cut]], solution.plan.weights, color="0.4")
axes.tick_params(axis="x", rotation=30)
axes.set_ylabel("bits of a weight")
plt.show()

# %% [markdown]
# Where the bytes go, as float32 and as the plan has them.

# %%
sizes = [layer.parameters for layer in network.layers[: solution.plan.cut]]
kept = [size * bits / 8e3 for size, bits in zip(sizes, solution.plan.weights, strict=True)]
figure, axes = plt.subplots(figsize=(9, 2.6), layout="constrained")
axes.bar(range(len(sizes)), [size * 4e-3 for size in sizes], color="0.8", label="float32")
axes.bar(range(len(sizes)), kept, color="0.3", label="the plan")
axes.set_xticks(range(len(sizes)), [layer.name for layer in network.layers[: solution.plan.cut]], rotation=30)
axes.set_ylabel("kB of weights")
axes.legend()
plt.show()
