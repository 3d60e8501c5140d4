"""`raybayes infer`: from a finished run and a measured file to table, page and NeXus file."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray
from conftest import TRUTH
from test_run import command

from raybayes.analysis.beam_alarms import beam_summaries
from raybayes.errors import InputError
from raybayes.observations import Target
from raybayes.report.nexus import Result, write_result
from raybayes.simulate.detector import Detector
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
    assert (out / "observations" / "x.csv" / "result.nxs").exists()


def test_a_dead_camera_raises_the_alarm(finished, tmp_path):
    """A beam that no setting makes: two spots."""
    out, path = finished
    x = np.loadtxt(path)
    np.savetxt(tmp_path / "x.txt", x + np.roll(x, 30))
    result = json.loads(command("infer", out, tmp_path / "x.txt", "--json").stdout)
    assert any("does not explain the measurement" in alarm for alarm in result["alarms"])
    assert any("unlike those that the study simulates" in alarm for alarm in result["alarms"])
    page = (out / "observations" / "x.txt" / "report.html").read_text()
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
    (changed / "study.json").write_text(json.dumps(study))
    plain = json.loads(command("infer", out, path, "--json").stdout)
    result = command("infer", changed, *files, "--gain", 1, "--json")
    assert result.exit_code == 0, result.output
    for a, b in zip(json.loads(result.stdout)["parameters"], plain["parameters"], strict=True):
        assert a["mean"] == pytest.approx(b["mean"], abs=0.05 * b["sd"])


def test_report_again(finished):
    out, _ = finished
    before = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    result = command("report", out, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["report"] == str(out / "report.html")
    assert (out / "report.html").read_bytes() == before


def wrong_cases(out, path, folder):
    study = json.loads((out / "study.json").read_text())
    (folder / "moved").mkdir()
    (folder / "moved" / "study.json").write_text(json.dumps({**study, "beamline": "gone.rml"}))
    (folder / "other").mkdir()
    (folder / "other" / "study.json").write_text(json.dumps({**study, "hash": "0"}))
    (folder / "new").mkdir()
    (folder / "new" / "study.json").write_text(json.dumps(study))
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


def made(reads):
    """A result of 4 x 3 bins."""
    rng = np.random.default_rng(0)
    size = 12 if reads == "image" else 7
    edges = (np.arange(5.0) / 10, np.arange(4.0) / 10)
    return Result(
        title="t", targets=[Target(reads, edges)],
        x=rng.poisson(10, size).astype(float), predicted=rng.poisson(10, (20, size)).astype(float),
        names=("M4.rotationXerror", "Exit Slit.openingHeight"), units=("mrad", "mm"),
        draws=rng.standard_normal((50, 2)), log_prob=rng.standard_normal(50),
        done=("Read a.", "Done b."), alarms=("Wrong.",), made_by={"raybayes": "1", "seed": "3"},
    )  # fmt: skip


@pytest.mark.parametrize("reads", ["profiles", "image"])
def test_nexus_is_valid(reads, tmp_path):
    """nxcheck, from nxvalidate, finds neither an error nor a warning."""
    nxcheck = Path(sys.executable).parent / "nxcheck"
    if not nxcheck.exists():
        pytest.skip("nxvalidate is not installed")
    path = tmp_path / "a.nxs"
    write_result(path, made(reads))
    found = subprocess.run([nxcheck, path], capture_output=True, text=True, check=True)
    text = found.stdout + found.stderr
    assert "number of warnings: 0" in text and "number of errors: 0" in text, text


@pytest.mark.parametrize("reads", ["profiles", "image"])
def test_nexus_default_plot(reads, tmp_path):
    """The way of the `default` attributes ends at the measurement beside the predicted median."""
    path, result = tmp_path / "a.nxs", made(reads)
    write_result(path, result)
    with h5py.File(path) as file:
        group = file
        while "default" in group.attrs:
            group = group[group.attrs["default"]]
        assert group.attrs["NX_class"] == "NXdata" and group.attrs["signal"] == "measured"
        assert list(group.attrs["auxiliary_signals"]) == ["predicted_median"]
        seen = result.x.reshape(3, 4) if reads == "image" else result.x[:4]
        np.testing.assert_array_equal(group["measured"], seen)
        for axis, n in zip(group.attrs["axes"], seen.shape, strict=True):
            assert group[axis].shape == (n,) and group[axis].attrs["units"] == "mm"
        process = file["entry/process"]
        assert process["data_reduction/data"][()].decode() == "Read a.\nDone b."
        assert process["alarms/data"][()].decode() == "Wrong."
        assert "seed = 3" in process["made_by/data"][()].decode()
        assert file["entry/instrument/Exit_Slit_openingHeight/value"].attrs["units"] == "mm"


def test_xarray_opens_it(tmp_path):
    """/entry/inference is a DataTree of ArviZ' groups."""
    path, result = tmp_path / "a.nxs", made("profiles")
    write_result(path, result)
    with xarray.open_datatree(path, group="/entry/inference", engine="h5netcdf") as tree:
        assert set(tree.children) == {
            "posterior", "sample_stats", "posterior_predictive", "observed_data",
        }  # fmt: skip
        posterior = tree["posterior"]
        draws = posterior["M4.rotationXerror"]
        assert draws.dims == ("chain", "draw") and draws.attrs["units"] == "mrad"
        np.testing.assert_array_equal(draws[0], result.draws[:, 0])
        assert posterior.attrs["seed"] == "3"
        np.testing.assert_array_equal(tree["observed_data"]["x"], result.x)
        assert tree["posterior_predictive"]["x"].dims == ("chain", "draw", "bin")


def test_names_that_hdf5_cannot_hold(tmp_path):
    """A slash is a group there; what is no ASCII letter is alike."""
    path = tmp_path / "a.nxs"
    write_result(path, replace(made("profiles"), names=("M1/2.ä", "M1/2.ö")))
    with xarray.open_datatree(path, group="/entry/inference", engine="h5netcdf") as tree:
        assert list(tree["posterior"].data_vars) == ["M1_2.ä", "M1_2.ö"]
    with h5py.File(path) as file:
        names = [file[f"entry/instrument/M1_2___{i}/name"][()].decode() for i in (1, 2)]
    assert names == ["M1/2.ä", "M1/2.ö"]


def test_no_partial_result(tmp_path, monkeypatch):
    path = tmp_path / "a.nxs"
    write_result(path, made("image"))
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_result(path, made("profiles"))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("reads", ["profiles", "image"])
def test_summaries_of_a_beam(reads):
    """Total, centroid and width of a Gaussian beam, above its background."""
    detector = Detector(
        reads=reads, bins=(60, 50), bin_width=(0.01, 0.01), background=4, read_noise=0
    )
    edges = [detector.edges(axis) for axis in (0, 1)]
    x, y = ((e[1:] + e[:-1]) / 2 for e in edges)
    along = [np.exp(-0.5 * ((x - 0.05) / 0.04) ** 2), np.exp(-0.5 * ((y + 0.03) / 0.02) ** 2)]
    image = 1e5 * np.outer(along[1] / along[1].sum(), along[0] / along[0].sum()) + 4
    flat = image.ravel() if reads == "image" else np.concatenate(
        [1e5 * a / a.sum() + 4 for a in along]
    )  # fmt: skip
    found = beam_summaries(detector, flat[None])[0]
    np.testing.assert_allclose(found, [1e5, 50, -30, 40, 20], rtol=0.01)


METRIX = Path(__file__).parents[1] / "docs" / "metrix.toml"


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
