"""theta -> expected profile: the simulator of one beamline, its parameters and its detector."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from raybayes.array_types import Array, Ints
from raybayes.beamline.emission import ENERGY, SPREAD
from raybayes.beamline.geometry import Compiled, compile_beamline
from raybayes.beamline.model import Beamline
from raybayes.beamline.source import (
    dimensions,
    normal_columns,
    polarisation,
    standard,
    uniforms,
    white_band,
)
from raybayes.beamline.trace import Rays, slope_slots, trace_compiled
from raybayes.errors import InputError
from raybayes.optics.rows import COATING, CRYSTAL, ORDERS
from raybayes.simulate.chief import AROUND, chief_rays
from raybayes.simulate.detector import Detector
from raybayes.simulate.engines.protocol import Capabilities
from raybayes.simulate.expected import Light, Method, Sampling, expected_profiles
from raybayes.simulate.instrument import Instrument, Placed, instrument_columns, is_instrument
from raybayes.simulate.openings import SAMPLED, hard_edges, slits, soften, stops_of
from raybayes.simulate.pilot import Grid, pilot

TOLERANCE = 0.1  # of the noise's variance
PILOT = 16  # corners, edges and faces of the prior from which it is found which energies arrive
PILOT_RAYS = 16384  # of each
EDGE = 0.02  # of the light that arrives: what an edge takes, for it to be cut softly
MARGIN = 1.1  # on the pilot's band
ALONE = 0.1  # how much of what the narrowest slit cuts another may cut, for energy to be carried
GRID_RAYS = 4096  # of each pilot theta, in each round
PILOTED = ("band", "edges", "slit", "grid")  # what the pilot finds
IN_ALL, FEWEST_SETS = 1 << 20, 8  # rays of all scrambles, beyond which there are fewer of these
SETS = 64  # independent scrambles of the Sobol points, dealt out to thetas at random
COMPILE_AT_ONCE = 1024  # thetas whose tables are in memory together


def _unless_zero(value: float) -> bool:
    return value == 0


def _unless_tolerance(value: float) -> bool:
    return value == TOLERANCE


class Tracing(BaseModel):
    """How a profile is computed.

    "expected": few Sobol rays with Gaussian splats, smooth and free of noise. "counting":
    random rays counted in bins, as in Steinbach (2021); needs some 1e4 to 1e6 rays. What is left at
    its default leaves no trace in a study's hash, but for these three.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["expected", "counting"] = "expected"
    rays: int = Field(512, gt=0)
    splat: float = Field(0.55, ge=0, le=1, description="carried part of the source's size")
    divergence_splat: float = Field(
        0.0, ge=0, le=1, exclude_if=_unless_zero, description="of the source's divergence"
    )
    tolerance: float = Field(
        TOLERANCE,
        gt=0,
        le=10,
        exclude_if=_unless_tolerance,
        description="on the simulator's error, as a share of the detector's noise variance",
    )
    noise: float = Field(
        0.0,
        ge=0,
        le=1,
        exclude_if=_unless_zero,
        description="variance of the simulator's own error, as a share of that of the light",
    )


# Of the pilot: wide splats, of which many touch an opening that few rays would hit.
WIDE = Tracing(splat=0.3, divergence_splat=0.3)


@dataclass(frozen=True)
class Simulator:
    """theta [n, d] -> profiles [n, bins], fractions of the photons that the source emits.

    Attributes:
        names: d parameters, "ELEMENT.PARAMETER" or "detector.PARAMETER" (`Instrument`).
        support: lows and highs of the d parameters; theta lies between.
    """

    beamline: Beamline
    names: Sequence[str]
    support: tuple[Array, Array]
    detector: Detector
    tracing: Tracing = field(default_factory=lambda: Tracing())
    seed: int = 0
    capabilities: ClassVar[Capabilities] = Capabilities(seeded=True, batched=True)

    @cached_property
    def band(self) -> float:
        """The share of the source's energy band that can arrive, for "expected" rays.

        A monochromator throws most of the band away; rays there only cost time. Pilot rays
        at thetas from the prior's corners to its centre show which energies ever arrive.
        """
        if not white_band(self.beamline.source):  # only a white band has ends
            return 1.0
        reach = 0.0
        for compiled, rays in zip(self._pilots, self._pilot_rays, strict=True):
            energy, spread = compiled.emission[0, [ENERGY, SPREAD]]
            offsets = np.abs(rays.energy - energy) / (spread / 2) if spread else np.ones(1)
            reach = max(reach, offsets.max(initial=0.0))
        return min(1.0, MARGIN * reach) if reach > 0 else 1.0

    @cached_property
    def edges(self) -> Ints:
        """[k]: mirrors and gratings whose edges cut the beam, by their place in the beamline."""
        cut = np.zeros(len(self._pilots[0].names), bool)
        for rays in self._pilot_rays:
            arrived = rays.arrived.sum()
            for k, name in enumerate(self._pilots[0].names):
                cut[k] |= (rays.lost_at == name).sum() > EDGE * arrived > 0
        return np.flatnonzero(cut)

    @cached_property
    def _pilot_rays(self) -> list[Rays]:
        trace = partial(trace_compiled, self.beamline)
        return [trace(c, 0, PILOT_RAYS, None, self.seed, "sobol") for c in self._pilots]

    @cached_property
    def _pilots(self) -> list[Compiled]:
        """The prior's middle and some of its corners, edges and faces, where they can be built."""
        middle, half = np.mean(self.support, axis=0), np.ptp(self.support, axis=0) / 2
        rng = np.random.default_rng((self.seed, PILOT))
        corners = rng.choice([-1.0, 0.0, 1.0], (PILOT, len(self.names)))
        found: list[Compiled] = []
        for theta in middle + half * np.concatenate((np.zeros((1, len(half))), corners)):
            try:
                found.append(self.compiled(theta[None]))
            except InputError as error:
                refused = error
        if not found:
            raise refused
        return found

    @cached_property
    def slit(self) -> int:
        """The component of the stops (x, y of each) that energy is carried through, or SAMPLED.

        One slit must cut the energies inside the source's band, and no other may.
        """
        if self.band == 1:
            return SAMPLED
        compiled = self._pilots[0]
        rows, emission = compiled.rows[0], compiled.emission[0]
        stops = stops_of(rows, self.edges)
        hard, halves = soften(rows, stops)
        dispersion = chief_rays(
            emission,
            hard,
            slope_slots(compiled.rows),
            stops,
            np.zeros(AROUND),
            compiled.tables,
        ).dispersion
        # How many times the source's band is wider than what passes each slit.
        cuts = np.abs(dispersion[:-2]) * emission[SPREAD] / (2 * halves[:-2])
        if not self.band * cuts.max(initial=0.0) >= 1:
            return SAMPLED
        *others, largest = np.sort(cuts)
        slit = int(cuts.argmax())
        # Light that is uniform in its opening must not be stopped by the same slit's hard edges.
        alone = max(others) < ALONE * largest and not hard_edges(rows[stops[slit // 2]])
        return slit if alone else SAMPLED

    @cached_property
    def samples(self) -> Array:
        """[scrambles, rays, STANDARD]: independent scrambles of the same Sobol points."""
        return self._sets.samples

    @cached_property
    def grid(self) -> Grid:
        """Where at the source the light comes from that arrives, at thetas all over the prior."""
        points = np.concatenate(
            list(uniforms("sobol", dimensions(self.beamline.source), GRID_RAYS, (self.seed, SETS)))
        )

        def light_of(moved: Array, weights: Array) -> Array:
            return np.concatenate(
                [self._arrivals(compiled, moved, weights) for compiled in self._pilots]
            )

        return pilot(points, light_of)

    def _arrivals(self, compiled: Compiled, points: Array, weights: Array) -> Array:
        """[n, rays]: the light of each point that arrives."""
        light, n = self._light(points, weights, compiled.coated), len(compiled.rows)
        _, arrived = expected_profiles(
            compiled.emission,
            compiled.rows,
            self._method(compiled, WIDE),
            Sampling(
                light.samples[None],
                light.weights[None],
                light.stokes[None],
                np.zeros(n, np.int64),
                True,
            ),
            Instrument(()).bins(self.detector, np.zeros((n, 0))),
            compiled.tables,
            np.zeros((n, self.detector.size)),
        )
        return arrived

    def _light(self, points: Array, weights: Array, coated: bool) -> Light:
        samples = standard(self.beamline, points)
        if self.slit != SAMPLED:
            samples[:, 4] = 0.0
        stokes = polarisation(self.beamline, points) if coated else np.empty((4, 0))
        return Light(samples, weights, stokes)

    @cached_property
    def _sets(self) -> Sampling:
        """Of all scrambles; none is picked yet."""
        width, lights = dimensions(self.beamline.source), []
        for i in range(self._scrambles):
            points = uniforms("sobol", width, self.tracing.rays, (self.seed, i))
            moved = self.grid.moved(np.concatenate(list(points)))
            lights.append(self._light(*moved, True))
        samples, weights, stokes = (np.stack(part) for part in zip(*lights, strict=True))
        return Sampling(samples, weights, stokes, np.empty(0, np.int64))

    @property
    def _scrambles(self) -> int:
        """Fewer where there are more rays, whose luck differs less."""
        return int(np.clip(IN_ALL // self.tracing.rays, FEWEST_SETS, SETS))

    def _eps(self, tracing: Tracing) -> Array:
        """[5]: what is carried of x, y, x', y', where they are normally distributed, and of energy.

        A white band's ends are blurred by it, which error control sees. A crystal passes so little
        of a band that no four energies could stand for it, nor could they at a beamstop's edge.
        """
        size, angle = tracing.splat, tracing.divergence_splat
        source = self.beamline.source
        rows = self._pilots[0].rows[0]
        sharp = (rows[:, COATING] == CRYSTAL).any() or any(map(hard_edges, slits(rows)))
        energy = size if self.slit == SAMPLED and white_band(source) and not sharp else 0.0
        carried = np.where(normal_columns(source), [size, size, angle, angle], 0.0)
        return np.append(carried, energy)

    def _method(self, compiled: Compiled, tracing: Tracing) -> Method:
        return Method(slope_slots(compiled.rows), self.edges, self.slit, self._eps(tracing))

    @cached_property
    def instrument(self) -> Instrument:
        """What of the detector is a parameter."""
        return Instrument.of(self.names)

    def compiled(self, theta: Array) -> Compiled:
        """The beamline at theta [n, d], of which it sees what is not the detector's.

        Raises:
            InputError: it cannot be built.
        """
        if theta.ndim != 2 or theta.shape[1] != len(self.names):
            raise InputError(f"theta has shape {theta.shape}; it must be [n, {len(self.names)}]")
        optics = [i for i, name in enumerate(self.names) if not is_instrument(name)]
        return compile_beamline(self.beamline, [self.names[i] for i in optics], theta[:, optics])

    def placed(self, theta: Array) -> list[Placed]:
        """[n]: the detector of each theta [n, d], where it stands."""
        return self.instrument.placed(self.detector, instrument_columns(self.names, theta))

    def profiles(
        self, theta: ArrayLike, key: int | tuple[int, ...] | None = 0
    ) -> tuple[Array, Array]:
        """Simulate n thetas.

        Args:
            theta: [n, d] in RAY-UI's units.
            key: with the simulator's seed it determines the rays; give independent
                simulations different keys. None: all thetas share the same rays, as
                likelihoods and derivatives need it.

        Returns:
            profiles [n, bins] and transmission [n] (to the image plane, inside the detector
            or not).

        Raises:
            InputError: theta has the wrong shape, is not finite, or cannot be built.
        """
        values = np.asarray(theta, np.float64)
        parts = [
            self._some(values[i : i + COMPILE_AT_ONCE], self._stream(key, i))
            for i in range(0, max(len(values), 1), COMPILE_AT_ONCE)
        ]
        return np.concatenate([p for p, _ in parts]), np.concatenate([t for _, t in parts])

    def log_likelihood(self, x: ArrayLike) -> Callable[[Array], Array]:
        """The exact log p(x | theta) of one observation [bins], as a function [n, d] -> [n].

        All theta share the same rays, so it is smooth; `replace(simulator, tracing=...)` with more
        rays makes it finer.
        """
        return lambda theta: self.detector.log_likelihood(
            x, self.profiles(theta, None)[0], self.noise
        )

    def traced(self, tracing: Tracing) -> "Simulator":
        """With other rays; what the pilot found stays, as it does not depend on them."""
        changed = replace(self, tracing=tracing)
        if tracing.mode == "expected":
            vars(changed).update({name: getattr(self, name) for name in PILOTED})
        return changed

    @property
    def noise(self) -> float:
        """The variance of a profile's own error, as a share of that of counted photons.

        Of counted rays it is known: each stands for so many photons.
        """
        if self.tracing.mode == "counting":
            return self.detector.photons / self.tracing.rays
        return self.tracing.noise

    def _stream(self, key: int | tuple[int, ...] | None, start: int) -> tuple[int, ...]:
        """What seeds the random choices of one part; empty where there are none."""
        if key is None:
            return ()
        return (self.seed, *(key if isinstance(key, tuple) else (key,)), start)

    def _some(self, theta: Array, key: tuple[int, ...]) -> tuple[Array, Array]:
        compute = self._expected if self.tracing.mode == "expected" else self._counted
        profiles, transmission = compute(theta, key)
        profiles = self.instrument.lit(
            self.detector, profiles, instrument_columns(self.names, theta)
        )
        bad = ~np.isfinite(profiles).all(axis=1)
        if bad.any():
            raise InputError(
                f"{bad.sum()} of {len(theta)} simulations gave no finite profile, the first at "
                f"{dict(zip(self.names, theta[bad][0], strict=True))}; narrow the prior"
            )
        return profiles, transmission

    def _expected(self, theta: Array, key: tuple[int, ...]) -> tuple[Array, Array]:
        compiled = self.compiled(theta)
        if (compiled.rows[..., ORDERS] == 1).any():
            raise InputError(
                f"{self.beamline.path}: a grating has an additional order, by chance for each ray; "
                'set additionalOrder to 0, or trace in mode "counting"'
            )
        profiles = np.zeros((len(theta), self.detector.size))
        picks = np.random.default_rng(key).integers(self._scrambles, size=len(theta))
        sets = self._sets
        transmission, _ = expected_profiles(
            compiled.emission,
            compiled.rows,
            self._method(compiled, self.tracing),
            Sampling(
                sets.samples,
                sets.weights,
                sets.stokes if compiled.coated else np.empty((self._scrambles, 4, 0)),
                picks if key else np.zeros(len(theta), np.int64),
            ),
            self.instrument.bins(self.detector, instrument_columns(self.names, theta)),
            compiled.tables,
            profiles,
        )
        return profiles, transmission

    def _counted(self, theta: Array, key: tuple[int, ...]) -> tuple[Array, Array]:
        compiled, seen = self.compiled(theta), self.placed(theta)
        profiles, transmission = np.empty((len(theta), self.detector.size)), np.empty(len(theta))
        for i in range(len(theta)):
            stream = (*key, i) if key else (self.seed,)
            rays = trace_compiled(
                self.beamline, compiled, i, self.tracing.rays, None, stream, "random"
            )
            places, rng = np.stack((rays.x, rays.y)), np.random.default_rng(stream)
            profiles[i] = seen[i].counted(places, rays.weight, self.tracing.rays, rng)
            transmission[i] = rays.transmission
        return profiles, transmission
