"""Are numbers, tables and pictures of a traced beam those that are known?"""

from itertools import combinations

import numpy as np
import pytest
from beamlines import ELEMENTS, PARALLEL, POINT, THETA, element, small
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from raybayes.beamline.beam import answer, beam, numbers, summary
from raybayes.beamline.derive import with_values
from raybayes.beamline.model import Beamline
from raybayes.beamline.pictures import layout_picture, outline_line, save, spot_diagram
from raybayes.beamline.probe import Probe
from raybayes.beamline.rml import read_rml
from raybayes.beamline.table import COLUMNS, ray_table
from raybayes.beamline.trace import trace

FOOTPRINT = 5.0 / np.sin(np.deg2rad(THETA))  # mm: of PARALLEL, 5 mm high
NONE = small("Slit", source=POINT, openingWidth=0.0)


def test_beam_of_ue112(ue112):
    """Spot, bandwidth and resolving power of the reference: 154 x 20.0 um FWHM, R 4484."""
    a = answer(Probe.of(ue112, 1 << 17))
    assert a.beam.fwhm[0] * 1e3 == pytest.approx(154, rel=0.05)
    assert a.beam.fwhm[1] * 1e3 == pytest.approx(20.0, rel=0.05)
    assert a.beam.rms[0] * 1e3 == pytest.approx(68.4, rel=0.01)
    assert a.monochromator.resolving_power == pytest.approx(4484, rel=0.02)
    assert beam(a.traced, flux=1e12).flux == pytest.approx(1e12 * a.beam.transmission)
    assert "M1" not in summary(answer(Probe.of(ue112, 1000, "M1"))).get("lost at", "")


def test_no_beam_has_no_width():
    a = answer(Probe.of(NONE, 100))
    assert a.beam.transmission == 0 and np.isnan(a.beam.rms[0])
    assert summary(a)["lost at"] == "O 100" and numbers(a)["lost_at"] == {"O": 100}


def test_flux_is_the_file_s():
    """A slit of 5 x 2 mm in a parallel beam of 10 x 5 mm."""
    a = answer(Probe.of(small("Slit", source={**PARALLEL, "photonFlux": 1e13}), 1 << 14))
    assert a.source_flux == 1e13 and a.beam.flux == pytest.approx(0.2e13, rel=2e-3)
    assert "photons/s" in summary(a)["flux"]
    assert np.isnan(answer(Probe.of(small("Slit", source=PARALLEL), 100)).source_flux)


def test_footprint_on_a_surface():
    """A beam of 10 x 5 mm at 2 deg is 143 mm long: what is beyond 100 mm misses."""
    mirror = small("Plane Mirror", source=PARALLEL, totalLength=100.0, totalWidth=50.0)
    a = answer(Probe.of(mirror, 1 << 14, "O"))
    assert a.traced.axes == ("x", "z") and "footprint" in summary(a)["plane"]
    assert a.beam.rms == pytest.approx((10 / np.sqrt(12), 100 / np.sqrt(12)), rel=1e-2)
    assert a.beam.fwhm == pytest.approx((10, 100), rel=2e-2)
    assert a.missed == pytest.approx(1 - 100 / FOOTPRINT, abs=2e-3)
    assert np.isnan(answer(Probe.of(mirror, 100)).missed)


GOLD = {
    "reflectivityType": 1, "surfaceCoating": 0, "materialSubstrate": "Au",
    "densitySubstrate": 19.3, "roughnessSubstrate": 0.0,
}  # fmt: skip


def test_what_misses_a_coated_mirror_is_counted_before_it():
    """Gold reflects rays at 1.5 and 2.5 deg unequally; what comes to it is equal light."""
    wide = {**POINT, "verDiv": 18.0, "photonEnergy": 500.0}
    mirror = small("Plane Mirror", source=wide, totalLength=3000.0, **GOLD)
    a = answer(Probe.of(mirror, 4000, "O"))
    assert np.ptp(a.traced.weight) > 0.05 and 0.3 < a.missed < 0.9
    assert a.missed == pytest.approx((a.traced.lost_at == "O").mean(), rel=1e-12)


@pytest.mark.parametrize("kind", ["Toroid", "Plane Grating", "Crystal", "Reflection Zoneplate",
                                  "Paraboloid"])  # fmt: skip
def test_all_optical_surfaces_have_footprints(kind):
    source = {**POINT, "photonEnergy": 8048.0 if kind == "Crystal" else 100.0}
    rays = trace(small(kind, source=source), 500, plane="O")
    assert rays.axes == ("x", "z") and rays.outline.half_z == 2000


def test_outlines():
    rectangle = trace(small("Plane Mirror", source=PARALLEL), 10, plane="O")
    assert {tuple(p) for p in np.transpose(outline_line(rectangle))} == {
        (z, x) for z in (-2000, 2000) for x in (-200, 200)
    }
    tapered = small("Plane Mirror", source=PARALLEL, geometricalShape=2, totalWidthB=100.0)
    z, x = outline_line(trace(tapered, 10, plane="O"))
    assert np.abs(x[z < 0]).max() == 200 and np.abs(x[z > 0]).max() == 50
    ellipse = small("Plane Mirror", source=PARALLEL, geometricalShape=1)
    z, x = outline_line(trace(ellipse, 10, plane="O"))
    np.testing.assert_allclose((z / 2000) ** 2 + (x / 200) ** 2, 1)
    assert len(outline_line(trace(ellipse, 10))[0]) == 0


def test_footprint_and_table_have_ray_uis_columns(ue112):
    footprint = ray_table(trace(ue112, 2000, plane="M2"))
    assert tuple(footprint) == COLUMNS
    assert 20 < np.abs(footprint["OZ"]).max() < 60  # the reference has 33 mm at 131072 rays


def test_the_spot_s_profile_shows_its_half_maximum(ue112):
    rays = trace(ue112, 1 << 14)
    _, top, side = spot_diagram(rays).axes
    for k, panel in enumerate((top, side)):
        curve, half = (line.get_xydata()[:, :: (1, -1)[k]] for line in panel.lines)
        assert np.ptp(half[:, 0]) == pytest.approx(1e3 * beam(rays).fwhm[k])
        assert half[0, 1] == pytest.approx(curve[:, 1].max() / 2, rel=1e-3)
    middle = spot_diagram(trace(ue112, 100, plane="M1")).axes[0]
    assert (middle.get_xlabel(), middle.get_ylabel()) == ("z, mm", "x, mm")


def test_pictures_are_written_whole(tmp_path, ue112):
    save(spot_diagram(trace(ue112, 3000)), tmp_path / "spot.png")
    save(spot_diagram(trace(ue112, 3000, plane="M4")), tmp_path / "foot.png")
    save(layout_picture(ue112), tmp_path / "layout.png")
    save(spot_diagram(trace(NONE, 9)), tmp_path / "no.png")
    for path in tmp_path.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 4


# --- no text of a layout covers another --------------------------------------------------------


def not_drawn(panel):
    """Labels of ticks beyond the ends of an axis."""
    for axis in (panel.xaxis, panel.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if not low <= tick.get_loc() <= high:
                yield from (tick.label1, tick.label2)


def texts(figure):
    """Of all that is written: its words and its box, but for numbers beyond an axis's ends."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    beyond = {label for panel in figure.axes for label in not_drawn(panel)}
    shown = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    renderer = canvas.get_renderer()
    # Of an annotation the words alone, not its line.
    return [(t.get_text(), Text.get_window_extent(t, renderer)) for t in shown if t not in beyond]


def covered(figure):
    pairs = combinations(texts(figure), 2)
    return [(a, b) for (a, first), (b, second) in pairs if first.overlaps(second)]


def outside(figure):
    wide, high = figure.canvas.get_width_height()
    return [t for t, b in texts(figure) if min(b.min) < 0 or b.x1 > wide or b.y1 > high]


def test_names_of_a_layout_stand_apart(ue112):
    off = with_values(ue112, {"M1.rotationXerror": 0.1, "M4.rotationYerror": 1.0})
    figure = layout_picture(off)
    assert not covered(figure) and not outside(figure)
    assert {"UE112", "M2", "G"} <= {text for text, _ in texts(figure)}


def test_a_crowd_of_names_stands_apart():
    """Ninety elements within a metre, with long names, and one that is no mathematics."""
    plane = {**ELEMENTS["Slit"], "distancePreceding": 10.0}
    crowd = [element(rf"a slit by the name of $\none{i}$", "Slit", plane) for i in range(90)]
    source = element("S", "Point Source", POINT)
    figure = layout_picture(Beamline("1.15", (source, *crowd)))
    assert not covered(figure) and not outside(figure)


@pytest.mark.filterwarnings("ignore")
def test_names_in_all_known_files(shared):
    paths = [p for folder in ("rayui", "metrix") for p in (shared / folder).glob("*.rml")]
    figures = {path.name: layout_picture(read_rml(path, "warn")) for path in paths}
    assert len(figures) > 20
    assert not {name for name, figure in figures.items() if covered(figure) or outside(figure)}
