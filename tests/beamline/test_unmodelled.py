"""What is not modelled is refused, with the word that lets it pass; then it is left out."""

from dataclasses import replace

import pytest
from beamlines import emitting, small

from raybayes.beamline.trace import trace
from raybayes.errors import InputError

HEIGHTS = {"slopeError": 0, "profileKind": 0, "profileFile": "heights.dat"}
CASES = {
    "a profile that is not there": (("Plane Mirror", HEIGHTS), "measured profile is not there"),
    "a paraboloid's profile": (("Paraboloid", HEIGHTS), "not modelled on a paraboloid"),
    "a line profile": (
        ("Plane Grating", {"lineProfile": 2, "reflectivityType": 1}),
        "efficiencies from a line profile are not computed",
    ),
}


def refused_then_left_out(beamline, message):
    with pytest.raises(InputError, match=f"{message}.*--allow-unmodelled, allow_unmodelled = true"):
        trace(beamline, 100)
    with pytest.warns(UserWarning, match=message):
        rays = trace(replace(beamline, lenient=True), 100)
    assert rays.arrived.any()


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_modelled(name, tmp_path):
    (type_, changes), message = CASES[name]
    if type_ == "Paraboloid":
        (tmp_path / "heights.dat").write_text("-10 0\n0 0\n10 0\n20 0\n")
    beamline = replace(small(type_, **changes), path=str(tmp_path / "b.rml"))
    refused_then_left_out(beamline, message)


def test_srw_files_are_not_read_as_those_of_wave(tmp_path):
    (tmp_path / "srw.dat").write_text("nothing of WAVE\n")
    changes = {"undulatorFileClassType": 0, "undulatorFile": "srw.dat"}
    changes |= {"undulatorPeriodLength": 4.9, "undulatorPeriodNumber": 50}
    beamline = replace(emitting("Undulator File", **changes), path=str(tmp_path / "b.rml"))
    with pytest.raises(InputError, match=r"'undulatorFileClassType': 0 \(SRW\) is not modelled"):
        trace(beamline, 100)
    with pytest.warns(UserWarning, match="is not of WAVE; its radiation is replaced"):
        assert trace(replace(beamline, lenient=True), 100).arrived.all()
