"""What lasts as long as the server: the queue, the keys, their caps, the ledger, the connections.

A configuration that is read anew changes the settings they go by, and never them: what waits, runs or
was counted is still there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector

from seekserve.config import Config
from seekserve.engine.fleet import Fleet
from seekserve.gateway.admission import Admission
from seekserve.gateway.caps import Caps
from seekserve.gateway.closing import Closing
from seekserve.gateway.context import Context
from seekserve.gateway.disk import Disk
from seekserve.gateway.gauges import gauges
from seekserve.gateway.keywatch import KeyWatch
from seekserve.gateway.ledger import Ledger
from seekserve.gateway.record import Trace
from seekserve.gateway.relay import Gateway
from seekserve.gateway.suspects import Suspects
from seekserve.gateway.upstream import Upstream
from seekserve.log import Log
from seekserve.metrics import Metrics, Reading
from seekserve.settings import Limits

if TYPE_CHECKING:
    from seekserve.gateway.otlp import Otlp

ASIDES = 16
"""Counts of tokens that one engine makes at once, beside what it generates."""


class House:
    """Raises StartError for what only a person can put right."""

    def __init__(self, config: Config, fleet: Fleet, log: Log, closing: Closing) -> None:
        self.fleet, self.log, self.closing = fleet, log, closing
        self.metrics = Metrics(_registry())
        self.keys = KeyWatch(config, log)
        tier, clock = config.tier, time.monotonic
        self._admission = Admission(fleet, tier.limits, clock, tier.classes, tier.default_class)
        self._asides = Admission(fleet, _few(tier.limits), clock)
        secret = config.engine_key.get_secret_value() if config.engine_key else None
        self._upstream, self._suspects = Upstream(secret), Suspects(clock)
        self._caps = Caps(clock, tier.prices)
        self.ledger = Ledger(config.state_dir, tier, log)
        self._spans = _exporter(log) if config.spans else None
        self._caps.spent = self.ledger.spent
        self._disk = Disk(config.state_dir)
        told = (self.keys, self._caps, self.ledger, self._disk)
        for read in (*(one.gauges for one in told), self._gauges):
            self.metrics.watch(read)
        self.gateway = self._gateway(config)
        fleet.witness(lambda engine: self.gateway.seen(engine))
        fleet.listen(lambda engine: self.gateway.lost(engine))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Engines begin to start on the way in, and have ended on the way out."""
        spans = self._spans or nullcontext()
        async with spans, self.ledger, self._disk, self.fleet, self.keys:
            yield
            self._upstream.close()

    def enter(self, parent: Context | None, unique: str) -> Context | None:
        """Where a request stands in a distributed trace; None while no spans are exported."""
        return self._spans.enter(parent, unique) if self._spans else None

    def settle(self, trace: Trace, total_s: float) -> None:
        """A request is over: its row in the ledger, and its spans."""
        self.ledger.settle(trace, total_s)
        if self._spans:
            self._spans.settle(trace, total_s)

    def adopt(self, config: Config) -> None:
        """For requests from now on. What the tier had of classes must still be there."""
        tier = config.tier
        self._admission.adopt(tier.limits, tier.classes, tier.default_class)
        self._asides.adopt(_few(tier.limits), self._asides.classes, "all")
        self._caps.adopt(tier.prices)
        self.ledger.adopt(tier.prices)
        self.keys.adopt(config)
        self.gateway = self._gateway(config)

    def _gateway(self, config: Config) -> Gateway:
        shared = (self._admission, self._asides, self._upstream)
        tier, clock = config.tier, time.perf_counter
        return Gateway(
            *shared,
            config.listen,
            tier.limits,
            clock,
            self._caps,
            self._suspects,
            tier.continue_streams,
        )

    def _gauges(self) -> list[Reading]:
        tasks = float(len(asyncio.all_tasks()))
        told = (
            "tasks",
            "Tasks of the event loop: as many at rest as after a start.",
            (),
            [((), tasks)],
        )
        return [*gauges(self._admission), told]


def _exporter(log: Log) -> Otlp | None:
    """Without it requests are served all the same: what is missing is told, and no reason to stop."""
    try:
        from seekserve.gateway.otlp import (
            Otlp,
        )  # an extra, and half a second: for those who want it

        return Otlp(log)
    except ImportError:
        log.event(
            "spans_off", why="OpenTelemetry is missing", todo='in a checkout: pip install ".[otel]"'
        )
    except (ValueError, RuntimeError) as error:
        log.event("spans_off", why=str(error)[:200], todo="look at the OTEL_... variables")
    return None


def _few(limits: Limits) -> Limits:
    return limits.model_copy(update={"running": min(ASIDES, limits.running)})


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry
