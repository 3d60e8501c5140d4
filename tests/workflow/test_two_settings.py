"""Does a study of two settings go all the way, to its page in a browser and its files?"""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from studies import TINY, command

from raybayes.study.run import Run, open_posterior, open_run
from raybayes.study.study import read_study

TWO = """
[[settings]]
[[settings]]
screen = "M4"
detector = {reads = "image", bins = [20, 24], pitch = [0.4, 0.3]}
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A finished run of profiles and an image, and files of what it may read."""
    folder = tmp_path_factory.mktemp("two")
    study, out = folder / "two.toml", folder / "out"
    one_more = '[parameters]\n"M1.rotationXerror" = [-0.025, 0.025]'
    study.write_text(TINY.replace("[parameters]", one_more) + TWO)
    result = command("run", study, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    run = open_run(out)
    x = run.observe(np.array([[0.01, 0.02, 0.1]]), np.random.default_rng(1))[0]
    assert x.size == run.study.detectors.size == 200 + 480
    files = [folder / "a.txt", folder / "b.txt"]
    for path, part in zip(files, run.study.detectors.parts(x), strict=True):
        np.savetxt(path, part)
    return run, x, files


@pytest.mark.slow
def test_the_page_of_two_settings_draws(two, browser, tmp_path):
    """From a file for each setting, in one file, or with two profiles for the first."""
    run, x, files = two
    page = browser.new_page()
    page.goto(f"file://{run.folder / 'report.html'}")
    page.set_input_files("#flow-file", files)
    page.wait_for_selector("#flow-results:not([hidden])")
    draws = np.array(page.evaluate("raybayes.last"))
    again = open_posterior(run).sample(x, 4000)
    sd = again.std(axis=0)
    assert (np.abs(draws.mean(0) - again.mean(0)) < 0.15 * sd).all()
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=0.15)
    np.savetxt(tmp_path / "all.txt", x)
    for name, part in zip("hv", np.split(x[:200], 2), strict=True):
        np.savetxt(tmp_path / f"{name}.txt", part)
    halves = [tmp_path / "h.txt", tmp_path / "v.txt", files[1]]
    for way in ([tmp_path / "all.txt"], halves):
        page.evaluate("raybayes.last = null")
        page.set_input_files("#flow-file", way)
        page.wait_for_function("raybayes.last !== null")
        np.testing.assert_allclose(page.evaluate("raybayes.last"), draws, rtol=1e-4, atol=1e-6)
    page.set_input_files("#flow-file", files[1:])
    page.wait_for_selector("#flow-message.bad")
    said = page.inner_text("#flow-message")
    assert "reads 680 (200 at setting 1: as it stands, then 480 at setting 2: screen at M4" in said
    page.close()


@pytest.mark.slow
def test_from_a_study_of_two_settings_to_its_files(two, tmp_path):
    """Profiles and an image: run, page, infer, refine; the NeXus file is valid."""
    run, _, files = two
    out = run.folder
    page = (out / "report.html").read_text()
    assert (
        "What the measurement constrains" in page and "This page holds the trained network" in page
    )
    assert "the same settings again" in page and (out / "image.png").exists()
    few = ["-n", 1000, "--moves", 0]
    for word, folder, more in (("infer", "i", []), ("refine", "r", few)):
        result = command(word, out, *files, *more, "--to", tmp_path / folder, "--json")
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert found["done"][-1].startswith("setting 2: screen at M4: Taken as they stand")
        with h5py.File(found["written"]["nexus"]) as file:
            entry = file["entry"]
            assert entry.attrs["default"] == "setting_1_horizontal"
            assert entry["setting_2_image/measured"].shape == (24, 20)
            description = entry["instrument/setting_2_detector/description"][()].decode()
            assert description.endswith("setting 2: screen at M4")
        nxcheck = Path(sys.executable).parent / "nxcheck"
        if nxcheck.exists():
            words = [nxcheck, found["written"]["nexus"]]
            said = subprocess.run(words, capture_output=True, text=True, check=True)
            text = said.stdout + said.stderr
            assert "number of warnings: 0" in text and "number of errors: 0" in text, text
    wrong = command("infer", out, *files, *files)
    assert wrong.exit_code == 2 and "give one file for each in this order" in wrong.stderr


@pytest.mark.slow
def test_the_shipped_study_separates_m1_and_m3(tmp_path):
    """A short run: M1 pitch is known to a tenth of its prior, where the profiles leave 70 %."""
    study, beamline = read_study("ue112-two-settings")
    training = study.training.model_copy(update={"epochs": 4})
    small = {"simulations": 4000, "validation": 200, "training": training}
    run = Run(study.model_copy(update=small), beamline, tmp_path)
    posterior, _ = run.train(run.simulate(), lambda state: None)
    sd_ratio = dict(zip(study.prior.names, run.check(posterior).sd_ratio, strict=True))
    assert sd_ratio["M1.rotationXerror"] < 0.15 and sd_ratio["M3.rotationXerror"] < 0.7
