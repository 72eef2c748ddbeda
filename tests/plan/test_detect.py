"""This machine -> its accelerators, from what real tools print; and nothing they do is fatal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seekserve.plan import readings
from seekserve.plan.detect import Machine, Nvml, detect, run_tool

DATA = Path(__file__).parent / "detected"
GIB = 2**30


class NoDriver:
    """NVML on a machine without NVIDIA's driver; the other fakes answer more of it."""

    class NVMLError(Exception):
        pass

    def __getattr__(self, name: str) -> Any:
        raise self.NVMLError("NVML Shared Library Not Found")


class FakeNvml(NoDriver):
    """Cards as (name, total GiB or None for not supported, used GiB, MIG); None is a lost card."""

    def __init__(self, *cards: tuple[str, float | None, float, bool] | None) -> None:
        self.cards = cards

    def nvmlInit(self) -> None: ...  # noqa: N802

    def nvmlShutdown(self) -> None: ...  # noqa: N802

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "580.65.06"

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:  # noqa: N802
        if self.cards[index] is None:
            raise self.NVMLError("GPU is lost")
        return self.cards[index]

    def nvmlDeviceGetName(self, handle: Any) -> str:  # noqa: N802
        return str(handle[0])

    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any:  # noqa: N802
        if handle[1] is None:
            raise self.NVMLError("Not Supported")
        used = handle[2] * GIB
        return SimpleNamespace(total=int(handle[1] * GIB), free=int(handle[1] * GIB - used))

    def nvmlDeviceGetMigMode(self, handle: Any) -> list[int]:  # noqa: N802
        if not handle[3]:
            raise self.NVMLError("Not Supported")
        return [1, 1]


def read(name: str) -> str:
    return (DATA / name).read_text()


def tools(**answers: str) -> Callable[[Sequence[str]], str | None]:
    """A `run` where only these tools exist: words joined by _ begin the command line."""
    named = {key.replace("_", " "): text for key, text in answers.items()}

    def run(argv: Sequence[str]) -> str | None:
        line = " ".join(argv).replace("-", " ")
        fits = [key for key in named if line.startswith(key)]
        return named[max(fits, key=len)] if fits else None

    return run


def cpuinfo(name: str, sockets: int, cores: int, threads: int) -> str:
    """A captured block, once for each logical CPU: threads last, as Linux numbers them."""
    block, blocks = read(name).rstrip(), []
    for number in range(sockets * cores * threads):
        place = number % (sockets * cores)
        values = {"processor": number, "physical id": place // cores, "core id": place % cores}
        lines = [
            f"{key}: {values.get(key.strip(), told.strip())}"
            for key, _, told in (line.partition(":") for line in block.splitlines())
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """64 GiB, 48 of them available, and 2 sockets of 4 cores of 2 threads."""
    return write(
        tmp_path,
        {
            "proc/cpuinfo": cpuinfo("cpuinfo_epyc_9r14.txt", sockets=2, cores=4, threads=2),
            "proc/meminfo": f"MemTotal: {64 * 2**20} kB\nMemFree: 1 kB\nMemAvailable: {48 * 2**20} kB\n",
            "proc/self/cgroup": "0::/\n",
        },
    )


def machine(
    root: Path,
    nvml: Nvml | None = None,
    environ: Mapping[str, str] | None = None,
    /,
    **answers: str,
) -> Machine:
    cpus = frozenset(range(16))
    return detect(root, tools(**answers), nvml or NoDriver(), environ or {}, cpus)


def pci(vendor: str, device: str, kind: str, at: str = "0000:01:00.0") -> dict[str, str]:
    place = f"sys/bus/pci/devices/{at}"
    return {f"{place}/vendor": vendor, f"{place}/device": device, f"{place}/class": kind}


def names(found: Machine) -> list[str]:
    return [device.name for device in found.devices]


def test_a_machine_without_any_tool_is_a_cpu(root: Path) -> None:
    found = machine(root)
    assert (found.platform, found.devices, found.driver, found.notes) == ("cpu", (), "", ())


def test_nothing_to_read_at_all(tmp_path: Path) -> None:
    found = detect(tmp_path, tools(), NoDriver(), {}, frozenset({0, 1}))
    assert (found.platform, found.host.cores, found.host.memory_gib) == ("cpu", 2, 0.0)
    assert (found.host.isa, found.host.sockets) == ("other", 1)


def test_nvml_is_asked_first(root: Path) -> None:
    nvml = FakeNvml(("NVIDIA H100 80GB HBM3", 79.65, 0.5, False))
    found = machine(root, nvml, nvidia_smi="never read")
    assert (found.platform, found.driver, found.notes) == ("cuda", "580.65.06", ())
    (device,) = found.devices
    assert (device.name, device.index) == ("NVIDIA H100 80GB HBM3", 0)
    assert device.memory_gib == pytest.approx(79.65)
    assert device.free_gib == pytest.approx(79.15)


def test_nvidia_smi_stands_in_and_memory_in_use_is_told(root: Path) -> None:
    found = machine(root, nvidia_smi=read("nvidia_4090.csv"))
    assert (found.platform, found.driver) == ("cuda", "580.65.06")
    assert names(found) == ["NVIDIA GeForce RTX 4090"] * 2
    assert [device.memory_gib for device in found.devices] == pytest.approx([24564 / 1024] * 2)
    assert found.devices[0].free_gib == pytest.approx((24564 - 18112) / 1024)
    assert found.notes == ("Card 0: 17.7 of 24.0 GiB are in use already.",)


def test_mig_is_told_by_both(root: Path) -> None:
    nvml = FakeNvml(("NVIDIA A100-SXM4-80GB", 80.0, 0.4, True))
    for found in (machine(root, nvml), machine(root, nvidia_smi=read("nvidia_mig.csv"))):
        assert found.notes == (f"Card 0 {readings.MIG}.",)


def test_mixed_cards_are_told(root: Path) -> None:
    found = machine(root, nvidia_smi=read("nvidia_mixed.csv"))
    assert names(found) == ["NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 4060 Ti"]
    (note,) = found.notes
    assert "1 × NVIDIA GeForce RTX 3090, 24 GiB; 1 × NVIDIA GeForce RTX 4060 Ti, 16 GiB" in note


def test_unified_memory_is_the_hosts(root: Path) -> None:
    nvml = FakeNvml(("NVIDIA GB10", None, 0.0, False))
    for found in (machine(root, nvml), machine(root, nvidia_smi=read("nvidia_gb10.csv"))):
        (device,) = found.devices
        assert (device.name, device.memory_gib, device.free_gib) == ("NVIDIA GB10", 64.0, 48.0)
        assert found.notes == ("Card 0 shares the host's memory: 64.0 GiB are counted.",)


def test_unknown_memory_is_not_unified_memory(root: Path) -> None:
    lost = "0, NVIDIA L4, [GPU is lost], [GPU is lost], 580.65.06, [N/A]\n"
    found = machine(root, nvidia_smi=lost)
    assert found.platform == "cpu"
    assert found.notes[0] == "Card 0 tells no memory: GPU is lost."
    split = machine(root, FakeNvml(("NVIDIA A100", None, 0.0, True)))
    assert split.notes[1] == "Card 0 (NVIDIA A100) is left out: its memory is not told."


def test_nvml_that_hangs_is_a_note(root: Path) -> None:
    released = threading.Event()

    class Stuck(FakeNvml):
        def nvmlInit(self) -> None:  # noqa: N802
            released.wait(30)

    found = detect(root, tools(nvidia_smi="never asked"), Stuck(), {}, frozenset({0}), nvml_s=0.05)
    released.set()
    assert (found.platform, found.notes) == (
        "cpu",
        ("NVIDIA's driver gives no answer within 0.05 s.",),
    )


def test_a_lost_card_does_not_hide_the_others(root: Path) -> None:
    card = ("NVIDIA H200", 140.4, 0.5, False)
    found = machine(root, FakeNvml(card, None, card))
    assert [device.index for device in found.devices] == [0, 2]
    assert found.notes == ("Card 1 does not answer: GPU is lost.",)


@pytest.mark.parametrize(
    ("value", "left"),
    [("1", [1]), ("1,0", [1, 0]), ("0,-1,1", [0]), ("0,7", [0]), ("", []), ("-1", []), ("x", [])],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(
    root: Path, value: str, left: list[int]
) -> None:
    nvml = FakeNvml(*[("NVIDIA L40S", 45.0, 0.4, False)] * 2)
    found = machine(root, nvml, {"CUDA_VISIBLE_DEVICES": value})
    assert [device.index for device in found.devices] == left
    assert found.platform == ("cuda" if left else "cpu")
    told = f"CUDA_VISIBLE_DEVICES={value!r} leaves {len(left)} of 2 cards."
    assert found.notes == (told,)


def test_cards_named_by_uuid_are_counted(root: Path) -> None:
    nvml = FakeNvml(*[("NVIDIA L40S", 45.0, 0.4, False)] * 4)
    found = machine(root, nvml, {"CUDA_VISIBLE_DEVICES": "GPU-5206045b,GPU-11111111"})
    assert len(found.devices) == 2
    assert "by UUID" in found.notes[0]


def test_rocm_hides_twice(root: Path) -> None:
    answers = {
        "amd_smi_static": read("amd_static_rocm7.json"),
        "amd_smi_metric": read("amd_metric_rocm7.json"),
    }
    both = {"ROCR_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "0", "CUDA_VISIBLE_DEVICES": ""}
    found = machine(root, None, both, **answers)
    assert [device.index for device in found.devices] == [1]
    assert machine(root, None, {"CUDA_VISIBLE_DEVICES": "0"}, **answers).devices[0].index == 0


def test_ascend_hides_too(root: Path) -> None:
    hidden = {"ASCEND_RT_VISIBLE_DEVICES": "2,3", "CUDA_VISIBLE_DEVICES": ""}
    found = machine(root, None, hidden, npu_smi=read("npu_910c.txt"))
    assert [device.index for device in found.devices] == [2, 3]


def test_amd_of_rocm_7(root: Path) -> None:
    found = machine(
        root,
        amd_smi_static=read("amd_static_rocm7.json"),
        amd_smi_metric=read("amd_metric_rocm7.json"),
    )
    assert (found.platform, found.driver, found.notes) == ("rocm", "6.19.14", ())
    assert names(found) == ["AMD Instinct MI300X"] * 2
    assert found.devices[0].memory_gib == pytest.approx(191.98, abs=0.01)
    assert found.devices[0].free_gib == pytest.approx((196592 - 17153) / 1024)


def test_amd_of_rocm_6(root: Path) -> None:
    answers = {
        "amd_smi_static": read("amd_static_rocm6.json"),
        "amd_smi_metric": read("amd_metric_rocm6.json"),
    }
    found = machine(root, **answers)
    assert names(found) == ["Navi 23 [Radeon RX 6600/6600 XT"]
    assert (found.devices[0].memory_gib, found.devices[0].free_gib) == (8176 / 1024, 7974 / 1024)
    silent = machine(root, **(answers | {"amd_smi_metric": ""}))
    assert (silent.devices[0].memory_gib, silent.devices[0].free_gib) == (8176 / 1024, None)


def test_amd_before_amd_smi(root: Path) -> None:
    found = machine(root, rocm_smi=read("rocm_smi.json"))
    assert (found.platform, names(found)) == ("rocm", ["Radeon RX 7900 XT"])
    assert found.devices[0].memory_gib == pytest.approx(19.98, abs=0.01)
    assert found.notes == ("Card 1 (Raphael) is left out: 0.1 GiB carry no model.",)


def test_a_split_amd_card_is_told() -> None:
    static = (
        '[{"gpu": 0, "asic": {"market_name": "MI300X"}, "partition": {"compute_partition": "CPX"}}]'
    )
    (card,) = readings.amd_smi(static, "")
    assert (card.name, card.total_gib) == ("MI300X", None)
    assert "CPX" in card.remark


def test_ascend_910b(root: Path) -> None:
    install = "usr/local/Ascend/ascend-toolkit/latest/aarch64-linux/ascend_toolkit_install.info"
    write(root, {install: "package_name=Ascend-cann-toolkit\nversion=8.1.RC1\narch=aarch64\n"})
    found = machine(root, npu_smi=read("npu_910b3.txt"))
    assert (found.platform, found.driver) == ("ascend", "24.1.rc2")
    assert names(found) == ["Ascend910B3"] * 3
    assert [device.memory_gib for device in found.devices] == [64.0] * 3
    assert found.devices[2].free_gib == pytest.approx((65536 - 3377) / 1024)
    assert found.notes[0] == "CANN 8.1.RC1 is installed."
    assert "Card 2 reports its health as Warning." in found.notes
    assert "Card 0: 55.0 of 64.0 GiB are in use already." in found.notes


def test_ascend_910c_has_two_dies_a_card(root: Path) -> None:
    found = machine(root, npu_smi=read("npu_910c.txt"))
    assert names(found) == ["Ascend910"] * 4
    assert [device.index for device in found.devices] == [0, 1, 2, 3]
    assert found.devices[3].free_gib == pytest.approx((65536 - 2878) / 1024)
    assert found.notes == ()


def test_gaudi(root: Path) -> None:
    found = machine(root, hl_smi=read("hl_smi.csv"))
    assert (found.platform, found.driver, found.notes) == ("gaudi", "1.24.1-b336d5e", ())
    assert names(found) == ["HL-325L"] * 2
    assert (found.devices[1].memory_gib, found.devices[1].free_gib) == (128.0, 130400 / 1024)


def test_xpu(root: Path) -> None:
    found = machine(
        root,
        xpu_smi_discovery=read("xpu_list.json"),
        xpu_smi_discovery__d_0=read("xpu_0.json"),
    )
    assert (found.platform, found.driver) == ("xpu", "25.18.33578")
    assert names(found) == ["Intel(R) Arc(TM) Pro B70 Graphics"]
    assert found.devices[0].memory_gib == pytest.approx(31.89, abs=0.01)
    assert found.devices[0].free_gib == pytest.approx(31.39, abs=0.01)


def test_tpu_by_its_pci_ids(root: Path) -> None:
    for at in ("0000:00:04.0", "0000:00:05.0"):
        write(root, pci("0x1ae0\n", "0x006f\n", "0x120000\n", at))
    write(root, pci("0x1ae0", "0x0042", "0x020000", "0000:00:06.0"))  # Google's network card
    found = machine(root)
    assert (found.platform, names(found)) == ("tpu", ["TPU v6e"] * 2)
    assert (found.devices[1].memory_gib, found.devices[1].free_gib) == (31.25, None)


@pytest.mark.parametrize(
    ("declared", "files", "name"),
    [
        ("v5litepod-4", ["dev/vfio/0", "dev/vfio/1", "dev/vfio/vfio"], "TPU v5e"),
        ("tpu-v5-lite-podslice", ["dev/vfio/0", "dev/vfio/1"], "TPU v5e"),
        ("v5p-8", ["dev/accel0", "dev/accel1"], "TPU v5p"),
        ("tpu7x-4", ["dev/vfio/0"], "TPU v7x"),
    ],
)
def test_tpu_in_a_container(root: Path, declared: str, files: list[str], name: str) -> None:
    write(root, dict.fromkeys(files, ""))
    assert names(machine(root, None, {"TPU_ACCELERATOR_TYPE": declared})) == [name] * 2
    assert machine(root).platform == "cpu"


@pytest.mark.parametrize(
    "garbage", ["{", "[[[", "[" * 100_000, "\x00\xff", "a, b, c", "null", "[1]"]
)
@pytest.mark.parametrize(
    "tool", ["nvidia_smi", "amd_smi", "rocm_smi", "npu_smi", "hl_smi", "xpu_smi"]
)
def test_garbage_is_a_note_and_the_search_goes_on(root: Path, tool: str, garbage: str) -> None:
    found = machine(root, **{tool: garbage})
    assert (found.platform, found.devices) == ("cpu", ())
    assert found.notes[0].startswith(f"{tool.replace('_', '-')} names no card")
    assert len(found.notes[0]) < 1000
    if tool not in ("hl_smi", "xpu_smi"):
        beside = machine(root, **{tool: garbage, "hl_smi": read("hl_smi.csv")})
        assert beside.platform == "gaudi"


@pytest.mark.parametrize(
    "row",
    [
        '{"gpu": "x"}',
        '{"gpu": 0, "asic": 7, "vram": [], "partition": null}',
        '{"gpu": 0, "vram": {"size": {"value": "N/A", "unit": null}}}',
        '{"card0": {}}',
        '{"card0": null, "cardx": {}}',
        '{"device_list": [{"device_id": "x"}, 3]}',
        '{"gpu_data": {"gpu": 1}}',
        f'{{"gpu": "{"9" * 5000}", "card{"9" * 5000}": {{}}}}',
    ],
)
def test_documents_of_another_shape(root: Path, row: str) -> None:
    for text in (row, f"[{row}]", f'{{"gpu_data": [{row}]}}'):
        found = machine(root, amd_smi=text, rocm_smi=text, xpu_smi=text)
        assert (found.platform, bool(found.notes)) == ("cpu", True)


def test_a_driver_that_failed_is_quoted(root: Path) -> None:
    found = machine(root, nvidia_smi=read("nvidia_failed.txt"))
    assert found.platform == "cpu"
    assert "couldn't communicate with the NVIDIA driver" in found.notes[0]


def test_a_tool_that_hangs_is_a_note(root: Path) -> None:
    found = machine(root, nvidia_smi="", hl_smi=read("hl_smi.csv"))
    assert found.platform == "gaudi"
    assert found.notes[0] == "nvidia-smi fails, or takes over 10 s."


def test_a_card_that_no_driver_answers_for(root: Path) -> None:
    write(root, pci("0x10de", "0x2684", "0x030000\n", "0000:01:00.0"))
    write(root, pci("0x10de", "0x2684", "0x030000\n", "0000:02:00.0"))
    write(root, pci("0x19e5", "0x1711", "0x030000\n", "0000:03:00.0"))  # a BMC's display
    write(root, pci("0x8086", "0x4680", "0x030000\n", "0000:04:00.0"))  # a processor's graphics
    assert machine(root).notes == ("2 × NVIDIA on the PCI bus, but no driver answers.",)


def test_run_tool_never_raises_and_never_waits(tmp_path: Path) -> None:
    assert run_tool(("seekserve-has-no-such-tool",)) is None
    assert run_tool((str(tmp_path),)) is None
    assert run_tool(("printf", r"a\377b")) == "a\ufffdb"
    assert run_tool(("sh", "-c", "echo broken; exit 9")) == "broken\n"
    began = time.monotonic()
    assert run_tool(("sh", "-c", "echo half; sleep 30 & wait"), timeout_s=0.2) == ""
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("name", "threads", "cpu", "arch", "isa", "sockets"),
    [
        ("cpuinfo_xeon_6972p.txt", 2, "Intel(R) Xeon(R) 6972P", "x86_64", "amx", 2),
        ("cpuinfo_epyc_9r14.txt", 1, "AMD EPYC 9R14", "x86_64", "avx512", 2),
        ("cpuinfo_ampere1a.txt", 1, "Ampere-1a", "aarch64", "arm", 1),
        ("cpuinfo_graviton2.txt", 1, "Neoverse-N1", "aarch64", "arm", 1),
    ],
)
def test_processors(
    root: Path, name: str, threads: int, cpu: str, arch: str, isa: str, sockets: int
) -> None:
    write(root, {"proc/cpuinfo": cpuinfo(name, sockets=2, cores=4, threads=threads)})
    host = machine(root).host
    assert (host.cpu, host.arch, host.isa, host.sockets) == (cpu, arch, isa, sockets)
    assert (host.cores, host.memory_gib, host.available_gib) == (8, 64.0, 48.0)


def test_arm_sockets_are_in_the_topology(root: Path) -> None:
    write(root, {"proc/cpuinfo": cpuinfo("cpuinfo_graviton2.txt", 1, 4, 1)})
    places = [f"sys/devices/system/cpu/cpu{i}/topology/physical_package_id" for i in range(4)]
    write(root, {place: f"{36 * (i // 2)}\n" for i, place in enumerate(places)})
    assert machine(root).host.sockets == 2


def test_affinity_counts_cores_and_not_threads(root: Path) -> None:
    for cpus, cores in (({0, 8}, 1), ({0, 1, 8, 9}, 2), ({99}, 1)):
        assert detect(root, tools(), NoDriver(), {}, frozenset(cpus)).host.cores == cores


def test_a_cgroup_limits_memory_and_cores(root: Path) -> None:
    write(
        root,
        {
            "proc/self/cgroup": "0::/kubepods/pod1\n",
            "sys/fs/cgroup/kubepods/pod1/memory.max": "max\n",
            "sys/fs/cgroup/kubepods/pod1/cpu.max": "max 100000\n",
            "sys/fs/cgroup/kubepods/memory.max": f"{16 * GIB}\n",
            "sys/fs/cgroup/kubepods/memory.current": f"{6 * GIB}\n",
            "sys/fs/cgroup/kubepods/memory.stat": f"anon 5\ninactive_file {2 * GIB}\n",
            "sys/fs/cgroup/kubepods/cpu.max": "250000 100000\n",
        },
    )
    found = machine(root)
    assert (found.host.memory_gib, found.host.available_gib) == (16.0, 12.0)
    assert found.host.cores == 2
    assert found.notes == (
        "The cgroup allows 2.5 of 8 cores.",
        "The cgroup allows 16.0 of the host's 64.0 GiB of memory.",
    )


def test_a_cgroup_of_version_1(root: Path) -> None:
    write(
        root,
        {
            "proc/self/cgroup": "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{8 * GIB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{1 * GIB}\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    host = machine(root).host
    assert (host.memory_gib, host.available_gib, host.cores) == (8.0, 7.0, 8)


def test_a_limit_above_the_host_is_none(root: Path) -> None:
    write(root, {"sys/fs/cgroup/memory.max": f"{2**63 - 4096}\n", "sys/fs/cgroup/cpu.max": "9 1"})
    found = machine(root)
    assert (found.host.memory_gib, found.host.cores, found.notes) == (64.0, 8, ())


@pytest.mark.parametrize(
    ("value", "gib"),
    [
        (196592, 191.984375),
        ("196592", 191.984375),
        ("768 MiB", 0.75),
        ("2 GB", 2.0),
        ({"value": "16384", "unit": "MB"}, 16.0),
        ({"value": 2**30, "unit": "B"}, 1.0),
        ({"value": 1024}, 1.0),
        ({"value": "N/A", "unit": "MB"}, None),
        ("N/A", None),
        ("", None),
        (None, None),
        (True, None),
        ([], None),
        ("-1", None),
        ("9" * 5000, None),
    ],
)
def test_sizes(value: object, gib: float | None) -> None:
    assert readings.size(value) == gib


def test_this_machine(tmp_path: Path) -> None:
    found = detect(Path("/"), tools(), NoDriver(), {}, None)
    assert found.host.cores >= 1
    assert found.host.memory_gib >= found.host.available_gib > 0
