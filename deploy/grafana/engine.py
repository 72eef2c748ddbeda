"""Engine: vLLM from the inside, and its life."""

from __future__ import annotations

from service import INSTANCE, quantile
from shape import Dashboard, Panel, Row, Variable

ENGINE = Variable(
    "engine", "Engine", 'label_values(seekserve_engine_state{job="seekserve"}, engine)'
)
ONE = '§,engine=~"$engine"'
LIFE = " + ".join(
    f'{number} * max by (instance, engine) (seekserve_engine_state{{{ONE},state="{state}"}})'
    for number, state in enumerate(("ready", "starting", "draining", "failed"), 1)
)
WORDS = {
    "0": ("stopped", "#808080"),
    "1": ("ready", "green"),
    "2": ("starting", "blue"),
    "3": ("draining", "purple"),
    "4": ("failed", "red"),
}


def total(name: str, by: str = "engine") -> str:
    return f"sum by ({by}) ({name}{{{ONE}}})"


def rate(name: str, by: str = "engine") -> str:
    return f"sum by ({by}) (rate({name}{{{ONE}}}[$__rate_interval]))"


def quantiles(name: str) -> tuple[tuple[str, str], ...]:
    return (
        (quantile(0.95, name, "engine", ONE), "{{engine}} p95"),
        (quantile(0.5, name, "engine", ONE), "{{engine}} p50"),
    )


LIVES = (
    Panel(
        "Life",
        "Each engine's state. Good: ready, for weeks.",
        "none",
        ((LIFE, "{{engine}}"),),
        12,
        "state-timeline",
        height=6,
        words=WORDS,
    ),
    Panel(
        "Ends that nobody asked for, an hour",
        "exited by itself, fenced by the watch (it hung), stalled in a start. Good: none; three "
        "in an hour are "
        "a crash loop.",
        "short",
        (
            (
                f"sum by (how) (increase(seekserve_engine_ends_total{{{ONE}}}[1h]))",
                "{{how}}",
            ),
        ),
        6,
        bounds=((3, "red"),),
        height=6,
    ),
    Panel(
        "Starts, an hour",
        "How often engines were started again, asked for or not. Good: none but after a reload.",
        "short",
        (
            (
                f"sum by (engine) (increase(seekserve_engine_restarts_total{{{ONE}}}[1h]))",
                "{{engine}}",
            ),
            (f"max by (engine) (seekserve_engine_left_out{{{ONE}}})", "{{engine}} left out"),
        ),
        6,
        height=6,
    ),
)

WORK = (
    Panel(
        "Running and waiting",
        "Sequences vLLM works on, and those it has taken but not begun. Good: waiting near 0, since the line "
        "is kept here, in order.",
        "short",
        (
            (total("vllm:num_requests_running"), "{{engine}} running"),
            (total("vllm:num_requests_waiting"), "{{engine}} waiting"),
        ),
    ),
    Panel(
        "KV cache in use",
        "Share of the cache that holds tokens of running requests. Good: high and without preemptions.",
        "percentunit",
        (
            (
                f"max by (engine, dp_rank) (vllm:kv_cache_usage_perc{{{ONE}}})",
                "{{engine}} rank {{dp_rank}}",
            ),
        ),
        bounds=((0.9, "orange"), (0.95, "red")),
        most=1,
    ),
    Panel(
        "Preemptions",
        "Requests thrown out of the cache to make room, to be computed again. Good: none.",
        "ops",
        ((rate("vllm:num_preemptions_total"), "{{engine}}"),),
        bounds=((0.01, "red"),),
    ),
    Panel(
        "Prompt tokens a second",
        "Prompts read (prefill), cached ones included. Good: as many as are asked for; a plateau "
        "under load is "
        "the engine's limit.",
        "short",
        ((rate("vllm:prompt_tokens_total"), "{{engine}}"),),
    ),
    Panel(
        "Tokens made a second",
        "Generated (decode), all streams together. Good: rises with the load, to the engine's limit.",
        "short",
        ((rate("vllm:generation_tokens_total"), "{{engine}}"),),
    ),
    Panel(
        "Prefix cache hits",
        "Share of prompt tokens found in the cache. Good: high where prompts share their beginning; a sudden "
        "fall is a changed system prompt. Models without a prefix cache show nothing.",
        "percentunit",
        (
            (
                f"max by (engine) (engine:vllm_prefix_cache_hits:ratio_rate5m{{{ONE}}})",
                "{{engine}}",
            ),
        ),
        most=1,
    ),
)

PACE = (
    Panel(
        "Time between two tokens",
        "Inside vLLM, every token counted. Good: under 0.1 s; what is above it here is the engine's doing.",
        "s",
        quantiles("vllm:inter_token_latency_seconds"),
        bounds=((0.1, "orange"), (0.2, "red")),
    ),
    Panel(
        "Reading a prompt",
        "Prefill time of a request. Good: in keeping with the prompts' length.",
        "s",
        quantiles("vllm:request_prefill_time_seconds"),
    ),
    Panel(
        "Waiting inside vLLM",
        "Between the engine's taking a request and its work on it. Good: near 0.",
        "s",
        quantiles("vllm:request_queue_time_seconds"),
        bounds=((1, "orange"),),
    ),
    Panel(
        "Tokens a step",
        "Prompt and generated tokens of one pass through the model. Good: large under load; that "
        "is what makes "
        "many streams cheap.",
        "short",
        (
            (
                f"{rate('vllm:iteration_tokens_total_sum')} / {rate('vllm:iteration_tokens_total_count')}",
                "{{engine}}",
            ),
        ),
    ),
    Panel(
        "How requests end",
        "As vLLM has it: stop, length (max_tokens reached), abort (the client left), error. Good: stop.",
        "reqps",
        (
            (
                rate("vllm:request_success_total", "finished_reason"),
                "{{finished_reason}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        "Work at hand",
        "Tokens that what runs will come to hold, of those the cache holds; and prompt tokens "
        "sent but not yet "
        "read. Good: the first under 1.",
        "none",
        (
            (
                f"{total('seekserve_tokens_in_flight')} / {total('seekserve_token_capacity')}",
                "{{engine}} cache booked",
            ),
            (
                f"{total('seekserve_tokens_unread')} / {total('seekserve_token_capacity')}",
                "{{engine}} unread",
            ),
        ),
        bounds=((1, "orange"),),
    ),
)

PAGE = Dashboard(
    "engine",
    "Engine",
    "vLLM from the inside: what runs, what it holds, how fast it goes, how it lives.",
    (INSTANCE, ENGINE),
    (Row("Lives"), *LIVES, Row("Work"), *WORK, Row("Pace"), *PACE),
)
