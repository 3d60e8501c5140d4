"""One theta through several engines: profiles side by side, and how far they are apart."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.simulate.detector import Detector
from raybayes.simulate.engines.config import EngineConfig, RayxConfig, TracerConfig, XrtConfig
from raybayes.simulate.engines.protocol import Scene
from raybayes.simulate.simulator import Tracing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FINE = Tracing(rays=16384, splat=0.2)
LUCK = 1.3  # how many times the expected noise of counting may be
AXES = ("horizontal", "vertical")
COLOURS = {"tracer": "#1f4e79", "rayx": "#c55a11", "xrt": "#548235"}
OTHER = "#7030a0"


@dataclass(frozen=True)
class Traced:
    """What an engine made of the theta.

    Attributes:
        profiles: horizontal and vertical, fractions of the emitted photons.
        apart: from ours, rms over the bins as shares of our peaks; noise: what counting the
            engine's rays explains of it; tolerance: what the engine states.
        seconds: of the CPU.
    """

    engine: str
    profiles: tuple[Array, Array]
    transmission: float
    apart: tuple[float, float]
    noise: tuple[float, float]
    tolerance: float
    seconds: float

    @property
    def agrees(self) -> bool:
        return all(
            apart**2 <= self.tolerance**2 + (LUCK * noise) ** 2
            for apart, noise in zip(self.apart, self.noise, strict=True)
        )


def compare(
    scene: Scene, theta: Array, rays: int, own: EngineConfig | None = None
) -> tuple[list[Traced], dict[str, str]]:
    """Trace theta [d] with ours, RAYX, xrt and the study's own engine.

    Returns:
        ours first, then those that could; and why the others could not.
    """
    done: list[Traced] = []
    skipped: dict[str, str] = {}
    configs: tuple[EngineConfig, ...] = (
        TracerConfig(),
        RayxConfig(kind="rayx", rays=rays),
        XrtConfig(kind="xrt", rays=rays),
    )
    others = [own] if own is not None and own.kind not in {c.kind for c in configs} else []
    for config in (*configs, *others):
        try:
            done.append(_traced(config, scene, theta, rays, done))
        except InputError as error:
            if not done:  # ours: there is nothing to compare with
                raise
            skipped[config.kind] = str(error)
    return done, skipped


def _traced(
    config: EngineConfig, scene: Scene, theta: Array, rays: int, before: list[Traced]
) -> Traced:
    engine = config.build(scene, FINE)
    start = time.process_time()
    profiles, transmission = engine.profiles(theta[None], (0,))
    seconds = time.process_time() - start
    pair = halves(scene.detector, profiles[0])
    apart = noise = (0.0, 0.0)
    if before:
        both = list(zip(pair, before[0].profiles, strict=True))
        apart = _pair(float(np.sqrt(((a - b) ** 2).mean()) / b.max()) for a, b in both)
        noise = _pair(float(np.sqrt(b.mean() / rays) / b.max()) for _, b in both)
    tolerance = engine.capabilities.tolerance
    return Traced(config.kind, pair, float(transmission[0]), apart, noise, tolerance, seconds)


def _pair(values: Iterable[float]) -> tuple[float, float]:
    first, second = values
    return first, second


def halves(detector: Detector, profile: Array) -> tuple[Array, Array]:
    """The horizontal and the vertical profile of what the detector reads."""
    across, along = np.split(detector.profiles(profile), [detector.bins[0]])
    return across, along


def comparison_picture(detector: Detector, traced: list[Traced]) -> "Figure":
    """Profiles above, differences from ours below, on the band of each engine's tolerance."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    panels = figure.subplots(2, 2, sharex="col", height_ratios=(2, 1))
    for axis, name in enumerate(AXES):
        edges = 1e3 * detector.edges(axis)
        above, below = panels[:, axis]
        ours = traced[0].profiles[axis]
        for each in traced:
            colour = COLOURS.get(each.engine, OTHER)
            above.stairs(each.profiles[axis], edges, label=each.engine, color=colour, lw=1)
            difference = 100 * (each.profiles[axis] - ours) / ours.max()
            below.stairs(difference, edges, baseline=None, color=colour, lw=1)
            band = 100 * each.tolerance
            below.axhspan(-band, band, color=colour, alpha=0.06, zorder=0, lw=0)
        below.set(xlabel=f"{name}, µm", ylabel="apart, % of peak")
        above.set_ylabel("fraction per bin")
    panels[0, 0].legend(frameon=False)
    return figure
