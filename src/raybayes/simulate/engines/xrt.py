"""xrt as an engine: its surfaces, gratings and slope errors, on the CPU.

Rays, frames, slits, edges and the image plane are ours, a few lines of numpy. xrt's axes are
x' = -x, y' = z, z' = y of RAY-UI's.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from raybayes.array_types import Array, Bools
from raybayes.beamline.geometry import Compiled, compile_beamline, hc_of
from raybayes.beamline.model import Element
from raybayes.beamline.source import STANDARD, dimensions, emit, standard, uniforms
from raybayes.errors import InputError
from raybayes.optics import RAY
from raybayes.optics.rows import (
    COATING,
    CUTOUT,
    EQUIDISTANT,
    GIVEN,
    GIVEN_S,
    KIND,
    LINES,
    NO_STOP,
    OPENING,
    OPENING_SHAPE,
    ORDERS,
    PERFECT,
    PROFILE,
    RECTANGLE,
    SCREEN,
    SHAPE,
    SLOPE,
    STOP,
    SURFACE,
    TOROID,
    WAVELENGTH_SHIFT,
    E,
)
from raybayes.simulate.engines.protocol import Capabilities, Key, Scene, needs

TURN = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
FLAT = 1e30  # mm
FIGURES = ("Plane Mirror", "Cylinder", "Toroid", "Plane Grating")
SCREENS = ("Slit", "ImagePlane")


@dataclass(frozen=True)
class Xrt:
    """Random rays through xrt, one theta at a time.

    Attributes:
        rays: of a theta.
    """

    scene: Scene
    rays: int

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(seeded=True, batched=False)

    @cached_property
    def _parts(self) -> tuple[Any, Any, Any, Any]:
        """xrt's materials, elements and sources, and a beamline that its elements must have."""
        names = ("materials", "oes", "sources")
        with warnings.catch_warnings():  # of its own imports, nobody's business here
            warnings.simplefilter("ignore")
            materials, elements, sources = (needs(f"xrt.backends.raycing.{n}") for n in names)
        return materials, elements, sources, needs("xrt.backends.raycing").BeamLine()

    def check(self) -> "Xrt":
        """Refuse now, by name, what is not handed over to xrt."""
        _ = self._parts
        middle = np.mean(self.scene.support, axis=0)[None]
        compiled = compile_beamline(self.scene.beamline, self.scene.names, middle)
        for element, row in zip(self.scene.beamline.elements[1:], compiled.rows[0], strict=True):
            reason = _refused(element, row)
            if reason:
                raise InputError(f"engine xrt: {element.type} {element.name!r}: {reason}")
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {"scene": self.scene, "rays": self.rays}  # xrt's modules do not travel

    def profiles(self, theta: Array, key: Key) -> tuple[Array, Array]:
        """As `Engine.profiles`; theta is [1, d]."""
        compiled = compile_beamline(self.scene.beamline, self.scene.names, theta)
        rng = np.random.default_rng((self.scene.seed, *key))
        places, directions, energy = self._emitted(compiled, rng)
        alive = np.ones(self.rays, bool)
        at = np.zeros((2, self.rays))
        for k, element in enumerate(self.scene.beamline.elements[1:]):
            row = compiled.rows[0, k]
            frame = compiled.origins[0, k + 1], compiled.axes[0, k + 1]
            if row[KIND] == SCREEN:
                at = _to_plane(*frame, places, directions)
                alive &= _inside(row, at)
                continue
            beam, local = self._reflected(element, row, frame, (places, directions, energy), rng)
            local[1] -= row[CUTOUT + 2]  # where the blank's centre is
            alive &= (np.abs(local) <= row[CUTOUT : CUTOUT + 2, None]).all(axis=0) & beam[2]
            places, directions = beam[:2]
        alive &= np.isfinite(at).all(axis=0)
        detector = self.scene.detector
        profile = detector.counted(at[:, alive], np.ones(alive.sum()), self.rays, rng)
        return profile[None], np.array([alive.mean()])

    def _emitted(self, compiled: Compiled, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Places [3, n] (mm), directions [3, n] in the world, and energies [n] (eV)."""
        width = dimensions(self.scene.beamline.source)
        seed = tuple(int(s) for s in rng.integers(1 << 32, size=2))
        points = np.concatenate(list(uniforms("random", width, self.rays, seed)))
        samples = standard(self.scene.beamline, points)
        rays = np.empty((RAY, self.rays))
        emit(compiled.emission[0], samples[:, :STANDARD], rays)
        axes, origin = compiled.axes[0, 0], compiled.origins[0, 0]
        return axes @ rays[:3] + origin[:, None], axes @ rays[3:6], rays[E]

    def _reflected(
        self,
        element: Element,
        row: Array,
        frame: tuple[Array, Array],
        beam: tuple[Array, Array, Array],
        rng: np.random.Generator,
    ) -> tuple[tuple[Array, Array, Array], Array]:
        """Places, directions and who goes on; and where they hit: x and z, [2, n], mm."""
        origin, axes = frame
        places, directions, energy = TURN @ beam[0], TURN @ beam[1], beam[2]
        rays = self._parts[2].Beam(nrays=len(energy), forceState=1)
        rays.x, rays.y, rays.z = (np.array(row) for row in places)
        rays.a, rays.b, rays.c = (np.array(row) for row in directions)
        rays.E, rays.Jss = energy.copy(), np.ones_like(energy)
        rays.path = np.zeros_like(energy)
        optic = self._optic(element, row, TURN @ origin, TURN @ axes @ TURN.T, rng)
        out, local = optic.reflect(rays)
        after = np.stack((out.x, out.y, out.z)), np.stack((out.a, out.b, out.c))
        hits = np.stack((local.x, local.y))
        return (TURN.T @ after[0], TURN.T @ after[1], np.asarray(out.state) == 1), hits

    def _optic(
        self, element: Element, row: Array, origin: Array, axes: Array, rng: np.random.Generator
    ) -> Any:
        materials, elements, _, line = self._parts
        roll, yaw, pitch = Rotation.from_matrix(axes).as_euler("YZX")
        options: dict[str, Any] = {"center": list(origin), "pitch": pitch, "roll": roll}
        options |= {"bl": line, "yaw": yaw, "rotationSequence": "RyRzRx", "targetOpenCL": None}
        if row[WAVELENGTH_SHIFT] != 0:
            # Lines and order of theta, as in the row; xrt's order is a whole number, the file's.
            order = -int(element.number("orderDiffraction", 1))
            lines = row[WAVELENGTH_SHIFT] / (-order * 1e-6 * hc_of(self.scene.beamline))
            density = ["y", lines, 1]
            material = materials.Material("Au", kind="grating", rho=19.3, efficiency=[(order, 1.0)])
            options |= {"material": material, "gratingDensity": density, "order": order}
        kind = elements.OE
        if row[KIND] == TOROID:
            kind = _torus(elements.ToroidMirror)
            options |= {"R": min(row[SURFACE], FLAT), "r": min(row[SURFACE + 1], FLAT)}
        elif element.type == "Cylinder":
            kind = _torus(elements.ToroidMirror)
            long_, short = _radii(row)
            options |= {"R": long_, "r": short}
        return _sloped(kind, row[SLOPE : SLOPE + 2], rng)(**options)


def _refused(element: Element, row: Array) -> str:
    """Why xrt cannot have this element from us; "" where it can."""
    if element.type not in (*FIGURES, *SCREENS):
        return f"only {', '.join((*FIGURES, *SCREENS))} are handed over"
    given = row[COATING] == GIVEN and (row[GIVEN_S : GIVEN_S + 2] == 1).all()
    if row[COATING] != PERFECT and not given:
        return "reflectivity is not handed over; set it to 100 %"
    if row[SHAPE] != RECTANGLE or row[OPENING_SHAPE] != RECTANGLE or row[STOP] != NO_STOP:
        return "only rectangles without a beamstop are handed over"
    if row[LINES] != EQUIDISTANT or row[ORDERS] == 1:
        return "only gratings of equal lines and one order are handed over"
    if row[PROFILE] > 0:
        return "measured profiles are not handed over; set profileKind to 2"
    return ""


def _radii(row: Array) -> tuple[float, float]:
    """Of a cylinder's quadric a11 x^2 + a22 y^2 + a33 z^2 + 2 a24 y: along and across, mm."""
    a11, _, a33 = row[SURFACE : SURFACE + 3]
    a24 = row[SURFACE + 7]
    return tuple(-a24 / a if a else FLAT for a in (a33, a11))  # type: ignore[return-value]


def _to_plane(origin: Array, axes: Array, places: Array, directions: Array) -> Array:
    """World [3, n] -> x and y [2, n] where the rays meet a screen, in its own frame."""
    place, direction = axes.T @ (places - origin[:, None]), axes.T @ directions
    return (place - place[2] / direction[2] * direction)[:2]


def _inside(row: Array, at: Array) -> Bools:
    half = np.minimum(row[OPENING : OPENING + 2], row[CUTOUT : CUTOUT + 2])
    return np.asarray((np.abs(at) <= half[:, None]).all(axis=0))


def _torus(base: Any) -> Any:
    """xrt's torus is a parabola along the beam; RAY-UI's is a circle."""

    class Circular(base):
        def _across(self, x: Array) -> tuple[Array, Array]:
            root = np.sqrt(np.maximum(self.r**2 - x**2, 0))  # xrt looks for hits far outside, too
            return root, x**2 / (self.r + root)

        def local_z(self, x: Array, y: Array) -> Array:
            _, sagitta = self._across(x)
            along = np.sqrt(np.maximum((self.R - sagitta) ** 2 - y**2, 0))
            return sagitta + y**2 / (self.R - sagitta + along)

        def local_n(self, x: Array, y: Array) -> list[Array]:
            root, sagitta = self._across(x)
            big = self.R - sagitta
            along = np.sqrt(np.maximum(big**2 - y**2, 0))
            normal = np.stack((-big * x / (along * root), -y / along, np.ones_like(x)))
            return list(normal / np.linalg.norm(normal, axis=0))

    return Circular


def _sloped(base: Any, slopes: Array, rng: np.random.Generator) -> Callable[..., Any]:
    """Slope errors, rms sagittal and meridional (rad), drawn for each ray as in RAY-UI."""
    sagittal, meridional = slopes
    if not (sagittal or meridional):
        return base

    class Sloped(base):
        def local_n_distorted(self, x: Array, y: Array) -> tuple[Array, Array]:
            pitch, roll = rng.standard_normal((2, len(x)))
            return meridional * pitch, sagittal * roll

    return Sloped
