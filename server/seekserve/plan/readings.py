"""What vendors' tools and the kernel print -> cards and processors. Pure: text in, values out.

A line that cannot be read is left out, never guessed and never an exception: the caller sees fewer
cards than the tool has lines, and says so. Sizes are GiB; vendors write MB and mean MiB.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

GIB = {"B": 2.0**-30, "K": 2.0**-20, "M": 2.0**-10, "G": 1.0, "T": 2.0**10}
MIG = "has MIG on: the engine sees its slices, while the memory told here is the whole card's"
SIZE = re.compile(r"\s*([0-9]{1,19}(?:\.[0-9]+)?)\s*([KMGT]?i?B)?\s*$", re.IGNORECASE)
UNKNOWN = ("", "N/A", "NA", "NONE", "UNKNOWN")

# PCI ids as in JAX's hardware_utils; HBM per device as the runtime has it, since no file tells
# it. v2 and v3 share an id: the smaller is assumed. A v7x chip is two devices.
TPU_VENDOR = "0x1ae0"
TPU_IDS = {"0x0027": "v2", "0x005e": "v4", "0x0062": "v5p", "0x0063": "v5e", "0x006f": "v6e"}
TPU_IDS |= {"0x0076": "v7x"}
TPU_GIB = {"v2": 16.0, "v4": 32.0, "v5p": 95.0, "v5e": 15.75, "v6e": 31.25, "v7x": 94.75}
TPU_DIES = {"v7x": 2}

# Arm's cpuinfo gives numbers, not names: the server parts an engine is likely to meet.
ARM_PARTS = {
    ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd40"): "Neoverse-V1",
    ("0x41", "0xd49"): "Neoverse-N2",
    ("0x41", "0xd4f"): "Neoverse-V2",
    ("0x41", "0xd85"): "Cortex-X925",
    ("0x48", "0xd01"): "Kunpeng-920",
    ("0xc0", "0xac3"): "Ampere-1",
    ("0xc0", "0xac4"): "Ampere-1a",
}


@dataclass(frozen=True)
class Card:
    """One accelerator as a tool tells it; memory in GiB, None where the tool does not know it."""

    index: int
    name: str
    total_gib: float | None
    free_gib: float | None
    driver: str = ""
    remark: str = ""  # what is odd about it, as the end of a sentence that begins "Card 0"


@dataclass(frozen=True)
class Cpu:
    """What /proc/cpuinfo tells. `cores` maps a logical CPU to its (socket, core)."""

    model: str
    arch: str
    isa: str
    cores: Mapping[int, tuple[str, str]]
    sockets: int


def size(value: object, unit: str = "MB") -> float | None:
    """GiB from 196592, "768 MiB" or {"value": 768, "unit": "MB"}; None for N/A and the like."""
    if isinstance(value, dict):
        return size(f"{value.get('value')} {value.get('unit') or unit}")
    found = SIZE.match(str(value))
    return float(found[1]) * GIB[(found[2] or unit)[0].upper()] if found else None


def document(text: str) -> object:
    """The first JSON value that begins a line: amd-smi and rocm-smi print warnings before theirs."""
    for begin in islice(re.finditer(r"^\s*[\[{]", text, re.MULTILINE), 8):
        with suppress(ValueError, RecursionError):
            return json.JSONDecoder().raw_decode(text[begin.end() - 1 :])[0]
    return None


def known(value: object) -> str:
    """A name or version as text, "" where the tool wrote one of its words for not knowing."""
    text = str(value).strip().strip("[]").strip()
    return "" if text.upper() in UNKNOWN or text == "Not Supported" else text


def at(value: object, *path: str) -> object:
    """value[path0][path1]…, None as soon as a step is not there."""
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def whole(value: object) -> int | None:
    text = str(value).strip()
    return int(text) if re.fullmatch(r"[0-9]{1,19}", text) else None


def free(total: float | None, used: float | None) -> float | None:
    return None if total is None or used is None else max(0.0, total - used)


def csv_cards(text: str) -> tuple[Card, ...]:
    """nvidia-smi and hl-smi: index, name, memory.total, memory.used, driver_version[, MIG mode]."""
    rows = [[field.strip() for field in line.split(",")] for line in text.splitlines()]
    return tuple(_csv_card(row) for row in rows if len(row) >= 5 and whole(row[0]) is not None)


def _csv_card(row: list[str]) -> Card:
    total = size(row[2])
    odd = "" if total is not None or not known(row[2]) else f"tells no memory: {known(row[2])}"
    remark = MIG if len(row) > 5 and row[5] == "Enabled" else odd
    return Card(int(row[0]), row[1], total, free(total, size(row[3])), known(row[4]), remark)


def amd_smi(static: str, metric: str) -> tuple[Card, ...]:
    """`amd-smi static --json` and `amd-smi metric --mem-usage --json`, of ROCm 6 (a list) and 7."""
    used = {whole(row.get("gpu")): row for row in _amd_rows(metric)}
    cards = [_amd_card(row, used.get(whole(row.get("gpu")), {})) for row in _amd_rows(static)]
    return tuple(card for card in cards if card)


def _amd_rows(text: str) -> list[dict[str, object]]:
    value = document(text)
    value = at(value, "gpu_data") if isinstance(value, dict) and "gpu_data" in value else value
    rows = value if isinstance(value, list) else [value]
    return [row for row in rows if isinstance(row, dict)]


def _amd_card(row: dict[str, object], metric: dict[str, object]) -> Card | None:
    index, names = whole(row.get("gpu")), (("asic", "market_name"), ("board", "product_name"))
    if index is None:
        return None
    told = [known(at(row, *path)) for path in (*names, ("asic", "device_id"))]
    total = size(at(metric, "mem_usage", "total_vram"))
    total = size(at(row, "vram", "size")) if total is None else total
    left = size(at(metric, "mem_usage", "free_vram"))
    left = free(total, size(at(metric, "mem_usage", "used_vram"))) if left is None else left
    mode = known(at(row, "partition", "compute_partition") or "")
    remark = f"is split ({mode}): check the memory of each part" if mode not in ("", "SPX") else ""
    name = next((name for name in told if name), "AMD GPU")
    return Card(index, name, total, left, known(at(row, "driver", "version") or ""), remark)


def rocm_smi(text: str) -> tuple[Card, ...]:
    """`rocm-smi --showproductname --showmeminfo vram --json`: card0, card1 …; sizes in bytes."""
    value = document(text)
    rows = value.items() if isinstance(value, dict) else ()
    return tuple(
        _rocm_card(int(key[4:]), {name.lower(): told for name, told in row.items()})
        for key, row in rows
        if re.fullmatch(r"card[0-9]{1,4}", key) and isinstance(row, dict)
    )


def _rocm_card(index: int, row: dict[str, object]) -> Card:
    told = [known(row.get(key, "")) for key in ("card series", "device name", "card model")]
    total = size(row.get("vram total memory (b)"), "B")
    used = size(row.get("vram total used memory (b)"), "B")
    return Card(index, next((name for name in told if name), "AMD GPU"), total, free(total, used))


def npu_smi(text: str) -> tuple[Card, ...]:
    """`npu-smi info`: two lines a chip, the last "used / total" being its HBM.

    A 910C card has two chips: each is a device, numbered by its Phy-ID.
    """
    version = re.search(r"Version:\s*(\S+)", text)
    cards: list[Card] = []
    name, health, npu = "", "", 0
    for cells in ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()):
        head = (
            re.fullmatch(r"([0-9]{1,4})\s+(\S*[A-Za-z]\S*)", cells[0]) if len(cells) >= 3 else None
        )
        if head:
            npu, name, health = int(head[1]), head[2], cells[1]
        elif name and len(cells) >= 3 and re.fullmatch(r"[0-9]{1,4}(\s+[0-9]{1,4})?", cells[0]):
            card = _chip(npu, name, health, cells, version[1] if version else "")
            cards, name = cards + ([card] if card else []), ""
    return tuple(cards)


def _chip(npu: int, name: str, health: str, cells: list[str], driver: str) -> Card | None:
    pairs = re.findall(r"([0-9]+)\s*/\s*([0-9]+)", cells[2])
    if not pairs:
        return None
    used, total = (size(number) for number in pairs[-1])
    numbers = cells[0].split()
    index = int(numbers[1]) if len(numbers) > 1 else npu
    name = name if name.startswith("Ascend") else f"Ascend{name}"
    remark = "" if health == "OK" else f"reports its health as {health}"
    return Card(index, name, total, free(total, used), driver, remark)


def tpu_kind(accelerator_type: str) -> str:
    """TPU_ACCELERATOR_TYPE ("v5litepod-8", "v6e-4", "tpu7x-8") -> a key of TPU_GIB, or ""."""
    text = accelerator_type.lower().removeprefix("tpu-").replace("tpu7x", "v7x")
    text = text.replace("v5-lite", "v5e").replace("v5lite", "v5e")
    return next((kind for kind in TPU_GIB if text.startswith(kind)), "")


def xpu_ids(text: str) -> tuple[int, ...]:
    """`xpu-smi discovery -j` -> the ids of physical cards; it does not tell their memory."""
    listed = at(document(text), "device_list")
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    ids = [
        whole(row.get("device_id"))
        for row in rows
        if row.get("device_function_type", "physical") == "physical"
    ]
    return tuple(number for number in ids if number is not None)


def xpu_card(index: int, text: str) -> Card | None:
    """`xpu-smi discovery -d ID -j`: sizes in bytes, written as text or as numbers."""
    row = document(text)
    name = known(at(row, "device_name") or "")
    if not name:
        return None
    total = size(at(row, "memory_physical_size_byte"), "B")
    left = size(at(row, "memory_free_size_byte"), "B")
    return Card(index, name, total, left, known(at(row, "driver_version") or ""))


def cpuinfo(text: str) -> Cpu:
    """/proc/cpuinfo. On Arm a logical CPU is a core, and the sockets are not told: 0."""
    blocks = list(_blocks(text))
    first = next((block for block in blocks if "processor" in block), {})
    cores = {}
    for block in blocks:
        number = whole(block.get("processor"))
        if number is not None:
            cores[number] = (block.get("physical id", ""), block.get("core id", f"cpu{number}"))
    sockets = len({socket for socket, _ in cores.values() if socket})
    part = (first.get("CPU implementer", ""), first.get("CPU part", ""))
    model = first.get("model name") or ARM_PARTS.get(part, " ".join(part).strip())
    arch = "aarch64" if part[0] else "x86_64" if "flags" in first else ""
    flags = set((first.get("flags") or first.get("Features", "")).split())
    return Cpu(model, arch, isa(flags), cores, sockets)


def _blocks(text: str) -> Iterator[dict[str, str]]:
    for block in re.split(r"\n\s*\n", text):
        pairs = [line.partition(":") for line in block.splitlines()]
        yield {key.strip(): value.strip() for key, _, value in pairs}


def isa(flags: set[str]) -> str:
    """The widest matrix or vector unit that CPU engines have kernels for."""
    steps = {"amx": "amx_tile", "avx512": "avx512f", "avx2": "avx2", "arm": "asimd"}
    return next((name for name, flag in steps.items() if flag in flags), "other")


def meminfo(text: str) -> tuple[float, float]:
    """/proc/meminfo -> GiB in all and GiB that can be had without swapping; 0 where not told."""
    told = {key: size(value) for key, _, value in (ln.partition(":") for ln in text.splitlines())}
    return told.get("MemTotal") or 0.0, told.get("MemAvailable") or told.get("MemFree") or 0.0
