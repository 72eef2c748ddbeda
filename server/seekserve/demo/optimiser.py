"""Muon for the matrices between the layers, AdamW for the rest.

torch's own Muon takes one matrix at a time and no packed experts. This one stacks all matrices
of a shape, which on two cores is several times faster.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonal(stack: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz: pushes all singular values of each matrix towards one."""
    a, b, c = COEFFICIENTS
    x = stack.bfloat16()
    wide = x.size(-2) <= x.size(-1)
    x = x if wide else x.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return (x if wide else x.mT).to(stack.dtype)


class Muon(torch.optim.Optimizer):  # type: ignore[misc]  # torch is not followed by mypy
    """Momentum whose every step is made orthogonal."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(list(params), {"lr": lr, "momentum": momentum, "decay": 0.01})

    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            shapes: defaultdict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
            for param in group["params"]:
                if param.grad is not None:
                    shapes[tuple(param.shape[-2:])].append(param)
            with torch.no_grad():
                for params in shapes.values():
                    self._step_shape(group, params)

    def _step_shape(self, group: dict[str, float], params: list[nn.Parameter]) -> None:
        moved = [self._moved(param, group["momentum"]) for param in params]
        stack = orthogonal(torch.cat(moved))
        rows, columns = stack.shape[-2:]
        rate = group["lr"] * max(1.0, rows / columns) ** 0.5
        for param, change in zip(params, stack.split([len(m) for m in moved]), strict=True):
            param.mul_(1 - group["lr"] * group["decay"])
            param.add_(change.view_as(param), alpha=-rate)

    def _moved(self, param: nn.Parameter, momentum: float) -> Tensor:
        assert param.grad is not None
        state = self.state[param]
        velocity: Tensor = state.setdefault("velocity", torch.zeros_like(param))
        velocity.lerp_(param.grad, 1 - momentum)
        return param.grad.lerp(velocity, momentum).view(-1, *param.shape[-2:])


def optimisers(model: nn.Module, rate: float, small_rate: float) -> list[torch.optim.Optimizer]:
    """Embeddings, head, router and norms are no maps between hidden spaces: AdamW has them."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, param in model.named_parameters():
        inner = param.ndim >= 2 and not any(k in name for k in ("embed", "lm_head", "gate.weight"))
        (matrices if inner else others).append(param)
    adam = torch.optim.AdamW(others, lr=small_rate, betas=(0.9, 0.95), weight_decay=0.0)
    return [Muon(matrices, lr=rate), adam]
