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
from recurrence_dsl.tools.train import Task, TrainOptions, train
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
    console = silent()
    shape = {"d_model": 32, "layers": 1, "heads": 1, "length": 16, "batch": 32, "pairs": 2, "vocab": 8}
    options = TrainOptions(
        spec="delta_net", out=tmp_path, task=Task.RECALL, steps=120, rate=1e-2, settings={"K": 16, "V": 16}, **shape
    )  # type: ignore[arg-type]
    report = train(options, console)
    assert report.accuracy is not None
    assert report.accuracy > 0.5  # by chance a quarter
    assert "recall accuracy" in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_time_limit_ends_the_training(tmp_path: Path) -> None:
    small = {"d_model": 16, "layers": 1, "heads": 1, "length": 16, "batch": 2, "new_tokens": 2}
    report = train(TrainOptions(spec="min_gru", out=tmp_path, steps=10**6, minutes=0.01, **small), silent())  # type: ignore[arg-type]
    assert 1 <= report.steps < 10**4


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
