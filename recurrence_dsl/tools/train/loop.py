"""The training loop: AdamW under a warm-up and a cosine, until the steps or the time are used up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor, nn

from .budget import Budget
from .options import TrainOptions
from .recall import IGNORED

Rows = Callable[[], tuple[Tensor, Tensor]]
"""Draws tokens and targets, both [B, T]."""
WARM_UP = 0.05


@dataclass(slots=True)
class Course:
    """How a training run went."""

    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    tokens: int = 0

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0


def loss_of(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy in nats over the tokens that have a target."""
    return F.cross_entropy(model(tokens).flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED)


def optimise(model: nn.Module, rows: Rows, options: TrainOptions, budget: Budget, console: Console) -> Course:
    """Trains `model` in place. The learning rate follows the steps or the clock, whichever is further on."""
    optimiser = torch.optim.AdamW(_groups(model), lr=options.rate, betas=(0.9, 0.95))
    course, start = Course(), time.perf_counter()
    budget.begin()
    model.train()
    with _progress(console) as bar:
        task = bar.add_task("training", total=1.0, note="")
        for step in range(options.steps):
            if step and not budget.allows(course.seconds / step):
                break
            done = max(step / options.steps, budget.spent())
            for group in optimiser.param_groups:
                group["lr"] = options.rate * schedule(done)
            tokens, targets = rows()
            course.losses.append(_step(model, optimiser, tokens, targets))
            course.tokens += tokens.numel()
            course.seconds = time.perf_counter() - start
            note = f"step {step + 1}  loss {course.losses[-1]:.3f}  {course.tokens_per_second:,.0f} tokens/s"
            bar.update(task, completed=done, note=note)
        bar.update(task, completed=1.0)
    model.eval()
    return course


def _step(model: nn.Module, optimiser: torch.optim.Optimizer, tokens: Tensor, targets: Tensor) -> float:
    loss = loss_of(model, tokens, targets)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return loss.item()


def schedule(done: float) -> float:
    """The learning rate's share when so much of the run is done: up in a line, then down along a cosine to a tenth."""
    if done < WARM_UP:
        return (done + 1e-3) / WARM_UP
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


def _groups(model: nn.Module) -> list[dict[str, object]]:
    """Weight decay for matrices only."""
    params = list(model.parameters())
    return [
        {"params": [p for p in params if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
    ]


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    return Progress(*columns, console=console)
