"""Makes the demo model from nothing: `python -m seekserve.demo.train [--out DIR]`.

Corpus, tokenizer, weights and order all come from one seed. The budget is in steps of 4,096
tokens, not in minutes, so that a slow machine makes the same model as a fast one.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import DeepseekV3ForCausalLM

from . import MODEL_DIR
from .corpus import FIRST, LAST, STOPPING, THIRD, Mix
from .crew import Crew
from .network import load_weights, new_model, save_model
from .optimiser import optimisers
from .packing import Batch, batches
from .vocabulary import save_tokenizer, train_tokenizer

SEED = 20261121
WARM_UP = 60
BALANCE = 0.001


@dataclass(frozen=True)
class Lesson:
    """One descent of the rates over one mix. Each starts from what the one before it saved."""

    steps: int
    rate: float
    small_rate: float
    mix: Mix
    level: float = 0.2
    """Share of the steps before the rates begin to fall."""


LESSONS = (
    Lesson(2300, 0.01, 0.003, FIRST),
    Lesson(120, 0.005, 0.0015, STOPPING, level=1.0),
    Lesson(800, 0.005, 0.0015, THIRD),
    Lesson(1100, 0.005, 0.0015, LAST),
)


def slope(step: int, steps: int, level: float) -> float:
    """Share of the full rate: up quickly, level, then straight down to nothing."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    return min(1.0, (steps - step) / max(1.0, steps * (1 - level)))


class Balance:
    """Keeps the experts evenly used as DeepSeek-V3 does: by a bias on their choice, no loss."""

    def __init__(self, model: DeepseekV3ForCausalLM) -> None:
        self.gates = [m for name, m in model.named_modules() if name.endswith("mlp.gate")]
        self.counts: dict[torch.nn.Module, Tensor] = {}
        for gate in self.gates:
            gate.register_forward_hook(self._count)

    def _count(self, gate: torch.nn.Module, _: object, out: tuple[Tensor, ...]) -> None:
        experts = out[0].shape[-1]
        self.counts[gate] = torch.bincount(out[2].flatten(), minlength=experts).float()

    def step(self) -> float:
        """Nudges the biases; returns the busiest expert's load over the mean."""
        worst = 0.0
        for gate, count in self.counts.items():
            gate.e_score_correction_bias.add_(BALANCE * torch.sign(count.mean() - count))
            worst = max(worst, float(count.max() / count.mean()))
        return worst


def loss_of(model: DeepseekV3ForCausalLM, batch: Batch, count: int) -> Tensor:
    """This part's share of the mean over `count` tokens; the head is spared all others."""
    with torch.autocast(batch.tokens.device.type, torch.bfloat16):
        hidden = model.model(
            input_ids=batch.tokens,
            attention_mask=batch.mask,
            position_ids=batch.positions,
            use_cache=False,
        ).last_hidden_state
        chosen = batch.targets != -100
        logits = model.lm_head(hidden[chosen])
    wanted = batch.targets[chosen]
    return torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="sum") / count


def train(
    crew: Crew,
    source: Iterator[Batch],
    lesson: Lesson,
    report: Callable[[int, float, float], None],
) -> None:
    model = crew.model
    device = next(model.parameters()).device
    balance = Balance(model)
    tools = optimisers(model, lesson.rate, lesson.small_rate)
    full = [[group["lr"] for group in tool.param_groups] for tool in tools]
    for step in range(lesson.steps):
        loss = crew.learn(next(source).to(device))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for tool, rates in zip(tools, full, strict=True):
            for group, rate in zip(tool.param_groups, rates, strict=True):
                group["lr"] = rate * slope(step, lesson.steps, lesson.level)
            tool.step()
            tool.zero_grad(set_to_none=True)
        report(step + 1, loss, balance.step())


class Progress:
    """One line a report: over itself on a terminal, below one another in a log."""

    def __init__(self, steps: int, save: Callable[[], None], every: int) -> None:
        self.steps, self.save, self.every = steps, save, every
        self.start = time.monotonic()
        self.mean = 0.0

    def __call__(self, step: int, loss: float, load: float) -> None:
        self.mean = loss if step == 1 else 0.98 * self.mean + 0.02 * loss
        live = sys.stdout.isatty()
        if live or step % 25 == 0 or step == self.steps:
            sys.stdout.write(self.line(step, load) + ("\r" if live else "\n"))
            sys.stdout.flush()
        if self.every and step % self.every == 0:
            self.save()

    def line(self, step: int, load: float) -> str:
        spent = time.monotonic() - self.start
        left = spent / step * (self.steps - step)
        return (
            f"step {step}/{self.steps}  loss {self.mean:.4f}  busiest expert {load:.2f}  "
            f"{step * 4096 / spent:,.0f} tokens/s  {spent / 60:.1f} min, {left / 60:.1f} to go "
        )


def teach(number: int, tokenizer: Tokenizer, options: argparse.Namespace) -> None:
    """Lesson `number`, counted from one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    lesson, seed = LESSONS[number - 1], options.seed + number - 1
    lesson = replace(lesson, steps=options.steps or lesson.steps)
    torch.manual_seed(seed)
    model = new_model(tokenizer.get_vocab_size())
    if number > 1:
        load_weights(model, options.out)
    model = model.to(device).train()
    size = 1 if device.type == "cuda" else options.processes
    crew = Crew(model, tokenizer, (seed, lesson.mix), size, loss_of)

    def save() -> None:
        save_model(model, options.out)

    sys.stdout.write(f"lesson {number} of {len(LESSONS)}\n")
    progress = Progress(lesson.steps, save, options.save_every)
    train(crew, batches(tokenizer, seed, lesson.mix), lesson, progress)
    crew.dismiss()
    save()
    sys.stdout.write(f"\nsaved to {options.out}\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m seekserve.demo.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=MODEL_DIR, help="where the model goes")
    parser.add_argument("--steps", type=int, help="so many a lesson, for a quick try")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=2, help="on a CPU: 1, 2 or 4")
    parser.add_argument("--save-every", type=int, default=0, help="save every so many steps")
    parser.add_argument("--lesson", type=int, default=1, help="go on at this one from --out")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    tokenizer = train_tokenizer(options.seed)
    save_tokenizer(tokenizer, options.out)
    for number in range(options.lesson, len(LESSONS) + 1):
        teach(number, tokenizer, options)


if __name__ == "__main__":
    main()
