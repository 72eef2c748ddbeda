"""What the demo model's tests share: its tokenizer as shipped, and conversations to try it on."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from seekserve.demo import MODEL_DIR

SEED = 99


@pytest.fixture
def rng() -> random.Random:
    return random.Random(SEED)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.AutoTokenizer.from_pretrained(MODEL_DIR)


@pytest.fixture(scope="session")
def render(tokenizer: Any) -> Callable[..., str]:
    """The shipped chat template, as a server would apply it."""

    def rendered(messages: Any, **given: Any) -> str:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, **given))

    return rendered
