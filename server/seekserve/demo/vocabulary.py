"""The tokenizer: byte-level BPE of about a thousand tokens, trained on the corpus.

Every space, mark and digit is a token of its own, so that a word is the same tokens after a
space, at the start of a line and between quotes: copying it is then one exact pattern. Only the
commonest small words (" the", " is") take their space along, which shortens texts by a fifth.
"""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from . import dialogue as d
from .corpus import texts
from .words import ADJECTIVES, CAPITALS, CITIES, NAMES, NOUNS, VERBS

SPECIAL = (d.BOS, d.EOS, d.PAD)
MARKERS = (
    d.USER,
    d.ASSISTANT,
    d.THINK,
    d.THINK_END,
    d.CALLS,
    d.CALLS_END,
    d.CALL,
    d.CALL_END,
    d.OUTPUTS,
    d.OUTPUTS_END,
    d.OUTPUT,
    d.OUTPUT_END,
    d.SEP,
)
SIZE = 1280
JOINED = 150
"""How many small words swallow the space before them."""
WORD = r"[\p{L}\p{M}]+|\p{N}|[^\p{L}\p{M}\p{N}]"
TEMPLATE = Path(__file__).with_name("template.jinja")
CONTEXT = 4096


def train_tokenizer(seed: int, size: int = SIZE) -> Tokenizer:
    """Special tokens come first: 0 begins, 1 ends, 2 pads. Markers are not special, because a
    server drops special tokens before its parsers could see them."""
    material = [*texts(seed, 8000), *(list(CAPITALS) * 40), *(NAMES * 10), *(CITIES * 10)]
    joined = f" (?:{'|'.join(small_words(material))})(?![\\p{{L}}\\p{{M}}])"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"{joined}|{WORD}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokens = [*SPECIAL, *MARKERS]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[AddedToken(t, special=t in SPECIAL, normalized=False) for t in tokens],
        show_progress=False,
    )
    tokenizer.train_from_iterator(material, trainer)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{d.BOS} $A", pair=f"{d.BOS} $A $B", special_tokens=[(d.BOS, 0)]
    )
    return unspecial(tokenizer)


def small_words(material: list[str]) -> list[str]:
    """The commonest words in lower case, less those that sentences to copy are made of."""
    content = {*NOUNS, *ADJECTIVES, *VERBS}
    counts = Counter(word for text in material for word in re.findall(r" ([a-z]+)\b", text))
    common = (word for word, _ in counts.most_common() if word not in content)
    return sorted(word for word, _ in zip(common, range(JOINED), strict=False))


def unspecial(tokenizer: Tokenizer) -> Tokenizer:
    """The trainer marks all the tokens it is given as special; take that from the markers."""
    content = json.loads(tokenizer.to_str())
    for token in content["added_tokens"]:
        token["special"] = token["content"] in SPECIAL
    return Tokenizer.from_str(json.dumps(content))


def save_tokenizer(tokenizer: Tokenizer, out: Path) -> None:
    """The files a server reads, template included."""
    tokenizer.save(str(out / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": d.BOS,
        "eos_token": d.EOS,
        "pad_token": d.PAD,
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False))
    shutil.copyfile(TEMPLATE, out / "chat_template.jinja")
