"""What the catalog knows of a model's manners, by every name it may be known by."""

from __future__ import annotations

import pytest

from seekserve.errors import UnknownName
from seekserve.manner import UNKNOWN
from seekserve.plan.catalog import load_catalog
from seekserve.plan.families import manner_of

CATALOG = load_catalog()
FAMILIES = sorted(CATALOG.families)
MODELS = sorted(CATALOG.models)
NO_FIM = {name for name, family in CATALOG.families.items() if not family.fim}


@pytest.mark.parametrize("family", FAMILIES)
def test_by_the_familys_own_id(family: str) -> None:
    facts = CATALOG.families[family]
    manner = manner_of(CATALOG, family=family)
    assert (manner.family, manner.thinking) == (family, facts.thinking)
    assert manner.effort is (facts.effort is not None)
    assert not manner.budget
    field = facts.tokenizer_mode in ("deepseek_v4", "deepseek_v41")
    assert manner.fim == ("no" if family in NO_FIM else "field" if field else "markers")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_budget_takes_an_engine_of_ours_and_a_parser(family: str) -> None:
    parser = CATALOG.families[family].reasoning_parser
    assert manner_of(CATALOG, family=family, ours=True).budget is (parser is not None)


@pytest.mark.parametrize("name", MODELS)
def test_by_every_name_of_a_model(name: str) -> None:
    model = CATALOG.models[name]
    expected = manner_of(CATALOG, family=model.family)
    repos = [variant.repo for variant in model.weights.values()]
    for called in (name, model.name, model.repo, *model.also, *repos):
        assert manner_of(CATALOG, called) == expected, called
        assert manner_of(CATALOG, called.upper()) == expected, called
        assert manner_of(CATALOG, "served-as-this", called) == expected, called
    assert manner_of(CATALOG, f"/models/{model.repo.rpartition('/')[2]}") == expected


@pytest.mark.parametrize("names", [(), ("",), ("gpt-5",), ("served-as-this", "/models/mine")])
def test_what_nobody_knows(names: tuple[str, ...]) -> None:
    assert manner_of(CATALOG, *names) == manner_of(CATALOG, *names, ours=True) == UNKNOWN


def test_the_first_name_that_is_known_wins_and_a_family_over_all() -> None:
    v3, r1 = manner_of(CATALOG, family="v3"), manner_of(CATALOG, family="r1")
    assert v3 != r1
    assert manner_of(CATALOG, "deepseek-v3", "deepseek-r1") == v3
    assert manner_of(CATALOG, "deepseek-v3", family="r1") == r1
    with pytest.raises(UnknownName, match="no family 'nobody'"):
        manner_of(CATALOG, "deepseek-v3", family="nobody")


def test_what_clients_build_on() -> None:
    """A few facts by name, so that a change of the catalog's shape cannot pass all of the above."""
    by = {family: manner_of(CATALOG, family=family) for family in FAMILIES}
    assert (by["r1"].thinking, by["v3"].thinking) == ("always", "never")
    assert (by["r1"].fim, by["v3"].fim) == ("no", "markers")
    assert {manner.thinking for manner in by.values()} == {"always", "hybrid", "never"}
    assert "field" in {manner.fim for manner in by.values()}
