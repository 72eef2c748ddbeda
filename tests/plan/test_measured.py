"""The planner against start-ups that were measured: weights, KV cache, verdicts, decode."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seekserve.plan import planner
from seekserve.plan.catalog import Catalog, load_catalog
from seekserve.plan.memory import GIB
from seekserve.plan.version import read_version
from seekserve.plan.wish import Plan, Wish

FOLDER = Path(__file__).parent / "measured"
CASES = [json.loads(line) for line in (FOLDER / "cases.jsonl").read_text().splitlines()]
BY_ID = {case["id"]: case for case in CASES}
# The one verdict that is wrong: an engine of unknown, older version whose profile run held a prompt of
# full length. With `--vllm-version 0.7` the planner says it does not fit, which it did not.
WRONG = {"eq-02"}
# Called tight, within 10 % of the line by the planner's own sum; both refused to start.
TIGHT = {"ds-55", "eq-21"}


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    catalog = load_catalog()
    return {case["id"]: planned(catalog, case["args"]) for case in CASES}


def planned(catalog: Catalog, args: list[str]) -> Plan:
    given = arguments().parse_args([word.replace("CONFIGS", str(FOLDER)) for word in args])
    wish = Wish(
        weights=given.weights,
        tp=given.tp,
        pp=given.pp,
        dp=given.dp,
        utilization=given.gpu_memory_utilization,
        max_model_len=given.max_model_len,
        kv_cache_dtype=given.kv_cache_dtype,
        max_num_seqs=given.max_num_seqs,
        max_num_batched_tokens=given.max_num_batched_tokens,
        enforce_eager=given.enforce_eager,
        version=read_version(given.vllm_version) if given.vllm_version else None,
    )
    cluster = planner.cluster_of(catalog, given.gpu, given.nodes, given.gpu_mem_gib)
    return planner.plan(catalog, planner.subject_of(catalog, given.model), cluster, wish)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    for name in ("model", "gpu", "weights", "kv-cache-dtype", "vllm-version"):
        parser.add_argument(f"--{name}")
    for name in ("tp", "pp", "dp", "max-model-len", "max-num-seqs", "max-num-batched-tokens"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("gpu-memory-utilization", "gpu-mem-gib"):
        parser.add_argument(f"--{name}", type=float)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--enforce-eager", action="store_true")
    return parser


def counted(kind: str) -> Iterator[dict[str, Any]]:
    return (case for case in CASES if kind in case["counts_for"])


def worst(errors: dict[str, float], share: float) -> float:
    return statistics.quantiles(errors.values(), n=100, method="inclusive")[round(share * 100) - 1]


def test_weights(plans: dict[str, Plan]) -> None:
    errors = {}
    for case in counted("weights"):
        measured = case["measured"]["model_load_gib_per_gpu"]
        errors[case["id"]] = abs(plans[case["id"]].weights_bytes / GIB / measured - 1)
    assert statistics.median(errors.values()) <= 0.03, errors
    assert worst(errors, 0.9) <= 0.08, errors


@pytest.mark.parametrize("tokens_first", [True, False])
def test_kv_cache(plans: dict[str, Plan], tokens_first: bool) -> None:
    errors = {}
    for case in counted("kv"):
        told, found = case["measured"], plans[case["id"]]
        tokens = told.get("kv_cache_tokens") or told.get("kv_cache_tokens_derived")
        gib = told["kv_cache_gib_per_gpu"]
        if tokens and (tokens_first or not gib):
            errors[case["id"]] = abs(found.kv_tokens / tokens - 1)
        else:
            errors[case["id"]] = abs(found.kv_bytes / GIB / gib - 1)
    assert statistics.median(errors.values()) <= 0.06, errors
    assert worst(errors, 0.9) <= 0.25, errors


def test_verdicts(plans: dict[str, Plan]) -> None:
    cases = list(counted("verdict"))
    wrong = set()
    for case in cases:
        verdict = plans[case["id"]].verdict
        if verdict != ("does_not_fit" if case["measured"]["oom"] else "fits"):
            wrong.add(case["id"])
    assert wrong == WRONG | TIGHT
    for name in TIGHT:
        found = plans[name]
        assert found.verdict == "tight"
        assert abs(found.kv_bytes / found.request_bytes - 1) <= 0.10
    assert 1 - len(WRONG) / len(cases) >= 0.95


def test_the_wrong_verdict_is_right_for_the_version_it_was() -> None:
    args = [*BY_ID["eq-02"]["args"], "--vllm-version", "0.7"]
    assert planned(load_catalog(), args).verdict == "does_not_fit"


def test_decode_stays_under_the_bound(plans: dict[str, Plan]) -> None:
    shares = {}
    for case in counted("decode"):
        bound = plans[case["id"]].speed.decode_batch1
        if bound is not None:  # a card whose bandwidth is not known has none
            shares[case["id"]] = case["measured"]["tokens_per_s"] / bound
    assert max(shares.values()) <= 1, shares
    assert statistics.median(shares.values()) >= 0.35, shares
