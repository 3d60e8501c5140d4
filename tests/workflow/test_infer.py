"""Does `raybayes infer` lead from a measured file to table, page and NeXus file?"""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from studies import TRUTH, command

from raybayes.simulate.detector import Detector
from raybayes.store import read_json, write_json
from raybayes.study.run import Run
from raybayes.study.study import read_study


def test_table_page_and_file(finished, tmp_path):
    out, path = finished
    result = command("infer", out, path, "--to", tmp_path / "a", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    for row, truth in zip(found["parameters"], TRUTH, strict=True):
        assert abs(row["mean"] - truth) < 5 * row["sd"] and row["unit"] == "mrad"
        assert row["low"] < row["median"] < row["high"]
    page = (tmp_path / "a" / "report.html").read_text()
    assert "x.csv" in page and found["done"][0] in page and page.count("base64,") == 2
    table = command("infer", out, path)
    assert "M4.rotationZerror" in table.stdout and "68 % interval" in table.stdout
    assert len(list((out / "observations").glob("x.csv-*/result.nxs"))) == 1


def test_a_dead_camera_raises_the_alarm(finished, tmp_path):
    """A beam that no setting makes: two spots."""
    out, path = finished
    x = np.loadtxt(path)
    np.savetxt(tmp_path / "x.txt", x + np.roll(x, 30))
    result = json.loads(command("infer", out, tmp_path / "x.txt", "--json").stdout)
    assert any("does not explain the measurement" in alarm for alarm in result["alarms"])
    assert any("unlike those that the study simulates" in alarm for alarm in result["alarms"])
    page = Path(result["written"]["report"]).read_text()
    assert 'role="alert"' in page


def test_options_of_study_and_command(finished, tmp_path):
    """Profiles with positions; what stands on the command line comes first."""
    out, path = finished
    x, detector = np.loadtxt(path), Detector()
    files = []
    for axis, part in enumerate((x[:100], x[100:])):
        edges = 1e3 * detector.edges(axis)
        table = np.stack([(edges[1:] + edges[:-1]) / 2, part], 1)
        files.append(tmp_path / f"{axis}.csv")
        np.savetxt(files[-1], table, delimiter=",")
    study = json.loads((out / "study.json").read_text())
    study["study"]["observation"] = {"unit": "um", "gain": 3}
    changed = tmp_path / "changed"
    changed.mkdir()
    for name in ("posterior.safetensors",):
        (changed / name).write_bytes((out / name).read_bytes())
    study.pop("checksum")
    write_json(changed / "study.json", study)
    plain = json.loads(command("infer", out, path, "--json").stdout)
    result = command("infer", changed, *files, "--gain", 1, "--json")
    assert result.exit_code == 0, result.output
    for a, b in zip(json.loads(result.stdout)["parameters"], plain["parameters"], strict=True):
        assert a["mean"] == pytest.approx(b["mean"], abs=0.05 * b["sd"])


def test_files_of_one_name_keep_their_results(finished, tmp_path):
    """dayB/x.csv does not replace what dayA/x.csv gave."""
    out, path = finished
    written = []
    for day, factor in (("dayA", 1.0), ("dayB", 1.01)):
        (tmp_path / day).mkdir()
        np.savetxt(tmp_path / day / "x.csv", factor * np.loadtxt(path))
        found = json.loads(command("infer", out, tmp_path / day / "x.csv", "--json").stdout)
        written.append(Path(found["written"]["nexus"]))
    assert written[0] != written[1] and all(each.exists() for each in written)


def test_report_again(finished):
    out, _ = finished
    before = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    result = command("report", out, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["report"] == str(out / "report.html")
    assert (out / "report.html").read_bytes() == before


def wrong_cases(out, path, folder):
    study = read_json(out / "study.json")
    (folder / "moved").mkdir()
    write_json(folder / "moved" / "study.json", {**study, "beamline": "gone.rml"})
    (folder / "other").mkdir()
    write_json(folder / "other" / "study.json", {**study, "hash": "0"})
    (folder / "new").mkdir()
    write_json(folder / "new" / "study.json", study)
    (folder / "short.txt").write_text("1\n2\n")
    return {
        "no run": (folder, path, "holds no run of raybayes"),
        "moved": (folder / "moved", path, "gone.rml"),
        "changed": (folder / "other", path, "was changed after the run"),
        "not trained": (folder / "new", path, "has not been trained yet"),
        "short": (out, folder / "short.txt", "2 readings, but the study's detector has 200"),
        "missing": (out, folder / "none.txt", "cannot be read"),
    }


def test_refused_in_a_sentence(finished, tmp_path):
    for name, (out, path, message) in wrong_cases(*finished, tmp_path).items():
        result = command("infer", out, path)
        assert result.exit_code == 2 and message in result.stderr, name
        assert result.stderr.count("\n") == 1 and "Traceback" not in result.stderr
    result = command("infer", *finished, "--rotate", 45)
    assert result.exit_code == 2 and "rotate" in result.stderr
    result = command("report", tmp_path / "new")
    assert result.exit_code == 2 and "has not been trained yet" in result.stderr


METRIX = Path(__file__).parents[2] / "docs" / "metrix.toml"


@pytest.mark.slow
def test_a_measured_picture(shared, tmp_path, monkeypatch):
    """A real camera's picture goes through a study of METRIX to a page; the alarm is honest."""
    monkeypatch.setenv("RAYBAYES_SHARED", str(shared))
    study, beamline = read_study(METRIX)
    training = study.training.model_copy(update={"epochs": 2})
    light = {"layers": 2, "members": 1, "widths": (16,)}
    density = study.density.model_copy(update=light)
    small = {"simulations": 500, "validation": 100, "training": training, "density": density}
    run = Run(study.model_copy(update=small), beamline, tmp_path / "out")
    run.claim()
    run.train(run.simulate(), lambda state: None)
    picture = shared / "metrix" / "real" / "10.bmp"
    result = command("infer", tmp_path / "out", picture, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    text = " ".join(found["done"])
    assert "Dark frame black.bmp" in text and "48 bins of 8 um" in text
    assert any("does not explain the measurement" in alarm for alarm in found["alarms"])
    with h5py.File(found["written"]["nexus"]) as file:
        image = file["entry/image/measured"][()]
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert 20 <= row < 28 and 20 <= column < 28 and 4.5e4 < image.sum() < 6e4
