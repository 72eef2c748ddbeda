"""The catalog: complete, consistent, and at one with what vLLM can size."""

from __future__ import annotations

from pathlib import Path

import pytest

from seekserve.errors import ConfigError
from seekserve.plan.catalog import load_catalog
from seekserve.plan.facts import CatalogModel
from seekserve.plan.formats import read_format
from seekserve.plan.layout import Layout
from seekserve.plan.shape import read_shape
from seekserve.plan.weights import weights_bytes

CATALOG = load_catalog()
MODELS = list(CATALOG.models.values())


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.id)
def test_a_model_points_at_what_exists(model: CatalogModel) -> None:
    assert model.family in CATALOG.families
    shape = read_shape(CATALOG.geometries[model.geometry])
    assert shape.attention == CATALOG.families[model.family].attention
    assert model.context <= shape.max_len
    for platform in (*model.platforms, *(p for v in model.weights.values() for p in v.platforms)):
        assert platform in CATALOG.platforms


# An embedding quantised too, a vision tower, tables on the host: what the count leaves out on purpose.
_MORE_ON_DISK = {"deepseek-v4.1-flash", "deepseek-v4.1-flash-1017", "deepseek-v4-flash-vision-exp"}


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.id)
def test_counted_weights_are_what_the_checkpoint_weighs(model: CatalogModel) -> None:
    """As published, on one device, the drafter included; what vLLM adds when loading left out."""
    name, variant = next(iter(model.weights.items()))
    shape = read_shape(CATALOG.geometries[model.geometry])
    drafts = bool(shape.drafter_layers or shape.mtp_layers)
    counted = weights_bytes(shape, read_format(name), Layout(), (0, 33), drafts) / 1e9
    wanted = variant.disk_gb - (model.engram_host_gb or 0)
    slack = 0.12 if model.id in _MORE_ON_DISK else 0.05
    assert abs(counted / wanted - 1) < slack, (counted, wanted)


def test_every_accelerator_has_a_platform_and_kernels() -> None:
    for accelerator in CATALOG.accelerators.values():
        assert accelerator.platform in CATALOG.platforms
        assert CATALOG.kernels(accelerator.arch)
        assert accelerator.bandwidth_gbs > 0
        assert accelerator.tflops or accelerator.platform == "cpu"


def test_every_fact_has_a_source() -> None:
    rows = (
        *CATALOG.accelerators.values(),
        *CATALOG.platforms.values(),
        *CATALOG.kernel_rows,
        *CATALOG.families.values(),
        *MODELS,
        *(variant for model in MODELS for variant in model.weights.values()),
    )
    assert all(
        row.model_dump(include={"source", "sure"}).keys() == {"source", "sure"} for row in rows
    )
    assert all(row.model_dump()["source"].strip() for row in rows)


def test_a_wrong_field_is_named(tmp_path: Path) -> None:
    for name in ("accelerators", "platforms", "models"):
        text = (Path(__file__).parents[2] / "configs/catalog" / f"{name}.yaml").read_text()
        (tmp_path / f"{name}.yaml").write_text(
            text.replace("memory_gib: 11.76", "memory_gb: 11.76")
        )
    with pytest.raises(ConfigError, match=r"rtx-3060-12g\.memory_gib"):
        load_catalog(tmp_path)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"accelerators\.yaml"):
        load_catalog(tmp_path)
