"""An engine's command as it goes to other nodes: free of this one's paths, and made at home there.

The nodes run the same seekserve, so a file of the package is named by its place in that.
"""

from __future__ import annotations

import ctypes
import fcntl
import ipaddress
import shutil
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from seekserve.engine.process import Command, secret

PACKAGE = Path(__file__).parents[1]
OURS = "@seekserve/"
HUB = ("HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE")
SIOCGIFCONF = 0x8912
IFREQ = 40  # bytes of struct ifreq on 64 bits


def outbound(argv: Sequence[str], env: Mapping[str, str]) -> Command:
    """For another node. Secrets stay here, and whether the hub must be asked is each node's own to know."""
    sent = {name: value for name, value in env.items() if not secret(name) and name not in HUB}
    here = f"{PACKAGE}/"
    return Command(tuple(_swapped(word, here, OURS) for word in argv), sent)


def inbound(argv: Sequence[str]) -> tuple[str, ...]:
    """What came from another node, with this one's files."""
    return tuple(_swapped(word, OURS, f"{PACKAGE}/") for word in argv)


def _swapped(word: str, old: str, new: str) -> str:
    return new + word.removeprefix(old) if word.startswith(old) else word


def runnable(argv: Sequence[str]) -> tuple[str, ...]:
    """`python` and `vllm` as this interpreter's own, whatever PATH says."""
    if argv[0] == "python":
        return (sys.executable, *argv[1:])
    if argv[0] != "vllm":
        return tuple(argv)
    beside = Path(sys.executable).with_name(argv[0])
    found = str(beside) if beside.exists() else shutil.which(argv[0])
    return (found or argv[0], *argv[1:])


def network(address: str, said: Mapping[str, str]) -> dict[str, str]:
    """The variables by which an engine's libraries find the way to other nodes, but those that are `said`.
    They read what is theirs: gloo, NCCL and RCCL (for which a bare name is the beginning of one), HCCL on
    Ascend.
    """
    interface = interface_of(address)
    ours = {"VLLM_HOST_IP": address, "HCCL_IF_IP": address}
    if interface:
        ours |= dict.fromkeys(("GLOO_SOCKET_IFNAME", "HCCL_SOCKET_IFNAME"), interface)
        ours["NCCL_SOCKET_IFNAME"] = f"={interface}"
    return {name: value for name, value in ours.items() if name not in said}


def interface_of(address: str) -> str:
    """The network interface that holds an address of this machine; "" where that cannot be known."""
    if sys.platform != "linux":
        return ""
    wanted = ipaddress.ip_address(address.partition("%")[0])
    return _of_six(wanted) if wanted.version == 6 else _of_four(wanted)


def _of_six(wanted: ipaddress.IPv6Address) -> str:
    try:
        rows = [line.split() for line in Path("/proc/net/if_inet6").read_text().splitlines()]
    except OSError:
        return ""
    return next((row[5] for row in rows if int(row[0], 16) == int(wanted)), "")


def _of_four(wanted: ipaddress.IPv4Address) -> str:
    """By netdevice(7): the kernel fills a buffer with one struct ifreq for each address."""
    room = ctypes.create_string_buffer(256 * IFREQ)
    asked = struct.pack("iP", len(room), ctypes.addressof(room))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        size: int = struct.unpack("iP", fcntl.ioctl(any_socket, SIOCGIFCONF, asked))[0]
    found = (room.raw[start : start + IFREQ] for start in range(0, size, IFREQ))
    names = (one[:16].split(b"\0")[0] for one in found if one[20:24] == wanted.packed)
    return next((name.decode().partition(":")[0] for name in names), "")
