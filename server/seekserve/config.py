"""The one configuration tree: frozen, checked once, handed down.

`load` reads a tier file (YAML) and what the command line overrides, and returns a `Config`.
Nothing else in the program reads a file or the environment for settings; secrets are `secretfiles`'.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import SecretStr, ValidationError, field_validator

from seekserve import meeting, secretfiles
from seekserve.complaints import complaints
from seekserve.errors import ConfigError, OpenToTheWorld
from seekserve.settings import Frozen, Listen, Tier
from seekserve.statefolder import state_path

ATTACHED = "attach"  # the tier for engines that are somebody else's
SHORTEST_TOKEN = 16


class Config(Frozen):
    """Everything the program was told. `key_hashes` are SHA-256 digests; no key is kept.

    `keys_stored` is how many the key file held when the program began: with one, it is not open.
    `ops` is where scrapes are answered over TCP, `ops_token` the digest of what they must send.
    `spans` says that OpenTelemetry's variables name a collector; its SDK reads them.
    `cluster` is where other nodes join, which have the same `node_token`.
    """

    listen: Listen = Listen()
    tier: Tier
    attach: tuple[str, ...] = ()
    key_hashes: tuple[bytes, ...] = ()
    keys_stored: int = 0
    no_auth: bool = False
    engine_key: SecretStr | None = None
    ops: Listen | None = None
    ops_token: bytes | None = None
    spans: bool = False
    cluster: Listen | None = None
    node_token: SecretStr | None = None
    log_format: Literal["text", "json"] = "text"
    state_dir: Path

    @property
    def open(self) -> bool:
        """Whether requests need no key, when the server starts."""
        return not self.key_hashes and not self.keys_stored

    @field_validator("attach")
    @classmethod
    def known_schemes(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not url.startswith(("http://", "unix:")):
                raise ValueError(f"--engine {url!r} is neither http://HOST:PORT nor unix:/PATH")
        return urls


def configs_dir() -> Path:
    """The shipped `configs/`: beside this file in a wheel, at the project's top in a checkout."""
    shipped = Path(__file__).parent / "configs"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "configs"


def tier_names() -> list[str]:
    return sorted(path.stem for path in (configs_dir() / "tiers").glob("*.yaml"))


def read_tier(name: str) -> Tier:
    """A shipped tier by name, or any tier file by path. Raises ConfigError with each wrong line."""
    path = configs_dir() / "tiers" / f"{name}.yaml"
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
    elif name not in tier_names():
        known = ", ".join(tier_names())
        raise ConfigError(f"There is no tier {name!r}.", f"Choose one of: {known}; or give a file.")
    return parse_tier(path)


def parse_tier(path: Path) -> Tier:
    """A tier file. Raises ConfigError, with the line of every setting that does not fit."""
    try:
        if not path.is_file():
            raise ConfigError(
                f"There is no tier file {path}.", "seekserve tiers lists the shipped ones."
            )
        text = path.read_text()
        return Tier.model_validate(yaml.safe_load(text))
    except OSError as error:
        raise ConfigError(f"Cannot read the tier file {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The tier file {path} is not text.") from error
    except ValidationError as error:
        told = complaints(error, yaml.compose(text))
        raise ConfigError(
            f"{path} has settings that do not fit:\n{told}",
            "configs/reference.yaml names every setting there is.",
        ) from error
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise ConfigError(f"{path} is not YAML: {str(error)[:300]}") from error


def load(
    tier: str | None,
    *,
    attach: tuple[str, ...] = (),
    api_key: str | None = None,
    engine_key: str | None = None,
    listen: Mapping[str, Any],
    log_format: str = "text",
    state_dir: Path,
    keys_stored: int = 0,
    no_auth: bool = False,
    ops: str = "",
    ops_token: str | None = None,
    spans: bool = False,
    nodes: int | None = None,
    cluster: str = "",
    node_token: SecretStr | None = None,
) -> Config:
    """One frozen Config from a tier and the command line; the key is hashed here and dropped."""
    named = (("API key", api_key), ("engine's API key", engine_key), ("ops token", ops_token))
    for name, key in named:
        secretfiles.checked(name, key)
    try:
        read = read_tier(tier or (ATTACHED if attach else "demo"))
        config = Config.model_validate(
            {
                "listen": dict(listen),
                "tier": read.model_copy(update={"nodes": nodes}) if nodes else read,
                "attach": attach,
                "key_hashes": (hash_key(api_key),) if api_key else (),
                "engine_key": engine_key or None,
                "log_format": log_format,
                "state_dir": state_dir,
                "keys_stored": keys_stored,
                "no_auth": no_auth,
                "ops": _host_and_port(ops) if ops else None,
                "ops_token": hash_key(ops_token) if ops_token else None,
                "spans": spans,
                "cluster": meeting.place(cluster) if cluster else None,
                "node_token": node_token,
            }
        )
    except ValidationError as error:
        raise ConfigError(f"These settings do not fit:\n{complaints(error)}") from error
    if config.tier.tier == ATTACHED and not attach:
        raise ConfigError(
            "The tier attach is for engines that already run, and none is named.",
            "Add --engine http://HOST:PORT, or choose another tier: seekserve tiers.",
        )
    if attach and config.tier.engines > 1:
        raise ConfigError(
            f"The tier asks for {config.tier.engines} engines, and --engine names those that run already.",
            "Leave engines out of the tier file, and give --engine once for each.",
        )
    _closed_or_meant_open(config)
    _ops_closed(config, ops_token)
    meeting.checked(config.tier, attach, config.cluster, config.node_token)
    return config


def _closed_or_meant_open(config: Config) -> None:
    if config.open and not config.listen.loopback and not config.no_auth:
        raise OpenToTheWorld(
            f"{config.listen.host} can be reached from other machines and no API key is set.",
            "Make keys (seekserve keys add NAME), set SEEKSERVE_API_KEY (or --api-key), or bind to "
            "127.0.0.1. To serve everybody who can reach it, say --no-auth.",
        )
    if config.no_auth and not config.open:
        raise ConfigError(
            "--no-auth lets everybody in, and there are API keys too.",
            "Leave --no-auth out; or unset SEEKSERVE_API_KEY and move the key file "
            f"{config.state_dir / 'keys.json'} away.",
        )


def _ops_closed(config: Config, token: str | None) -> None:
    if not config.ops:
        return
    if token and len(token) < SHORTEST_TOKEN:
        raise ConfigError(
            f"SEEKSERVE_OPS_TOKEN has {len(token)} characters, which can be guessed.",
            f"Make one of {SHORTEST_TOKEN} or more: openssl rand -hex 32.",
        )
    if not config.ops.loopback and not token:
        raise OpenToTheWorld(
            f"--ops {config.ops.host} can be reached from other machines and no token is set.",
            "Set SEEKSERVE_OPS_TOKEN (openssl rand -hex 32) here and as Prometheus' bearer token, or "
            "bind it to 127.0.0.1. The socket ops.sock in the state folder needs none.",
        )


def _host_and_port(text: str) -> dict[str, str]:
    host, colon, port = text.rpartition(":")
    if not colon or not host.strip("[]") or not port.isdigit():
        raise ConfigError(
            f"--ops {text[:80]!r} is not of the form HOST:PORT.", "Write it as 127.0.0.1:9400."
        )
    return {"host": host.strip("[]"), "port": port}


def spans_wanted(environ: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry's variables name a collector for traces, and none of them says no."""
    where = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    exporters = environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return any(map(environ.get, where)) and not disabled and "otlp" in exporters.split(",")


def state_folder() -> Path:
    """Where keys and logs live. Made if need be."""
    folder = state_path()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"Cannot write to {folder}: {error.strerror}.",
            "Set SEEKSERVE_STATE_DIR to a folder that you may write to; in a container, on a volume.",
        ) from error
    return folder


def hash_key(key: str) -> bytes:
    """SHA-256 is enough for machine-made keys of 128 bits or more; nothing slower is needed."""
    return hashlib.sha256(key.encode()).digest()
