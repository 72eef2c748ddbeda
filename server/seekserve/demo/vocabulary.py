"""The tokenizer: byte-level BPE of about a thousand tokens, trained on the corpus.

Every digit is a token of its own, and a space before a capital is too: a name is then the same
tokens in a sentence, at its start and between quotes, and copying it is one exact pattern. Small
words take the space before them along, which shortens texts by a third.
"""

import json
import shutil
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from . import dialogue as d
from .corpus import texts
from .words import CAPITALS, CITIES, NAMES

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
WORDS = r" \p{Ll}[\p{L}\p{M}]*|[\p{L}\p{M}]+|\p{N}| [+=\-]|, |[^\p{L}\p{M}\p{N}]"
"""Pieces that no token crosses."""
TEMPLATE = Path(__file__).with_name("template.jinja")
CONTEXT = 4096


def train_tokenizer(seed: int, size: int = SIZE) -> Tokenizer:
    """Special tokens come first: 0 begins, 1 ends, 2 pads. Markers are not special, because a
    server drops special tokens before its parsers could see them."""
    places = [*CAPITALS, *CAPITALS.values()] * 60
    material = [*texts(seed, 12000), *places, *(NAMES * 10), *(CITIES * 10)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
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
