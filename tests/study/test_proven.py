"""OUT/simulator.json: rays are chosen once, kept, and refused where none are enough."""

import json
from dataclasses import replace

import pytest
from studies import TINY, command

from raybayes.errors import InputError
from raybayes.simulate import accuracy
from raybayes.study import accuracy as kept
from raybayes.study.plan import Plan


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proven")
    (folder / "tiny.toml").write_text(TINY.replace("tolerance = 5.0", "tolerance = 0.05"))
    plan, beamline = Plan.read(folder / "tiny.toml")
    told = []
    better, found = kept.proven(plan, beamline, folder / "out", told.append)
    kept.write_proven(found, folder / "out")
    return plan, beamline, better, found, folder, told


def test_rays_are_raised_until_they_are_enough(chosen):
    plan, _, better, found, _, told = chosen
    assert plan.tracing.rays == 128 < better.tracing.rays and better.tracing == found.tracing
    assert 0 < found.error < 0.05 and better.tracing.tolerance == 0.05
    assert "trying 128 rays" in told and f"{better.tracing.rays} rays" in found.sentence


def test_the_study_alone_determines_the_choice(chosen, proven_once):
    """Found anew, beside what all tests share."""
    plan, beamline, _, found, _, told = chosen
    again = []
    assert proven_once(plan, beamline, found.asked, again.append) == found and again == told


def test_the_choice_is_kept(chosen, monkeypatch):
    plan, beamline, better, found, folder, _ = chosen
    monkeypatch.setattr(kept, "choose", None)  # it is not asked again
    for asked in (plan, better):  # as written, and as the run's own study says
        again, same = kept.proven(asked, beamline, folder / "out")
        assert again == better and same == found


def test_simulate_and_run_take_the_same(chosen, tmp_path):
    folder = chosen[4]
    out = tmp_path / "out"
    one = command("simulate", folder / "tiny.toml", "-n", 50, "--out", out)
    assert one.exit_code == 0, one.output
    assert "the simulator's own error" in one.output.lower()
    shard = json.loads((out / "simulator.json").read_text())
    assert shard["tracing"]["rays"] == chosen[3].tracing.rays


@pytest.mark.parametrize("harm", ["{", '{"error": 0}', "edited"])
def test_a_damaged_file_is_refused(chosen, tmp_path, harm):
    found, folder = chosen[3], chosen[4]
    text = (folder / "out" / kept.FILE).read_text()
    harmed = text.replace(f'"error": {found.error}', '"error": 0.0') if harm == "edited" else harm
    assert harmed != text
    (tmp_path / kept.FILE).write_text(harmed)
    with pytest.raises(InputError, match=r"is damaged .*delete it"):
        kept.read_proven(tmp_path)


def test_what_no_rays_make_right_is_refused(chosen, monkeypatch):
    plan, beamline = chosen[:2]
    good = accuracy.choose(plan.simulator(beamline), plan.tracing, 0, most=100_000)
    bad = tuple(
        replace(row, noise=7.0, point=replace(row.point, lost_at="ES")) for row in good.rows
    )
    monkeypatch.setattr(kept, "choose", lambda *_, **__: replace(good, rows=bad))
    words = (
        r"7 times the variance .* lost at ES .*what helps: wider bins, fewer photons .*ends before"
    )
    with pytest.raises(InputError, match=words):
        kept.prove(plan, beamline, "")


def test_the_choice_of_another_study_is_replaced(chosen, tmp_path):
    """In a folder without simulations: else the report would speak of another study."""
    found = chosen[3]
    kept.write_proven(replace(found, asked="another"), tmp_path)
    kept.write_proven(found, tmp_path)
    assert kept.read_proven(tmp_path) == found
