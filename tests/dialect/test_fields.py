"""Every field the installed vLLM knows is in exactly one of our lists, so none opens unseen."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from seekserve.api.schemas import ChatRequest, CompletionRequest
from seekserve.dialect import fields
from seekserve.dialect.fields import (
    CHAT,
    COMPLETIONS,
    HANDLED,
    IGNORED,
    REFUSED,
    passed,
    refuse_private,
)
from seekserve.errors import BadRequest

PAIRS = [("chat_completion", "ChatCompletionRequest", CHAT)]
PAIRS += [("completion", "CompletionRequest", COMPLETIONS)]


def engine_fields(folder: str, name: str) -> set[str]:
    """The fields of a request model of vLLM, read from its source: importing it takes ten seconds."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("no vLLM is installed")
    root = Path(spec.submodule_search_locations[0])
    source = (root / "entrypoints" / "openai" / folder / "protocol.py").read_text()
    (model,) = [n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == name]
    assert [ast.unparse(base) for base in model.bases] == ["OpenAIBaseModel"], (
        "fields may be inherited"
    )
    targets = [n.target for n in model.body if isinstance(n, ast.AnnAssign)]
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    return {field for field in names if not field.startswith("_") and field != "model_config"}


@pytest.mark.parametrize(("folder", "name", "allowed"), PAIRS)
def test_each_field_of_the_engine_is_in_one_list(
    folder: str, name: str, allowed: frozenset[str]
) -> None:
    known = engine_fields(folder, name)
    assert len(known) > 40
    lists = {"passed": allowed, "handled": HANDLED, "ignored": IGNORED, "refused": REFUSED}
    for field in known:
        homes = [title for title, fields_ in lists.items() if field in fields_]
        # What the other API passes on is dropped in this one (echo in a chat, say).
        other = field in CHAT | COMPLETIONS
        assert len(homes) == 1 or (not homes and other), f"{field}: {homes}"


@pytest.mark.parametrize(("folder", "name", "allowed"), PAIRS)
def test_what_is_passed_on_is_known_to_the_engine(
    folder: str, name: str, allowed: frozenset[str]
) -> None:
    assert allowed - fields.SAMPLING <= engine_fields(folder, name)


def test_lists_do_not_overlap() -> None:
    apart = [CHAT | COMPLETIONS, HANDLED, IGNORED, REFUSED]
    for i, one in enumerate(apart):
        for two in apart[i + 1 :]:
            assert not one & two


@pytest.mark.parametrize(
    ("schema", "allowed"), [(ChatRequest, CHAT), (CompletionRequest, COMPLETIONS)]
)
def test_what_is_passed_on_is_checked_first(schema: Any, allowed: frozenset[str]) -> None:
    assert allowed <= set(schema.model_fields), "a field goes to the engine unchecked"
    assert set(schema.model_fields) <= allowed | HANDLED


@pytest.mark.parametrize("field", sorted(REFUSED))
def test_private_fields_are_refused_by_name_without_their_value(field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        refuse_private({field: "the value"})
    assert caught.value.param == field
    assert "the value" not in caught.value.message
    refuse_private({field: None})
    refuse_private({field: False})


def test_what_is_not_known_is_dropped() -> None:
    assert passed({"top_p": 1, "seed": None, "made_up": 2, "user": "u"}, CHAT) == {"top_p": 1}
