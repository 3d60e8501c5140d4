"""Do new, show, doctor and trace answer as a new user types them?"""

import json

import numpy as np
import pytest
from studies import UE112, command
from typer.testing import CliRunner

from raybayes.cli import app
from raybayes.study.plan import Plan
from raybayes.study.study import read_study
from raybayes.workflow.self_test import Check


def test_trace_in_numbers():
    result = command("trace", UE112, "--rays", 2000, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["plane"] == "IP" and found["traced"] == 2000
    assert found["rays"] + sum(found["lost_at"].values()) == 2000
    assert found["flux"] is None and len(found["rms"]) == 2
    assert found["resolving_power"] == pytest.approx(4484, rel=0.02) and found["missed"] is None


def test_trace_of_a_footprint(tmp_path):
    result = command("trace", UE112, "--rays", 2000, "--plane", "M1", "--spot", tmp_path / "m1.png")
    assert result.exit_code == 0 and "x across and z along it" in result.stdout
    assert "of the light that comes to it" in result.stdout and (tmp_path / "m1.png").stat().st_size


def test_trace_at_a_theta(tmp_path):
    """M4 pitch: 2 q4 d = 240 um for 0.1 mrad."""
    words = ("trace", UE112, "--rays", 2000, "--json")
    there = json.loads(command(*words, "--theta", "M4.rotationXerror=0.1").stdout)
    moved = there["centroid"][0] - json.loads(command(*words).stdout)["centroid"][0]
    assert abs(moved) == pytest.approx(0.240, rel=1e-2)


def test_trace_of_a_caustic(tmp_path):
    files = ("--out", tmp_path / "c.csv", "--plot", tmp_path / "c.png")
    words = ("trace", UE112, "--rays", 2000, "--caustic", 1500, *files)
    result = command(*words)
    assert result.exit_code == 0 and "upstream it ends at M4, 1200 mm before" in result.stdout
    table = np.genfromtxt(tmp_path / "c.csv", delimiter=",", names=True)
    found = json.loads(command(*words, "--json").stdout)["caustic"]
    np.testing.assert_allclose(table["rms_x_mm"], found["rms_x"], rtol=1e-6)
    assert found["waists"]["vertical"]["rms"] == pytest.approx(min(found["rms_y"]), rel=1e-2)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_trace_of_a_scan(tmp_path):
    files = ("--out", tmp_path / "s.csv", "--plot", tmp_path / "s.png")
    words = ("trace", UE112, "--rays", 500, "--scan", "M4.rotationXerror=-0.1..0.1:3")
    said = command(*words, *files)
    assert said.exit_code == 0, said.output
    assert (tmp_path / "s.csv").read_text() == said.stdout
    found = json.loads(command(*words, "--json").stdout)
    assert found["unit"] == "mrad" and found["columns"]["M4.rotationXerror_mrad"] == [-0.1, 0, 0.1]
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


TRACE_MISTAKES = {
    ("--theta", "M8.radius=1", "--scan", "M1.rotationW=1..2:3", "--theta", "M9.a=1"): (
        "M8.radius: there is no element 'M8'; M9.a: there is no element 'M9'; M1.rotationW: Toroid "
        "'M1' has no numeric parameter 'rotationW' (near it: rotation"
    ),
    ("--theta", "M1=3"): "is not ELEMENT.PARAMETER",
    ("--theta", "M1.rotationXerror"): "give NAME=VALUE",
    ("--scan", "M1.rotationXerror=1..2"): "give NAME=LOW..HIGH:POINTS",
    ("--scan", "M1.rotationXerror=1..2:3", "--caustic", "3"): "give one of them",
    ("--scan", "M1.rotationXerror=1..2:3", "--table", "x.csv"): "leave them out",
    ("--out", "x.csv"): "are of --scan or --caustic",
    ("--caustic", "-1"): "above 0",
    ("--caustic", "1", "--plane", "M1"): "is an optical surface",
    ("--scan", "M4.rotationXerror=1..2:3", "--plane", "M7"): "there is no element 'M7'",
}


@pytest.mark.parametrize("words", TRACE_MISTAKES)
def test_trace_names_the_mistake(words):
    result = command("trace", UE112, "--rays", 100, *words)
    assert result.exit_code == 2 and TRACE_MISTAKES[words] in result.stderr
    assert result.stderr.count("\n") == 1


def test_trace_of_a_file_without_a_screen(shared):
    """Its last element is a mirror: its footprint, x along z, not x against the height 0."""
    result = command("trace", shared / "cases" / "optics" / "nodet.rml", "--json")
    found = json.loads(result.stdout)
    assert found["axes"] == ["x", "z"] and found["missed"] == 0
    grazing = np.deg2rad(2)
    assert found["rms"][1] == pytest.approx(np.hypot(0.02, 0.5) / np.sin(grazing), rel=0.02)


def test_trace_knows_the_flux(shared):
    found = json.loads(command("trace", shared / "cases" / "optics" / "flux.rml", "--json").stdout)
    assert found["source_flux"] == 1e13 and found["flux"] == pytest.approx(1e13, rel=1e-6)


VARY = ("--vary", "M4.rotationXerror=-0.06..0.06", "--vary", "IP.distanceImagePlane=1180..1220")


def test_new_study_simulates(tmp_path):
    """Its detector holds the beam, and its light fills the highest bin."""
    study = tmp_path / "mine.toml"
    assert command("new", UE112, *VARY, "--out", study).exit_code == 0
    text = study.read_text()
    assert '"M4.rotationXerror" = [-0.06, 0.06]  # mrad; Toroid, in the file 0' in text
    assert read_study(study)[0].density.kind == "rnade"
    plan, beamline = Plan.read(study)
    theta = plan.prior.sample(50, np.random.default_rng(0))
    profiles, transmission = plan.build_engine(beamline).profiles(theta, (0,))
    across = profiles[:, :100].sum(axis=1)
    assert plan.name == "mine" and (across > 0.98 * transmission).all()
    highest = plan.detector.photons * profiles.max()
    assert 500 < highest < 5000
    again = command("new", UE112, *VARY, "--out", study)
    assert again.exit_code == 2 and "is there already" in again.stderr


def test_new_asks(tmp_path):
    """Wrong answers are said and asked again."""
    answers = ["M9.radius", "M4.rotationXerror", "0.1..x", "M4.rotationXerror", "-0.1..0.1", ""]
    words = ["new", str(UE112), "--out", str(tmp_path / "s.toml")]
    result = CliRunner().invoke(app, words, input="\n".join([*answers, ""]))
    assert result.exit_code == 0, result.output
    assert "there is no element 'M9'" in result.output and "give the range as" in result.output
    assert Plan.read(tmp_path / "s.toml")[0].prior.names == ("M4.rotationXerror", "detector.flux")


MISTAKES = {
    "M8.radius=1..2": "there is no element 'M8'",
    "M4.rotationXerror=1": "give the range as LOW..HIGH",
    "M4.rotationXerror=2..1": "from a lower to a higher number",
    "M2.grazingIncAngle=1..2": "does not depend",
    "M1.rotationXerror=5..6": "narrow the ranges",
}


@pytest.mark.parametrize("vary", MISTAKES)
def test_new_names_the_mistake(vary, tmp_path):
    result = command("new", UE112, "--vary", vary, "--out", tmp_path / "s.toml")
    assert result.exit_code == 2 and MISTAKES[vary] in result.stderr
    assert not (tmp_path / "s.toml").exists()


def test_show(tmp_path):
    picture = tmp_path / "s.png"
    words = ("--theta", "M4.rotationXerror=0.05", "--picture", picture)
    for what in ("ue112", UE112):
        result = command("show", what, *words)
        assert result.exit_code == 0 and "rotationX 0.05 mrad" in result.stdout
    assert picture.stat().st_size > 10_000
    found = json.loads(command("show", "ue112", "--picture", picture, "--json").stdout)
    assert [e["name"] for e in found["elements"]][-1] == "IP"
    assert not any(e["misaligned"] for e in found["elements"])
    wrong = command("show", "ue112", "--theta", "M4.rotationXerror", "--picture", picture)
    assert wrong.exit_code == 2 and "give NAME=VALUE" in wrong.stderr


def test_doctor(monkeypatch):
    result = command("doctor", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert all(check["passed"] for check in found["checks"]) and len(found["checks"]) == 3
    sick = [Check("the beam", 1.0, 2.0, 0.1, 0.0)]
    monkeypatch.setattr("raybayes.workflow.self_test.self_test", lambda: sick)
    result = command("doctor")
    assert result.exit_code == 2 and "the self-test failed: the beam" in result.stderr
