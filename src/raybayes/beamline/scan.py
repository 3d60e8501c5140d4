"""One parameter through a range: what arrives at a plane at each of its values."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.beam import Answer, answer
from raybayes.beamline.derive import with_values
from raybayes.beamline.kinds import Number
from raybayes.beamline.model import Beamline
from raybayes.beamline.probe import Probe
from raybayes.beamline.schema import OBJECTS
from raybayes.beamline.trace import compiled_for_rays
from raybayes.errors import InputError

MOST = 10_000  # points of a scan; more is a slip
# Sources whose samples are drawn from scales alone, so that all thetas share one compilation.
SCALED = ("Matrix Source", "Point Source", "Pixel Source", "Simple Undulator")


@dataclass(frozen=True)
class Range:
    """Values of one parameter, in RAY-UI's units: name "ELEMENT.PARAMETER", values [n]."""

    name: str
    values: Array

    @classmethod
    def of(cls, text: str) -> "Range":
        """Of "NAME=LOW..HIGH:POINTS".

        Raises:
            InputError: another form, numbers that are not finite, too few or too many points.
        """
        name, _, span = text.rpartition("=")
        low, _, rest = span.partition("..")
        high, _, points = rest.rpartition(":")
        try:
            ends, count = (float(low), float(high)), int(points)
        except ValueError:
            count, ends = 0, (np.nan, np.nan)
        if not (name and np.isfinite(ends).all() and 2 <= count <= MOST):
            raise InputError(
                f"--scan {text}: give NAME=LOW..HIGH:POINTS, as M1.rotationXerror=-0.1..0.1:21, "
                f"with 2 to {MOST} points"
            )
        values = np.linspace(*ends, count)
        values[np.abs(values) < 1e-12 * np.abs(values).max()] = 0.0  # a rounding error is no value
        return cls(name, values)


@dataclass(frozen=True)
class Scan:
    """A table: one row for each value.

    Attributes:
        name, unit: of the scanned parameter.
        columns: name -> [n]; the first is the scanned value; mm, eV, photons/s.
    """

    plane: str
    name: str
    unit: str
    columns: dict[str, Array]

    def csv(self) -> str:
        """A line of names and a line for each value; empty where there is no number."""
        return csv_text(self.columns)


def csv_text(columns: Mapping[str, Iterable[float]]) -> str:
    """Columns of equal length as lines; a NaN is empty."""
    rows = zip(*columns.values(), strict=True)
    lines = [",".join("" if np.isnan(v) else f"{v:.10g}" for v in row) for row in rows]
    return "\n".join((",".join(columns), *lines, ""))


def scan(probe: Probe, span: Range, slit_diffraction: bool = False) -> Scan:
    """Trace at each value, with the same rays.

    Args:
        probe: at the values of the file; its beamline, plane, rays and seed are used.

    Raises:
        InputError: an unknown name, one on which the beamline does not depend, or values that it
            cannot take.
    """
    beamline = probe.beamline
    unit = _unit(beamline, span.name)
    rows = []
    for value, each in zip(span.values, _probes(probe, span, slit_diffraction), strict=True):
        rows.append({_header(span.name, unit): value, **_row(answer(each))})
    plane = beamline.elements[-1].name if probe.plane is None else probe.plane
    columns = {name: np.array([row[name] for row in rows], np.float64) for name in rows[0]}
    return Scan(plane, span.name, unit, columns)


def _header(name: str, unit: str) -> str:
    return f"{name}_{unit}" if unit else name


def _unit(beamline: Beamline, name: str) -> str:
    element, id_ = beamline.find(name)
    kind = OBJECTS[element.type][id_]
    unit = kind.unit if isinstance(kind, Number) else ""
    return "" if unit == "energySpreadUnit" else unit


def _row(a: Answer) -> dict[str, float]:
    """Of one point, with the axes' names in the columns'."""
    b = a.beam
    pairs = {"centroid": b.centroid, "rms": b.rms, "fwhm": b.fwhm}
    named = {
        f"{name}_{axis}_mm": value
        for name, pair in pairs.items()
        for axis, value in zip(a.traced.axes, pair, strict=True)
    }
    return {
        "rays": b.rays,
        "transmission": b.transmission,
        "flux_photons_per_s": b.flux,
        **named,
        "energy_eV": b.energy,
        "bandwidth_eV": b.bandwidth,
        "resolving_power": a.monochromator.resolving_power,
        **({} if a.traced.outline is None else {"missed": a.missed}),
    }


def _probes(probe: Probe, span: Range, slit_diffraction: bool) -> Iterator[Probe]:
    source = probe.beamline.source
    if probe.beamline.find(span.name)[0] is source and source.type not in SCALED:
        return _one_by_one(probe, span, slit_diffraction)
    return _at_once(probe, span, slit_diffraction)


def _at_once(probe: Probe, span: Range, slit_diffraction: bool) -> Iterator[Probe]:
    """One compilation for all values."""

    def compile_at(values: Array) -> list[Probe]:
        b, theta = probe.beamline, values[:, None]
        every = compiled_for_rays(b, (span.name,), theta, slit_diffraction)
        return [replace(probe, compiled=every, i=i) for i in range(len(values))]

    return iter(_reached(compile_at, span))


def _one_by_one(probe: Probe, span: Range, slit_diffraction: bool) -> Iterator[Probe]:
    """Where the samples themselves depend on the value: a beamline for each."""

    def compile_at(values: Array) -> list[Probe]:
        made = [with_values(probe.beamline, {span.name: float(v)}) for v in values]
        compiled = [compiled_for_rays(b, slit_diffraction=slit_diffraction) for b in made]
        both = zip(made, compiled, strict=True)
        return [replace(probe, beamline=b, compiled=c) for b, c in both]

    return iter(_reached(compile_at, span))


Compile = Callable[[Array], list[Probe]]


def _reached(compile_at: Compile, span: Range) -> list[Probe]:
    """What is compiled at all values, or a sentence about those that do not exist."""
    try:
        return compile_at(span.values)
    except InputError as error:
        bad = [value for value in span.values if not _exists(compile_at, value)]
        if not 0 < len(bad) < len(span.values):
            raise
        some = ", ".join(f"{value:g}" for value in bad[:5]) + (", ..." if len(bad) > 5 else "")
        where = f"{span.name}: at {len(bad)} of {len(span.values)} values, {some}"
        raise InputError(f"{error} (--scan {where})") from None


def _exists(compile_at: Compile, value: float) -> bool:
    try:
        compile_at(np.array([value]))
    except InputError:
        return False
    return True
