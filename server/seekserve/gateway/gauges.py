"""What a scrape sees of the queue: who waits, what is in flight, shares used against promised."""

from __future__ import annotations

from seekserve.gateway.admission import Admission
from seekserve.metrics import Reading


def gauges(admission: Admission) -> list[Reading]:
    waiting = [
        ((model, name), float(group.length))
        for model, line in admission.lines.items()
        for name, group in line.groups.items()
    ]
    places = admission.places
    loads = places.loads.items()
    held = {name: float(count) for name, count in places.shares.held.items()}
    total = sum(held.values())
    return [
        ("queue_depth", "Requests waiting here for a place.", ("model", "class"), waiting),
        (
            "places_taken",
            "Sequences an engine is working on for us.",
            ("engine",),
            [((name,), float(load.sequences)) for name, load in loads],
        ),
        (
            "tokens_in_flight",
            "KV cache tokens that what runs is expected to come to hold.",
            ("engine",),
            [((name,), float(load.kv)) for name, load in loads],
        ),
        (
            "tokens_unread",
            "Prompt tokens sent to an engine whose first token has not come.",
            ("engine",),
            [((name,), float(load.prefill)) for name, load in loads],
        ),
        (
            "token_capacity",
            "KV cache tokens of an engine, where it says.",
            ("engine",),
            [((name,), float(kv)) for name, kv in places.kv_tokens().items()],
        ),
        (
            "engine_left_out",
            "1 while an engine gets no requests because its answers were bad, though it is ready.",
            ("engine",),
            [((name,), float(b.open_until is not None)) for name, b in places.breakers.items()],
        ),
        (
            "share_promised",
            "Share of capacity that a class is promised.",
            ("class",),
            [((name,), one.share) for name, one in admission.classes.items()],
        ),
        (
            "share_used",
            "Share of the sequences in flight that are of a class.",
            ("class",),
            [((name,), count / total if total else 0.0) for name, count in held.items()],
        ),
        (
            "first_token_target_seconds",
            "In how many seconds a class is to have its first token: its ttft_target_s.",
            ("class",),
            [((name,), one.ttft_target_s) for name, one in admission.classes.items()],
        ),
        (
            "drain_tokens_per_second",
            "Cost in tokens (prompt and twice the answer) that leaves the engines, as it did lately.",
            (),
            [((), places.drained_per_s)],
        ),
        (
            "queue_wait_margin",
            "Standard deviations above its estimate that a class's waits keep within, but one in 200.",
            ("class",),
            [((name,), margin.deviations) for name, margin in admission.margins.items()],
        ),
    ]
