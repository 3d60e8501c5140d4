"""A study of one profile whose data may have gaps: from its training to a refined posterior."""

import json

import h5py
import numpy as np
import pytest
from studies import TINY, TRUTH, command

from raybayes.analysis.measurement import Trained, measure
from raybayes.inference.importance import importance
from raybayes.study.run import exact_likelihood, open_run


@pytest.fixture(scope="module")
def gapped(once):
    """A run of the vertical profile alone, and a file of counts with a dead stretch in the beam."""

    def make(folder):
        text = TINY.replace("simulations = 600", "simulations = 2000\ngaps = 0.5")
        (folder / "gapped.toml").write_text(
            text.replace("epochs = 4", "epochs = 12")
            + "[detector]\nbins = [0, 100]\nphotons = 2e3\n"
        )
        result = command("run", folder / "gapped.toml", "--out", folder / "out", "--json")
        assert result.exit_code == 0, result.output
        (folder / "result.json").write_text(result.stdout)
        x = open_run(folder / "out").observed(TRUTH[None], np.random.default_rng(1))[1][0]
        np.savetxt(folder / "whole.csv", x)
        x[45:52] = np.nan
        np.savetxt(folder / "x.csv", x)

    return once("gapped", make)


def test_the_posterior_leaves_them_out(gapped, tmp_path):
    """What would stand in the gap changes nothing; the truth is held, and the file says NaN."""
    found = command("infer", gapped / "out", gapped / "x.csv", "--to", tmp_path, "--json")
    assert found.exit_code == 0, found.output
    result = json.loads(found.stdout)
    assert any("7 of the study's 100 vertical bins have no reading" in s for s in result["done"])
    assert not result["alarms"]
    for row, truth in zip(result["parameters"], TRUTH, strict=True):
        assert abs(row["mean"] - truth) < 5 * row["sd"]
    with h5py.File(tmp_path / "result.nxs") as file:
        x = file["entry/inference/observed_data/x"][:]
    assert np.flatnonzero(np.isnan(x)).tolist() == list(range(45, 52))
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_refined_by_the_known_bins_alone(gapped, tmp_path):
    """Beside weights of a likelihood that is summed over the other bins by hand."""
    found = command("refine", gapped / "out", gapped / "x.csv", "--to", tmp_path, "--json")
    assert found.exit_code == 0, found.output
    run = open_run(gapped / "out")
    x = np.loadtxt(gapped / "x.csv")
    theta = run.study.prior.sample(4000, np.random.default_rng(3))
    profile, known = run.simulator.profiles(theta, None)[0], ~np.isnan(x)
    counts = run.study.detector.expected_counts(profile)[:, known]
    variance = run.study.detector.variance(counts)
    log_p = -0.5 * ((x[known] - counts) ** 2 / variance + np.log(variance)).sum(axis=1)
    weighed = importance(theta, log_p, np.zeros(len(theta)))
    for j, row in enumerate(json.loads(found.stdout)["parameters"]):
        assert row["mean"] == pytest.approx(weighed.mean()[j], abs=1.0 * row["sd"])
        assert 0.5 < row["sd"] / weighed.sd()[j] < 2
    assert np.isfinite(exact_likelihood(run, x)(theta[:5])).all()


def test_checked_with_gaps_too(gapped):
    rows = json.loads((gapped / "result.json").read_text())["parameters"]
    assert all(0 <= row["gapped_rank_p_value"] <= 1 for row in rows.values())
    assert "with gaps" in command("check", gapped / "out").stdout


def test_other_studies_say_what_to_do(finished, tmp_path):
    out, path = finished
    x = np.loadtxt(path)
    x[50] = np.nan
    np.savetxt(tmp_path / "x.csv", x)
    result = command("infer", out, tmp_path / "x.csv")
    assert result.exit_code == 2 and "no finite number" in result.output


def test_alarms_compare_like_with_like(gapped):
    """A measured beam with a gap beside simulated ones with the same; else each would be unlike."""
    run = open_run(gapped / "out")
    found = Trained(run).infer(measure(run, [gapped / "x.csv"], {}))
    assert found.unlike.p_value[0] > 0.01 and len(found.check.chi2) == len(found.predicted)
    total = found.beam(run.study.detectors)[0]
    assert total["low"] < total["measured"] < total["high"]
