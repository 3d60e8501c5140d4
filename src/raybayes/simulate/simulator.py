"""theta -> expected profile: the simulator of one beamline, its parameters and its detector."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from raybayes.array_types import Array
from raybayes.beamline.emission import ENERGY, SPREAD
from raybayes.beamline.geometry import Compiled, compile_beamline
from raybayes.beamline.model import Beamline
from raybayes.beamline.source import (
    dimensions,
    gaussian_size,
    polarisation,
    standard,
    uniforms,
    white_band,
)
from raybayes.beamline.trace import slope_slots, trace_compiled
from raybayes.errors import InputError
from raybayes.optics.rows import ORDERS
from raybayes.simulate.chief import AROUND, chief_rays
from raybayes.simulate.detector import Detector
from raybayes.simulate.engines.protocol import Capabilities
from raybayes.simulate.expected import (
    SAMPLED,
    Bins,
    Method,
    Sampling,
    expected_profiles,
    hard_edges,
    soften,
    stops_of,
)

PILOT = 16  # corners, edges and faces of the prior from which it is found which energies arrive
PILOT_RAYS = 16384  # of each
MARGIN = 1.1  # on the pilot's band
ALONE = 0.1  # how much of what the narrowest slit cuts another may cut, for energy to be carried
SETS = 64  # independent scrambles of the Sobol points, dealt out to thetas at random
COMPILE_AT_ONCE = 1024  # thetas whose tables are in memory together


class Tracing(BaseModel):
    """How a profile is computed.

    "expected": few Sobol rays with Gaussian splats, smooth and free of noise. "counting":
    random rays counted in bins, as in Steinbach (2021); needs some 1e4 to 1e6 rays.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["expected", "counting"] = "expected"
    rays: int = Field(512, gt=0)
    splat: float = Field(0.55, gt=0, le=1, description="carried part of the source's size")


@dataclass(frozen=True)
class Simulator:
    """theta [n, d] -> profiles [n, bins], fractions of the photons that the source emits.

    Attributes:
        names: d parameters, "ELEMENT.PARAMETER".
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
        for compiled in self._pilots:
            rays = trace_compiled(self.beamline, compiled, 0, PILOT_RAYS, None, self.seed, "sobol")
            energy, spread = compiled.emission[0, [ENERGY, SPREAD]]
            offsets = np.abs(rays.energy - energy) / (spread / 2) if spread else np.ones(1)
            reach = max(reach, offsets.max(initial=0.0))
        return min(1.0, MARGIN * reach) if reach > 0 else 1.0

    @cached_property
    def _pilots(self) -> list[Compiled]:
        """The prior's middle and some of its corners, edges and faces, where they can be built."""
        middle, half = np.mean(self.support, axis=0), np.ptp(self.support, axis=0) / 2
        rng = np.random.default_rng((self.seed, PILOT))
        corners = rng.choice([-1.0, 0.0, 1.0], (PILOT, len(self.names)))
        found: list[Compiled] = []
        for theta in middle + half * np.concatenate((np.zeros((1, len(half))), corners)):
            try:
                found.append(compile_beamline(self.beamline, self.names, theta[None]))
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
        stops = stops_of(rows)
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
        """[SETS, rays, STANDARD]: independent scrambles of the same Sobol points."""
        return self._sets[0]

    @cached_property
    def _sets(self) -> tuple[Array, Array]:
        """Samples and the Stokes vectors of their light, [SETS, 4, rays]."""
        source = self.beamline.source
        if not gaussian_size(source):
            raise InputError(
                f"{self.beamline.path}:{source.line}: {source.type} {source.name!r}: its size is "
                'not normal, so a ray cannot be a Gaussian splat; trace in mode "counting"'
            )
        width = dimensions(source)
        sets = [
            np.concatenate(list(uniforms("sobol", width, self.tracing.rays, (self.seed, i))))
            for i in range(SETS)
        ]
        samples = np.stack([standard(self.beamline, points) for points in sets])
        samples[..., 4] *= self.band if self.slit == SAMPLED else 0.0
        return samples, np.stack([polarisation(self.beamline, points) for points in sets])

    def profiles(
        self, theta: ArrayLike, key: int | tuple[int, ...] | None = 0
    ) -> tuple[Array, Array]:
        """Simulate n thetas.

        Args:
            theta: [n, d] in RAY-UI's units.
            key: with the simulator's seed it determines the rays; give independent
                simulations different keys. None: all thetas share the same rays, as
                likelihoods and derivatives need it ("expected" only).

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
        return lambda theta: self.detector.log_likelihood(x, self.profiles(theta, None)[0])

    def _stream(self, key: int | tuple[int, ...] | None, start: int) -> tuple[int, ...]:
        """What seeds the random choices of one part; empty where there are none."""
        if key is None:
            return ()
        return (self.seed, *(key if isinstance(key, tuple) else (key,)), start)

    def _some(self, theta: Array, key: tuple[int, ...]) -> tuple[Array, Array]:
        compute = self._expected if self.tracing.mode == "expected" else self._counted
        profiles, transmission = compute(theta, key)
        bad = ~np.isfinite(profiles).all(axis=1)
        if bad.any():
            raise InputError(
                f"{bad.sum()} of {len(theta)} simulations gave no finite profile, the first at "
                f"{dict(zip(self.names, theta[bad][0], strict=True))}; narrow the prior"
            )
        return profiles, transmission

    def _expected(self, theta: Array, key: tuple[int, ...]) -> tuple[Array, Array]:
        compiled = compile_beamline(self.beamline, self.names, theta)
        if (compiled.rows[..., ORDERS] == 1).any():
            raise InputError(
                f"{self.beamline.path}: a grating has an additional order, by chance for each ray; "
                'set additionalOrder to 0, or trace in mode "counting"'
            )
        profiles = np.zeros((len(theta), self.detector.size))
        picks = np.random.default_rng(key).integers(SETS, size=len(theta))
        samples, stokes = self._sets
        bins = Bins(
            np.asarray(self.detector.psf),
            np.asarray(self.detector.bin_width),
            np.asarray(self.detector.bins),
            self.detector.reads == "image",
        )
        transmission = expected_profiles(
            compiled.emission,
            compiled.rows,
            Method(slope_slots(compiled.rows), self.slit, self.tracing.splat),
            Sampling(
                samples,
                stokes if compiled.coated else np.empty((SETS, 4, 0)),
                picks if key else np.zeros(len(theta), np.int64),
            ),
            bins,
            compiled.tables,
            profiles,
        )
        share = self.band if self.slit == SAMPLED else 1.0
        return profiles * share, transmission * share

    def _counted(self, theta: Array, key: tuple[int, ...]) -> tuple[Array, Array]:
        compiled = compile_beamline(self.beamline, self.names, theta)
        profiles, transmission = np.empty((len(theta), self.detector.size)), np.empty(len(theta))
        for i in range(len(theta)):
            rays = trace_compiled(
                self.beamline, compiled, i, self.tracing.rays, None, (*key, i), "random"
            )
            places, rng = np.stack((rays.x, rays.y)), np.random.default_rng((*key, i))
            profiles[i] = self.detector.counted(places, rays.weight, self.tracing.rays, rng)
            transmission[i] = rays.transmission
        return profiles, transmission
