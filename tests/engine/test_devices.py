"""Which part of a machine each of several engines has for itself."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seekserve.engine.devices import cores, environments, parts, visible
from seekserve.errors import ConfigError

CUDA = "CUDA_VISIBLE_DEVICES"


def test_one_engine_has_the_machine() -> None:
    assert environments(1, "cpu", 0) == environments(1, "cuda", 8) == [{}]


def test_devices_are_shared_out_in_order() -> None:
    each = environments(4, "cuda", 8, variable="NO_SUCH_VARIABLE")
    assert [one["NO_SUCH_VARIABLE"] for one in each] == ["0,1", "2,3", "4,5", "6,7"]


@pytest.mark.parametrize("engines", [3, 5, 16])
def test_devices_that_do_not_divide_are_an_error(engines: int) -> None:
    with pytest.raises(ConfigError, match=f"{engines} engines, and 8 accelerators") as raised:
        environments(engines, "cuda", 8, variable="NO_SUCH_VARIABLE")
    assert "divisor of 8" in raised.value.todo


def test_no_device_at_all_is_an_error() -> None:
    """Each would have none, which to CUDA is an engine without an accelerator."""
    with pytest.raises(ConfigError):
        parts(2, 0)


def test_what_was_left_visible_to_us_is_what_is_shared_out() -> None:
    assert visible({CUDA: "3,GPU-ab12,5"}, CUDA, 8) == ["3", "GPU-ab12", "5"]
    assert visible({CUDA: " 3, 5 "}, CUDA, 8) == ["3", "5"]
    assert visible({CUDA: ""}, CUDA, 8) == [], "all are hidden"
    assert visible({}, CUDA, 2) == ["0", "1"]


@given(engines=st.integers(1, 9), mine=st.sets(st.integers(0, 200), min_size=1, max_size=64))
def test_cores_are_shared_out(engines: int, mine: set[int]) -> None:
    each = [[int(core) for core in one.split(",")] for one in cores(engines, sorted(mine))]
    assert len(each) == engines
    assert len({len(one) for one in each}) == 1, "alike in size"
    held = [core for one in each for core in one]
    assert set(held) <= mine
    if engines <= len(mine):
        assert len(held) == len(set(held)), "nobody shares"


def test_on_a_processor_it_is_cores() -> None:
    each = environments(2, "cpu", 0)
    mine = os.sched_getaffinity(0)
    assert len(each) == 2
    assert all(set(map(int, one["VLLM_CPU_OMP_THREADS_BIND"].split(","))) <= mine for one in each)
