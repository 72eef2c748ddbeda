"""The table of known holes, as shipped in configs/catalog/advisories.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from seekserve.complaints import complaints
from seekserve.config import configs_dir
from seekserve.errors import ConfigError
from seekserve.settings import Frozen


class Advisory(Frozen):
    """A hole from `since` on and before `fixed`; or in the releases that `exactly` names."""

    package: str
    id: Annotated[str, Field(pattern=r"^CVE-\d{4}-\d{4,}$|^$")] = ""
    since: str = ""
    fixed: str = ""
    exactly: tuple[str, ...] = ()
    what: str
    sure: Literal["S", "U"]

    @field_validator("since", "fixed", mode="before")
    @classmethod
    def as_written(cls, value: object) -> object:
        """YAML reads a version of two numbers as a number."""
        return str(value) if isinstance(value, int | float) else value


class Table(Frozen):
    advisories: tuple[Advisory, ...]


def load_advisories(path: Path | None = None) -> tuple[Advisory, ...]:
    """Raises ConfigError."""
    path = path or configs_dir() / "catalog" / "advisories.yaml"
    try:
        text = path.read_text()
        return Table.model_validate(yaml.safe_load(text)).advisories
    except ValidationError as error:
        told = complaints(error, yaml.compose(text))
        raise ConfigError(f"{path} does not fit:\n{told}") from error
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"Cannot read {path}: {type(error).__name__}.") from error
