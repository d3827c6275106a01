"""The training command on tiny models: the loss falls, the picture is drawn, the two forms agree."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console

import recurrence_dsl as rd
from recurrence_dsl.tools.train import Task, TrainOptions, loop, train
from recurrence_dsl.tools.train.budget import Budget
from recurrence_dsl.tools.train.corpus import Corpus, standard_library
from recurrence_dsl.tools.train.loop import schedule
from recurrence_dsl.tools.train.picture import running_mean
from recurrence_dsl.tools.train.recall import IGNORED, Recall, accuracy
from recurrence_dsl.tools.train.threads import fastest_threads


def silent() -> Console:
    return Console(file=io.StringIO(), width=100)


def test_text(tmp_path: Path) -> None:
    console = silent()
    small = {"d_model": 32, "layers": 2, "heads": 2, "length": 64, "batch": 8, "new_tokens": 20}
    report = train(TrainOptions(spec="gla", out=tmp_path, steps=30, rate=1e-2, **small), console)  # type: ignore[arg-type]
    assert report.loss_after < report.loss_before - 1
    assert abs(report.loss_before - 5.55) < 0.1
    assert report.difference is not None
    assert report.difference < 1e-3
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "figures.json").read_text())["steps"] == 30
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("parameters", "before", "after", "tokens a second", "logits differ by at most", "loss.png"):
        assert words in printed


def test_recall(tmp_path: Path) -> None:
    """A delta rule with room for the pairs learns to answer, and the output says so."""
    console = silent()
    shape = {"d_model": 32, "layers": 1, "heads": 1, "length": 16, "batch": 32, "pairs": 3, "vocab": 16}
    options = TrainOptions(
        spec="delta_net", out=tmp_path, task=Task.RECALL, steps=150, rate=1e-2, settings={"K": 16, "V": 16}, **shape
    )  # type: ignore[arg-type]
    report = train(options, console)
    assert report.accuracy is not None
    assert report.accuracy > 0.9  # by chance an eighth
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"recall accuracy: {report.accuracy:.1%} (by chance 12.5%)" in printed
    assert "stopped after" not in printed


def test_the_time_limit_ends_the_training(tmp_path: Path) -> None:
    console = silent()
    small = {"d_model": 16, "layers": 1, "heads": 1, "length": 16, "batch": 2, "new_tokens": 2}
    report = train(TrainOptions(spec="min_gru", out=tmp_path, steps=10**6, minutes=0.02, **small), console)  # type: ignore[arg-type]
    assert 1 <= report.steps < 10**4
    assert f"stopped after {report.steps} of 1000000 steps" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_budget_counts_from_its_making_and_shares_from_its_beginning() -> None:
    now = 100.0
    budget = Budget(50, lambda: now)
    now = 110.0
    budget.begin()
    assert budget.spent() == 0
    now = 130.0
    assert budget.spent() == 0.5
    assert budget.allows(20)
    assert not budget.allows(20.5)
    now = 200.0
    assert budget.spent() == 1


def test_a_budget_that_is_over_before_the_work_begins_leaves_a_fifth() -> None:
    now = 0.0
    budget = Budget(10, lambda: now)
    now = 11.0
    budget.begin()
    assert budget.spent() == 0
    assert budget.allows(2)
    assert not budget.allows(2.1)
    now = 12.0
    assert budget.spent() == 0.5


def test_a_budget_of_nothing() -> None:
    budget = Budget(0, lambda: 0.0)
    budget.begin()
    assert budget.spent() == 1
    assert not budget.allows(1e-3)


def test_on_a_slow_machine_the_rate_still_comes_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step takes a second of a budget of ten: the schedule follows the clock, and no step goes over the end."""
    clock, rates = [0.0], []

    def step(model: object, optimiser: torch.optim.Optimizer, tokens: object, targets: object) -> float:
        clock[0] += 1
        rates.append(optimiser.param_groups[0]["lr"])
        return 0.0

    monkeypatch.setattr(loop, "_step", step)
    monkeypatch.setattr(loop.time, "perf_counter", lambda: clock[0])
    options = TrainOptions(spec="gla", steps=1000, rate=1.0)
    rows = lambda: (torch.zeros(1, 1), torch.zeros(1, 1))  # noqa: E731
    course = loop.optimise(torch.nn.Linear(1, 1), rows, options, Budget(10, lambda: clock[0]), silent())
    assert len(course.losses) == 10
    assert clock[0] == 10
    assert rates == pytest.approx([schedule(done / 10) for done in range(10)])
    assert rates[-1] < 0.15


def test_a_spec_without_a_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(rd.CallError, match="R0514"):
        train(TrainOptions(spec="dplr", out=tmp_path), silent())


def test_the_corpus_is_text_and_keeps_some_of_it_back() -> None:
    corpus = standard_library()
    assert len(corpus.train) > 1_000_000
    assert len(corpus.held_out) > 50_000
    assert b"def " in corpus.held_out.numpy().tobytes()


def test_rows_are_followed_by_their_targets() -> None:
    corpus = Corpus(torch.arange(200, dtype=torch.uint8), torch.arange(100, dtype=torch.uint8))
    tokens, targets = corpus.rows(5, 7, torch.Generator().manual_seed(0))
    assert tokens.shape == (5, 7)
    assert torch.equal(tokens + 1, targets)
    held, after = corpus.held_out_rows(3, 7)
    assert torch.equal(held + 1, after)
    assert held[0, 0] == 0


def test_recall_rows_ask_for_what_they_state() -> None:
    tokens, targets = Recall(vocab=40, pairs=6, length=48).rows(16, torch.Generator().manual_seed(0))
    for row, asked in zip(tokens, targets, strict=True):
        stated = dict(zip(row[0:12:2].tolist(), row[1:12:2].tolist(), strict=True))
        assert len(stated) == 6
        places = (asked != IGNORED).nonzero().flatten().tolist()
        assert len(places) == 6
        assert min(places) >= 12
        assert all(stated[int(row[place])] == int(asked[place]) for place in places)
        assert {int(row[place]) for place in places} == stated.keys()
        fillers = [int(token) for place, token in enumerate(row) if place >= 12 and place not in places]
        assert min(fillers) >= 20  # no filler is a key


def test_accuracy_counts_queries_only() -> None:
    logits = torch.eye(4)[None]
    targets = torch.tensor([[0, IGNORED, 3, IGNORED]])
    assert accuracy(logits, targets) == 0.5


def test_the_faster_number_of_threads_is_taken_and_given_back() -> None:
    most = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with fastest_threads(lambda: time.sleep(0.02 * torch.get_num_threads())) as chosen:
            assert chosen == torch.get_num_threads() == 1
        with fastest_threads(lambda: time.sleep(0.04 / torch.get_num_threads())) as chosen:
            assert chosen == torch.get_num_threads() == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(most)


def test_the_schedule_rises_and_falls() -> None:
    rates = [schedule(step / 100) for step in range(100)]
    assert rates[0] < 0.1
    assert max(rates) <= 1.03
    assert abs(rates[-1] - 0.1) < 0.01


def test_a_running_mean_of_a_constant_is_the_constant() -> None:
    assert running_mean([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
