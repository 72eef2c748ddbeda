"""Which of the cards that a driver shows can carry a model, and what is odd about them. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seekserve.plan import readings
from seekserve.plan.readings import Card

SMALLEST_GIB = 2.0  # below it a card is a processor's own graphics: no engine runs on it
BUSY = 0.10  # drivers keep up to about 6 % of an idle card for themselves; more is somebody's
# The first variable that is set counts; ROCm's runtime hides cards before HIP numbers the rest.
HIDING = {
    "cuda": (("CUDA_VISIBLE_DEVICES",),),
    "rocm": (("ROCR_VISIBLE_DEVICES",), ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")),
    "ascend": (("ASCEND_RT_VISIBLE_DEVICES",),),
}


@dataclass(frozen=True)
class Device:
    """One accelerator as its driver names it; memory in GiB, `free_gib` None where not told."""

    name: str
    memory_gib: float
    free_gib: float | None
    index: int


def visible(
    platform: str, cards: tuple[Card, ...], environ: Mapping[str, str]
) -> tuple[tuple[Card, ...], tuple[str, ...]]:
    """The cards that the runtime's own variables leave, in their order, and what was hidden."""
    notes: list[str] = []
    for names in HIDING.get(platform, ()):
        name = next((name for name in names if name in environ), "")
        if not (name and cards):
            continue
        left, words = _listed(cards, environ[name])
        if left != cards:
            notes.append(
                f"{name}={environ[name]!r} leaves {len(left)} of {len(cards)} cards{words}."
            )
        cards = left
    return cards, tuple(notes)


def _listed(cards: tuple[Card, ...], value: str) -> tuple[tuple[Card, ...], str]:
    """As CUDA reads its list: numbers up to the first that is no card; "" and -1 leave none."""
    items = [item.strip() for item in value.split(",")]
    if re.match(r"(GPU|MIG)-", items[0]):
        return cards[: len(items)], "; it names them by UUID, so only their number is known here"
    chosen: dict[int, Card] = {}
    for item in items:
        number = readings.whole(item)
        if number is None or number >= len(cards) or number in chosen:
            break
        chosen[number] = cards[number]
    return tuple(chosen.values()), ""


def count(
    platform: str, cards: tuple[Card, ...], memory: tuple[float, float]
) -> tuple[tuple[Device, ...], tuple[str, ...]]:
    """The cards that can carry a model, and what is odd about them.

    `memory` is the host's, GiB in all and available: what NVIDIA's GB10 uses, whose driver tells
    no memory of its own.
    """
    devices, notes = [], []
    for card in cards:
        total, left = card.total_gib, card.free_gib
        notes += [f"Card {card.index} {card.remark}."] if card.remark else []
        if total is None and platform == "cuda" and not card.remark:
            total, left = memory
            notes.append(
                f"Card {card.index} shares the host's memory: {total:.1f} GiB are counted."
            )
        if total is None or total < SMALLEST_GIB:
            notes.append(f"Card {card.index} ({card.name}) is left out: {_little(total)}.")
            continue
        devices.append(Device(card.name, total, left, card.index))
        if left is not None and card.total_gib and left < (1 - BUSY) * total:
            notes.append(
                f"Card {card.index}: {total - left:.1f} of {total:.1f} GiB are in use already."
            )
    return tuple(devices), (*notes, *_mixed(platform, devices))


def _little(total: float | None) -> str:
    return "its memory is not told" if total is None else f"{total:.1f} GiB carry no model"


def _mixed(platform: str, devices: Sequence[Device]) -> tuple[str, ...]:
    kinds = Counter(f"{device.name}, {device.memory_gib:.0f} GiB" for device in devices)
    told = "; ".join(f"{number} × {kind}" for kind, number in kinds.items())
    order = "; CUDA_DEVICE_ORDER=PCI_BUS_ID makes CUDA number them as here"
    order = order if platform == "cuda" else ""
    return (f"The cards differ ({told}){order}.",) if len(kinds) > 1 else ()
