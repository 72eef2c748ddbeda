"""What an engine's lines mean: stages in order, shares, remedies, the lines worth showing."""

from __future__ import annotations

import pytest

from seekserve.engine.remedies import remedy
from seekserve.engine.startup import STAGES, last_useful, read
from tests.fake_engine import STAGES as SAID
from tests.fake_engine import TRACE


def test_a_start_goes_through_its_stages_in_order() -> None:
    reached, seen = "launch", []
    for line in SAID:
        step = read(f"(APIServer pid=7) INFO 01-01 00:00:00 [x.py:1] {line}", reached)
        assert step is not None, line
        reached = step.stage
        seen.append(reached)
    assert seen == sorted(seen, key=STAGES.index)
    assert reached == "serve"


@pytest.mark.parametrize(
    ("line", "stage", "share"),
    [
        ("Loading safetensors checkpoint shards:  50% Completed | 1/2", "load", 0.5),
        ("Capturing CUDA graphs: 100%|#####| 7/7", "warm-up", 1.0),
        ("Loading weights took 0.1 seconds", "load", None),
    ],
)
def test_shares(line: str, stage: str, share: float | None) -> None:
    step = read(line, "launch")
    assert step is not None
    assert (step.stage, step.share) == (stage, share)


def test_it_never_goes_back_nor_trips_over_other_stages() -> None:
    assert read("Starting to load model x", "warm-up") is None
    assert read("an ordinary line", "launch") is None
    for odd in ("wait", "connect", ""):
        assert read("Starting to load model x", odd) is None


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("ModuleNotFoundError: No module named 'vllm'", "pip install"),
        ("RuntimeError: operator torchvision::nms does not exist", "torchvision"),
        ("torch.OutOfMemoryError: CUDA out of memory.", "gpu-memory-utilization"),
        ("error: unrecognized arguments: --nope", "engine.args"),
        ("OSError: [Errno 28] No space left on device", "disk"),
        ("OSError: [Errno 98] Address already in use", "older server"),
        ("all is well", ""),
    ],
)
def test_remedies(line: str, word: str) -> None:
    told = remedy(["before", line, "after"])
    assert word in told
    assert bool(told) == bool(word)


def test_the_lines_worth_showing_are_errors_not_stacks() -> None:
    lines = last_useful(["INFO fine", *TRACE.splitlines(), *TRACE.splitlines()])
    assert lines.count("ValueError: the weights are too heavy") == 1
    assert not [line for line in lines if "File" in line or "Traceback" in line]


def test_without_an_error_the_last_lines_are_shown() -> None:
    lines = last_useful([f"line {number}" for number in range(50)])
    assert lines[-1] == "line 49"
    assert len(lines) < 10
    assert last_useful([]) == []
    assert max(map(len, last_useful(["x" * 9999]))) <= 300
