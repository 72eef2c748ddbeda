"""Engines' pages made into one that Prometheus can read."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from seekserve.engine.exposition import kv_tokens, merge
from tests.support import samples

PAGE = """# HELP vllm:running Requests.
# TYPE vllm:running gauge
vllm:running{engine="0",model_name="m"} 1.0
# HELP vllm:ttft_seconds Time.
# TYPE vllm:ttft_seconds histogram
vllm:ttft_seconds_bucket{le="0.1",engine="0"} 1.0
vllm:ttft_seconds_bucket{le="+Inf",engine="0"} 2.0
vllm:ttft_seconds_count{engine="0"} 2.0
vllm:ttft_seconds_sum{engine="0"} 0.3
# HELP vllm:tokens_total Tokens.
# TYPE vllm:tokens_total counter
vllm:tokens_total{engine="0"} 9.0
# HELP python_info Not ours.
# TYPE python_info gauge
python_info{version="3"} 1.0
"""


def test_series_are_told_apart_by_our_name_and_the_rank_is_kept() -> None:
    found = samples(merge({"a": PAGE, "b": PAGE}))
    assert found["vllm:running{dp_rank=0,engine=a,model_name=m}"] == 1
    assert found["vllm:running{dp_rank=0,engine=b,model_name=m}"] == 1
    assert found["vllm:ttft_seconds_bucket{dp_rank=0,engine=b,le=0.1}"] == 1
    assert not [name for name in found if name.startswith("python")]


def test_a_family_stands_together_with_one_head() -> None:
    page = merge({"a": PAGE, "b": PAGE})
    families = list(text_string_to_metric_families(page))
    assert [family.name for family in families] == [
        "vllm:running",
        "vllm:ttft_seconds",
        "vllm:tokens",
    ]
    assert [family.type for family in families] == ["gauge", "histogram", "counter"]
    assert page.count("# TYPE vllm:running") == 1


def test_nothing_gives_nothing() -> None:
    assert merge({}) == ""
    assert merge({"a": "", "b": "python_info 1\n"}) == ""


@pytest.mark.parametrize(
    "page",
    [
        "# EOF\n",
        "# a comment\n",
        "# \n",
        "# HELP\n",
        "# HELP vllm:x\n",
        "<html># vllm: hello</html>",
        "vllm:broken\n",
        'vllm:broken{a="b"\n',
        "vllm: is not up\n",
        "vllm:bare 5\n",
        "vllm:empty{} 5\n",
        'vllm:odd{engine="a b} c",x=",engine=\\""} 5\n',
        "vllm:when 5 1700000000\n",
        "vllm:nan NaN\n",
    ],
)
def test_odd_pages_never_break_the_whole(page: str) -> None:
    merged = merge({"bad": page, "good": PAGE})
    found = samples(merged)
    assert found["vllm:tokens_total{dp_rank=0,engine=good}"] == 9


def test_series_without_labels_get_ours() -> None:
    assert samples(merge({"a": "vllm:bare 5\n"})) == {"vllm:bare{engine=a}": 5}


CACHE = 'vllm:cache_config_info{block_size="16",engine="%d",num_gpu_blocks="%s",override="None"} 1'


@pytest.mark.parametrize(
    ("page", "tokens"),
    [
        (CACHE % (0, "7281"), 116_496),
        (CACHE % (0, "10") + "\n" + CACHE % (1, "12"), 352),
        (CACHE % (0, "None"), None),
        (CACHE % (0, "9" * 400), None),  # no float
        (CACHE % (0, "9" * 5000), None),  # nor what Python takes for a number
        ("vllm:num_requests_running 1.0", None),
        ("", None),
    ],
)
def test_the_caches_size_is_read_from_the_page(page: str, tokens: int | None) -> None:
    assert kv_tokens(page) == tokens
