"""Is every mistake on the command line answered by one sentence?"""

import subprocess
import sys

import pytest
from studies import TINY, command

from raybayes.study.run import Run
from raybayes.study.study import read_study

STUDIES = {
    "unknown key": (TINY + "\ncolour = 1", "training.colour"),
    "no TOML": ("name = ", "not valid TOML"),
    "reversed prior": (TINY.replace("[-0.06, 0.06]", "[0.06, -0.06]"), "low 0.06 must be below"),
    "unknown parameter": (TINY.replace("M4.rotationX", "M4.rotationW"), "no numeric parameter"),
    "unknown element": (TINY.replace("M4.rotationX", "M8.rotationX"), "no element 'M8'"),
    "negative": (TINY.replace("rays = 128", "rays = -1"), "tracing.rays"),
    "no beamline file": (TINY.replace("ue112_pgm1", "other"), "other.rml: cannot be read"),
    "greyed out": (TINY.replace("M4.rotationXerror", "M2.grazingIncAngle"), "does not depend"),
}


@pytest.mark.parametrize("case", STUDIES)
def test_bad_studies_are_one_sentence(case, tmp_path):
    text, message = STUDIES[case]
    (tmp_path / "s.toml").write_text(text)
    result = command("run", tmp_path / "s.toml", "--out", tmp_path / "out")
    assert result.exit_code == 2 and message in result.stderr
    assert result.stderr.count("\n") == 1 and "Traceback" not in result.stderr


def test_missing_study(tmp_path):
    result = command("run", tmp_path / "none.toml", "--out", tmp_path / "out")
    assert result.exit_code == 2 and "cannot be read as a study" in result.stderr


def test_folder_of_another_study(tiny, tmp_path):
    out = tmp_path / "out"
    Run(*read_study(tiny), out).claim()
    tiny.write_text(TINY.replace("seed = 3", "seed = 4"))
    result = command("run", tiny, "--out", out)
    assert result.exit_code == 2 and "results of another study" in result.stderr


def test_folder_that_is_not_ours(tiny, tmp_path):
    result = command("run", tiny, "--out", tmp_path)
    assert result.exit_code == 2 and "was not made by raybayes" in result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys; from raybayes.cli import app; app(sys.argv[1:], standalone_mode=False); "
        "heavy = {'jax', 'numba', 'numpy', 'scipy', 'matplotlib'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
