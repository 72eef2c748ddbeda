"""Tenants: classes and keys, what they use, pay and are refused."""

from __future__ import annotations

from service import CLASS, INSTANCE, MINE
from shape import Dashboard, Panel, Row

CAPS = 'reason=~"insufficient_quota|rate_limit_exceeded|concurrency_exceeded"'
WRONG = 'reason=~"invalid_api_key|too_many_wrong_keys|api_key_.*|unknown_class|model_not_allowed"'


def tokens(kind: str) -> str:
    return f"sum by (class) (rate(seekserve_{kind}_tokens_total{{{MINE}}}[$__rate_interval]))"


SHARES = (
    Panel(
        "Share used against promised",
        "Share of the sequences in flight that are of a class, and what it is promised. Good: "
        "under full demand "
        "the two meet; idle capacity is lent.",
        "percentunit",
        (
            (f"avg by (class) (seekserve_share_used{{{MINE}}})", "{{class}} used"),
            (f"avg by (class) (seekserve_share_promised{{{MINE}}})", "{{class}} promised"),
        ),
        12,
        most=1,
    ),
    Panel(
        "First tokens late",
        "Share later than the class's ttft_target_s, in the last hour. Good: under 1 %.",
        "percentunit",
        (
            (
                f"max by (class) (class:seekserve_first_tokens_late:ratio_rate1h{{{MINE}}})",
                "{{class}}",
            ),
        ),
        6,
        bounds=((0.01, "orange"), (0.144, "red")),
    ),
    Panel(
        "Waiting, and their target",
        "p95 of the wait for a place, and in how many seconds the class is to have its first "
        "token. Good: well "
        "under it.",
        "s",
        (
            (
                f"max by (class) (class:seekserve_queue_wait_seconds:p95_5m{{{MINE}}})",
                "{{class}} p95",
            ),
            (
                f"max by (class) (seekserve_first_token_target_seconds{{{MINE}}})",
                "{{class}} target",
            ),
        ),
        6,
    ),
)

USE = (
    Panel(
        "Tokens made a second",
        "Answers, reasoning included, by class. Good: what the classes' shares let you expect.",
        "short",
        ((tokens("completion"), "{{class}}"),),
        stacked=True,
    ),
    Panel(
        "Prompt tokens a second",
        "Prompts, cached ones included, by class. Good: no class that fills the engines with prompts alone.",
        "short",
        ((tokens("prompt"), "{{class}}"),),
        stacked=True,
    ),
    Panel(
        "Prompts from the cache",
        "Share of prompt tokens that came from the prefix cache, which are billed at their own price. Good: "
        "high; models without a prefix cache show nothing.",
        "percentunit",
        ((f"{tokens('cached')} / {tokens('prompt')}", "{{class}}"),),
        most=1,
    ),
    Panel(
        "Thinking",
        "Share of what was generated that was reasoning. Good: what the work is worth; a class "
        "that only thinks "
        "wants a budget for it.",
        "percentunit",
        ((f"{tokens('reasoning')} / {tokens('completion')}", "{{class}}"),),
        most=1,
    ),
    Panel(
        "Tokens by key",
        "Read and made since the server's start, of the twenty keys that used most. Good: nobody "
        "you do not know.",
        "short",
        (("topk(21, sum by (key) (seekserve_key_tokens{§}))", "{{key}}"),),
        16,
        "bargauge",
    ),
)

MONEY = (
    Panel(
        "Cost an hour",
        "What requests cost at the tier's prices, by class. Good: what you planned for; 0 where "
        "no prices are set.",
        "short",
        (
            (
                f"sum by (class, currency) (rate(seekserve_cost_total{{{MINE}}}[$__rate_interval])) * 3600",
                "{{class}} {{currency}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        "Spent this month",
        "Of the twenty keys that spent most (month in UTC). Good: within what was agreed.",
        "short",
        (("topk(21, sum by (key, currency) (seekserve_key_spent{§}))", "{{key}} {{currency}}"),),
        kind="bargauge",
    ),
    Panel(
        "Of the monthly budget",
        "Share of its budget that a key has spent. Good: no more than the month has gone; at 100 "
        "% it gets 402.",
        "percentunit",
        (
            (
                "sum by (instance, key) (seekserve_key_spent{§}) "
                "/ on (instance, key) sum by (instance, key) (seekserve_key_budget{§})",
                "{{key}}",
            ),
        ),
        kind="bargauge",
        bounds=((0.75, "orange"), (0.9, "red")),
        most=1,
    ),
    Panel(
        "Refused by a key's own limits",
        "Budget spent (402), and requests, tokens or places of a key used up (429). Good: "
        "little; much of it is "
        "a client that does not heed Retry-After.",
        "reqps",
        (
            (
                f"sum by (class, reason) "
                f"(rate(seekserve_rejections_total{{{MINE},{CAPS}}}[$__rate_interval]))",
                "{{class}} {{reason}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        "Keys that do not fit",
        "Wrong, ended or not for this. Good: near none; one a second for minutes is a guesser or a forgotten "
        "program.",
        "reqps",
        (
            (
                f"sum by (reason) (rate(seekserve_rejections_total{{§,{WRONG}}}[$__rate_interval]))",
                "{{reason}}",
            ),
        ),
        bounds=((1, "red"),),
        stacked=True,
    ),
    Panel(
        "Days until keys end",
        "The twenty that end first. Good: over a week, or known to their owners.",
        "d",
        (
            (
                "sort(min by (key) (seekserve_key_expires_timestamp_seconds{§}) - time()) / 86400",
                "{{key}}",
            ),
        ),
        kind="bargauge",
        bounds=((0, "red"), (2, "orange"), (7, "green")),
    ),
)

BOOKS = (
    Panel(
        "Rows written to the ledger",
        "One for each request of a route that is billed. Good: as many as there are requests.",
        "ops",
        (
            (
                "sum by (instance) (rate(seekserve_ledger_rows_total{§}[$__rate_interval]))",
                "{{instance}}",
            ),
        ),
    ),
    Panel(
        "Ledger's lag, and rows lost",
        "Age of the oldest row not written, and rows lost in an hour. Good: under a second, and none.",
        "none",
        (
            ("max by (instance) (seekserve_ledger_lag_seconds{§})", "{{instance}} seconds"),
            ("sum by (cause) (increase(seekserve_ledger_lost_total{§}[1h]))", "lost: {{cause}}"),
        ),
        bounds=((10, "red"),),
    ),
    Panel(
        "Keys",
        "Of the key file, by state. Good: what you handed out.",
        "short",
        (("sum by (state) (seekserve_keys{§})", "{{state}}"),),
        kind="stat",
    ),
)

PAGE = Dashboard(
    "tenants",
    "Tenants",
    "Classes and keys: what they use, cost and are refused.",
    (INSTANCE, CLASS),
    (
        Row("Shares"),
        *SHARES,
        Row("Use"),
        *USE,
        Row("Money and limits"),
        *MONEY,
        Row("Books"),
        *BOOKS,
    ),
)
