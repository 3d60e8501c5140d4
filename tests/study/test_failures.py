"""Are simulations that fail counted, recorded and limited?"""

import json

import numpy as np
import pytest
from campaigns import campaign, flaky, whole
from studies import command, shards

from raybayes.simulate.failures import Failures


def test_failures_are_recorded(slow, tmp_path):
    """Exceptions, NaN and lost beams, by their reasons; a busy program is tried again."""
    study = flaky(tmp_path, 'at_most = 0.6\nlost_beam = "fail"\nretries = 4')
    out = tmp_path / "out"
    result = command("simulate", study, "-n", 200, "--out", out)
    assert result.exit_code == 0, result.output
    said = result.stdout
    made = campaign(study, out)
    made.store.open()
    headers = list(made.store.headers(made.store.shards(200)))
    failed = [each for header in headers for each in header["failed"]]
    theta = np.array([each["theta"] for each in failed])
    reasons = {each["reason"] for each in failed}
    assert reasons >= {"RuntimeError: evanescent", "the profile is not finite"}
    assert "no light on the detector" in reasons
    dark = np.abs(theta[:, 1]) < 0.1
    assert (dark | (np.abs(theta[:, 0]) > 0.05) | np.isin(
        [each["reason"] for each in failed], ["TimeoutError: busy"])).all()  # fmt: skip
    kept = made.store.read(200)
    assert len(kept["theta"]) == 200 - len(failed) and np.isfinite(kept["profile"]).all()
    assert f"{len(failed)} of 200 simulations failed and are left out" in said
    assert "were tried more than once" in said
    assert shards(out).items() <= whole(study, tmp_path / "again").items()


RULES = {
    "none": ("at_most = 0.0\nretries = 0", r"1 of 50 simulations failed"),
    "stop": ('then = "stop"\nretries = 0', r"1 of 50 simulations failed"),
    "too many": ("at_most = 0.05", r"3 of 50 simulations failed"),
    "unknown": ("at_mots = 0.05", r"key 'failures.at_mots'"),
}


@pytest.mark.parametrize("case", RULES)
def test_rules_of_failure(case, slow, tmp_path):
    rule, message = RULES[case]
    result = command("simulate", flaky(tmp_path, rule), "--out", tmp_path / "out")
    assert result.exit_code == 2 and message in result.stderr
    assert "raybayes: " in result.stderr and "Traceback" not in result.stderr


def test_how_many_may_fail():
    """One of a small shard, but not the only one."""
    rule = Failures(at_most=0.1)
    assert [rule.allowed(n) for n in (1, 2, 9, 10, 25, 1000)] == [0, 1, 1, 1, 2, 100]
    assert Failures(at_most=1.0).allowed(1) == 1
    assert Failures(at_most=0.0).allowed(1000) == Failures(then="stop").allowed(1000) == 0


NEGATIVE = """
import numpy as np

def slow(theta):
    profiles = np.repeat(np.abs(theta[:, :1]), 200, axis=1)
    theta *= 1e-3
    profiles[:, 3] = np.where(theta[:, 1] > 0, -1e-3, -1e-15)
    return profiles
"""


def test_functions_that_change_theta_or_go_below_zero(slow, tmp_path):
    (tmp_path / "engine_of_test.py").write_text(NEGATIVE)
    slow.write_text(slow.read_text() + "[failures]\nat_most = 0.9\nretries = 0\n")
    result = command("simulate", slow, "-n", 50, "--out", tmp_path / "out", "--json")
    failed = json.loads(result.stdout)["failed"]
    assert list(failed) == ["the profile is negative in a bin"]
    made = campaign(slow, tmp_path / "out").store.read(50)
    assert (made["theta"][:, 1] <= 0).all() and np.abs(made["theta"][:, 0]).max() > 0.01
    np.testing.assert_array_equal(made["profile"][:, 0], np.abs(made["theta"][:, 0]))


def test_a_dark_detector_is_an_observation(slow, tmp_path):
    study = flaky(tmp_path, "at_most = 0.6\nretries = 9")
    result = command("simulate", study, "-n", 100, "--out", tmp_path / "out")
    assert "kept simulations have no light at all" in result.stdout
