"""Service: what users feel."""

from __future__ import annotations

from shape import Dashboard, Panel, Row, Variable

INSTANCE = Variable("instance", "Server", 'label_values(up{job="seekserve"}, instance)')
CLASS = Variable("class", "Class", 'label_values(seekserve_share_promised{job="seekserve"}, class)')
MINE = '§,class=~"$class"'
LATE = "class:seekserve_first_tokens_late:ratio_rate"
SLOW = "class:seekserve_slow_streams:ratio_rate"


def quantile(share: float, name: str, by: str = "class", where: str = MINE) -> str:
    return (
        f"histogram_quantile({share}, sum by ({by}, le) "
        f"(rate({name}_bucket{{{where}}}[$__rate_interval])))"
    )


def both(name: str, by: str = "class", where: str = MINE) -> tuple[tuple[str, str], ...]:
    legend = f"{{{{{by}}}}}"
    return (
        (quantile(0.95, name, by, where), f"{legend} p95"),
        (quantile(0.5, name, by, where), f"{legend} p50"),
    )


def recorded(name: str, *shares: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"max by (class) (class:seekserve_{name}:{p}_5m{{{MINE}}})", f"{{{{class}}}} {p}")
        for p in shares
    )


AT_A_GLANCE = (
    Panel(
        "Engines ready",
        "Engines that can answer now, of all servers chosen. Good: all that you run; 0 means that every "
        "request gets 503.",
        "short",
        (('sum(seekserve_engine_state{§,state="ready"})', "ready"),),
        4,
        "stat",
        ((0, "red"), (1, "green")),
        height=4,
    ),
    Panel(
        "First tokens in time, last hour",
        "Share of first tokens within their class's ttft_target_s. The objective is 99 %.",
        "percentunit",
        ((f"1 - max by (class) ({LATE}1h{{{MINE}}})", "{{class}}"),),
        5,
        "stat",
        ((0, "red"), (0.95, "orange"), (0.99, "green")),
        height=4,
        most=1,
    ),
    Panel(
        "Requests a second",
        "Answered, refused or broken, health and operators' pages left out. Good: what you know "
        "your users to ask.",
        "reqps",
        (('sum(rate(seekserve_requests_total{§,route!~"ops|health"}[$__rate_interval]))', "all"),),
        3,
        "stat",
        height=4,
    ),
    Panel(
        "Refused for want of room",
        "Share of requests that got 503 in the last five minutes. Good: under 5 %, which "
        "clients' retries hide.",
        "percentunit",
        ((f"max by (class) (class:seekserve_refused:ratio_rate5m{{{MINE}}})", "{{class}}"),),
        5,
        "stat",
        ((0.05, "orange"), (0.25, "red")),
        height=4,
    ),
    Panel(
        "Broken",
        "Share of answers that ended with 502 or in the middle, in the last five minutes. Good: none; over "
        "1 % somebody should look.",
        "percentunit",
        (("max(instance:seekserve_broken:ratio_rate5m{§})", "all"),),
        3,
        "stat",
        ((0.001, "orange"), (0.01, "red")),
        height=4,
    ),
    Panel(
        "In the house now",
        "Requests inside the gateway, and how many of them wait here. Good: waiting at 0.",
        "short",
        (
            ("sum(seekserve_requests_in_flight{§})", "requests"),
            ("sum(seekserve_queue_depth{§})", "waiting"),
        ),
        4,
        "stat",
        height=4,
    ),
)

SPEED = (
    Panel(
        "Time to first token",
        "From a request's arrival to its first token, the wait for a place included. Good: p95 under the "
        "class's ttft_target_s (5 s for enterprise and 10 s for public where the tier says nothing else).",
        "s",
        recorded("time_to_first_token_seconds", "p99", "p95", "p50"),
        12,
    ),
    Panel(
        "Time between two tokens",
        "Mean of each stream after its first token. Good: under 0.1 s (10 tokens a second); a quick reader "
        "takes in seven.",
        "s",
        recorded("time_per_output_token_seconds", "p95", "p50"),
        12,
        bounds=((0.1, "orange"), (0.2, "red")),
    ),
    Panel(
        "Wait for a place",
        "Time in line here before an engine took the request. Good: far under the time to first token; near "
        "it the machine is too small for what is asked.",
        "s",
        recorded("queue_wait_seconds", "p95", "p50"),
    ),
    Panel(
        "Waiting here",
        "Requests in line, by class. Good: 0 most of the time; a line that stands is load that "
        "does not go away.",
        "short",
        ((f"sum by (class) (seekserve_queue_depth{{{MINE}}})", "{{class}}"),),
        stacked=True,
    ),
    Panel(
        "Wait foretold against wait",
        "What a request was expected to wait, divided by what it waited (from half a second on). Good: "
        "near 1; under it waits are longer than told.",
        "none",
        ((quantile(0.5, "seekserve_queue_wait_estimate_ratio"), "{{class}} p50"),),
    ),
)

OUTCOMES = (
    Panel(
        "Requests by status",
        "499: the client left. Good: 200 and 499; 503 is a refusal, 502 an engine's fault, 500 a "
        "defect of ours.",
        "reqps",
        (
            (
                "sum by (status) (status:seekserve_requests:rate5m{§})",
                "{{status}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        "Refused or broken off, by reason",
        "queue_full and engine_* are the server's, the others the client's. Good: little, and no engine_*.",
        "reqps",
        (
            (
                f"sum by (reason) (rate(seekserve_rejections_total{{{MINE}}}[$__rate_interval]))",
                "{{reason}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        "Streams broken, and saved",
        "Broken: ended by an engine's loss. Saved: sent elsewhere, again from the start or "
        "continued where the "
        "stream was. Good: nothing; when an engine is lost, saved ones alone.",
        "reqps",
        (
            (
                "sum(instance:seekserve_broken:rate5m{§})",
                "broken",
            ),
            ("sum by (how) (rate(seekserve_failovers_total{§}[$__rate_interval]))", "{{how}}"),
        ),
    ),
    Panel(
        "Whole requests",
        "From arrival to the last byte: as much what was asked as how fast it came. Good: as it "
        "was last week.",
        "s",
        both("seekserve_request_duration_seconds", "route", "§"),
        12,
    ),
    Panel(
        "Requests inside",
        "Requests inside the gateway, and sequences that engines work on for it. Good: the second near the "
        "first; the gap is the line.",
        "short",
        (
            ("sum(seekserve_requests_in_flight{§})", "requests"),
            ("sum(seekserve_places_taken{§})", "at engines"),
        ),
        12,
    ),
)


def burn(of: str, budget: float) -> tuple[tuple[str, str], ...]:
    spans = ("5m", "1h", "6h", "3d")
    return tuple(
        (f"max by (class) ({of}{span}{{{MINE}}}) / {budget}", f"{{{{class}}}} over {span}")
        for span in spans
    )


OBJECTIVES = (
    Panel(
        "Burn of the objective: first tokens",
        "How many times faster than allowed the budget (1 % late) is used. Good: under 1; at "
        "14.4 for an hour "
        "a month's budget is gone in two days.",
        "none",
        burn(LATE, 0.01),
        12,
        bounds=((1, "orange"), (14.4, "red")),
    ),
    Panel(
        "Burn of the objective: token rate",
        "How many times faster than allowed the budget (5 % of streams under 10 tokens a second) is used. "
        "Good: under 1. Batch is no concern.",
        "none",
        burn(SLOW, 0.05),
        12,
        bounds=((1, "orange"), (14.4, "red")),
    ),
)

PAGE = Dashboard(
    "service",
    "Service",
    "What users feel: how soon, how fast, how often not.",
    (INSTANCE, CLASS),
    (
        *AT_A_GLANCE,
        Row("How soon and how fast"),
        *SPEED,
        Row("What came of it"),
        *OUTCOMES,
        Row("Objectives"),
        *OBJECTIVES,
    ),
)
