"""Does the workbench's server answer what the command line answers, and end cleanly?"""

import errno
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from studies import command
from workbench import Client, counts, files_of_both

from raybayes.analysis.measurement import Trained, infer, measure
from raybayes.errors import InputError
from raybayes.observations import Observation
from raybayes.study.run import open_run
from raybayes.web import uploads
from raybayes.web.exports import exported
from raybayes.web.requests import AtTheta, Example
from raybayes.web.runs import find_runs
from raybayes.web.server import listen
from raybayes.web.session import Session


def test_studies_are_listed(client, runs):
    _, _, text = client.ask("GET", "/api/studies")
    found = json.loads(text)["studies"]
    assert [s["name"] for s in found] == ["tiny", "picture", "tiny", "several"]
    assert [s["trouble"] == "" for s in found] == [True, True, False, True]
    status, answer = client.request("open", study=found[2]["id"])
    assert status == 422 and "has not been trained yet" in answer["error"]
    assert client.request("open", study=str(runs / "a"))[0] == 404


def test_the_answer_is_that_of_infer(client, runs, x, tmp_path):
    """The same file and seed, the same numbers."""
    path = tmp_path / "x.csv"
    path.write_bytes(counts(x))
    run = open_run(runs / "a")
    expected = infer(run, measure(run, [path], {"gain": 1.5}), seed=3)
    file = client.upload(path.read_bytes(), "x.csv")
    _, found = client.request("infer", study="1", files=[file], reading={"gain": 1.5}, seed=3)
    assert found["rows"] == expected.table() and found["alarms"] == list(expected.alarms)
    assert found["done"] == list(expected.observation.done) and found["files"] == ["x.csv"]
    np.testing.assert_allclose(found["draws"], expected.draws, rtol=1e-5)
    assert found["best"] == found["draws"][expected.check.chi2.argmin()]
    np.testing.assert_allclose(
        np.concatenate(found["settings"][0]["measured"]), 1.5 * x, rtol=1e-5, atol=2e-3
    )
    status, refined = client.request("refine", result=found["id"])
    assert status == 200 and 1 <= refined["ess"] <= refined["draws"] == 4000
    assert f"{refined['ess']:.0f} of 4000" in refined["sentence"]


def test_two_profiles_and_a_dark_frame(client, x):
    halves = [client.upload(counts(part), f"{i}.txt") for i, part in enumerate((x[:100], x[100:]))]
    _, found = client.request("infer", study="1", files=halves)
    np.testing.assert_allclose(
        np.concatenate(found["settings"][0]["measured"]), x, rtol=1e-5, atol=1e-3
    )
    file, dark = client.upload(counts(x + 7)), client.upload(counts(0 * x + 17), "black.txt")
    _, found = client.request("infer", study="1", files=[file], dark=dark)
    np.testing.assert_allclose(
        np.concatenate(found["settings"][0]["measured"]), x, rtol=1e-5, atol=2e-3
    )
    assert any("Dark frame black.txt subtracted" in sentence for sentence in found["done"])


def test_several_settings(client, runs, tmp_path):
    """Each setting's own readings and predictions; together the posterior of `raybayes infer`."""
    run, paths = files_of_both(runs, tmp_path)
    expected = infer(run, measure(run, paths, {}))
    _, study = client.request("open", study="4")
    assert [s["label"] for s in study["settings"]] == [t.name for t in run.study.targets]
    assert [s["reads"] for s in study["settings"]] == ["profiles", "image"]
    files = [client.upload(path.read_bytes(), path.name) for path in paths]
    _, found = client.request("infer", study="4", files=files)
    assert found["rows"] == expected.table() and found["files"] == ["plain.csv", "moved.npy"]
    profiles, image = run.study.detectors.parts(expected.observation.x)
    shown = found["settings"]
    np.testing.assert_allclose(np.concatenate(shown[0]["measured"]), profiles, rtol=1e-5)
    np.testing.assert_allclose(np.ravel(shown[1]["image"]), image, rtol=1e-5)
    np.testing.assert_allclose(shown[1]["measured"][0], np.sum(shown[1]["image"], 0), rtol=1e-4)
    for one in shown:
        low, middle, high = (np.concatenate(one[k]) for k in ("low", "middle", "high"))
        assert (low <= middle).all() and (middle <= high).all() and (low < high).any()
    _, beam = client.request("simulate", study="4", theta=found["best"], result=found["id"])
    both = np.concatenate([np.concatenate(beam["settings"][0]["expected"]),
                           np.ravel(beam["settings"][1]["image"])])  # fmt: skip
    theta = np.array(found["best"])
    np.testing.assert_allclose(both, Trained(run).expected_counts(theta), rtol=1e-4, atol=1e-4)
    assert beam["chi2"] > 0
    status, found = client.request("infer", study="4", files=[*files, files[0], files[0]])
    assert status == 422 and "4 files were given; this study has 2 settings" in found["error"]


def test_an_alarm_is_passed_on(client, x):
    file = client.upload(counts(x + np.roll(x, 30)))
    _, found = client.request("infer", study="1", files=[file])
    assert any("does not explain the measurement" in alarm for alarm in found["alarms"])
    assert found["chi2"]["p_value"] <= 0.01


def test_a_result_of_another_study_is_not_compared(runs, x, tmp_path):
    """But that of a study that was put aside meanwhile is."""
    session = Session(find_runs([runs]), uploads.Uploads(tmp_path), tmp_path)
    one, other = "1", "2"
    result = session.example(Example(study=one, number=0))["id"]
    with pytest.raises(InputError, match="another study's"):
        session.simulate(AtTheta(study=other, theta=[0, 0], result=result))
    session.opened.clear()
    assert session.simulate(AtTheta(study=one, theta=[0, 0], result=result))


def test_no_export_is_half_a_file(runs, tmp_path, monkeypatch):
    run = open_run(runs / "a")
    x = run.observe(np.zeros((1, 2)), np.random.default_rng(2))[0]
    found = infer(run, Observation(x, (), ("x",)))

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(InputError, match="No space left"):
            exported(run, found, "draws.csv", tmp_path / "r")
    assert len(exported(run, found, "draws.csv", tmp_path / "r").splitlines()) == 4001


def test_mistakes_of_the_command(tmp_path, monkeypatch, runs):
    result = command("app", tmp_path)
    assert result.exit_code == 2 and "holds no run; make one" in result.stderr
    with listen(0) as taken:
        taken.listen()
        result = command("app", runs, "--port", taken.getsockname()[1])
    assert result.exit_code == 2 and "choose another" in result.stderr
    monkeypatch.setitem(sys.modules, "starlette", None)
    for name in [name for name in sys.modules if name.startswith(("raybayes.web", "starlette."))]:
        monkeypatch.delitem(sys.modules, name)
    result = command("app", runs)
    assert result.exit_code == 2 and "pip install 'raybayes[app]'" in result.stderr


def test_it_ends_cleanly(runs, tmp_path):
    """The command prints its link for a machine; when it is ended its uploads are gone."""
    line = [sys.executable, "-m", "raybayes.cli", "app", str(runs / "a"), "--json"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=environment)  # fmt: skip
    try:
        lines = [process.stdout.readline() for _ in range(3)]
        client = Client(json.loads("".join(lines))["link"])
        client.upload(b"1\n")
        assert list(tmp_path.glob("raybayes-*/*.csv"))
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0 and said == "" and not list(tmp_path.glob("raybayes-*"))
