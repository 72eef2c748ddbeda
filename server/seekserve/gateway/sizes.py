"""How large a request is, before anybody has counted: learned from what earlier ones came to. Pure.

There is no tokenizer here. A prompt's tokens are its bytes divided by what the model's prompts had per
token; an answer's tokens are what this key's answers used to be, never above what was asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

BYTES_PER_TOKEN = (
    4.0  # of English text and JSON with DeepSeek's tokenizers, before anything is known
)
OUTPUT = 256.0
LEAST_OUTPUT = 32.0  # or a key could teach us that its answers cost nothing
LEARN = 0.1
MOST_KEYS = 10_000
PROMPT_SEEN = 32 * 1024  # bytes, of which it is told whether two begin alike
OUTPUT_WEIGHT = 2
"""A token made costs an engine about twice a token read (the weights that VTC's authors use)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is known of a request when it comes: whose it is, and how large its words are.

    `size` is in bytes; `most` is max_tokens times n; `sequences` is n; `stream` says that its first token
    will be seen. `body` is what the engine is sent.
    """

    model: str
    key: str = ""
    key_class: str = ""
    size: int = 0
    most: int = 1
    sequences: int = 1
    stream: bool = True
    body: bytes = b""

    @property
    def prompt(self) -> bytes:
        """From where the words begin; b"" where they are not known yet."""
        at = max(self.body.find(b'"messages":'), 0) or max(self.body.find(b'"prompt":'), 0)
        return self.body[at : at + PROMPT_SEEN] if at else b""


@dataclass(frozen=True, slots=True)
class Size:
    """In tokens; `sequences` are batched side by side. `unread` is what is to be seen being read."""

    prompt: int
    output: int
    sequences: int = 1
    unread: int = 0

    @property
    def held(self) -> int:
        """KV cache tokens it comes to hold."""
        return self.prompt + self.output

    @property
    def cost(self) -> int:
        """What it takes of an engine, in tokens read."""
        return self.prompt + OUTPUT_WEIGHT * self.output


class Sizes:
    """Two running means: bytes per token by model, tokens per answer by key."""

    def __init__(self) -> None:
        self._per_token: dict[str, float] = {}
        self._output: OrderedDict[str, float] = OrderedDict()

    def of(self, wish: Wish, window: int | None = None) -> Size:
        """A prompt longer than its model's `window` (tokens) is refused by the engine, and never read."""
        prompt = max(1, round(wish.size / self._per_token.get(wish.model, BYTES_PER_TOKEN)))
        prompt = min(prompt, window or prompt)
        output = max(1, min(round(self._expected(wish) * wish.sequences), wish.most))
        return Size(prompt, output, wish.sequences, prompt if wish.stream else 0)

    def _expected(self, wish: Wish) -> float:
        """Tokens of one answer."""
        return max(LEAST_OUTPUT, self._output.get(wish.key, OUTPUT))

    def learn(self, wish: Wish, tokens: Mapping[str, int], estimated: bool = False) -> None:
        """From what the engine counted of a request that has ended; or from what was seen of one that was
        left early, which says only that answers are at least so long.
        """
        if estimated and tokens.get("completion", 0) <= self._expected(wish) * wish.sequences:
            return
        if (prompt := tokens.get("prompt", 0)) > 0 and wish.size:
            found = min(max(wish.size / prompt, 1.0), 8.0)  # what is outside is not words
            self._per_token[wish.model] = _nearer(self._per_token.get(wish.model), found)
        if (output := tokens.get("completion", 0)) > 0:
            self._output[wish.key] = _nearer(self._output.get(wish.key), output / wish.sequences)
            self._output.move_to_end(wish.key)
            if len(self._output) > MOST_KEYS:
                self._output.popitem(last=False)


def _nearer(mean: float | None, found: float) -> float:
    return found if mean is None else mean + LEARN * (found - mean)
