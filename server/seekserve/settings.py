"""Every setting there is, as frozen types: a tier file's tree, and how the server listens.

`config` reads them; everybody may import them. configs/reference.yaml is this page for people.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Flag = str | int | float | bool | list[str] | dict[str, Any]
Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
Commit = Annotated[str, Field(pattern=r"^([0-9a-f]{40})?$")]  # "" is not said


def _plain(name: str) -> str:
    """It goes into unit files, scripts and comments, where more than these could be an instruction."""
    if not name.isprintable() or not 0 < len(name) <= 64 or set(name) & set("%\\"):
        raise ValueError("a name is one line of 1 to 64 letters, without % and \\")
    return name


Name = Annotated[str, AfterValidator(_plain)]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlatformSettings(Frozen):
    """Engine flags and variables that only one platform wants."""

    args: dict[str, Flag] = {}
    env: dict[str, str] = {}


class EngineSettings(Frozen):
    model: str = "demo"
    revision: Commit = ""
    served_as: tuple[str, ...] = ()
    family: str = ""
    args: dict[str, Flag] = {}
    env: dict[str, str] = {}
    platforms: dict[Literal["cpu", "cuda"], PlatformSettings] = {}
    start_timeout_s: Seconds = 600
    stall_s: Seconds = 300
    stop_grace_s: Seconds = 20
    drain_s: Seconds = 60
    max_restarts: Annotated[int, Field(ge=0)] = 5


class Rung(Frozen):
    """One choice of a ladder: a model of the catalog or a checkpoint's folder, and what must hold for
    it to be taken.

    What is None is the planner's to choose.
    """

    model: str
    revision: Commit = ""
    context: Positive = 16384
    weights: str | None = None
    kv_cache_dtype: str | None = None
    max_num_seqs: Positive | None = None
    speculate: bool | None = None
    enforce_eager: bool = False
    platforms: tuple[str, ...] = ()
    not_arch: tuple[str, ...] = ()

    @model_validator(mode="after")
    def commit_of_one_repository(self) -> Self:
        if self.revision and not self.weights:
            raise ValueError(
                "a revision needs weights beside it: each format has its own repository"
            )
        return self


class Hardware(Frozen):
    """A cluster that a tier is meant for; every one is tried in the tests."""

    gpu: str
    count: Positive = 1
    nodes: Positive = 1
    memory_gib: Annotated[float, Field(gt=0)] | None = None


Prefer = Literal["quality", "speed", "light"]


class Defaults(Frozen):
    """What a request gets when it does not say. Tokens count reasoning and answer together."""

    max_tokens: Positive = 8192
    max_tokens_thinking: Positive = 65536
    max_tokens_max_effort: Positive = 131072
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    thinking: Literal["enabled", "disabled", "engine"] = "enabled"
    effort_budgets: dict[Literal["low", "high", "max"], Positive] = {"low": 2048}


class Limits(Frozen):
    """Caps on everything a client can grow."""

    running: Positive = 256
    queued: Annotated[int, Field(ge=0)] = 1024
    wait_s: Seconds = 120
    body_mib: Positive = 48
    body_s: Seconds = 60
    answer_mib: Positive = 64
    messages: Positive = 4096
    prompts: Positive = 64
    tools: Positive = 128
    choices: Positive = 16
    stop_strings: Positive = 16
    top_logprobs: Annotated[int, Field(ge=0)] = 20
    thinking_tokens: Positive | None = None
    max_tokens: Positive | None = None
    stop_chars: Positive = 1024
    logit_bias: Positive = 1024
    schema_parts: Positive = 32768
    strict_parts: Positive = 4096
    pattern_states: Positive = 1024
    wrong_keys_per_min: Positive = 20


Share = Annotated[float, Field(gt=0, le=1)]
Price = Annotated[float, Field(ge=0)]


class Tenancy(Frozen):
    """One class of keys: what it is promised, and how long it waits."""

    share: Share
    max_wait_s: Seconds = 120
    ttft_target_s: Seconds = 10
    queued: Positive = 1024
    thinking_tokens: Positive | None = None


class Prices(Frozen):
    """Per million tokens, in one currency; nothing by default, since whose money it is is yours."""

    prompt: Price = 0
    cached: Price = 0
    completion: Price = 0
    currency: Literal["USD", "CNY"] = "USD"


class Alias(Frozen):
    """Another name for a model, with what it stands for. `model` None is the first there is."""

    model: str | None = None
    thinking: Literal["enabled", "disabled"] | None = None
    effort: Literal["low", "high", "max"] | None = None


class Dialect(Frozen):
    """How strictly clients are read, and how some answers are told."""

    strict: bool = False
    stream_usage: Literal["own_event", "last_event"] = "own_event"
    aliases: dict[str, Alias] = {
        "deepseek-chat": Alias(thinking="disabled"),
        "deepseek-reasoner": Alias(thinking="enabled"),
        "deepseek-flash": Alias(),
    }
    claude: dict[str, str | None] = {"claude*": None}


class Tier(Frozen):
    tier: Name
    about: str = ""
    ladder: tuple[Rung, ...] = ()
    hardware: tuple[Hardware, ...] = ()
    prefer: Prefer = "quality"
    floor_tokens_per_s: Annotated[float, Field(ge=0)] = 20
    engine: EngineSettings = EngineSettings()
    engines: Annotated[int, Field(ge=1, le=64)] = 1
    nodes: Annotated[int, Field(ge=1, le=64)] = 1
    continue_streams: bool = True
    defaults: Defaults = Defaults()
    limits: Limits = Limits()
    dialect: Dialect = Dialect()
    classes: dict[str, Tenancy] = {
        "enterprise": Tenancy(share=0.6, max_wait_s=60, ttft_target_s=5),
        "public": Tenancy(share=0.3, max_wait_s=30),
        "batch": Tenancy(share=0.1, max_wait_s=600, ttft_target_s=300, queued=4096),
    }
    default_class: str = "public"
    prices: Prices = Prices()
    ledger_days: Positive = 400

    @model_validator(mode="after")
    def rungs_have_their_commits(self) -> Self:
        if self.ladder and self.engine.revision:
            raise ValueError(
                "engine.revision belongs to one model: with a ladder, say it on the rung"
            )
        return self

    @model_validator(mode="after")
    def classes_fit(self) -> Self:
        total = sum(one.share for one in self.classes.values())
        if total > 1 + 1e-9:
            raise ValueError(f"the shares of classes add up to {total:.2f}, more than 1")
        if self.default_class not in self.classes:
            raise ValueError(f"default_class {self.default_class!r} is none of classes")
        return self


def authority(host: str, port: int) -> str:
    """As a URL has it: an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Listen(Frozen):
    """Where the server listens, and how long it waits for clients: for a head (`head_s`), for one that
    does not read (`unread_s`), and when it stops for what still runs (`drain_s`). `console` is whether
    operators have their page.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    keepalive_s: Seconds = 15
    bridge_after_s: Seconds = 45
    idle_s: Seconds = 600
    drain_s: Seconds = 30
    head_s: Seconds = 10
    unread_s: Seconds = 60
    connections: Positive = 4096
    tls_cert: Path | None = None
    tls_key: Path | None = None
    console: bool = True

    @model_validator(mode="after")
    def certificate_whole(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("--tls-cert and --tls-key go together: a certificate and its key")
        return self

    @property
    def beside(self) -> str:
        """The next port of the same address, for who finds this one taken."""
        return authority(self.host, self.port + 1 if self.port < 65535 else self.port - 1)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
