"""Hardware plan: what the planner promised, what the machine came to, and what it stands on."""

from __future__ import annotations

from engine import ENGINE, ONE
from service import INSTANCE
from shape import Dashboard, Panel, Row

RATIO = f"max by (engine, of) (engine:seekserve_engine_size:actual_to_planned{{{ONE}}})"


def figure(of: str) -> tuple[tuple[str, str], ...]:
    where = f'{ONE},of="{of}"'
    return tuple(
        (
            f'max by (engine) (seekserve_engine_size{{{where},kind="{kind}"}})',
            f"{{{{engine}}}} {kind}",
        )
        for kind in ("actual", "planned")
    )


PLAN = (
    Panel(
        "Actual against planned",
        "What an engine came to, divided by what was promised. Good: KV cache tokens from 0.75 "
        "on (1 and more is "
        "room), weights up to 1.1.",
        "percentunit",
        ((RATIO, "{{engine}} {{of}}"),),
        kind="bargauge",
        bounds=((0, "red"), (0.75, "orange"), (0.9, "green")),
    ),
    Panel(
        "KV cache, tokens",
        "Tokens the cache holds, promised and actual. Good: actual on or above planned; fewer means fewer "
        "requests at once.",
        "short",
        figure("kv_cache_tokens"),
    ),
    Panel(
        "Weights on one device",
        "Promised and actual. Good: within a few per cent.",
        "gbytes",
        figure("weights_gib"),
    ),
    Panel(
        "Drift",
        "The same ratio over time: it moves with every start. Good: a flat line near 1.",
        "none",
        ((RATIO, "{{engine}} {{of}}"),),
        12,
    ),
    Panel(
        "Cache booked, of what there is",
        "KV tokens that what runs is expected to hold, and all there are. Good: booked below; at "
        "it, requests "
        "wait here rather than being preempted there.",
        "short",
        (
            (f"max by (engine) (seekserve_tokens_in_flight{{{ONE}}})", "{{engine}} booked"),
            (f"max by (engine) (seekserve_token_capacity{{{ONE}}})", "{{engine}} capacity"),
        ),
        12,
    ),
)

STARTS = (
    Panel(
        "Seconds of each stage",
        "Of each engine's last start. Good: most of it in load; compile and warm-up short once "
        "their cache is "
        "filled.",
        "s",
        (
            (
                f"max by (engine, stage) (seekserve_engine_start_seconds{{{ONE}}})",
                "{{engine}} {{stage}}",
            ),
        ),
        kind="bargauge",
    ),
    Panel(
        "Last start, in all",
        "Seconds from launch to ready. Good: as ever; twice the week's median is told.",
        "s",
        ((f"max by (engine) (engine:seekserve_engine_start:seconds{{{ONE}}})", "{{engine}}"),),
    ),
    Panel(
        "Starting now, at",
        "The stage of every engine that starts. Good: nothing here; a stage that stays is where to look.",
        "none",
        ((f"max by (engine, stage) (seekserve_engine_stage{{{ONE}}})", "{{engine}} {{stage}}"),),
    ),
    Panel(
        "Nodes joined",
        "Of engines over several nodes: those present and those wanted. Good: equal; one less and the engine "
        "cannot answer.",
        "short",
        (
            (f"max by (engine) (seekserve_engine_nodes_joined{{{ONE}}})", "{{engine}} joined"),
            (f"max by (engine) (seekserve_engine_nodes{{{ONE}}})", "{{engine}} wanted"),
        ),
    ),
    Panel(
        "Work that leaves the engines",
        "Cost in tokens (prompt and twice the answer) a second, as it was lately: what waits are "
        "foretold from. "
        "Good: level under load.",
        "short",
        (("sum by (instance) (seekserve_drain_tokens_per_second{§})", "{{instance}}"),),
    ),
    Panel(
        "Arithmetic, by vLLM's own estimate",
        "Floating-point operations a second on one device, where vLLM counts them. Good: the "
        "planner's bound is "
        "the ceiling.",
        "flops",
        (
            (
                f"sum by (engine) (rate(vllm:estimated_flops_per_gpu_total{{{ONE}}}[$__rate_interval]))",
                "{{engine}}",
            ),
        ),
    ),
)

HOUSE = (
    Panel(
        "Processor",
        "Of the gateway's process alone, in cores. Good: under 0.8; it is one event loop, and "
        "one core is its end.",
        "none",
        (("rate(process_cpu_seconds_total{§}[$__rate_interval])", "{{instance}}"),),
        6,
        bounds=((0.8, "orange"), (0.95, "red")),
    ),
    Panel(
        "Memory",
        "Of the gateway's process alone. Good: level after the first hour.",
        "bytes",
        (("process_resident_memory_bytes{§}", "{{instance}}"),),
        6,
    ),
    Panel(
        "Descriptors and tasks",
        "Open descriptors as a share of the limit, and tasks of the event loop. Good: under 0.8, and as many "
        "tasks at rest as after a start.",
        "none",
        (
            ("process_open_fds{§} / process_max_fds{§}", "{{instance}} descriptors"),
            ("seekserve_tasks{§} / 10000", "{{instance}} tasks, ten thousands"),
        ),
        6,
        bounds=((0.8, "red"),),
    ),
    Panel(
        "Free on the state folder's disk",
        "Keys and ledger live there. Good: over 5 %.",
        "percentunit",
        (
            (
                'seekserve_state_disk_bytes{§,of="free"} / on (instance) group_left () '
                'seekserve_state_disk_bytes{§,of="total"}',
                "{{instance}}",
            ),
        ),
        6,
        most=1,
    ),
    Panel(
        "Days until the certificate ends",
        "Of the one in force; nothing without TLS. Good: over 14.",
        "d",
        (
            (
                "(seekserve_certificate_expires_timestamp_seconds{§} - time()) / 86400",
                "{{instance}}",
            ),
        ),
        8,
        "stat",
        ((-9999, "red"), (2, "orange"), (14, "green")),
        height=5,
    ),
    Panel(
        "Old settings in force",
        "1 where the tier file, the key file or the certificate that lies there cannot be used. Good: 0.",
        "none",
        (
            ("max by (instance) (seekserve_reload_failing{§})", "{{instance}} reload"),
            ("max by (instance) (seekserve_key_file_failing{§})", "{{instance}} key file"),
            ("max by (instance) (seekserve_certificate_failing{§})", "{{instance}} certificate"),
            (
                'increase(seekserve_reloads_total{§,outcome="done"}[1d])',
                "{{instance}} reloads in a day",
            ),
        ),
        8,
        "stat",
        height=5,
    ),
    Panel(
        "Versions",
        "Of every server. Good: one.",
        "none",
        (("count by (version) (seekserve_build_info{§})", "{{version}}"),),
        8,
        "stat",
        height=5,
    ),
)

PAGE = Dashboard(
    "hardware",
    "Hardware plan",
    "What was promised, what the machine came to, how it starts, and what the gateway stands on.",
    (INSTANCE, ENGINE),
    (
        Row("Promised and actual"),
        *PLAN,
        Row("Starts and nodes"),
        *STARTS,
        Row("The gateway"),
        *HOUSE,
    ),
)
