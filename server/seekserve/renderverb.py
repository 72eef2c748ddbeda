"""`render`: the files that start a tier where it is to run, by the planner's own word.

One file goes to stdout; several, or with -o, to a folder, in which nothing that differs is written over
unless --force says so.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from seekserve import __version__
from seekserve.config import read_tier
from seekserve.errors import ConfigError
from seekserve.plan.catalog import load_catalog
from seekserve.printing import told
from seekserve.render.order import KINDS, Asked, Kind
from seekserve.render.rendering import render as rendered

NEXT = {
    "compose": "docker compose -f {path} up; outside a checkout its heading says what to set",
    "kubernetes": "kubectl apply -k {folder}, once the secrets are there: {path} says how",
    "systemd": "copy the units to /etc/systemd/system, once the secrets are there: {path} says how",
    "slurm": "sbatch {path}, once the secrets are there: it says how",
}
FIRST = {"kubernetes": "kustomization.yaml", "systemd": "seekserve.service"}


def render(
    kind: Annotated[str, typer.Argument(metavar="|".join(KINDS), help="What is to start it.")],
    tier: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="A shipped tier or a tier file.")
    ] = "demo",
    gpu: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:COUNT]",
            help="Cards in each node. Default: whatever of the tier's list is found at the start; "
            "Kubernetes wants it named.",
        ),
    ] = None,
    gpu_mem_gib: Annotated[
        float | None, typer.Option(metavar="GIB", help="A card's true size, or a host's.")
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(metavar="N", help="Nodes like it. Default: the tier's own number.")
    ] = None,
    platform: Annotated[
        str | None, typer.Option(metavar="NAME", help="cuda, rocm, ascend, tpu, xpu, gaudi or cpu.")
    ] = None,
    cdi: Annotated[
        bool, typer.Option("--cdi", help="Name NVIDIA's cards as CDI does (compose).")
    ] = False,
    rdma: Annotated[
        bool, typer.Option("--rdma", help="Give nodes their InfiniBand devices (compose).")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Write into this folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that differ.")] = False,
) -> None:
    """Write what starts a tier: compose files, Kubernetes objects, systemd units or Slurm scripts.

    \b
      seekserve render compose --tier consumer
      seekserve render compose --tier enterprise --platform rocm -o out/
      seekserve render kubernetes --tier flagship --gpu a100-80g:8 --nodes 2 -o out/

    What is checked in under deploy/ was made by it. Exit codes: 0 written, 2 it cannot be.
    """
    with told():
        words = {
            "--tier": tier,
            "--gpu": gpu,
            "--gpu-mem-gib": f"{gpu_mem_gib:g}" if gpu_mem_gib else None,
            "--nodes": None if nodes is None else str(nodes),
            "--platform": platform,
            "-o": str(out) if out else None,
        }
        flags = [name for name, said in (("--cdi", cdi), ("--rdma", rdma)) if said]
        chosen = read_tier(tier)
        asked = Asked(
            kind=_kind(kind, cdi or rdma),
            tier=chosen,
            command=_command(kind, words, flags),
            version=__version__,
            path=tier if tier.endswith((".yaml", ".yml")) else "",
            gpu=gpu,
            gpu_mem_gib=gpu_mem_gib,
            nodes=chosen.nodes if nodes is None else nodes,
            platform=platform,
            cdi=cdi,
            rdma=rdma,
        )
        files = rendered(load_catalog(), asked)
        if out is None:
            typer.echo(_single(files), nl=False)
        else:
            _write(out, files, force)
            _say(asked.kind, out, files)


def _kind(word: str, devices: bool) -> Kind:
    for kind in KINDS:
        if kind == word:
            if devices and kind != "compose":
                raise ConfigError(
                    f"--cdi and --rdma are about containers' devices, and {kind} has its own way to them.",
                    "Leave them out.",
                )
            return kind
    raise ConfigError(
        f"There is nothing called {word[:40]!r} to render.", f"Choose one of: {', '.join(KINDS)}."
    )


def _command(kind: str, words: dict[str, str | None], flags: list[str]) -> str:
    said = [word for name, value in words.items() if value for word in (name, value)]
    return shlex.join(["seekserve", "render", kind, *said, *flags])


def _single(files: dict[str, str]) -> str:
    if len(files) > 1:
        raise ConfigError(
            f"That makes {len(files)} files: {', '.join(sorted(files))}.",
            "Say which folder they go to: -o DIR.",
        )
    return next(iter(files.values()))


def _write(out: Path, files: dict[str, str], force: bool) -> None:
    """All of them or none. Raises ConfigError."""
    try:
        changed = [name for name, text in files.items() if _differs(out / name, text)]
        if changed and not force:
            raise ConfigError(
                f"{out} has {len(changed)} of these files, and they differ: {', '.join(changed)}.",
                "Look at them, then say --force; or give another folder.",
            )
        for name, text in files.items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() or not path.is_file():
                path.unlink(missing_ok=True)
            path.write_text(text)
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{out} has a file of such a name that is not text.", "Give another folder."
        ) from error
    except OSError as error:
        where = error.filename or out
        raise ConfigError(
            f"Cannot write to {where}: {error.strerror}.", "Give a folder of yours: -o DIR."
        ) from error


def _differs(path: Path, text: str) -> bool:
    """So does what is no file: nothing is written through a link, nor waited for at a pipe."""
    if path.is_symlink() or not path.is_file():
        return path.is_symlink() or path.exists()
    return path.read_text() != text


def _say(kind: Kind, out: Path, files: dict[str, str]) -> None:
    first = FIRST.get(kind) or next(iter(files))
    typer.echo("\n".join(f"wrote {out / name}" for name in files))
    typer.echo(f"Next: {NEXT[kind].format(path=out / first, folder=out)}")
