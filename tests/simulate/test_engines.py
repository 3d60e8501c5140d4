"""Engines behind one protocol: ours, functions, programs, RAYX, xrt and RAY-UI."""

import json
import os
import sys
import warnings

import numpy as np
import pytest
from studies import TINY, command

from raybayes.beamline.derive import with_values
from raybayes.errors import InputError
from raybayes.simulate.engines.compare import compare
from raybayes.simulate.engines.config import CommandConfig, FunctionConfig, RayUIConfig
from raybayes.simulate.engines.rayui import read_table
from raybayes.simulate.engines.rayx import sequential
from raybayes.simulate.simulator import Tracing
from raybayes.store import read_arrays
from raybayes.study.plan import Plan
from raybayes.study.run import Run, open_run
from raybayes.study.study import read_study

PLAN, BEAMLINE = Plan.read("ue112")
SCENE = PLAN.scene(BEAMLINE)
THETA = SCENE.support[0][None] * 0.3 + SCENE.support[1][None] * 0.7
STUDY = TINY.partition("[density]")[0].replace("shard = 50", "shard = 4")


def build(config):
    return config.build(SCENE, Tracing())


# -- functions

FUNCTIONS = """
import numpy as np
def one(theta):
    return np.full(200, 0.001 * theta[0])
def both(theta, seed):
    return np.random.default_rng(seed).uniform(size=(len(theta), 200)), np.ones(len(theta))
def short(theta):
    return np.ones((len(theta), 3))
number = 3
"""


@pytest.fixture
def functions(tmp_path, monkeypatch):
    (tmp_path / "functions_of_test.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda name, **keys: build(
        FunctionConfig(kind="function", function=f"functions_of_test:{name}", **keys)
    )
    sys.modules.pop("functions_of_test", None)


def test_function(functions):
    engine = functions("one", batched=False)
    profiles, transmission = engine.profiles(THETA, (0,))
    assert profiles.shape == (1, 200) and transmission[0] == pytest.approx(0.1 * THETA[0, 0])
    engine = functions("both", seeded=True)
    assert engine.capabilities.seeded and engine.capabilities.batched
    first, again, other = (engine.profiles(THETA, (k,))[0] for k in (1, 1, 2))
    assert (first == again).all() and (first != other).all()


@pytest.mark.parametrize(
    "name, message", [("none", "cannot be imported"), ("number", "is not a function")]
)
def test_functions_that_are_none(functions, name, message):
    with pytest.raises(InputError, match=message):
        functions(name)


def test_function_of_another_shape(functions):
    with pytest.raises(InputError, match=r"shape \(1, 3\); the detector reads \(1, 200\)"):
        functions("short").profiles(THETA, (0,))


# -- programs

PROGRAM = """
import json, sys
values = json.load(open(sys.argv[1]))
assert values["costs"] == "$$5 $"
if values["pitch"] > 0.05:
    sys.exit("mirror broken")
print("1.5e-3, " * 199 + str(abs(values["pitch"])), file=open(sys.argv[2], "w"))
"""
TEMPLATE = '{"pitch": ${M4.rotationXerror}, "roll": ${M4.rotationZerror}, "costs": "$$5 $"}'


def test_command_from_a_study(tmp_path):
    """Template and study stand side by side; what fails is recorded with its last words."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "setting.json").write_text(TEMPLATE)
    words = json.dumps([sys.executable, "program.py", "{input}", "{output}"])
    engine = f'[engine]\nkind = "command"\ncommand = {words}\ntemplate = "setting.json"\n'
    (tmp_path / "s.toml").write_text(STUDY + engine + "[failures]\nretries = 0\nat_most = 0.9\n")
    result = command("simulate", tmp_path / "s.toml", "-n", 24, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert list(found["failed"]) == [f"{sys.executable}: ended with code 1: mirror broken"]
    arrays, header = read_arrays(next((tmp_path / "out" / "simulations").glob("shard-*")))
    assert (arrays["profile"][:, -1] == np.abs(arrays["theta"][:, 0])).all()
    run = Run(*read_study(tmp_path / "s.toml"), tmp_path / "out")
    run.claim()  # opened again, from anywhere, it finds its program
    again = open_run(tmp_path / "out", trust_engine=True)
    assert len(again.profiles(np.array([[0.0, 0.0]]), (0,))) == 1
    assert (arrays["profile"][:, 0] == 1.5e-3).all() and header["names"][0] == "M4.rotationXerror"


LACKING = "".join(f"${{{name}}}" for name in SCENE.names[1:])


def program(*words, template="", **keys):
    text = "".join(f"${{{name}}}" for name in SCENE.names) + template
    return build(CommandConfig(kind="command", command=words, template=text, **keys))


PROGRAMS = {
    "nothing": ((sys.executable, "-c", ""), "wrote no output"),
    "complex": (
        (
            sys.executable,
            "-c",
            "import numpy; numpy.save(open('output', 'wb'), [1j] * 200)",
        ),
        "an array of complex128",
    ),
    "words": (("cp", "{input}", "{output}"), "output is not numbers"),
    "few": (("sh", "-c", "echo 1 2 3 > {output}"), "wrote 3 numbers; the detector reads 200"),
    "slow": (("sh", "-c", "sleep 6000 & sleep 6000"), "took more than 0.5 s and was killed"),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_programs_that_fail(case):
    words, message = PROGRAMS[case]
    with pytest.raises(InputError, match=message):
        program(*words, template=" none", timeout=0.5 if case == "slow" else 60).profiles(
            THETA, (0,)
        )


def test_commands_that_cannot_work():
    with pytest.raises(InputError, match="there is no program 'no-such-program'"):
        program("no-such-program")
    with pytest.raises(InputError, match=r"\$\{M8.pitch\} is no parameter of the study"):
        program("sh", template="${M8.pitch}")
    with pytest.raises(InputError, match=r"lacks \$\{M1.rotationXerror\}"):
        build(CommandConfig(kind="command", command=("sh",), template=LACKING))


def test_seed_of_a_command(tmp_path):
    words = ("sh", "-c", "for i in $(seq 200); do echo {seed}; done > {output}")
    engine = program(*words)
    assert engine.capabilities.seeded
    first, again, other = (engine.profiles(THETA, (k,))[0][0, 0] for k in (1, 1, 2))
    assert first == again != other


# -- the engines of others


@pytest.mark.parametrize("kind", ["rayx", "xrt", "rayui"])
def test_missing_packages_are_named(kind, tmp_path, monkeypatch):
    for module in ("rayx", "xrt", "xrt.backends.raycing.materials", "raypyng", "raypyng.runner"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "s.toml").write_text(STUDY + f'[engine]\nkind = "{kind}"\n')
    result = command("simulate", tmp_path / "s.toml", "--out", tmp_path / "out")
    assert result.exit_code == 2 and f"pip install 'raybayes[{kind}]'" in result.stderr


def test_engines_that_are_missing_are_skipped(monkeypatch, tmp_path):
    for module in ("rayx", "xrt", "xrt.backends.raycing.materials"):
        monkeypatch.setitem(sys.modules, module, None)
    picture = tmp_path / "e.png"
    result = command("engines", "ue112", "--theta", "M4.rotationXerror=0.02", "--picture", picture)
    assert result.exit_code == 0, result.output
    assert "tracer" in result.stdout and picture.stat().st_size > 10_000
    assert result.stdout.count("skipped:") == 2 and "raybayes[rayx]" in result.stdout
    wrong = command("engines", "ue112", "--theta", "M8.rotationXerror=0.02")
    assert wrong.exit_code == 2 and "give NAME=VALUE" in wrong.stderr


SETTINGS = {
    "perfect": (),
    # M1 and M3 as they are: at other pitches RAYX's tori lose up to a seventh of the rays.
    "misaligned": ("M4.rotationXerror=0.03", "M4.rotationYerror=1", "M4.rotationZerror=0.2"),
}


@pytest.mark.parametrize("package", ["rayx", "xrt"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_peers_agree(package, setting):
    """UE112 with all slope errors: profiles within the stated tolerance of ours."""
    pytest.importorskip(package, reason=f"{package} is not installed")
    theta = PLAN.at(SETTINGS[setting])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done, _ = compare(SCENE, theta, 100_000)
    (found,) = [each for each in done if each.engine == package]
    assert found.agrees, (found.apart, found.noise)
    assert found.transmission == pytest.approx(done[0].transmission, rel=0.03)


class Events:
    """RAYX's answer for two elements after the source, and four rays."""

    path_id = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3])
    object_id = np.array([0, 1, 2, 0, 1, 2, 0, 1, 1, 2, 0, 2])
    position_x = np.array([0, 0.1, 1, 0, 0.9, 2, 0, 0, 0, 3, 0, 4.0])
    position_z = position_x / 10
    electric_field_x, electric_field_y = np.full(12, 0.6), np.full(12, 0.8j)
    electric_field_z = np.zeros(12)


def test_only_sequential_rays_count():
    """Of four rays one is good; one is cut, one hits twice, one misses an element."""
    rows = with_screens(0.5, np.inf)
    with pytest.warns(UserWarning, match="does not trace this beamline sequentially"):
        at, weight = sequential(Events, rows)
    np.testing.assert_allclose(at, [[1.0], [0.1]])
    np.testing.assert_allclose(weight, [1.0])


def with_screens(*halves):
    from raybayes.optics.rows import COLUMNS, NO_STOP, OPENING, STOP

    rows = np.zeros((len(halves), COLUMNS))
    rows[:, OPENING : OPENING + 2] = np.array(halves)[:, None]
    rows[:, STOP] = NO_STOP
    return rows


# -- RAY-UI: a stand-in that speaks as it does, and traces with us

STAND_IN = """#!{python}
import sys
from pathlib import Path
import numpy as np
from raybayes import read_rml, trace
from raybayes.beamline.table import write_table
assert sys.argv[1:] == ["-b"]
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    print(word, flush=True)
    if word == "load":
        beamline = read_rml(rest)
    elif word == "trace":
        {trace}
        rays = trace(beamline, None, sampling="random")
    elif word == "export":
        _, element, rest = rest.split('"')
        _, folder, prefix = rest.split()
        write_table(rays, Path(folder) / f"{{prefix}}{{element}}-RawRaysOutgoing.csv")
    elif word == "quit":
        break
    print(word, "success", flush=True)
"""


@pytest.fixture
def stand_in(tmp_path):
    pytest.importorskip("raypyng", reason="raypyng is not installed")

    def make(trace="", timeout=120.0):
        program = tmp_path / "rayui.sh"
        program.write_text(STAND_IN.format(python=sys.executable, trace=trace))
        program.chmod(0o755)
        return build(
            RayUIConfig(kind="rayui", rays=20_000, path=str(tmp_path), hide=False, timeout=timeout)
        )

    return make


# raypyng leaves a pipe open when it is imported.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_rayui(stand_in):
    profiles, transmission = stand_in().profiles(THETA, (0,))
    ours, passed = PLAN.build_engine(BEAMLINE).profiles(THETA, (0,))
    assert transmission == pytest.approx(passed, rel=0.05)
    assert np.abs(profiles - ours).max() < 0.2 * ours.max()  # 3,300 rays in 40 bins


@pytest.mark.parametrize(
    "trace, timeout, message",
    [
        ("sys.exit(3)", 60.0, "ended before it had answered"),
        ("import time; time.sleep(60)", 8.0, "took more than 8 s and was killed"),
        ('print("trace failed", flush=True); continue', 60.0, "could not trace it"),
    ],
)
def test_rayui_that_fails(stand_in, trace, timeout, message):
    with pytest.raises(InputError, match=message):
        stand_in(trace, timeout).profiles(THETA, (0,))


def test_rayui_that_is_not_there(tmp_path):
    pytest.importorskip("raypyng", reason="raypyng is not installed")
    with pytest.raises(InputError, match="RAY-UI cannot be started"):
        build(RayUIConfig(kind="rayui", path=str(tmp_path / "none"), hide=False))


def test_table_of_rayui(tmp_path):
    text = "sep=\t\nIP_RN\tIP_OX\tIP_OY\n0\t1.5\t-2\n7\t3\t4\n"
    (tmp_path / "raybayes-IP-RawRaysOutgoing.csv").write_text(text)
    np.testing.assert_array_equal(read_table(tmp_path, "IP"), [[1.5, 3], [-2, 4]])
    with pytest.raises(InputError, match="exported 0 tables"):
        read_table(tmp_path, "M1")


def test_engine_is_part_of_the_identity(tmp_path):
    """Where RAY-UI is installed is not; the number of its rays is."""
    found = []
    for keys in ("", 'path = "/opt/RAY-UI"', "rays = 5"):
        (tmp_path / "s.toml").write_text(STUDY + f'[engine]\nkind = "rayui"\n{keys}')
        plan, beamline = Plan.read(tmp_path / "s.toml")
        found.append(plan.store(beamline, tmp_path).header["study"])
    assert found[0] == found[1] != found[2]


def test_misalignment_reaches_every_engine():
    """The file that RAYX and RAY-UI read holds it: as parameters, and in world coordinates."""
    moved = with_values(BEAMLINE, {"M4.rotationXerror": 0.05})
    assert moved["M4"].number("rotationXerror") == 0.05
    assert moved["M4"].number("alignmentError") == 0
    before, after = (b["M4"].params["worldZdirection"].text for b in (BEAMLINE, moved))
    turned = np.abs(np.array(after, float) - np.array(before, float)).max()
    assert turned == pytest.approx(5e-5, rel=0.01)
    assert os.path.basename(moved.path) == "ue112_pgm1.rml"
