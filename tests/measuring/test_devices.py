"""Memory, shards and TF32: what a device has decides how work is cut up, never what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from small_networks import build, data_for  # noqa: E402

from qopt.core.errors import InputError  # noqa: E402
from qopt.core.shard import Shard  # noqa: E402
from qopt.measuring.arithmetic import plain_float32, tf32  # noqa: E402
from qopt.measuring.batches import Batches  # noqa: E402
from qopt.measuring.memory import default_memory, is_exhausted  # noqa: E402
from qopt.measuring.plans import PlanRunner, Widths  # noqa: E402
from qopt.measuring.robustness import tf32_error  # noqa: E402
from qopt.measuring.scores import correct  # noqa: E402
from qopt.measuring.sensitivity import Sensitivity, measure  # noqa: E402
from qopt.measuring.shards import order  # noqa: E402

LEVELS = [0.05, 0.2]
BITS = range(3, 7)


class Exhausted:
    """A score on a device whose memory ends above so many outputs at once."""

    def __init__(self, most: int) -> None:
        self.most, self.failures = most, 0

    def __call__(self, outputs: Any, labels: Any) -> Any:
        if len(outputs) > self.most:
            self.failures += 1
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return correct(outputs, labels)

    __module__, __qualname__ = "tests", "exhausted"


def close(found: Sensitivity, wanted: Sensitivity) -> None:
    for tensor, one in wanted.tensors.items():
        assert found.tensors[tensor].noise == pytest.approx(one.noise, rel=1e-4)
        assert found.tensors[tensor].scale == one.scale


def test_out_of_memory_means_smaller_parts_and_the_same_figures(tmp_path: Path) -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 60, 2)
    wanted = measure(network, examples, levels=[0.2], bits=BITS)
    score = Exhausted(50)
    found = measure(network, examples, levels=[0.2], bits=BITS, score=score, checkpoint=tmp_path)
    close(found, wanted)
    assert 0 < score.failures <= 6  # every failure halves the parts, once and for all
    score.most = 10**9
    again = measure(network, examples, levels=[0.2], bits=BITS, score=score, checkpoint=tmp_path)
    assert again.to_dict() == found.to_dict()  # what was finished is there, in the same batches


def test_a_plan_s_run_survives_it_too() -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 120, 2)
    found = measure(network, examples, levels=LEVELS, bits=BITS)
    plan = Widths((4, 4), (5,))
    wanted = PlanRunner(network, examples, found).run(plan)
    scores, noise = PlanRunner(network, examples, found, score=Exhausted(16)).run(plan)
    assert scores.tolist() == wanted[0].tolist()
    assert noise == pytest.approx(wanted[1], rel=1e-4)


def test_one_example_too_many_is_one_line() -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 60, 2)
    with pytest.raises(InputError) as caught:
        measure(network, examples, levels=LEVELS, bits=BITS, score=Exhausted(0))
    assert caught.value.field == "memory"
    assert "\n" not in str(caught.value)


def test_other_errors_stay_what_they_are() -> None:
    module, network = build("chain")
    batches = Batches(network, data_for(module, "chain", 60, 2), 1)

    def wrong(batch: Any) -> Any:
        raise RuntimeError(f"no such thing for {len(batch)}")

    with pytest.raises(RuntimeError, match="no such thing"):
        batches.run(0, wrong)
    words = ("CUDA out of memory. Tried", "DefaultCPUAllocator: can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
    assert all(is_exhausted(RuntimeError(text)) for text in words)
    assert is_exhausted(MemoryError())
    assert not is_exhausted(RuntimeError("shape mismatch"))
    assert not is_exhausted(ValueError("out of memory"))


def test_memory_comes_from_the_device() -> None:
    memory = default_memory(torch.device("cpu"))
    assert 2**26 < memory < 2**45
    module, network = build("chain")
    batches = Batches(network, data_for(module, "chain", 1500, 2), 4)
    assert batches.memory == default_memory(torch.device("cpu"))
    assert batches.size == 750  # two of equal size rather than 1024 and the rest


def test_a_run_goes_on_with_the_batches_it_began_with(tmp_path: Path) -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 120, 2)
    first = measure(network, examples, levels=[0.2], bits=BITS, memory=2**19, checkpoint=tmp_path)
    files = set(tmp_path.iterdir())
    again = measure(network, examples, levels=[0.2], bits=BITS, checkpoint=tmp_path)  # now what the device has
    assert again.to_dict() == first.to_dict()
    assert set(tmp_path.iterdir()) == files


# --- shards ----------------------------------------------------------------------------------------


def test_shards_make_the_whole_and_measure_nothing_twice(tmp_path: Path) -> None:
    module, network = build("branch")
    examples = data_for(module, "branch", 120, 2)
    whole = measure(network, examples, levels=LEVELS, bits=BITS)
    parts, seen = [], list[Path]()
    for number in (1, 2, 3):
        parts.append(measure(network, examples, levels=LEVELS, bits=BITS, shard=(number, 3), checkpoint=tmp_path))
        new = [file for file in tmp_path.iterdir() if file not in seen]
        assert all(file.stat().st_size for file in new)
        seen += new
    assert sum(len(part.tensors) for part in parts) == len(whole.tensors)
    assert Sensitivity.merged(parts).to_dict() == whole.to_dict()
    assert Sensitivity.merged(parts[::-1]).to_dict() == whole.to_dict()
    last = measure(network, examples, levels=LEVELS, bits=BITS, checkpoint=tmp_path)
    assert last.to_dict() == whole.to_dict()
    assert set(tmp_path.iterdir()) == set(seen)  # a run without a shard found all there


def test_shards_that_do_not_belong_together_are_refused() -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 60, 2)
    one, two, other = (
        measure(network, examples, levels=LEVELS, bits=BITS, shard=shard, seed=seed)
        for shard, seed in (((1, 2), 0), ((2, 2), 0), ((2, 2), 1))
    )
    for parts, field in (
        ([one, other], "parts[1].seed"),
        ([one, two, two], "parts[2].tensors"),
        ([one], "parts"),
        ([], "parts"),
    ):
        with pytest.raises(InputError) as caught:
            Sensitivity.merged(parts)
        assert caught.value.field == field
    for shard in ((0, 2), (3, 2), (1.0, 2), "1/2", (1, 99)):
        with pytest.raises(InputError) as caught:
            measure(network, examples, levels=LEVELS, bits=BITS, shard=shard)  # type: ignore[arg-type]
        assert caught.value.field == "shard"
    assert Shard.parse(" 2 / 3") == (2, 3)
    for text in ("", "2", "0/2", "3/2", "a/b", "1/2/3"):
        with pytest.raises(InputError):
            Shard.parse(text)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 12])
def test_shards_that_work_at_the_same_time_share_what_all_of_them_need(count: int) -> None:
    """Three at the same pace, each at the next unit of its order that is not done: only the last may be done twice."""
    orders = [order(Shard(number, 3), count) for number in (1, 2, 3)]
    assert all(sorted(order) == list(range(count)) for order in orders)
    done, worked = set[int](), 0
    while len(done) < count:
        taken = [next(unit for unit in order if unit not in done) for order in orders]
        done.update(taken)
        worked += len(taken)
    assert worked == -(-count // 3) * 3


# --- TF32 ------------------------------------------------------------------------------------------


def test_tf32_is_off_but_where_it_is_asked_for() -> None:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    with plain_float32():
        with tf32():
            assert matmul.allow_tf32
            assert cudnn.allow_tf32
        with tf32(False):
            assert not matmul.allow_tf32
        assert not matmul.allow_tf32
        assert not cudnn.allow_tf32


def test_a_device_without_tf32_never_has_it_far_below() -> None:
    module, network = build("chain")
    assert tf32_error(Batches(network, data_for(module, "chain", 60, 2), 1)) == float("inf")
