"""Does one command lead from a study to its report, and again to the same?"""

import json

import numpy as np
import pytest
from studies import TINY, command, shards

from raybayes.inference.posterior import Posterior
from raybayes.study.run import Run
from raybayes.study.study import read_study


def test_run_online(tiny, tmp_path):
    """Nothing is stored but the network; the same seed gives the same weights."""
    tiny.write_text(TINY.replace("seed = 3", 'seed = 3\nonline = true\nchecks = "ranks"'))
    found = []
    for name in ("a", "b"):
        out = tmp_path / name
        result = command("run", tiny, "--out", out, "--json")
        assert result.exit_code == 0, result.output
        assert not (out / "simulations").exists() and (out / "report.html").exists()
        found.append((out / "posterior.safetensors").read_bytes())
    assert found[0] == found[1]


SIGN = """
name = "sign"
checks = "ranks"
beamline = "ue112_pgm1.rml"
simulations = 4000
shard = 2000
validation = 100
[parameters]
"M4.rotationYerror" = [-2.0, 2.0]
"M4.rotationZerror" = [-0.5, 0.5]
[detector]
photons = 2e4
{detector}
[tracing]
rays = 128
[density]
transform = "spline"
layers = 4
widths = [32]
embedding = {embedding}
[training]
epochs = 15
"""
READS = {
    "profiles": ("", "{widths = [64, 32]}", (2, "profile")),
    "image": (
        'reads = "image"\nbins = [24, 24]\npitch = [0.04, 0.01]',
        '{kind = "convolution", shape = [1, 24, 24], channels = [8, 16], width = 32}',
        (1, "image"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("reads", READS)
def test_modes_of_a_trained_posterior(reads, tmp_path):
    """The sign of M4's yaw: left open by two profiles, told by an image."""
    detector, embedding, (modes, word) = READS[reads]
    study = tmp_path / "sign.toml"
    study.write_text(SIGN.format(detector=detector, embedding=embedding))
    out = tmp_path / "out"
    result = command("run", study, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    assert f"What the {word} constrains" in (out / "report.html").read_text()
    assert (out / "image.png").exists() == (reads == "image")
    run = Run(*read_study(study), out)
    x = run.observe(np.array([[1.2, 0.1]] * 20), np.random.default_rng(1))
    draws = Posterior.load(out / "posterior.safetensors").sample(x, 500)
    wrong = (draws[..., 0] < 0).mean()
    assert wrong > 0.2 if modes == 2 else wrong < 0.02


def test_run_and_run_again(tiny, tmp_path):
    out = tmp_path / "out"
    first = command("run", tiny, "--out", out, "--json")
    assert first.exit_code == 0, first.output
    result = json.loads(first.stdout)
    assert set(result["parameters"]) == {"M4.rotationXerror", "M4.rotationZerror"}
    page = (out / "report.html").read_text()
    assert (
        page.count("data:image/png;base64,") == 8 and "http:" not in page and "https:" not in page
    )
    for name in (
        "recovery",
        "corner",
        "profile",
        "ranks",
        "training",
        "calibration",
        "alarms",
        "exact",
    ):
        assert (out / f"{name}.png").stat().st_size > 1000
    before = shards(out)
    again = command("run", tiny, "--out", out, "--json")
    repeated = {**json.loads(again.stdout), "counting_seconds": result["counting_seconds"]}
    assert repeated == result and shards(out) == before
    assert result["counted_rays"] > 100 * 2 * 20_000 * 0.9  # of photons, for 100 pairs
    posterior = Posterior.load(out / "posterior.safetensors")
    assert posterior.made_by["study"] == "tiny" and posterior.sample(np.ones(200), 3).shape == (
        3,
        2,
    )
    table = command("run", tiny, "--out", out)
    assert "M4.rotationXerror" in table.stdout and "report:" in table.stdout


@pytest.mark.slow
def test_ue112_is_calibrated(tmp_path):
    """A shortened run of the shipped study: ranks of all six parameters are uniform.

    Half as many simulations are too few: p of some parameter is below .004 for most seeds.
    """
    study, beamline = read_study("ue112")
    training = study.training.model_copy(update={"epochs": 16})
    study = study.model_copy(update={"simulations": 30_000, "training": training})
    run = Run(study, beamline, tmp_path)
    posterior, _ = run.train(run.simulate(), lambda state: None)
    checks = run.check(posterior)
    assert checks.calibration.uniform().all()
    sd_ratio = dict(zip(study.prior.names, checks.sd_ratio, strict=True))
    assert sd_ratio["M4.rotationXerror"] < 0.75 and sd_ratio["M4.rotationYerror"] < 0.85
    assert sd_ratio["M1.rotationXerror"] > 0.5 and sd_ratio["M3.rotationXerror"] > 0.5
