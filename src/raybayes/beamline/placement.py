"""Down the beam from element to element: the frame of each, and one row of numbers."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from raybayes.array_types import Array
from raybayes.beamline.data_files import find_file
from raybayes.beamline.heights import height_table
from raybayes.beamline.model import Element
from raybayes.beamline.values import ARCSEC, Values, misaligned, rotation
from raybayes.optics.rows import (
    ACROSS,
    COLUMNS,
    CUTOUT,
    NO_STOP,
    OFFSET,
    OPENING,
    PROFILE,
    ROTATION,
    SHAPE,
    SLOPE,
    STOP,
    TAPER,
    TRAPEZOID,
)

PROFILE_FILE, NO_PROFILE = 0, 2  # profileKind
SLOPES = ("slopeErrorSag", "slopeErrorMer")


class Walk:
    """Carries the beam frame from element to element and writes one row for each."""

    def __init__(self, values: Values, hc: float) -> None:
        self.values = values
        self.hc = hc
        self.beamline = values.beamline
        n = values.n
        self.axes: Array = np.broadcast_to(np.eye(3), (n, 3, 3))
        self.origin = np.zeros((n, 3))
        self.distance: Array = np.zeros(n)
        self.frames: list[tuple[Array, Array]] = []
        self.paths: list[Array] = []
        self.rows = np.zeros((n, len(self.beamline.elements) - 1, COLUMNS))
        self.rows[..., CUTOUT : CUTOUT + 3] = np.inf, np.inf, 0
        self.rows[..., OPENING : OPENING + 2] = np.inf
        self.rows[..., STOP] = NO_STOP
        self.derived: dict[str, dict[str, Array]] = {}
        self.materials: list[str] = []
        self.heights: list[Array] = []
        self.energy = values(self.beamline.source, "photonEnergy")

    def down(self, placers: "dict[str, Placer]", coat: "Placer") -> None:
        """Place the source and then every element."""
        self.keep_frame(self.beamline.source, self.axes, self.origin)
        for i, element in enumerate(self.beamline.elements[1:]):
            self.derived[element.name] = {}
            placers[element.type](self, element, self.rows[:, i])
            coat(self, element, self.rows[:, i])
            self._link(i)

    def material(self, name: str) -> int:
        """The index of a material in the beamline's table of optical constants."""
        if name not in self.materials:
            self.materials.append(name)
        return self.materials.index(name)

    def keep_frame(
        self, element: Element, axes: Array, origin: Array, turn: ArrayLike = 0.0
    ) -> None:
        axes, origin = misaligned(self.values, element, axes, origin, turn)
        n = self.values.n
        self.frames.append((np.broadcast_to(axes, (n, 3, 3)), np.broadcast_to(origin, (n, 3))))
        self.paths.append(self.distance)

    def _link(self, i: int) -> None:
        """The map from the previous element's frame to this one's; small numbers only."""
        (axes0, origin0), (axes1, origin1) = self.frames[-2:]
        back = np.swapaxes(axes1, -1, -2)
        self.rows[:, i, ROTATION : ROTATION + 9] = (back @ axes0).reshape(-1, 9)
        shift = np.einsum("...ij,...j->...i", back, origin0 - origin1)
        self.rows[:, i, OFFSET : OFFSET + 3] = shift

    # -- the two ways of standing in the beam

    def deflect(
        self,
        element: Element,
        distance: ArrayLike,
        chi: ArrayLike,
        alpha: ArrayLike,
        beta: ArrayLike,
        turn: ArrayLike = 0.0,
    ) -> None:
        """A mirror or grating: grazing angles alpha in, beta out (rad), azimuth chi (rad)."""
        self.advance(distance)
        chi = np.asarray(chi)
        surface = self.axes @ rotation(2, chi) @ rotation(0, -np.asarray(alpha))
        self.keep_frame(element, surface, self.origin, turn)
        self.axes = surface @ rotation(0, -np.asarray(beta)) @ rotation(2, -chi)

    def screen(self, element: Element, chi: ArrayLike) -> None:
        """A slit or an image plane: the beam goes straight on."""
        self.keep_frame(element, self.axes @ rotation(2, chi), self.origin)

    def advance(self, distance: ArrayLike) -> None:
        step = np.asarray(distance, np.float64)
        self.origin = self.origin + step[..., None] * self.axes[..., :, 2]
        self.distance = self.distance + step

    # -- what optical surfaces have in common

    def blank(self, element: Element, row: Array, centre: ArrayLike = 0.0) -> None:
        self.outline(element, row, "totalLength")
        row[:, CUTOUT + 2] = centre
        on = element.number("slopeError", 1) == 0
        for offset, id_ in enumerate(SLOPES):
            if on or self.values.varies(element, id_):
                row[:, SLOPE + offset] = np.abs(self.values(element, id_)) * ARCSEC
        if on and element.number("profileKind", NO_PROFILE) == PROFILE_FILE:
            row[:, PROFILE] = self._profile(element)

    def _profile(self, element: Element) -> int:
        """1 + where the element's measured profile stands among those of the beamline."""
        path = find_file(self.beamline, element, "profileFile")
        if path is None:
            missing = "the measured profile is not there; put it beside the RML file"
            self.values.not_modelled(element, missing, "profileFile")
            return 0
        start = sum(map(len, self.heights))
        self.heights.append(height_table(path, path.stat().st_mtime_ns))
        return 1 + start

    def outline(self, element: Element, row: Array, length: str) -> None:
        """Of a blank or frame: totalWidth by `length`, rectangle, ellipse or trapezoid.

        A trapezoid is totalWidth wide at its upstream end and totalWidthB downstream.
        """
        get = self.values
        half_x, half_s = get(element, "totalWidth") / 2, get(element, length) / 2
        shape = element.number("geometricalShape")
        if shape == TRAPEZOID:
            get.check(element, length, half_s > 0, "a trapezoid must have a length")
            half_b = get(element, "totalWidthB") / 2
            row[:, TAPER] = (half_b - half_x) / (2 * half_s)
            half_x = (half_x + half_b) / 2
        row[:, SHAPE] = shape
        row[:, CUTOUT], row[:, CUTOUT + 1] = half_x, half_s

    def mirror(self, element: Element, turn: ArrayLike = 0.0) -> Array:
        """Place a mirror that stands alone; returns its grazing angle (rad)."""
        angle = self.angle(element, "grazingIncAngle")
        self.deflect(element, *self.place(element), angle, angle, turn)
        return angle

    def place(self, element: Element) -> tuple[Array, Array]:
        """The distance from the element before (mm) and the azimuth (rad)."""
        get = self.values
        chi = np.deg2rad(get(element, "azimuthalAngle"))
        return get(element, "distancePreceding"), chi

    def angle(self, element: Element, id_: str) -> Array:
        """A grazing angle that is in the file, rad."""
        degrees = self.values(element, id_)
        good = (degrees > 0) & (degrees <= 90)
        self.values.check(element, id_, good, "a grazing angle is above 0 and at most 90 deg")
        return np.deg2rad(degrees)

    def inverse_arms(self, element: Element, suffix: str = "") -> tuple[Array, Array]:
        """1 / entrance and 1 / exit arm length, 1/mm; an arm that is not given is infinite."""
        arms = []
        for side in ("entranceArmLength", "exitArmLength"):
            arm = self.values(element, side + suffix, np.inf)
            self.values.check(element, side + suffix, arm != 0, "an arm length is not zero")
            arms.append(1 / arm)
        return arms[0], arms[1]

    def across(self, row: Array) -> None:
        row[:, ACROSS] = 1


Placer = Callable[[Walk, Element, Array], None]
