"""This machine -> the accelerators, memory and cores it has. The plan room's only I/O.

Each platform is asked in turn and the first that shows cards wins. Nothing outside is trusted: a
tool may be missing, hang, fail or print nonsense, and then a note says so and the search goes on.
This file only asks: `plan.readings` turns text into cards, `plan.cards` decides which of them
count, `plan.host` reads the files that tell cores and memory.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from seekserve.plan import readings
from seekserve.plan.cards import Device, count, visible
from seekserve.plan.host import Host, accelerators_on_bus, pci_bus, read_host, text
from seekserve.plan.readings import Card

__all__ = ["Device", "Host", "Machine", "Nvml", "Run", "detect", "run_tool"]

ANSWER_S = 10.0
QUERY = "index,name,memory.total,memory.used,driver_version"
NVIDIA = ("nvidia-smi", f"--query-gpu={QUERY},mig.mode.current", "--format=csv,noheader,nounits")
GAUDI = ("hl-smi", "-Q", QUERY, "-f", "csv,noheader")
ROCM = ("rocm-smi", "--showproductname", "--showmeminfo", "vram", "--json")
AMD_STATIC = ("amd-smi", "static", "--json")
AMD_METRIC = ("amd-smi", "metric", "--mem-usage", "--json")
Run = Callable[[Sequence[str]], str | None]


class Nvml(Protocol):
    """The part of `pynvml` that is used."""

    @property
    def NVMLError(self) -> type[Exception]: ...  # noqa: N802

    def nvmlInit(self) -> object: ...  # noqa: N802
    def nvmlShutdown(self) -> object: ...  # noqa: N802
    def nvmlSystemGetDriverVersion(self) -> str: ...  # noqa: N802
    def nvmlDeviceGetCount(self) -> int: ...  # noqa: N802
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...  # noqa: N802
    def nvmlDeviceGetName(self, handle: Any) -> str: ...  # noqa: N802
    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any: ...  # noqa: N802
    def nvmlDeviceGetMigMode(self, handle: Any) -> Sequence[int]: ...  # noqa: N802


@dataclass(frozen=True)
class Machine:
    """`platform` is a key of configs/catalog/platforms.yaml; `notes` are sentences for people."""

    platform: str
    devices: tuple[Device, ...]
    host: Host
    driver: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What one platform answered."""

    cards: tuple[Card, ...] = ()
    notes: tuple[str, ...] = ()


def run_tool(argv: Sequence[str], timeout_s: float = ANSWER_S) -> str | None:
    """What a tool prints; "" when it hangs, None when it is not there. Never raises.

    A tool stuck in its driver cannot be killed, so it is not waited for after the kill.
    """
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        tool = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True, **pipes)
    except OSError:
        return None
    try:
        printed: bytes = tool.communicate(timeout=timeout_s)[0]
        return printed.decode(errors="replace")
    except subprocess.TimeoutExpired:
        with suppress(OSError):
            os.killpg(tool.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            tool.communicate(timeout=1.0)
        return ""


def detect(
    root: Path = Path("/"),
    run: Run = run_tool,
    nvml: Nvml | None = None,
    environ: Mapping[str, str] = os.environ,
    affinity: frozenset[int] | None = None,
    nvml_s: float = ANSWER_S,
) -> Machine:
    """The machine under `root`. Raises nothing; takes 10 s for each tool that hangs.

    `nvml` None means pynvml where it is installed, given `nvml_s` seconds; `affinity` None asks
    the kernel.
    """
    host, notes = read_host(root, affinity)
    for name, found in _answers(root, run, lambda: _nvidia(run, nvml, nvml_s), environ):
        shown, hidden = visible(name, found.cards, environ)
        devices, more = count(name, shown, (host.memory_gib, host.available_gib))
        notes = (*notes, *found.notes, *hidden, *more)
        if devices:
            return Machine(name, devices, host, found.cards[0].driver, notes)
    return Machine("cpu", (), host, "", notes)


def _answers(
    root: Path, run: Run, nvidia: Callable[[], Found], environ: Mapping[str, str]
) -> Iterator[tuple[str, Found]]:
    """Each platform's answer, asked for only when those before it showed no cards."""
    asks: dict[str, Callable[[], Found]] = {
        "cuda": nvidia,
        "rocm": lambda: _amd(run),
        "ascend": lambda: _ascend(root, run),
        "gaudi": lambda: _told(run, GAUDI, readings.csv_cards),
        "tpu": lambda: _tpu(root, environ),
        "xpu": lambda: _xpu(run),
    }
    bus = accelerators_on_bus(root)
    for name, ask in asks.items():
        found = ask()
        silent = [maker for who, maker in bus if who == name]
        if silent and not found.cards and not found.notes:
            found = Found(
                (), (f"{len(silent)} × {silent[0]} on the PCI bus, but no driver answers.",)
            )
        yield name, found


def _told(run: Run, argv: Sequence[str], read: Callable[[str], tuple[Card, ...]]) -> Found:
    """A tool's cards, or why it has none. A tool that is not installed is nothing to tell."""
    answer = run(argv)
    cards = read(answer or "")
    if cards or answer is None:
        return Found(cards)
    words = " ".join(answer.split())[:160]
    said = f"names no card: {words!r}" if words else f"fails, or takes over {ANSWER_S:.0f} s"
    return Found((), (f"{argv[0]} {said}.",))


def _nvidia(run: Run, nvml: Nvml | None, wait_s: float) -> Found:
    """NVML first: it needs no tool and tells bytes. When it hangs, nvidia-smi would hang as well."""
    with suppress(ImportError):
        nvml = nvml or cast(Nvml, importlib.import_module("pynvml"))
    if nvml is None:
        return _told(run, NVIDIA, readings.csv_cards)
    answers: list[Found] = []
    reader = threading.Thread(target=lambda: answers.append(_read_nvml(nvml)), daemon=True)
    reader.start()
    reader.join(wait_s)
    if not answers:
        return Found((), (f"NVIDIA's driver gives no answer within {wait_s:g} s.",))
    if answers[0].cards:
        return answers[0]
    asked = _told(run, NVIDIA, readings.csv_cards)
    return Found(asked.cards, (*answers[0].notes, *asked.notes))


def _read_nvml(nvml: Nvml) -> Found:
    """Every card that answers. A lost one is noted; without a driver there are none."""
    cards: list[Card] = []
    notes: list[str] = []
    try:
        nvml.nvmlInit()
        driver, number = nvml.nvmlSystemGetDriverVersion(), nvml.nvmlDeviceGetCount()
    except (nvml.NVMLError, OSError, ValueError):
        return Found()
    for index in range(number):
        try:
            cards.append(_nvml_card(nvml, index, driver))
        except (nvml.NVMLError, OSError, ValueError) as error:
            notes.append(f"Card {index} does not answer: {error}.")
    with suppress(nvml.NVMLError):
        nvml.nvmlShutdown()
    return Found(tuple(cards), tuple(notes))


def _nvml_card(nvml: Nvml, index: int, driver: str) -> Card:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    total = left = None
    remark = ""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        total, left = memory.total * 2.0**-30, memory.free * 2.0**-30
    except nvml.NVMLError as error:
        if "Not Supported" not in str(error):  # as on GB10, whose memory is the host's
            raise
    with suppress(nvml.NVMLError):  # not supported on cards without MIG
        remark = readings.MIG if nvml.nvmlDeviceGetMigMode(handle)[0] else ""
    return Card(index, nvml.nvmlDeviceGetName(handle), total or None, left, driver, remark)


def _amd(run: Run) -> Found:
    """amd-smi, or rocm-smi where that is older than amd-smi or amd-smi has no answer."""

    def read(static: str) -> tuple[Card, ...]:
        return readings.amd_smi(static, run(AMD_METRIC) or "") if static.strip() else ()

    found = _told(run, AMD_STATIC, read)
    if found.cards:
        return found
    older = _told(run, ROCM, readings.rocm_smi)
    return Found(older.cards, (*found.notes, *older.notes))


def _ascend(root: Path, run: Run) -> Found:
    found = _told(run, ("npu-smi", "info"), readings.npu_smi)
    if not found.cards:
        return found
    installed = root.glob("usr/local/Ascend/ascend-toolkit/latest/*/ascend_toolkit_install.info")
    lines = [line for path in installed for line in text(path).splitlines()]
    cann = [line.partition("=")[2].strip() for line in lines if line.startswith("version=")]
    return Found(found.cards, tuple(f"CANN {version} is installed." for version in cann[:1]))


def _xpu(run: Run) -> Found:
    """xpu-smi tells a card's memory only when asked for that card."""

    def read(listed: str) -> tuple[Card, ...]:
        ids = readings.xpu_ids(listed)
        told = (
            readings.xpu_card(i, run(("xpu-smi", "discovery", "-d", str(i), "-j")) or "")
            for i in ids
        )
        return tuple(card for card in told if card)

    return _told(run, ("xpu-smi", "discovery", "-j"), read)


def _tpu(root: Path, environ: Mapping[str, str]) -> Found:
    """Chips by their PCI ids; where a container hides the bus, device files and the declared type."""
    ids = [device for vendor, device, _ in pci_bus(root) if vendor == readings.TPU_VENDOR]
    kinds = [readings.TPU_IDS[device] for device in ids if device in readings.TPU_IDS]
    declared = readings.tpu_kind(environ.get("TPU_ACCELERATOR_TYPE", ""))
    if declared and not kinds:
        files = [*root.glob("dev/accel[0-9]*")] or [*root.glob("dev/vfio/[0-9]*")]
        kinds = [declared] * len(files)
    dies = [kind for kind in kinds for _ in range(readings.TPU_DIES.get(kind, 1))]
    cards = [Card(i, f"TPU {kind}", readings.TPU_GIB[kind], None) for i, kind in enumerate(dies)]
    return Found(tuple(cards))
