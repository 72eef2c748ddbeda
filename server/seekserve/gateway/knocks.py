"""Wrong keys by where they come from: so many a minute are answered one by one, the rest is put off.

Pure: time is an argument. A right key is never asked about here, so nobody is kept out by others' guesses.
Memory is bounded: of the addresses, those that were wrong longest ago are forgotten.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

from seekserve.errors import RateLimited
from seekserve.gateway.limits import Bucket

MOST = 4096
"""Addresses that are remembered."""


class Knocks:
    """One bucket for each address that presented a wrong key, of `per_min` at most."""

    def __init__(self, per_min: int) -> None:
        self._per_min = per_min
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wrong(self, address: str, now: float) -> RateLimited | None:
        """Books one more wrong key; the refusal that takes the place of its own, once they are too many."""
        bucket = self._bucket(whose(address))
        bucket.fill(self._per_min, now)
        if wait_s := bucket.wait_s(self._per_min):
            return RateLimited(
                f"More than {self._per_min} wrong API keys a minute came from your address. Check "
                f"yours, and try again in {max(1, round(wait_s))} s; a right one is let in at once.",
                code="too_many_wrong_keys",
                retry_after_s=wait_s,
            )
        bucket.take(1)
        return None

    def _bucket(self, address: str) -> Bucket:
        bucket = self._buckets.setdefault(address, Bucket())
        self._buckets.move_to_end(address)
        if len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        return bucket


def whose(address: str) -> str:
    """Who is held to one bucket: an IPv4 address, or the /64 of an IPv6 one, of which a host has 2^64."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((ip, 64), strict=False).network_address)
