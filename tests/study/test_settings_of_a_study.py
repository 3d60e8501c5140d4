"""Does a study read its settings and their files, and keep its hash?"""

import numpy as np
import pytest

from raybayes.errors import InputError
from raybayes.observations import Reading, Target, read_settings
from raybayes.study.plan import DETERMINE, Plan
from raybayes.study.study import read_study

PLAIN = """
name = "plain"
beamline = "ue112_pgm1.rml"
simulations = 100
shard = 50
[parameters]
"M1.rotationXerror" = [-0.025, 0.025]
"M4.rotationXerror" = [-0.06, 0.06]
"IP.distanceImagePlane" = [1180, 1220]
[detector]
photons = 2e4
[tracing]
rays = 64
"""


def read(tmp_path, more="", text=PLAIN):
    path = tmp_path / "s.toml"
    path.write_text(text + more)
    return Plan.read(path)


def test_one_setting_alone_is_the_plain_study(tmp_path):
    """Simulations and readings are the same bit by bit; the store is another study's."""
    found = []
    for more in ("", "[[settings]]"):
        plan, beamline = read(tmp_path, more)
        campaign = plan.campaign(beamline, tmp_path / f"out{more}")
        campaign.run([0])
        arrays = campaign.store.read(50)
        x = plan.detectors.observe(arrays["profile"], np.random.default_rng(1))
        found.append((plan.identity(beamline, *DETERMINE), {**arrays, "x": x}))
    (plain, one), (other, two) = found
    assert plain != other and one.keys() == two.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])


@pytest.mark.parametrize("common, own", [("pitch", "bin_width"), ("bin_width", "pitch")])
def test_a_setting_may_name_the_width_of_its_bins_either_way(common, own, tmp_path):
    text = PLAIN.replace("[detector]", f"[detector]\n{common} = [0.02, 0.01]")
    second = f"[[settings]]\n[[settings]]\ndetector = {{{own} = [0.5, 0.4]}}\n"
    plan, _ = read(tmp_path, second, text)
    assert [d.bin_width for d in plan.detectors.each] == [(0.02, 0.01), (0.5, 0.4)]


HASHES = {
    "ue112": "a8c694ba8c3bd9b3",
    "ue112-image": "f1c9366a8f15903c",
    "ue112-wellposed": "0201b1f6431588d0",
    "ue112-rigid-m4": "a33f5313c07815fb",
}


@pytest.mark.parametrize("name", HASHES)
def test_studies_without_settings_keep_their_hash(name):
    plan, beamline = Plan.read(name)
    assert plan.identity(beamline, *DETERMINE) == HASHES[name]


THREE_SETTINGS = """
[[settings]]
[[settings]]
screen = "ES"
detector = {bins = [60, 50], pitch = [0.1, 0.024]}
[[settings]]
steps = {"IP.distanceImagePlane" = 100}
"""


def test_settings_of_a_study(tmp_path):
    plan, beamline = read(tmp_path, THREE_SETTINGS)
    several = plan.build_engine(beamline)
    assert several.detectors == plan.detectors and several.detectors.size == 200 + 110 + 200
    assert several.settings[1].simulator.names == ("M1.rotationXerror",)
    assert several.detectors.each[1].photons == 2e4  # what is left out is as in [detector]
    assert several.settings[2].simulator.support[0][-1] == 1280
    names = [target.name for target in plan.targets]
    assert names == [
        "setting 1: as it stands",
        "setting 2: screen at ES",
        "setting 3: IP.distanceImagePlane +100",
    ]
    assert [target.size for target in plan.targets] == [200, 110, 200]
    again = Plan(**plan.model_dump(mode="json"))
    assert again.identity(beamline) == plan.identity(beamline)


WRONG = {
    'screen = "M9"': r"key 'settings.1': .*there is no element 'M9'",
    'screen = "IP"': "key 'settings.1': screen: IP is the last element",
    'screen = "AP"': "no parameter of the study stands before AP",
    'screen = "UE112"': "a screen cannot stand in the source 'UE112'",
    'steps = {"M9.rotationXerror" = 1}': "steps: M9.rotationXerror is no parameter of the study",
    'screen = "ES"\nsteps = {"M4.rotationXerror" = 0.01}': "does not stand before the screen at ES",
    'steps = {"M4.rotationXerror" = "far"}': "settings.1.steps.M4.rotationXerror",
    "detector = {colour = 1}": "settings.1.detector.colour",
    "detector = {pitch = [-1]}": "settings.1.detector.pitch",
    "place = 1": "settings.1.place",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_settings_are_named(wrong, tmp_path):
    with pytest.raises(InputError, match=WRONG[wrong]):
        read(tmp_path, f"[[settings]]\n[[settings]]\n{wrong}\n")


def test_settings_need_our_tracer_and_something_to_set(tmp_path):
    engine = '[engine]\nkind = "function"\nfunction = "math:cos"\n[[settings]]\n'
    with pytest.raises(InputError, match="engine 'function' simulates one setting"):
        read(tmp_path, engine)
    with pytest.raises(InputError, match="key 'settings'"):
        read(tmp_path, text=PLAIN.replace('name = "plain"', 'name = "plain"\nsettings = []'))


LISTS = [Target("profiles", (np.arange(5.0), np.arange(4.0)), 0, f"setting {i}") for i in (1, 2)]


def test_files_of_each_setting(tmp_path):
    """One list for all, one for each, or two profiles for each: the same observation."""
    x = np.arange(14.0) + 1
    names = {"all": [14], "each": [7, 14], "profiles": [4, 7, 11, 14]}
    for name, ends in names.items():
        files = []
        for i, part in enumerate(np.split(x, ends[:-1])):
            files.append(tmp_path / f"{name}{i}.txt")
            np.savetxt(files[-1], part)
        found = read_settings(files, LISTS)
        np.testing.assert_array_equal(found.x, x)
        assert found.done[0].startswith("setting 1: Read ") and "Taken as" in found.done[1]
    number = r"3 files .* give one file for each in this order, or 4 with two profiles for each"
    with pytest.raises(InputError, match=number):
        read_settings(files[:3], LISTS)
    with pytest.raises(InputError, match=r"shape \(4,\); .* a list of 7 \+ 7 counts"):
        read_settings(files[:1], LISTS)


def test_a_setting_may_read_its_files_in_its_own_way(tmp_path):
    """Its own gain; a caller's change is of all. The hash does not follow, the dark frame does."""
    plain = PLAIN + "\n[observation]\ngain = 2\n[[settings]]\n[[settings]]\n"
    path = tmp_path / "x.toml"
    path.write_text(plain + 'observation = {gain = 3, dark = "d.tif"}\n')
    study, beamline = read_study(path)
    assert [r.gain for r in study.readings({})] == [2, 3]
    assert [r.dark for r in study.readings({})] == [None, str(tmp_path / "d.tif")]
    assert [r.gain for r in study.readings({"gain": 5})] == [5, 5]
    again = type(study)(**study.model_dump(mode="json"))
    assert again == study
    path.write_text(plain)
    assert read_study(path)[0].identity(beamline) == study.identity(beamline)
    path.write_text(plain + "observation = {gain = -1}\n")
    with pytest.raises(InputError, match=r"settings.1.*gain"):
        read_study(path)
    x = np.arange(14.0) + 1
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for file, part in zip(files, np.split(x, 2), strict=True):
        np.savetxt(file, part)
    found = read_settings(files, LISTS, [Reading(gain=2), Reading(gain=3)])
    np.testing.assert_array_equal(found.x, np.r_[2 * x[:7], 3 * x[7:]])
    np.savetxt(files[0], x)
    with pytest.raises(InputError, match=r"a.txt: .*different ways.* setting 1; setting 2"):
        read_settings(files[:1], LISTS, [Reading(gain=2), Reading(gain=3)])
