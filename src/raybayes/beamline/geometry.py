"""Parameters -> a table of numbers, one row per element; thousands of settings in one pass.

Everything is computed from RAY-UI's parameters, never from the world coordinates of a file:
those are stale wherever a script has edited it. All arithmetic broadcasts over a leading axis
of settings, so a beamline with n settings is one array [n, elements, columns].

Frames (RAY-UI): right-handed, z along the beam, y up. A mirror's surface lies in its xz plane
with the normal along +y; a slit's or image plane's opening lies in xy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raybayes.beamline.rml import Beamline, Element
from raybayes.beamline.schema import MODELLED, OBJECTS, ROTATIONS, SX700, TRANSLATIONS, Choice
from raybayes.errors import InputError
from raybayes.optics import (
    COLUMNS,
    CUTOUT,
    KIND,
    OFFSET,
    OPENING,
    QUADRIC,
    ROTATION,
    SCREEN,
    SHAPE,
    SLOPE,
    SURFACE,
    TOROID,
    WAVELENGTH_SHIFT,
)

Array = NDArray[np.float64]

HC = 1239.841984332  # nm eV, CODATA 2018: RAY-UI's value
ARCSEC = np.pi / 180 / 3600
# Emission row of a source: what raybayes.beamline.source turns uniform numbers into rays with.
SIGMA_X, SIGMA_Y, SIGMA_XP, SIGMA_YP, ENERGY, SPREAD, DEPTH = range(7)
EMISSION_COLUMNS = 7
# RAY-UI's table "BESSY II low Beta": um, urad, um, urad.
LOW_BETA = (71.6, 74.6, 9.93, 8.07)


@dataclass(frozen=True)
class Compiled:
    """n settings of one beamline as numbers.

    Attributes:
        names: of the elements after the source, in beam order.
        emission: [n, EMISSION_COLUMNS], the source.
        rows: [n, elements, COLUMNS], the elements.
        origins, axes: [n, 1 + elements, 3] and [n, 1 + elements, 3, 3], the frame of source
            and elements in the world (mm; the columns of an `axes` matrix are x, y, z).
        derived: element -> parameter -> [n], what RAY-UI would compute and show.
    """

    names: tuple[str, ...]
    emission: Array
    rows: Array
    origins: Array
    axes: Array
    derived: dict[str, dict[str, Array]]

    def index(self, name: str) -> int:
        if name not in self.names:
            raise InputError(f"there is no element {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)


def compile_beamline(
    beamline: Beamline, names: Sequence[str] = (), theta: ArrayLike | None = None
) -> Compiled:
    """Compile one beamline at n settings of some of its parameters.

    Args:
        beamline: as read by `read_rml`.
        names: d parameters, "ELEMENT.PARAMETER", in RAY-UI's names and units.
        theta: [n, d], their values; None is one setting, as in the file.

    Raises:
        InputError: an unknown name, a feature that is not modelled, or values for which the
            geometry does not exist (an evanescent order, say).
    """
    for element in beamline.elements:
        check_modelled(beamline, element)
    settings = _Settings.of(beamline, names, theta)
    walk = _Walk(settings)
    return walk.compiled()


def check_modelled(beamline: Beamline, element: Element) -> None:
    """Refuse, by name, a choice that RAY-UI offers and this tracer does not follow."""
    for id_, allowed in MODELLED.items():
        kind = OBJECTS[element.type].get(id_)
        value = int(element.number(id_, min(allowed)))
        if isinstance(kind, Choice) and value not in allowed and _in_force(element, id_):
            line = element.params[id_].line
            words = ", ".join(f"{k} ({kind.words[k]})" for k in sorted(allowed) if k in kind.words)
            raise InputError(
                f"{beamline.path}:{line}: {element.type} {element.name!r}, parameter {id_!r}: "
                f"{value} ({kind.words[value]}) is not modelled; set it to {words}"
            )


def _in_force(element: Element, id_: str) -> bool:
    return id_ != "profileKind" or element.number("slopeError", 1) == 0


@dataclass(frozen=True)
class _Settings:
    """The value of any parameter: [n] where theta varies it, a scalar where it does not."""

    beamline: Beamline
    n: int
    varied: Mapping[tuple[str, str], Array]
    used: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def of(cls, beamline: Beamline, names: Sequence[str], theta: ArrayLike | None) -> "_Settings":
        values = np.zeros((1, 0)) if theta is None else np.asarray(theta, np.float64)
        if values.ndim != 2 or values.shape[1] != len(names):
            raise InputError(
                f"theta has shape {values.shape}, must be [n, {len(names)}]: "
                f"one column for each of {', '.join(names) or 'no parameters'}"
            )
        if not np.isfinite(values).all():
            raise InputError("theta holds a NaN or an infinity")
        varied: dict[tuple[str, str], Array] = {}
        for name, column in zip(names, values.T, strict=True):
            element, id_ = beamline.find(name)
            varied[element.name, id_] = column
        return cls(beamline, len(values), varied)

    def varies(self, element: Element, *ids: str) -> bool:
        return any((element.name, id_) in self.varied for id_ in ids)

    def __call__(self, element: Element, id_: str, default: float = 0.0) -> Array:
        key = (element.name, id_)
        if key in self.varied:
            self.used.add(key)
            return self.varied[key]
        return np.asarray(element.number(id_, default))

    def derived(self, element: Element, id_: str, rule: ArrayLike) -> Array:
        """`rule` where the file says auto and theta does not vary it; else the value."""
        param = element.params.get(id_)
        if self.varies(element, id_) or (param is not None and not param.auto):
            return self(element, id_)
        return np.asarray(rule)

    def check_all_used(self) -> None:
        for name, id_ in self.varied:
            if (name, id_) not in self.used:
                raise InputError(
                    f"parameter {name}.{id_}: the beamline as set in {self.beamline.path} does "
                    "not depend on it (computed by RAY-UI, switched off, or not modelled)"
                )


# --- rotations, on [..., 3, 3] ---------------------------------------------------------------


def _rotation(axis: int, angle: ArrayLike) -> Array:
    """Active rotation by `angle` (rad) about x, y or z (0, 1, 2)."""
    angle = np.asarray(angle, np.float64)
    c, s = np.cos(angle), np.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., axis, axis] = 1
    matrix[..., i, i] = matrix[..., j, j] = c
    matrix[..., j, i], matrix[..., i, j] = s, -s
    return matrix


def _misaligned(settings: _Settings, element: Element, axes: Array, origin: Array) -> tuple:
    """RAY-UI misalignment: M = Rz Ry Rx on the element's own axes, then a shift along them."""
    ids = (*TRANSLATIONS, *ROTATIONS)
    if element.number("alignmentError", 1) != 0 and not settings.varies(element, *ids):
        return axes, origin
    # Where the file says "no alignment error", its own values are stale: only theta counts.
    on = element.number("alignmentError", 1) == 0
    get = {i: settings(element, i) if on or settings.varies(element, i) else 0.0 for i in ids}
    x, y, z = (_rotation(axis, np.multiply(get[id_], 1e-3)) for axis, id_ in enumerate(ROTATIONS))
    axes = axes @ z @ y @ x
    shift = np.stack(np.broadcast_arrays(*(get[id_] for id_ in TRANSLATIONS)), axis=-1)
    return axes, origin + np.einsum("...ij,...j->...i", axes, shift)


# --- the walk down the beam -----------------------------------------------------------------


class _Walk:
    """Carries the beam frame from element to element and writes one row for each."""

    def __init__(self, settings: _Settings) -> None:
        self.settings = settings
        self.beamline = settings.beamline
        n = settings.n
        self.axes = np.broadcast_to(np.eye(3), (n, 3, 3))
        self.origin = np.zeros((n, 3))
        self.frames: list[tuple[Array, Array]] = []
        self.rows = np.zeros((n, len(self.beamline.elements) - 1, COLUMNS))
        self.rows[..., CUTOUT : CUTOUT + 3] = np.inf, np.inf, 0
        self.rows[..., OPENING : OPENING + 2] = np.inf
        self.derived: dict[str, dict[str, Array]] = {}
        self.energy = settings(self.beamline.source, "photonEnergy")
        self.previous: Element | None = None

    def compiled(self) -> Compiled:
        emission = np.zeros((self.settings.n, EMISSION_COLUMNS))
        source = self.beamline.source
        for column, value in enumerate(_simple_undulator(self.settings, source)):
            emission[:, column] = value
        self._keep_frame(source, self.axes, self.origin)
        for i, element in enumerate(self.beamline.elements[1:]):
            self.derived[element.name] = {}
            PLACERS[element.type](self, element, self.rows[:, i])
            self._link(i)
        self.settings.check_all_used()
        axes, origins = (np.stack(a, axis=1) for a in zip(*self.frames, strict=True))
        names = tuple(e.name for e in self.beamline.elements[1:])
        return Compiled(names, emission, self.rows, origins, axes, self.derived)

    def _keep_frame(self, element: Element, axes: Array, origin: Array) -> None:
        axes, origin = _misaligned(self.settings, element, axes, origin)
        n = self.settings.n
        self.frames.append((np.broadcast_to(axes, (n, 3, 3)), np.broadcast_to(origin, (n, 3))))

    def _link(self, i: int) -> None:
        """The map from the previous element's frame to this one's; small numbers only."""
        (axes0, origin0), (axes1, origin1) = self.frames[-2:]
        back = np.swapaxes(axes1, -1, -2)
        rotation = back @ axes0
        self.rows[:, i, ROTATION : ROTATION + 9] = rotation.reshape(-1, 9)
        shift = np.einsum("...ij,...j->...i", back, origin0 - origin1)
        self.rows[:, i, OFFSET : OFFSET + 3] = shift

    # -- the two ways of standing in the beam

    def deflect(
        self, element: Element, distance: ArrayLike, chi: ArrayLike, alpha: Array, beta: Array
    ) -> None:
        """A mirror or grating: grazing angles alpha in, beta out (rad), azimuth chi (rad)."""
        self.advance(distance)
        surface = self.axes @ _rotation(2, chi) @ _rotation(0, -alpha)
        self._keep_frame(element, surface, self.origin)
        self.axes = surface @ _rotation(0, -beta) @ _rotation(2, -np.asarray(chi))

    def screen(self, element: Element, chi: ArrayLike) -> None:
        """A slit or an image plane: the beam goes straight on."""
        self._keep_frame(element, self.axes @ _rotation(2, chi), self.origin)

    def advance(self, distance: ArrayLike) -> None:
        step = np.asarray(distance)[..., None] * self.axes[..., :, 2]
        self.origin = self.origin + step

    # -- what optical surfaces have in common

    def blank(self, element: Element, row: Array, centre: ArrayLike = 0.0) -> None:
        row[:, SHAPE] = element.number("geometricalShape")
        row[:, CUTOUT] = self.settings(element, "totalWidth") / 2
        row[:, CUTOUT + 1] = self.settings(element, "totalLength") / 2
        row[:, CUTOUT + 2] = centre
        on = element.number("slopeError", 1) == 0
        for offset, id_ in enumerate(("slopeErrorSag", "slopeErrorMer")):
            if on or self.settings.varies(element, id_):
                row[:, SLOPE + offset] = self.settings(element, id_) * ARCSEC

    def mirror(self, element: Element) -> Array:
        """Place a mirror that stands alone; returns its grazing angle (rad)."""
        get = self.settings
        angle = np.deg2rad(get(element, "grazingIncAngle"))
        chi = np.deg2rad(get(element, "azimuthalAngle"))
        self.deflect(element, get(element, "distancePreceding"), chi, angle, angle)
        return angle


def _simple_undulator(get: _Settings, source: Element) -> tuple[ArrayLike, ...]:
    """Photon source of an undulator: electron and diffraction-limited sizes in quadrature.

    RAY-UI's formulas, standard and accurate; wavelength and undulator length in m.
    """
    energy, length = get(source, "photonEnergy"), get(source, "undulatorLength")
    if np.any(energy <= 0) or np.any(length <= 0):
        raise InputError(
            f"{get.beamline.path}:{source.line}: {source.type} {source.name!r}: photonEnergy and "
            "undulatorLength must be positive"
        )
    wavelength = HC / energy * 1e-9
    if source.number("sigmaType") == 0:
        size = np.sqrt(2 * wavelength * length) / (2 * np.pi)
        angle = np.sqrt(wavelength / (2 * length))
    else:
        size = 3 / (4 * np.pi) * np.sqrt(wavelength * length)
        angle = 0.53 * np.sqrt(wavelength / length)
    ids = ("electronSigmaX", "electronSigmaXs", "electronSigmaY", "electronSigmaYs")
    manual = source.number("electronDistributionType") == 0
    electrons = [get(source, i) for i in ids] if manual else [np.asarray(s) for s in LOW_BETA]
    x, xp, y, yp = (
        np.hypot(electron * 1e-6, photon)
        for electron, photon in zip(electrons, (size, angle, size, angle), strict=True)
    )
    percent = source.number("energySpreadUnit") == 1
    spread = get(source, "energySpread") * (energy / 100 if percent else 1)
    return x * 1e3, y * 1e3, xp, yp, energy, spread, get(source, "sourceDepth")


def _toroid(walk: _Walk, element: Element, row: Array) -> None:
    get = walk.settings
    angle = walk.mirror(element)
    walk.blank(element, row)
    sine = np.sin(angle)
    long_ = 2 / (sine * _inverse_arms(walk, element, "Mer"))
    short = 2 * sine / _inverse_arms(walk, element, "Sag")
    row[:, KIND] = TOROID
    walk.derived[element.name] = {"longRadius": long_, "shortRadius": short}
    row[:, SURFACE] = get.derived(element, "longRadius", long_)
    row[:, SURFACE + 1] = get.derived(element, "shortRadius", short)


def _inverse_arms(walk: _Walk, element: Element, suffix: str = "") -> Array:
    get = walk.settings
    entrance = get(element, f"entranceArmLength{suffix}", np.inf)
    return 1 / entrance + 1 / get(element, f"exitArmLength{suffix}", np.inf)


# The quadric a11 x^2 + a22 y^2 + a33 z^2 + 2 (a12 xy + a13 xz + a23 yz)
#            + 2 (a14 x + a24 y + a34 z) + a44 = 0, stored in this order.
A11, A22, A33, A12, A13, A23, A14, A24, A34, A44 = range(SURFACE, SURFACE + 10)


def _plane(row: Array) -> None:
    row[:, KIND] = QUADRIC
    row[:, A24] = -1


def _cylinder(walk: _Walk, element: Element, row: Array) -> None:
    get = walk.settings
    angle = walk.mirror(element)
    walk.blank(element, row)
    along_z = element.number("bendingRadius") == 0
    sine, arms = np.sin(angle), _inverse_arms(walk, element)
    rule = 2 / (sine * arms) if along_z else 2 * sine / arms
    walk.derived[element.name] = {"radius": rule}
    row[:, KIND] = QUADRIC
    row[:, A22] = row[:, A33 if along_z else A11] = 1
    row[:, A24] = -get.derived(element, "radius", rule)


def _plane_mirror(walk: _Walk, element: Element, row: Array) -> None:
    _plane(row)
    if element.number("systemMount") != SX700:
        walk.mirror(element)
        walk.blank(element, row)
        return
    get, grating = walk.settings, _grating_of(walk, element)
    alpha, beta = _grating_angles(walk, grating)
    psi = (np.pi - alpha - np.abs(beta)) / 2
    height = get(grating, "pimpaleY0")
    to_grating = height / np.sin(2 * psi)
    distance = get(grating, "pimpaleX0") - to_grating * np.cos(2 * psi)
    centre = height / (2 * np.sin(psi)) + height / 2 * np.tan(psi)
    walk.deflect(element, distance, 0.0, psi, psi)
    walk.blank(element, row, centre + get(element, "premirrorShiftZ"))
    walk.derived[element.name] = {
        "grazingIncAngle": np.rad2deg(psi),
        "distancePreceding": distance,
        "distancePremirrorGrating": to_grating,
    }


def _grating_of(walk: _Walk, mirror: Element) -> Element:
    elements = walk.beamline.elements
    for element in elements[elements.index(mirror) + 1 :][:1]:
        if element.type == "Plane Grating" and element.number("systemMount") == SX700:
            return element
    raise InputError(
        f"{walk.beamline.path}:{mirror.line}: {mirror.type} {mirror.name!r}: its systemMount is "
        "SX700, so a Plane Grating with systemMount SX700 must follow it"
    )


def _plane_grating(walk: _Walk, element: Element, row: Array) -> None:
    get = walk.settings
    alpha, beta = _grating_angles(walk, element)
    if element.number("systemMount") == SX700:
        psi = (np.pi - alpha - np.abs(beta)) / 2
        distance, chi = get(element, "pimpaleY0") / np.sin(2 * psi), np.asarray(np.pi)
        walk.derived[element.name] |= {"distancePreceding": distance}
    else:
        distance = get(element, "distancePreceding")
        chi = np.deg2rad(get(element, "azimuthalAngle"))
    _plane(row)
    walk.deflect(element, distance, chi, np.pi / 2 - alpha, np.pi / 2 - np.abs(beta))
    walk.blank(element, row)
    order = get(element, "orderDiffraction")
    row[:, WAVELENGTH_SHIFT] = HC * 1e-6 * order * get(element, "lineDensity")
    walk.derived[element.name] |= {"alpha": np.rad2deg(alpha), "beta": np.rad2deg(beta)}


def _grating_angles(walk: _Walk, grating: Element) -> tuple[Array, Array]:
    """alpha > 0 and beta < 0 (rad, to the normal) with sin alpha + sin beta = m N lambda."""
    get = walk.settings
    energy = get.derived(grating, "designEnergyMounting", walk.energy)
    shift = HC / energy * 1e-6 * get(grating, "lineDensity") * get(grating, "orderDiffraction")
    with np.errstate(invalid="ignore"):
        alpha, beta = MOUNTS[int(grating.number("gratingMount"))](get, grating, shift)
    if not (np.isfinite(alpha).all() and np.isfinite(beta).all()):
        raise InputError(
            f"{walk.beamline.path}:{grating.line}: {grating.type} {grating.name!r}: no diffracted "
            "beam exists at this energy, order, line density and mount; change one of them"
        )
    return alpha, beta


def _constant_deviation(get: _Settings, grating: Element, shift: Array) -> tuple[Array, Array]:
    half = np.deg2rad(get(grating, "deviationAngle")) / 2
    beta = np.arcsin(shift / (2 * np.cos(half))) - half
    return 2 * half + beta, beta


def _constant_incidence(get: _Settings, grating: Element, shift: Array) -> tuple[Array, Array]:
    alpha = np.deg2rad(get(grating, "alpha"))
    return alpha, np.arcsin(shift - np.sin(alpha))


def _constant_c_factor(get: _Settings, grating: Element, shift: Array) -> tuple[Array, Array]:
    """cos beta / cos alpha = c."""
    c2 = get(grating, "cFactor") ** 2
    rule = np.arcsin((-shift + np.sqrt(c2 * shift**2 + (c2 - 1) ** 2)) / (c2 - 1))
    alpha = np.deg2rad(get.derived(grating, "alpha", np.rad2deg(rule)))
    return alpha, np.arcsin(shift - np.sin(alpha))


MOUNTS = {0: _constant_deviation, 1: _constant_incidence, 3: _constant_c_factor}


def _slit(walk: _Walk, element: Element, row: Array) -> None:
    get = walk.settings
    walk.advance(get(element, "distancePreceding"))
    walk.screen(element, np.deg2rad(get(element, "azimuthalAngle")))
    row[:, KIND] = SCREEN
    row[:, SHAPE] = element.number("geometricalShape")
    row[:, CUTOUT] = get(element, "totalWidth") / 2
    row[:, CUTOUT + 1] = get(element, "totalHeight") / 2
    row[:, OPENING] = get(element, "openingWidth") / 2
    row[:, OPENING + 1] = get(element, "openingHeight") / 2


def _image_plane(walk: _Walk, element: Element, row: Array) -> None:
    origin = walk.origin
    walk.advance(walk.settings(element, "distanceImagePlane"))
    walk.screen(element, 0.0)
    walk.origin = origin  # RAY-UI: an image plane does not move the beam frame
    row[:, KIND] = SCREEN


PLACERS = {
    "Toroid": _toroid,
    "Cylinder": _cylinder,
    "Plane Mirror": _plane_mirror,
    "Plane Grating": _plane_grating,
    "Slit": _slit,
    "ImagePlane": _image_plane,
}
