"""The command line: parses, loads, calls. Alone prints and exits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from seekserve import __version__
from seekserve.chatverb import chat
from seekserve.config import Config, load, spans_wanted, state_folder
from seekserve.consoleverb import console
from seekserve.errors import StartError
from seekserve.firstkey import FirstKey
from seekserve.healthverbs import add_health
from seekserve.joinverbs import join
from seekserve.keyverbs import keys
from seekserve.meeting import take_token
from seekserve.opsverbs import add_ops
from seekserve.renderverb import render
from seekserve.secretfiles import API_KEY, ENGINE_KEY, OPS_TOKEN, take
from seekserve.settings import Listen, Prefer
from seekserve.topverb import top
from seekserve.usageverbs import usage
from seekserve.verbs import add_planning

ABOUT = """Run DeepSeek on your own hardware behind one OpenAI-compatible endpoint.

\b
  seekserve serve                    the demo model, on 127.0.0.1:8000
  seekserve serve --tier consumer    the best model of that tier that fits this machine
  seekserve serve --engine URL       in front of a vLLM that already runs
  seekserve serve --tier FILE.yaml   your own model and engine flags
  seekserve join HEAD                this machine as one more node of serve --nodes N
  seekserve plan                     which models fit this machine, or any other, and how
  seekserve render compose           the files that start a tier: compose, Kubernetes, systemd, Slurm
  seekserve top                      engines, tokens, queue and KV cache, live in this terminal
  seekserve console                  the same and more in a browser
  seekserve chat                     talk to the model that is served, in this terminal
  seekserve keys add NAME            a key for a client, shown once
  seekserve usage --by key           who used what, and what it cost
  seekserve doctor                   what is open, old or wrong on this machine, and how to mend it
  seekserve reload                   keys and tier file read again by the server that runs
  seekserve ready                    whether it serves yet; prove URL: whether a vLLM makes tokens

Each command has its own --help. Settings are explained in configs/reference.yaml.
"""

cli = typer.Typer(
    name="seekserve",
    help=ABOUT,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@cli.callback(invoke_without_command=True)
def about(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"seekserve {__version__}")
        raise typer.Exit


@cli.command()
def serve(
    tier: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="A shipped tier or a tier file. Default: demo."),
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Attach to a running vLLM, http://HOST:PORT or unix:/PATH, instead of launching "
            "one. May be given several times.",
        ),
    ] = None,
    prefer: Annotated[
        Prefer | None,
        typer.Option(
            help="Of a tier's models that fit this machine: the most capable (quality), the fastest "
            "(speed) or the smallest (light). Default: what the tier says, mostly quality."
        ),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            metavar="N",
            help="Let one engine span so many nodes, this one counted; start seekserve join on the "
            "others. Default: what the tier says, mostly 1.",
        ),
    ] = None,
    cluster: Annotated[
        str,
        typer.Option(
            metavar="HOST[:PORT]",
            help="With several nodes: this one's address on their private network, where the others join "
            "(port 29540). SEEKSERVE_NODE_TOKEN must be set, the same everywhere.",
        ),
    ] = "",
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to bind; 0 takes any free one.")] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="SEEKSERVE_API_KEY",
            help="A key that clients may send, beside those of seekserve keys. To bind beyond "
            "loopback there must be one. Each variable with a secret has a twin that names a file with "
            "it: SEEKSERVE_API_KEY_FILE.",
        ),
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Without any key: serve everybody who gets here.")
    ] = False,
    first_key: Annotated[
        bool,
        typer.Option(
            "--first-key",
            help="Where there is no key of any kind, make one called first and print it, once. For "
            "containers, which cannot be asked to.",
        ),
    ] = False,
    engine_api_key: Annotated[
        str | None,
        typer.Option(envvar="SEEKSERVE_ENGINE_API_KEY", help="What attached engines want to see."),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Serve HTTPS with this certificate (PEM; its chain after it), read again when it "
            "changes. With --tls-key.",
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The certificate's key, without a passphrase."),
    ] = None,
    drain: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="How long a stop waits for requests that run or wait in line."
        ),
    ] = Listen().drain_s,
    ops: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="Answer scrapes (GET /metrics, /version, /health) over TCP too, for Prometheus. Beyond "
            "loopback SEEKSERVE_OPS_TOKEN must be set. The Console is there too; everything else is on "
            "STATE_DIR/ops.sock alone.",
        ),
    ] = "",
    no_console: Annotated[
        bool,
        typer.Option(
            "--no-console",
            help="Without the operators' page /console; seekserve top still has its data.",
        ),
    ] = False,
    update_models: Annotated[
        bool,
        typer.Option(
            "--update-models",
            help="Fetch the model's newest commit and keep that one. Without it the commit that was "
            "fetched first is served, whatever its repository says since.",
        ),
    ] = False,
    log_format: Annotated[
        str, typer.Option(metavar="text|json", help="One line per event, on stderr.")
    ] = "text",
) -> None:
    """Start an engine, or attach to running ones, and serve until Ctrl-C.

    Exit codes: 0 stopped as asked, 2 settings that cannot work, 3 the engine failed.
    """
    # what serves takes half a second to load: not for others
    from seekserve.screen import Patient, Screen
    from seekserve.serving import run

    screen = Screen(Patient(stderr=True))
    try:
        folder, ops_token, node_token = state_folder(), take(OPS_TOKEN), take_token()
        api_key, engine_api_key = take(API_KEY, api_key), take(ENGINE_KEY, engine_api_key)
        first = FirstKey(folder, first_key and not api_key, no_auth, typer.echo)

        def again() -> Config:
            return load(
                tier,
                attach=tuple(engine or ()),
                api_key=api_key,
                engine_key=engine_api_key,
                listen={
                    "host": host,
                    "port": port,
                    "tls_cert": tls_cert,
                    "tls_key": tls_key,
                    "drain_s": drain,
                    "console": not no_console,
                },
                log_format=log_format,
                state_dir=folder,
                keys_stored=first.keys(),
                no_auth=no_auth,
                ops=ops,
                ops_token=ops_token,
                spans=spans_wanted(os.environ),
                nodes=nodes,
                cluster=cluster,
                node_token=node_token,
            )

        run(again, screen, prefer, update_models, first.make)
    except StartError as error:
        screen.failure(error)
        raise typer.Exit(error.exit_code) from error


add_planning(cli)
cli.add_typer(keys, name="keys")
cli.command()(usage)
cli.command()(render)
cli.command()(join)
cli.command()(chat)
cli.command()(top)
cli.command()(console)
add_ops(cli)
add_health(cli)


def main() -> None:
    cli()
