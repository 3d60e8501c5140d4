"""A run folder of somebody else runs nothing of theirs before the user agrees."""

import json
import sys

import numpy as np
import pytest
from studies import TINY, command

from raybayes.errors import InputError
from raybayes.store import read_json, write_json
from raybayes.study.run import MARK, Run, open_run
from raybayes.study.study import read_study
from raybayes.web.runs import find_runs
from raybayes.workflow.infer import infer_files
from raybayes.workflow.refine import refine_files
from raybayes.workflow.run_study import check_run, prepared

FUNCTION = """
from pathlib import Path
import numpy as np
def marked(theta):
    Path("{mark}").touch()
    return np.ones((len(theta), 200)) * 1e-3
"""
PLAIN, LEARNED = TINY.partition("[density]")[::2]
STUDY = f"{PLAIN}%s\n[density]{LEARNED}"
TEMPLATE = "${M4.rotationXerror} ${M4.rotationZerror}"


@pytest.fixture
def mark(tmp_path, monkeypatch):
    """A file that is there once the function of `function` was imported or called."""
    path = tmp_path / "ran"
    code = FUNCTION.format(mark=path)
    (tmp_path / "module_of_trust.py").write_text(code + f'Path("{path}").touch()\n')
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    sys.modules.pop("module_of_trust", None)


def function(tmp_path):
    return '[engine]\nkind = "function"\nfunction = "module_of_trust:marked"\n'


def program(tmp_path):
    (tmp_path / "setting.txt").write_text(TEMPLATE)
    words = json.dumps(["touch", str(tmp_path / "ran"), "{input}", "{output}"])
    return f'[engine]\nkind = "command"\ncommand = {words}\ntemplate = "setting.txt"\n'


ENGINES = {
    "function": (function, "runs the function module_of_trust:marked"),
    "command": (program, "runs the command touch .*ran"),
}


@pytest.fixture(params=ENGINES)
def foreign(request, tmp_path, mark):
    """A folder of a run, its study, and what is said of its engine."""
    engine, said = ENGINES[request.param]
    study, out = tmp_path / "s.toml", tmp_path / "runs" / "a"
    study.write_text(STUDY % engine(tmp_path))
    prepared(study, out)
    assert not mark.exists()
    return out, study, said


def test_it_is_not_opened(foreign, mark):
    out, _, said = foreign
    files = ["x.csv"]
    jobs = (open_run, check_run)
    jobs += (lambda folder: refine_files(folder, files), lambda folder: infer_files(folder, files))
    for job in jobs:
        with pytest.raises(InputError, match=f"{said}.*add --trust-engine"):
            job(out)
    assert not mark.exists()


@pytest.mark.parametrize("job", ["check", "report"])
def test_commands_refuse_it(job, foreign, mark):
    result = command(job, foreign[0])
    assert result.exit_code == 2 and "add --trust-engine" in result.stderr
    trusted = command(job, foreign[0], "--trust-engine")
    assert trusted.exit_code == 2 and "has not been trained yet" in trusted.stderr
    assert not mark.exists()


def test_the_workbench_refuses_it(foreign, mark):
    (listed,) = find_runs([foreign[0].parent]).values()
    assert listed.run is None and "add --trust-engine" in listed.trouble
    (trusted,) = find_runs([foreign[0].parent], trust_engine=True).values()
    assert trusted.run is not None and "has not been trained yet" in trusted.trouble
    assert "--trust-engine" in command("app", "--help").stdout and not mark.exists()


def test_who_trusts_it_runs_it(foreign, mark):
    run = open_run(foreign[0], trust_engine=True)
    run.profiles(run.study.prior.sample(1, np.random.default_rng(0)), (0,))
    assert mark.exists()


def test_the_users_own_study_goes_on(foreign):
    """The TOML file is the user's word, also where its folder was begun before."""
    out, study, _ = foreign
    assert prepared(study, out).study.engine.runs


def changed(tiny, out, engine):
    """A run's folder with another engine in it."""
    Run(*read_study(tiny), out).claim()
    found = read_json(out / MARK)
    write_json(out / MARK, {**found, "study": {**found["study"], "engine": engine}})
    return out


def test_a_path_to_ray_ui_is_a_program_too(tiny, tmp_path):
    """A run writes none; whoever adds one names what is started."""
    out = changed(tiny, tmp_path / "out", {"kind": "rayui", "path": "/tmp/theirs"})
    with pytest.raises(InputError, match="runs a program in /tmp/theirs; if you trust"):
        open_run(out)


def test_a_long_command_does_not_hide_the_advice(tiny, tmp_path):
    engine = {"kind": "command", "command": ["x" * 9999], "template": ""}
    result = command("check", changed(tiny, tmp_path / "out", engine))
    assert "add --trust-engine" in result.stderr and len(result.stderr) < 600
