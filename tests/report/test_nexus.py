"""Is the NeXus file valid, whole, and read by others?"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray
from targets import IMAGE

from raybayes.errors import InputError
from raybayes.observations import Reading, Target, read_observation
from raybayes.report.nexus import Result, write_result


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


def test_the_file_keeps_what_was_given(tmp_path):
    np.save(tmp_path / "spot.npy", np.arange(2400.0).reshape(40, 60))
    observation = read_observation([tmp_path / "spot.npy"], IMAGE, Reading(pixel_size=0.002))
    result = made("image")
    path = tmp_path / "a.nxs"
    write_result(path, replace(result, observation=observation, seed=7))
    with h5py.File(path) as file:
        given = file["entry/given"]
        assert given["seed"][()] == 7 and given["path"].asstr()[0].endswith("spot.npy")
        assert len(given["sha256"].asstr()[0]) == 64
        assert given["options/pixel_size"][()].tolist() == [0.002, 0.002]
        np.testing.assert_array_equal(given["raw_1"], np.load(tmp_path / "spot.npy"))
