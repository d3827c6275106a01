"""The search for the fastest kernels believes no kernel: made-up ones lie, fail and waver; and results are kept."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

import pytest

from recurrence_dsl.diagnostics import CallError
from recurrence_dsl.runtime.tuning import save, store
from recurrence_dsl.runtime.tuning.search import Search
from recurrence_dsl.schedule.candidates import MOST

PLANS = {"fused": ("forward",), "split": ("carry", "finish")}
CHANGES = {
    "forward": ({"num_warps": 8}, {"num_stages": 2}, {"B_V": 32, "num_warps": 8}),
    "carry": ({"num_warps": 2},),
    "finish": ({"num_warps": 8}, {"num_stages": 2}),
}


@dataclass
class MadeUp:
    """Kernels whose times and faults are given by what a choice's text contains; the last match counts."""

    times: dict[str, float]
    faults: dict[str, str] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    runs: Counter[str] = field(default_factory=Counter)

    def fault(self, choice: str) -> str:
        self.runs[choice] += 1
        if any(text in choice for text in self.broken):
            raise RuntimeError("out of resource: shared memory\nand a long traceback")
        return next((fault for text, fault in self.faults.items() if text in choice), "")

    def seconds(self, choice: str) -> float:
        assert not self.fault(choice), "only a choice that has proven itself is timed"
        self.runs[choice] -= 1
        return [t for text, t in self.times.items() if text in choice][-1]


def searched(bench: MadeUp) -> tuple[str | None, list[str]]:
    lines: list[str] = []
    return Search(PLANS, CHANGES, bench, lines.append).best(), lines


def test_the_fastest_plan_and_settings_win() -> None:
    bench = MadeUp({"fused": 3.0, "split": 2.0, "carry.num_warps=2": 1.5, "finish.num_stages=2": 1.0})
    assert searched(bench) == ("split carry.num_warps=2 finish.num_stages=2", [])
    assert max(bench.runs.values()) == 1


def test_settings_that_slow_a_kernel_down_are_not_kept_for_the_next() -> None:
    bench = MadeUp({"fused": 3.0, "split": 2.0, "finish.num_warps=8": 1.0, "carry.num_warps=2": 2.5})
    assert searched(bench)[0] == "split finish.num_warps=8"


@pytest.mark.parametrize("fault", ["`output o` is off by 0.53, 40 times what is admitted", "two runs differ in `o`"])
def test_a_wrong_kernel_is_dropped_however_fast(fault: str) -> None:
    best, lines = searched(MadeUp({"": 2.0, "num_stages=2": 0.1}, faults={"forward.num_stages=2": fault}))
    assert best == "split finish.num_stages=2"
    assert lines == [f"dropped fused forward.num_stages=2: {fault}"]


def test_a_kernel_that_does_not_compile_is_dropped_with_one_line() -> None:
    best, lines = searched(MadeUp({"": 2.0, "fused": 1.0, "num_warps=8": 0.1}, broken=("num_warps=8",)))
    assert best == "fused"
    assert lines[0] == "dropped fused forward.num_warps=8: RuntimeError: out of resource: shared memory"
    assert all("\n" not in line for line in lines)
    assert len(lines) == 3


def test_a_plan_whose_own_settings_fail_is_saved_by_others() -> None:
    bench = MadeUp({"fused": 9.0, "split": 1.0})
    bench.fault = lambda choice: "" if choice in ("fused", "split finish.num_warps=8") else "wrong"  # type: ignore[method-assign]
    best, lines = searched(bench)
    assert best == "split finish.num_warps=8"
    assert "dropped split: wrong" in lines


def test_where_everything_fails_nothing_is_chosen() -> None:
    best, lines = searched(MadeUp({"": 1.0}, faults={"": "wrong"}))
    assert best is None
    assert len(lines) == len(set(lines)) == 2 + sum(map(len, CHANGES.values()))


# --- what is kept ---


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("RECURRENCE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("RECURRENCE_TUNED", raising=False)
    return tmp_path


def test_measurements_are_kept_and_can_be_shipped(cache, monkeypatch) -> None:
    assert store.known("gla_1") == {}
    store.remember("gla_1", "FORWARD a", "fused")
    store.remember("gla_1", "BACKWARD a", "split")
    store.remember("gla_2", "FORWARD a", "split")
    assert store.known("gla_1") == {"FORWARD a": "fused", "BACKWARD a": "split"}
    shipped = save(cache / "shipped.json")
    assert json.loads(shipped.read_text())["kernels"]["gla_2"] == {"FORWARD a": "split"}
    monkeypatch.setenv("RECURRENCE_CACHE_DIR", str(cache / "other"))
    assert store.known("gla_1") == {}
    monkeypatch.setenv("RECURRENCE_TUNED", str(shipped))
    assert store.known("gla_1") == {"FORWARD a": "fused", "BACKWARD a": "split"}
    store.remember("gla_1", "FORWARD a", "split")
    assert store.known("gla_1")["FORWARD a"] == "split", "what was measured here goes before what was shipped"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"recurrence_dsl": "tuning 1", "kernels": {"a": {"b": 3}}}'])
def test_a_file_that_is_none_of_ours(cache, monkeypatch, text: str) -> None:
    path = cache / "wrong.json"
    path.write_text(text)
    monkeypatch.setenv("RECURRENCE_TUNED", str(path))
    with pytest.raises(CallError, match="holds no tuning results"):
        store.known("gla_1")


def test_half_a_cached_file_is_measured_again(cache) -> None:
    store.remember("gla_1", "FORWARD a", "fused")
    (store.folder() / "gla_1.json").write_text("{")
    assert store.known("gla_1") == {}
    store.remember("gla_1", "FORWARD a", "split")
    assert store.known("gla_1") == {"FORWARD a": "split"}


def test_at_most_four_settings_of_a_kernel_are_measured() -> None:
    import recurrence_dsl as rd
    from recurrence_dsl.runtime.tuning.alternatives import alternatives

    mixer = rd.compile("retnet", heads=2, K=128, V=128, backend="torch")
    found = alternatives(mixer.recurrence, mixer.choices)
    assert found["forward"], "there is something to choose from"
    for kernel, changes in found.items():
        assert len(changes) <= MOST - 1, kernel
        assert all(changes), "each differs from the plan's own settings"
