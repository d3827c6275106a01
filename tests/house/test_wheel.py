"""The wheel holds the templates and the specs, and the package finds them there."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from recurrence_dsl import resources

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_every_template_and_spec(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    outside = [p for folder in ("templates", "specs") for p in (ROOT / folder).rglob("*") if p.is_file()]
    assert {f"recurrence_dsl/{p.relative_to(ROOT).as_posix()}" for p in outside} <= inside
    assert outside


def test_the_installed_wheel_finds_them(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    program = (
        "import recurrence_dsl as rd; from recurrence_dsl import resources\n"
        "print(resources.__file__)\n"
        "print(*(p.name for p in resources.shipped_specs()))\n"
        "print(*sorted(p.relative_to(resources.templates()).as_posix()\n"
        "              for p in resources.templates().rglob('*') if p.is_file()))\n"
        "print(rd.load(resources.find_spec('retnet')).name)\n"
    )
    # -S leaves out site-packages with its link to the checkout; only its plain folders come back, behind the wheel
    path = [str(tmp_path / "site"), *(p for p in sys.path if p.endswith("site-packages"))]
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {path!r}\n{program}"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    place, specs, templates, name = run.stdout.splitlines()
    assert Path(place).is_relative_to(tmp_path)
    assert specs.split() == [p.name for p in resources.shipped_specs()]
    folder = ROOT / "templates"
    assert templates.split() == sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert name == "retnet"
