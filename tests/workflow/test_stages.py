"""Does each stage of a study alone, train, check or refine, do what the whole does?"""

import json
from dataclasses import asdict

import h5py
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from studies import TINY, TRUTH, command

from raybayes.cli import infer
from raybayes.errors import InputError
from raybayes.inference.posterior import Posterior
from raybayes.store import read_json, write_json
from raybayes.workflow.refine import Refining


def test_train_makes_no_simulations_and_equals_run(tmp_path):
    study = tmp_path / "tiny.toml"
    study.write_text(TINY.replace("seed = 3", 'seed = 3\nchecks = "ranks"'))
    out = tmp_path / "out"
    refused = command("train", study, "--out", out)
    line = f"raybayes simulate {study} --out {out}"
    assert refused.exit_code == 2 and f"12 of 12 shards of simulations are missing; make them " \
        f"first: {line}" in refused.stderr  # fmt: skip
    assert not out.exists()
    assert command(*line.split()[1:], "--shards", "0-10").exit_code == 0
    assert "1 of 12 shards" in command("train", study, "--out", out).stderr
    assert command(*line.split()[1:]).exit_code == 0
    result = command("train", study, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["epochs"] == 4 and np.isfinite(found["validation_nats"])
    weights = (out / "posterior.safetensors").read_bytes()
    again = command("train", study, "--out", out)  # resumes, with nothing left to do
    assert "4 epochs on 600 simulations" in again.stdout and "posterior:" in again.stdout
    assert command("run", study, "--out", out).exit_code == 0
    assert (out / "posterior.safetensors").read_bytes() == weights
    checked = command("check", out)
    assert "By ranks alone" in checked.stdout


def test_train_of_an_online_study(tmp_path):
    study = tmp_path / "tiny.toml"
    study.write_text(TINY.replace("seed = 3", "seed = 3\nonline = true"))
    result = command("train", study, "--out", tmp_path / "out")
    assert result.exit_code == 2 and "use raybayes run" in result.stderr


def test_check(finished):
    out, _ = finished
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    result = command("check", out, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    exact = found["exact"]
    values = [v for key, v in exact.items() if key.endswith("p_value")]
    assert len(values) == 4 and all(0 <= p <= 1 for p in values)
    assert set(exact["intervals"]) == set(found["parameters"])
    assert all(row["factor"] > 0 and 0 <= row["held"] <= 1 for row in exact["intervals"].values())
    table = command("check", out)
    assert "ranks of the log-likelihood: p =" in table.stdout and "rms error" in table.stdout
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


@pytest.mark.slow
def test_refine(finished, tmp_path, monkeypatch):
    """The table's numbers, the file's equal draws and its weighted ones agree."""
    monkeypatch.setattr("raybayes.inference.importance.TRUSTED", np.inf)
    out, path = finished
    few = ["-n", 4000, "--moves", 8]
    result = command("refine", out, path, *few, "--to", tmp_path / "r", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["draws"] == 4000 and 0 < found["ess"] < 4000 and found["sentence"]
    inferred = json.loads(command("infer", out, path, "--json").stdout)
    with h5py.File(found["written"]["nexus"]) as file:
        tree = file["entry/inference"]
        weight = np.exp(tree["weighted/log_weight"][0])
        assert weight.sum() == pytest.approx(1)
        assert "pareto_k" in str(list(tree["posterior"].attrs))
        for row, plain in zip(found["parameters"], inferred["parameters"], strict=True):
            name = row["parameter"]
            assert row["network"]["mean"] == plain["mean"]
            assert weight @ tree["weighted"][name][0] == pytest.approx(row["mean"])
            equal = tree["posterior"][name][0]
            assert abs(equal.mean() - row["mean"]) < 5 * row["sd"] / np.sqrt(found["ess"])
            assert len(np.unique(equal)) > 0.9 * len(equal)
            assert row["low"] < row["mean"] < row["high"] and row["sd"] < 1.2 * plain["sd"]
    assert found["moves"] == 8 and 0.02 < found["accepted"] < 1
    duplicates = command(
        "refine", out, path, "-n", 1000, "--moves", 0, "--to", tmp_path / "t", "--json"
    )
    assert json.loads(duplicates.stdout)["accepted"] == 0
    page = (tmp_path / "r" / "report.html").read_text()
    assert f"{found['ess']:.0f} of 4000 draws" in page and page.count("base64,") == 3
    table = command("refine", out, path, "-n", 1000, "--moves", 0)
    assert "by the exact likelihood" in table.stdout and "log evidence" in table.stdout
    assert len(list((out / "refined").glob(f"{path.name}-*/result.nxs"))) == 1


def test_refine_has_the_same_defaults_on_the_command_line():
    """Which does not import the function for its help."""
    assert asdict(infer.RefiningOptions()) == asdict(Refining())


def test_refine_needs_the_exact_likelihood(finished, tmp_path):
    out, path = finished
    study = read_json(out / "study.json")
    study["study"]["tracing"]["mode"] = "counting"
    write_json(tmp_path / "study.json", study)
    (tmp_path / "posterior.safetensors").write_bytes((out / "posterior.safetensors").read_bytes())
    result = command("refine", tmp_path, path)
    assert result.exit_code == 2 and "changed after the run" in result.stderr


@pytest.mark.slow
def test_a_network_too_narrow_is_said(finished, monkeypatch, tmp_path):
    """A Gaussian beside the exact posterior, a third as wide; moves lead its draws to it."""
    out, path = finished
    exact = json.loads(command("refine", out, path, "-n", 2000, "--json").stdout)["parameters"]
    mean, sd = (np.array([row[key] for row in exact]) for key in ("mean", "sd"))
    beside = multivariate_normal(mean + 0.5 * sd, np.diag((0.3 * sd) ** 2))
    monkeypatch.setattr(Posterior, "sample", lambda _, x, n, seed=0: beside.rvs(n, seed))
    monkeypatch.setattr(Posterior, "log_prob", lambda _, theta, x: beside.logpdf(theta))
    duplicates = command("refine", out, path, "-n", 1000, "--moves", 0)
    assert duplicates.exit_code == 0, duplicates.output
    assert (
        "too narrow here to be corrected" in duplicates.stdout
        and "MCMC moves took" not in duplicates.stdout
    )
    few = ["-n", 1000, "--moves", 10, "--to", tmp_path, "--json"]

    def no_distribution(*arguments):
        raise InputError("no distribution")

    for confirmed in (True, False, False):
        found = json.loads(command("refine", out, path, *few).stdout)
        assert ("weighed: worth" in found["sentence"]) == found["trusted"] == confirmed
        assert ("the evidence is a guess" in found["sentence"]) != confirmed
        with h5py.File(found["written"]["nexus"]) as file:
            for row, truth in zip(found["parameters"], TRUTH, strict=True):
                draws = file["entry/inference/posterior"][row["parameter"]][0]
                apart = 0.2 * row["sd"] if confirmed else 1e-9
                assert row["mean"] == pytest.approx(draws.mean(), abs=apart)
                assert abs(row["mean"] - truth) < 5 * row["sd"]
                assert len(np.unique(draws)) > 0.8 * len(draws)
        if not confirmed:
            assert found["ess"] < 200  # of the network's own draws
            monkeypatch.setattr("raybayes.workflow.refine.refitted", no_distribution)
        monkeypatch.setattr("raybayes.inference.importance.TRUSTED", -10)


def test_a_simulator_that_is_off_at_the_draws_is_an_alarm(finished, tmp_path, monkeypatch):
    """In the command's numbers, and in the page."""
    from dataclasses import replace

    from raybayes.workflow import refine

    settled = refine.settled

    def off(*arguments):
        run, refined, row = settled(*arguments)
        return run, refined, replace(row, noise=30.0, uncertainty=0.01)

    monkeypatch.setattr(refine, "settled", off)
    out, path = finished
    result = command("refine", out, path, "-n", 500, "--moves", 0, "--to", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    words = "the simulator is off by 30 times the variance"
    assert any(words in alarm for alarm in json.loads(result.stdout)["alarms"])
    assert words in (tmp_path / "report.html").read_text()
