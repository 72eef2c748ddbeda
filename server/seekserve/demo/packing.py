"""Conversations to batches: several in a row, none seeing another, few cells left empty."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .corpus import Mix, conversations
from .dialogue import Conversation, pieces

SHORT = (16, 256)
"""Rows and columns of a batch of short conversations."""
LONG = (4, 1024)
"""The same of long ones: as many tokens, so a step costs about the same."""
POOL = 96


@dataclass(frozen=True)
class Batch:
    tokens: Tensor
    positions: Tensor
    mask: Tensor
    targets: Tensor
    """The token to come where it is to be learned, -100 elsewhere."""

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


Sample = tuple[list[int], list[bool]]


def sample(tokenizer: Tokenizer, conversation: Conversation) -> Sample:
    ids: list[int] = []
    learned: list[bool] = []
    for piece in pieces(conversation):
        found = tokenizer.encode(piece.text, add_special_tokens=False).ids
        ids += found
        learned += [piece.learned] * len(found)
    return ids, learned


def fill(pool: list[Sample], rows: int, columns: int) -> list[list[Sample]]:
    """Takes conversations out of the pool, row by row, the longest that still fits first."""
    pool.sort(key=lambda one: len(one[0]), reverse=True)
    packed: list[list[Sample]] = []
    for _ in range(rows):
        row: list[Sample] = []
        left = columns
        for one in list(pool):
            if len(one[0]) <= left:
                row.append(one)
                pool.remove(one)
                left -= len(one[0])
        packed.append(row)
    return packed


def batch(packed: list[list[Sample]], columns: int) -> Batch:
    rows = len(packed)
    tokens = torch.full((rows, columns), 2)
    positions = torch.zeros(rows, columns, dtype=torch.long)
    targets = torch.full((rows, columns), -100)
    owner = torch.arange(columns).expand(rows, columns).clone() + columns
    for r, row in enumerate(packed):
        start = 0
        for number, (ids, learned) in enumerate(row):
            end = start + len(ids)
            tokens[r, start:end] = torch.tensor(ids)
            positions[r, start:end] = torch.arange(len(ids))
            owner[r, start:end] = number
            goal = torch.where(torch.tensor(learned), torch.tensor(ids), -100)
            targets[r, start : end - 1] = goal[1:]
            start = end
    causal = torch.ones(columns, columns, dtype=torch.bool).tril()
    mask = (owner[:, :, None] == owner[:, None, :]) & causal
    return Batch(tokens, positions, mask[:, None], targets)


def batches(tokenizer: Tokenizer, seed: int, mix: Mix) -> Iterator[Batch]:
    """Endless, and the same for the same seed."""
    short: list[Sample] = []
    long: list[Sample] = []
    for conversation in conversations(seed, mix):
        one = sample(tokenizer, conversation)
        if len(one[0]) <= SHORT[1]:
            short.append(one)
        elif len(one[0]) <= LONG[1]:
            long.append(one)
        for pool, (rows, columns) in ((short, SHORT), (long, LONG)):
            if sum(len(ids) for ids, _ in pool) > POOL * columns // 8 + rows * columns:
                yield batch(fill(pool, rows, columns), columns)
