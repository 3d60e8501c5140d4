"""Ray by ray against RAY-UI's own tables, and against RAYX where RAY-UI wrote none."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from raybayes.beamline.derive import with_values
from raybayes.beamline.geometry import compile_beamline
from raybayes.beamline.model import Param
from raybayes.beamline.rml import read_rml
from raybayes.beamline.trace import trace
from raybayes.cli import app
from raybayes.optics import RAY, through
from raybayes.optics.coating import reflected
from raybayes.optics.rows import KIND, SCREEN

# Of dipole_beamline, whose parameters a script set: its world coordinates are of before.
MOVED = "ignore:.*its stored world coordinates are not"
# file, rows in the table, tolerance of positions (mm) and directions
EXACT = [
    ("BoringImagePlane", 20, 1e-9, 1e-12),
    ("PlaneMirrorDef", 20, 1e-9, 1e-12),
    ("PlaneMirrorMis", 20, 1e-9, 1e-12),
    ("globalCoordinates_20rays", 20, 1e-9, 1e-12),
    ("SphereMirrorDefault", 20, 1e-9, 1e-12),
    ("CylinderDefault", 200, 1e-9, 1e-12),
    ("Ellipsoid_DGIA", 200, 1e-9, 1e-12),
    ("ellipsoid_ip_200mirrormis", 200, 1e-9, 1e-12),
    ("Cone", 200, 1e-9, 1e-12),
    ("toroid", 200, 5e-6, 5e-9),
    ("PlaneGratingDeviationAzMis", 20, 1e-9, 1e-12),
    ("PlaneGratingDevAzMisVLS", 67, 1e-7, 1e-11),
    ("SphereGrating", 200, 1e-9, 1e-12),
    ("test-rzp-1-spherical", 200, 1e-9, 1e-12),
]


def table(path):
    """RAY-UI's columns without the element's name: {"RN": [n], "OX": [n], ...}."""
    lines = path.read_text().splitlines()
    start = 1 if lines[0].startswith("sep=") else 0
    names = [name.rsplit("_", 1)[1] for name in lines[start].split("\t") if name]
    values = np.array(
        [[float(v) for v in line.split("\t") if v] for line in lines[start + 1 :] if line]
    )
    return dict(zip(names, values.T, strict=True))


@pytest.mark.parametrize(("name", "rows", "position", "direction"), EXACT)
def test_ray_ui_table(name, rows, position, direction, shared):
    theirs = table(shared / "rayui" / f"{name}.csv")
    rays = trace(read_rml(shared / "rayui" / f"{name}.rml"), rays=None)
    survivors = np.flatnonzero(rays.arrived)
    assert len(theirs["RN"]) == rows
    assert np.array_equal(survivors, theirs["RN"].astype(int))
    ours = rays.values[:, survivors]
    for i, column in enumerate(("OX", "OY", "OZ", "DX", "DY", "DZ", "EN")):
        tolerance = position if i < 3 else direction if i < 6 else 1e-9
        worst = np.abs(ours[i] - theirs[column]).max()
        assert worst <= tolerance, f"{column} is off by {worst:.2g}"
    np.testing.assert_allclose(rays.path[survivors], theirs["PL"], rtol=0, atol=max(position, 1e-8))


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_slits_let_the_same_rays_through(number, shared):
    """RAYX's events: of each ray, what happened at the slit (object 1)."""
    with (shared / "rayui" / f"slit{number}_seeded.correct.csv").open() as file:
        events = [{k.strip(): v.strip() for k, v in row.items()} for row in csv.DictReader(file)]
    theirs = {
        int(e["path_id"])
        for e in events
        if e["object_id"] == "1" and e["event_type"] == "HitElement"
    }
    beamline = read_rml(shared / "rayui" / f"slit{number}_seeded.rml")
    rays = trace(beamline, rays=None, plane="Slit")
    assert set(np.flatnonzero(rays.arrived)) == theirs and theirs


def test_paraboloid_focuses_a_parallel_beam(shared):
    """A parallel beam along the axis; RAY-UI's file has a divergent one, 10 m away."""
    beamline = read_rml(shared / "rayui" / "paraboloid_matrix_IP.rml")
    arm = beamline["Paraboloid"].number("armLength")
    parallel = with_values(
        beamline,
        {
            "Matrix Source.horDiv": 0,
            "Matrix Source.verDiv": 0,
            "Matrix Source.sourceWidth": 10,
            "Matrix Source.sourceHeight": 10,
            "ImagePlane.distanceImagePlane": arm,
        },
    )
    rays = trace(parallel, rays=None)
    assert rays.transmission > 0.5
    assert np.abs([rays.x, rays.y]).max() < 1e-9


def metrix_events(shared):
    """[rays, stages] -> coordinates [.., 3], directions [.., 3] of the 793 complete rays."""
    path = shared / "metrix" / "rayx_stage_events.csv"
    raw = np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(9))
    complete = np.bincount(raw[:, 0].astype(int)) == 9
    raw = raw[complete[raw[:, 0].astype(int)]]
    return len(raw), raw.reshape(-1, 9, 9)[:, :, 2:5], raw.reshape(-1, 9, 9)[:, :, 6:9]


def test_metrix_stage_by_stage(shared):
    """RAYX's ray that leaves an element hits the next one where ours does."""
    beamline = read_rml(shared / "metrix" / "METRIX_U41_G1_H1_318eV_PS_MLearn_v114.rml")
    compiled = compile_beamline(beamline)
    rows, places, directions = metrix_events(shared)
    assert rows == 793 * 9
    screens = compiled.rows[0, :, KIND] == SCREEN
    # RAYX keeps slits and image planes with y and z exchanged.
    places[:, screens] = places[:, screens][:, :, [0, 2, 1]]
    directions[:, screens] = directions[:, screens][:, :, [0, 2, 1]]
    worst = []
    perfect, normals = np.empty((2, 0)), np.empty((3, 793))
    for k in range(8):
        rays, n = np.empty((RAY, 793)), 793
        rays[:3], rays[3:6], rays[6] = places[:, k].T, directions[:, k].T, 318.0
        lost = np.zeros(n, np.int64)
        through(compiled.rows[0, k + 1], rays, lost, 1, perfect, normals, compiled.tables)
        assert not lost.any()
        worst.append(np.abs(rays[:3] - places[:, k + 1].T).max())
    assert max(worst) < 1e-9


def waist(x, slope):
    """The smallest rms size along the beam."""
    c = np.cov(x, slope)
    return np.sqrt(c[0, 0] - c[0, 1] ** 2 / c[1, 1])


@pytest.mark.filterwarnings(MOVED)
@pytest.mark.parametrize("row", range(6))
def test_dipole_beamline_in_numbers(row, shared):
    """raypyng's table: 1e5 rays of a dipole through an SX700 monochromator and a KB pair."""
    folder = shared / "rayui" / "raypyng_resolving_power"
    with (folder / "DetectorAtFocus_ScalarBeamProperties.csv").open() as file:
        theirs = list(csv.DictReader(file))[row]
    beamline = read_rml(shared / "rayui" / "dipole_beamline.rml")
    for element in beamline.elements:
        if "reflectivityType" in element.params:
            perfect = {"reflectivityType": Param("0", {"enabled": "T"})}
            beamline = beamline.with_params(element.name, perfect)
    names = ("Dipole.photonEnergy", "ExitSlit.totalHeight", "PG.cFactor")
    beamline = with_values(beamline, {name: float(theirs[name]) for name in names})
    rays = trace(beamline, 1 << 18)
    expected = rays.transmission * 1e5
    counted = float(theirs["DetectorAtFocus_outgoing_NO"])
    assert abs(counted - expected) < 3 * np.sqrt(expected)
    x, y, _, dx, dy, dz, _ = rays.values[:, rays.arrived]
    for ours, name in ((waist(x, dx / dz), "horizontal"), (waist(y, dy / dz), "vertical")):
        width = float(theirs[f"DetectorAtFocus_focus_{name}_width"])
        assert ours == pytest.approx(width, rel=0.05)


def test_multilayer_on_a_cone_intensities_too(shared):
    theirs = table(shared / "rayui" / "Cone-RawRaysOutgoing.csv")
    beamline = read_rml(shared / "rayui" / "Multilayer-Cone-RAYUI.rml")
    rays = trace(beamline, rays=None, plane="Cone")
    assert rays.arrived.all() and len(rays.path) == 9
    for i, column in enumerate(("OX", "OY", "OZ", "DX", "DY", "DZ")):
        np.testing.assert_allclose(
            rays.values[i], theirs[column], rtol=0, atol=1e-9 if i < 3 else 1e-12
        )
    np.testing.assert_allclose(rays.stokes[0], theirs["S0"], rtol=0, atol=1e-6)


# Real BESSY II beamlines: what RAY-UI shows of the premirror at the design energy. Its own
# tables differ from CXRO's for platinum by some parts in a thousand.
PREMIRRORS = [
    ("HB_1200", "Premirror M2", 3e-5),
    ("Energize_EN_500", "Plane Mirror", 3e-5),
    ("HRRIXS_100m_1", "M2", 2e-2),
    ("UE48-PGM-CAT", "Plane Mirror", 1e-2),
]


@pytest.mark.parametrize(("name", "mirror", "tolerance"), PREMIRRORS)
def test_reflectivities_that_ray_ui_shows(name, mirror, tolerance, shared):
    """Fresnel on a layer with roughness, at the mirror's own angle."""
    beamline = read_rml(shared / "rayui" / f"{name}.rml")
    compiled = compile_beamline(beamline)
    element = beamline[mirror]
    rs, rp = reflected(
        compiled.rows[0, compiled.index(mirror)],
        compiled.tables,
        beamline.source.number("photonEnergy"),
        np.sin(np.deg2rad(element.number("grazingIncAngle"))),
    )
    assert abs(rs) ** 2 == pytest.approx(element.number("reflectivitySenkrecht"), rel=tolerance)
    assert abs(rp) ** 2 == pytest.approx(element.number("reflectivityParallel"), rel=tolerance)


FILES = ("rayui/*.rml", "metrix/*.rml")


@pytest.mark.filterwarnings("ignore:.*the file.*is not there")
@pytest.mark.filterwarnings(MOVED)
def test_every_file_loads_and_traces(shared):
    paths = [path for pattern in FILES for path in sorted(shared.glob(pattern))]
    assert len(paths) > 20
    for path in paths:
        # The file of this one's undulator stayed with its owner.
        unmodelled = "warn" if path.stem == "UE48-PGM-CAT" else "error"
        rays = trace(read_rml(path, unmodelled=unmodelled), 2000)
        assert rays.arrived.sum() > 10, path
        assert np.isfinite(rays.values[:, rays.arrived]).all(), path
        assert np.isfinite(rays.stokes[:, rays.arrived]).all(), path


def test_table_is_ray_uis_own(shared, tmp_path):
    """`raybayes trace FILE --table OUT` writes what RAY-UI wrote, rounding aside."""
    source = shared / "rayui" / "PlaneGratingDevAzMisVLS.rml"
    out = tmp_path / "out.csv"
    result = CliRunner().invoke(app, ["trace", str(source), "--table", str(out)])
    assert result.exit_code == 0 and "67 of 200 arrive" in result.output
    ours, theirs = out.read_text(), source.with_suffix(".csv").read_text()
    assert ours.splitlines()[:2] == theirs.splitlines()[:2]
    ours, theirs = table(out), table(source.with_suffix(".csv"))
    for column in ("RN", "RS", "RO", "EN", "S0"):
        assert np.array_equal(ours[column], theirs[column]), column
    np.testing.assert_allclose(ours["OX"], theirs["OX"], rtol=0, atol=1e-7)


def test_trace_command_refuses_in_one_sentence(shared, tmp_path):
    source = str(shared / "rayui" / "toroid.rml")
    for arguments, message in (
        ([source, "--plane", "X"], "there is no element 'X'"),
        ([source, "--rays", "0"], "trace a whole number of rays"),
        ([str(tmp_path / "none.rml")], "cannot be read"),
        ([source, "--table", str(tmp_path / "no" / "out.csv")], "cannot be written"),
    ):
        result = CliRunner().invoke(app, ["trace", *arguments])
        assert result.exit_code == 2 and message in result.output
        assert result.output.count("\n") == 1


def test_early_files_without_an_image_distance(shared):
    """Then, and only then, the image plane's world coordinates count."""
    beamline = read_rml(shared / "rayui" / "PlaneMirrorDef.rml")
    plane = beamline["ImagePlane"]
    kept = {k: v for k, v in plane.params.items() if k != "distanceImagePlane"}
    early = replace(beamline, elements=(*beamline.elements[:-1], replace(plane, params=kept)))
    ours, theirs = trace(early, rays=None).values, trace(beamline, rays=None).values
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
