"""Several processes of one thread each, every one with a share of each batch's rows.

For matrices this small, one thread a process beats many threads in one: they meet once a step
rather than in every kernel, which on a busy machine is the difference between fast and stuck.
"""

from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch import multiprocessing as processes
from transformers import DeepseekV3ForCausalLM

from .corpus import Mix
from .network import new_model
from .packing import Batch, batches

LossOf = Callable[[DeepseekV3ForCausalLM, Batch, int], Tensor]
"""Loss of a share of a batch, given how many tokens the whole batch teaches."""


def part(batch: Batch, index: int, size: int) -> Batch:
    rows = slice(index, None, size)
    return Batch(batch.tokens[rows], batch.positions[rows], batch.mask[rows], batch.targets[rows])


def shared(model: DeepseekV3ForCausalLM) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


class Crew:
    """The leader's side. Weights are shared memory: what the leader writes, all read."""

    def __init__(
        self,
        model: DeepseekV3ForCausalLM,
        tokenizer: Tokenizer,
        source: tuple[int, Mix],
        size: int,
        loss: LossOf,
    ) -> None:
        self.model, self.size, self.loss = model, size, loss
        self.parameters = list(model.parameters())
        context = processes.get_context("spawn")
        self.begin: Barrier = context.Barrier(size)
        self.end: Barrier = context.Barrier(size)
        self.losses = torch.zeros(size).share_memory_()
        self.members: list[Any] = []
        self.gradients = [[empty(p) for p in self.parameters] for _ in range(size - 1)]
        if size > 1:
            model.share_memory()
        for index in range(1, size):
            mine = self.gradients[index - 1]
            weights = [w.detach() for w in shared(model)]
            state = (weights, mine, self.losses, self.begin, self.end)
            given = (tokenizer.to_str(), source, index, size, loss, state)
            member = context.Process(target=work, args=given, daemon=True)
            member.start()
            self.members.append(member)

    def learn(self, batch: Batch) -> float:
        """Leaves the whole batch's gradient in the model and returns its loss."""
        count = int((batch.targets != -100).sum())
        self.begin.wait()
        loss = self.loss(self.model, part(batch, 0, self.size), count)
        loss.backward()
        self.losses[0] = loss.detach().cpu()
        self.end.wait()
        for gradients in self.gradients:
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                assert parameter.grad is not None
                parameter.grad.add_(gradient)
        return float(self.losses.sum())

    def dismiss(self) -> None:
        for member in self.members:
            member.terminate()
            member.join()


def empty(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter, requires_grad=False).share_memory_()


State = tuple[list[Tensor], list[Tensor], Tensor, Barrier, Barrier]


def work(
    text: str, source: tuple[int, Mix], index: int, size: int, loss_of: LossOf, state: State
) -> None:
    """A member's life: the same batches as the leader, but only its own rows of them."""
    torch.set_num_threads(1)
    weights, gradients, losses, begin, end = state
    tokenizer = Tokenizer.from_str(text)
    model = new_model(tokenizer.get_vocab_size()).train()
    for mine, leaders in zip(shared(model), weights, strict=True):
        mine.data = leaders
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        parameter.grad = gradient
    for batch in batches(tokenizer, *source):
        count = int((batch.targets != -100).sum())
        begin.wait()
        for gradient in gradients:
            gradient.zero_()
        loss = loss_of(model, part(batch, index, size), count)
        loss.backward()
        losses[index] = loss.detach()
        end.wait()
