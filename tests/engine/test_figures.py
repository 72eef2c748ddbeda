"""What is read in an engine's Prometheus page."""

from __future__ import annotations

from seekserve.engine.figures import Figures, figures

PAGE = """# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:num_requests_running gauge
vllm:generation_tokens_total{engine="0",model_name="m"} 1.5e+06
vllm:generation_tokens_total{engine="1",model_name="m"} 500000.0
vllm:prompt_tokens_total{engine="0",model_name="a \\"quoted\\" } name"} 12.0
vllm:iteration_tokens_total_count{engine="0",model_name="m"} 9.0
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 2.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 9.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.75
vllm:kv_cache_usage_perc{engine="2",model_name="m"} NaN
vllm:generation_tokens_total_of_others 7
"""


def test_a_page_is_read_over_all_ranks() -> None:
    said = figures(PAGE, 5.0)
    assert said == Figures(5.0, 2_000_000, 12, 9, 3, 2, 0.75)
    assert (said.requests, said.moving) == (5, (2_000_000, 12, 9, 0.75))


def test_what_is_no_number_to_count_with_is_left_out() -> None:
    """Anybody may have written it."""
    assert figures("", 5.0) == Figures(5.0)
    assert figures("<html>no</html>", 5.0).moving == ()
    for odd in ("1e999", "9e307", "-1", "1e", "1.2.3", "NaN"):
        page = f"vllm:kv_cache_usage_perc {odd}\nvllm:num_requests_running {odd}\n"
        assert figures(page * 2, 1.0) == Figures(1.0), odd
