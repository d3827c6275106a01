"""Shipped files are found by path and by name."""

from pathlib import Path

from recurrence_dsl.resources import find_spec, shipped_specs, specs


def test_shipped_specs_are_found_by_name_and_by_path():
    for path in shipped_specs():
        assert find_spec(path.stem) == find_spec(path.name) == find_spec(path) == path


def test_the_shipped_folder_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_spec("specs/retnet.spec") == specs() / "retnet.spec"


def test_a_file_comes_before_a_shipped_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("retnet.spec").write_text("mixer mine\n")
    assert find_spec("retnet.spec") == Path("retnet.spec")
    assert find_spec("retnet") == specs() / "retnet.spec"


def test_nothing_is_found_for_other_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_spec("no_such_mixer") is None
    assert find_spec("elsewhere/retnet.spec") is None
