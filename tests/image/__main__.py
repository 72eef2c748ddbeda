"""`make image-test`: the gateway and cpu images built, run and wronged, and their figures.

As root, with Debian's podman, buildah and debootstrap; minutes. `--work DIR` keeps what was built for the
next time, `--built` takes the images as they are.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.image import serving, wrong
from tests.image.container import Image
from tests.image.store import Store, name_of

TARGETS = ("gateway", "cpu")
MB = 1e6
MOST_GATEWAY_MB = 200


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=__doc__)
    parser.add_argument("--work", type=Path, metavar="DIR")
    parser.add_argument("--built", action="store_true")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("images are built and run with namespaces of their own: start it as root")
    with _store(asked.work) as store:
        if not asked.built:
            _build(store)
        _sizes(store)
        with store.unpacked(name_of("gateway")) as slim, store.unpacked(name_of("cpu")) as whole:
            gateway = Image(slim, store.configuration(name_of("gateway")))
            cpu = Image(whole, store.configuration(name_of("cpu")))
            with tempfile.TemporaryDirectory(prefix="seekserve-images-") as folder:
                scratch = Path(folder)
                scratch.chmod(0o755)
                for check in (*serving.CHECKS, *wrong.CHECKS):
                    _told(check.__name__, check(gateway, cpu, scratch))
    return 0


@contextmanager
def _store(kept: Path | None) -> Iterator[Store]:
    store = Store(kept or Path(tempfile.mkdtemp(prefix="seekserve-store-")))
    store.folder.mkdir(parents=True, exist_ok=True)
    try:
        yield store
    finally:
        if not kept:
            store.clear()


def _build(store: Store) -> None:
    base = store.base()
    tell("base", base)
    for target in TARGETS:
        tell(f"{target} built in", f"{store.build(target, base):.0f} s")


def _sizes(store: Store) -> None:
    for target in TARGETS:
        base, *ours = (size / MB for size in store.layers(name_of(target)))
        tell(f"{target} size", f"{base + sum(ours):.0f} MB, of which the base {base:.0f} MB")
        if target == "gateway":
            assert base + sum(ours) < MOST_GATEWAY_MB, "the gateway is to be slim"


def _told(name: str, figures: Iterator[tuple[str, str]]) -> None:
    """A check is what it yields; it runs while that is told."""
    began = time.monotonic()
    for what, figure in figures:
        tell(f"  {what}", figure)
    tell(name.replace("_", " "), f"ok, {time.monotonic() - began:.0f} s")


def tell(what: str, figure: str) -> None:
    sys.stdout.write(f"{what:<58} {figure}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
