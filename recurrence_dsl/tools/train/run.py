"""`recurrence train`: from a spec to a trained model, its figures, and a picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from ...check.spec import Spec
from ...diagnostics import CallError
from ...layers import LanguageModel
from ...pipeline import load
from .budget import Budget
from .corpus import BYTES, Corpus, standard_library
from .generation import generate
from .loop import Course, loss_of, optimise
from .options import Task, TrainOptions
from .picture import draw_losses
from .recall import Recall, accuracy
from .report import TrainReport, show_figures, show_text
from .threads import fastest_threads

HELD_OUT_ROWS = 32
_ROWS_AT_ONCE = 16


def train(options: TrainOptions, console: Console | None = None) -> TrainReport:
    """Trains a small language model of a spec's layers, prints how it went and writes it to `options.out`.

    Raises SpecError or CallError for a spec, a size or a folder that does not do.
    """
    console, budget = console or Console(), Budget(60 * options.minutes)
    spec = load(options.spec)
    out = folder(options.out)
    torch.manual_seed(options.seed)
    match options.task:
        case Task.TEXT:
            return _text(spec, options, budget, out, console)
        case Task.RECALL:
            return _recall(spec, options, budget, out, console)


def _text(spec: Spec, options: TrainOptions, budget: Budget, out: Path, console: Console) -> TrainReport:
    corpus, (batch, length) = standard_library(), options.rows
    model = make_model(spec, options, BYTES)
    generator = torch.Generator().manual_seed(options.seed)
    held_out = corpus.held_out_rows(HELD_OUT_ROWS, length)
    console.print(f"{spec.name}: {_count(model):,} parameters, {corpus.name} ({len(corpus.train) / 1e6:.1f} MB)")
    with fastest_threads(_trial(model, options, *held_out)):
        before = held_out_loss(model, *held_out)
        course = optimise(model, lambda: corpus.rows(batch, length, generator), options, budget, console)
        after = held_out_loss(model, *held_out)
        made = generate(model, _prompt(corpus), options.new_tokens, options.seed)
    show_text(made, console)
    report = _report(spec, options, model, course, before, after, out, difference=made.difference)
    show_figures(report, console)
    console.print(
        f"recurrent against chunk form on that text: logits differ by at most {made.difference:.1e} "
        f"(the largest is {made.largest_logit:.1f})"
    )
    return report


def _recall(spec: Spec, options: TrainOptions, budget: Budget, out: Path, console: Console) -> TrainReport:
    batch, length = options.rows
    task = Recall(options.vocab, options.pairs, length)
    model = make_model(spec, options, options.vocab)
    generator = torch.Generator().manual_seed(options.seed)
    held_out = task.rows(4 * HELD_OUT_ROWS, torch.Generator().manual_seed(options.seed + 1))
    console.print(f"{spec.name}: {_count(model):,} parameters, recall of {options.pairs} pairs in {length} tokens")
    with fastest_threads(_trial(model, options, *held_out)):
        before = held_out_loss(model, *held_out)
        course = optimise(model, lambda: task.rows(batch, generator), options, budget, console)
        after = held_out_loss(model, *held_out)
        share = recall_accuracy(model, *held_out)
    report = _report(spec, options, model, course, before, after, out, accuracy=share)
    show_figures(report, console)
    console.print(f"recall accuracy: {share:.1%} (by chance {2 / options.vocab:.1%})")
    return report


def make_model(spec: Spec, options: TrainOptions, vocab: int) -> LanguageModel:
    """The model that the options ask for; a dim without a size gets `d_model / heads`."""
    given: dict[str, Any] = dict(options.settings)
    sizes: dict[str, Any] = {dim.name: options.d_model // options.heads for dim in spec.dims if dim.default is None}
    if options.d_model % options.heads and set(sizes) - set(given):
        raise CallError(
            "R0401",
            f"d_model={options.d_model} does not divide into {options.heads} heads",
            "give the sizes of the spec's dims",
        )
    return LanguageModel(
        spec,
        vocab=vocab,
        d_model=options.d_model,
        n_layers=options.layers,
        heads=options.heads,
        groups=options.groups,
        **(sizes | given),
    )


def _trial(model: LanguageModel, options: TrainOptions, tokens: Tensor, targets: Tensor) -> Callable[[], None]:
    """Forward and backward on as many rows as a step has, leaving no trace."""

    batch, _ = options.rows

    def run() -> None:
        loss_of(model, tokens[:batch], targets[:batch]).backward()
        model.zero_grad()

    return run


@torch.no_grad()
def held_out_loss(model: LanguageModel, tokens: Tensor, targets: Tensor) -> float:
    """Mean loss over rows, a few at once."""
    parts = zip(tokens.split(_ROWS_AT_ONCE), targets.split(_ROWS_AT_ONCE), strict=True)
    losses = [loss_of(model, *part).item() for part in parts]
    return sum(losses) / len(losses)


@torch.no_grad()
def recall_accuracy(model: LanguageModel, tokens: Tensor, targets: Tensor) -> float:
    """The share of queries that the model answers."""
    logits = torch.cat([model(part) for part in tokens.split(_ROWS_AT_ONCE)])
    return accuracy(logits, targets)


def _prompt(corpus: Corpus) -> Tensor:
    """The first lines of the held-out text."""
    return corpus.held_out[:64].long()


def _report(
    spec: Spec,
    options: TrainOptions,
    model: LanguageModel,
    course: Course,
    before: float,
    after: float,
    out: Path,
    **figures: Any,
) -> TrainReport:
    """The figures, also written as JSON beside the picture."""
    picture = out / "loss.png"
    draw_losses(course.losses, before, after, f"{spec.name}, {options.task.value}", picture)
    report = TrainReport(
        spec.name,
        options.task.value,
        _count(model),
        len(course.losses),
        options.steps,
        before,
        after,
        course.tokens_per_second,
        course.seconds,
        picture=str(picture),
        **figures,
    )
    (out / "figures.json").write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    return report


def _count(model: LanguageModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def folder(path: Path) -> Path:
    """An output folder, made where it is missing. Raises CallError where a file is in the way."""
    if path.exists() and not path.is_dir():
        raise CallError("R0905", f"{path} exists and is not a folder")
    path.mkdir(parents=True, exist_ok=True)
    return path
