"""Numbers -> figures."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import binom

from raybayes.analysis.beam_rows import BAND
from raybayes.array_types import Array, Ints
from raybayes.diagnostics import Calibration
from raybayes.diagnostics.style import BLUE, GREY, ORANGE
from raybayes.observations import Target
from raybayes.study.parameters import Parameter
from raybayes.study.study import Study

CONSTRAINED, WEAK = 0.5, 0.8  # of posterior sd / prior sd: below, between, above
RANK_BINS = 16


def verdict(sd_ratio: float) -> str:
    """How well a parameter is constrained, in a word."""
    if sd_ratio < CONSTRAINED:
        return "constrained"
    return "partly constrained" if sd_ratio < WEAK else "weakly constrained"


def recovery(parameters: list[Parameter], theta: Array, draws: Array, shown: int = 150) -> Figure:
    """Truth against posterior mean with the posterior sd as error bar, for each parameter."""
    figure, axes = grid(len(parameters), 3, (3.1, 2.9))
    mean, sd = draws.mean(axis=1), draws.std(axis=1)
    for j, (axis, p) in enumerate(zip(axes, parameters, strict=False)):
        axis.plot([p.low, p.high], [p.low, p.high], color=GREY, lw=1, zorder=0)
        axis.errorbar(
            theta[:shown, j], mean[:shown, j], sd[:shown, j],
            fmt=".", ms=3, lw=0.6, color=BLUE, alpha=0.7,
        )  # fmt: skip
        axis.set(xlabel=f"true {p.label}", ylabel="posterior mean ± sd", title=p.name)
    return figure


def corner(
    parameters: list[Parameter], prior: Array, posterior: Array, truth: Array, mark: str = "truth"
) -> Figure:
    """Prior and posterior of one observation, all pairs; the truth, or another mark, as lines."""
    d = len(parameters)
    axes: Any
    figure, axes = plt.subplots(d, d, figsize=(1.75 * d, 1.65 * d), squeeze=False)
    for i, j in np.ndindex(d, d):
        axis, p, q = axes[i, j], parameters[j], parameters[i]
        if j > i:
            axis.axis("off")
            continue
        axis.set_xlim(p.low, p.high)
        if i == j:
            bins = np.linspace(p.low, p.high, 61)
            axis.hist(prior[:, j], bins, density=True, color=GREY, alpha=0.35)
            axis.hist(posterior[:, j], bins, density=True, histtype="step", color=BLUE)
            axis.set_yticks([])
        else:
            axis.scatter(prior[:, j], prior[:, i], s=1, color=GREY, alpha=0.25, rasterized=True)
            axis.scatter(
                posterior[:, j], posterior[:, i], s=1, color=BLUE, alpha=0.4, rasterized=True
            )
            axis.axhline(truth[i], color=ORANGE, lw=0.8)
            axis.set_ylim(q.low, q.high)
        axis.axvline(truth[j], color=ORANGE, lw=0.8)
        axis.tick_params(labelsize=6, labelbottom=i == d - 1, labelleft=j == 0 and i > 0)
        if i == d - 1:
            axis.set_xlabel(p.label.replace(" [", "\n["), fontsize=6.5)
        if j == 0 and i > 0:
            axis.set_ylabel(q.label.replace(" [", "\n["), fontsize=6.5)
    figure.legend(
        handles=[
            Line2D([], [], color=GREY, lw=5, alpha=0.4, label="prior"),
            Line2D([], [], color=BLUE, label="posterior"),
            Line2D([], [], color=ORANGE, label=mark),
        ],
        loc="upper right",
        bbox_to_anchor=(0.95, 0.95),
    )
    return figure


Seen = Sequence[tuple[Target, Array, Array]]  # observed and [n, ...] predicted, of each setting


def profile_fit(seen: Seen) -> Figure:
    """Observed counts over the posterior predictive: its median and 90 % band, noise included."""
    figure, rows = _rows(seen, 3.1)
    for part, (target, x, predicted) in zip(rows, seen, strict=True):
        axes = part.subplots(1, np.count_nonzero(target.bins), squeeze=False)[0]
        _profiles(axes, target, x, predicted)
        handles = axes[0].get_legend_handles_labels()
        part.legend(*handles, frameon=False, ncols=3, loc="outside upper right")
    return figure


def _rows(seen: Seen, height: float) -> tuple[Figure, Any]:
    """A row of the figure for each setting, under its name."""
    size = (9.5, height * len(seen))
    figure = plt.figure(figsize=size, layout="constrained")
    rows = figure.subfigures(len(seen), 1, squeeze=False)[:, 0]
    for part, (target, *_) in zip(rows, seen, strict=True):
        if target.name:
            part.suptitle(target.name, fontsize=9)
    return figure, rows


def _profiles(axes: Any, target: Target, x: Array, predicted: Array) -> None:
    start, sides = 0, zip(target.edges, ("horizontal", "vertical"), strict=True)
    read = [(edge, title) for edge, title in sides if len(edge) > 1]
    for axis, (edge, title) in zip(axes, read, strict=True):
        part = slice(start, start + len(edge) - 1)
        start = part.stop
        centre = 500 * (edge[1:] + edge[:-1])  # mm -> um, mean of both edges
        low, middle, high = np.quantile(predicted[:, part], BAND, axis=0)
        axis.fill_between(centre, low, high, color=BLUE, alpha=0.2, label="predicted, 90 %")
        axis.plot(centre, middle, color=BLUE, lw=1, label="predicted, median")
        axis.plot(centre, x[part], ".", ms=3, color=ORANGE, label="observed")
        axis.set(xlabel=f"{title} position [µm]", ylabel="counts per bin")


def image_fit(seen: Seen) -> Figure:
    """Observed counts [rows, columns] beside the mean of the posterior predictive, one scale."""
    figure, rows = _rows(seen, 3.4)
    for part, (target, x, predicted) in zip(rows, seen, strict=True):
        _images(part, target, x, predicted)
    return figure


def _images(figure: Any, target: Target, x: Array, predicted: Array) -> None:
    axes = figure.subplots(1, 2, sharey=True)
    ends = [1000 * edge[i] for edge in target.edges for i in (0, -1)]  # um
    mean = predicted.mean(axis=0)
    for axis, image, title in zip(axes, (x, mean), ("observed", "predicted, mean"), strict=True):
        shown = axis.imshow(
            image, origin="lower", extent=ends, aspect="auto", cmap="viridis",
            vmin=mean.min(), vmax=max(np.nanmax(x), mean.max()),
        )  # fmt: skip
        axis.set(xlabel="horizontal position [µm]", title=title)
    axes[0].set_ylabel("vertical position [µm]")
    figure.colorbar(shown, ax=axes, label="counts per pixel")


def rank_histograms(parameters: list[Parameter], rank: Ints, result: Calibration) -> Figure:
    """Ranks of the truth; the grey band holds 99 % of the bars of a calibrated posterior."""
    figure, axes = grid(len(parameters), 3, (3.1, 2.1))
    low, high = binom.ppf([0.005, 0.995], result.n, 1 / RANK_BINS)
    for j, (axis, p) in enumerate(zip(axes, parameters, strict=False)):
        axis.axhspan(low, high, color=GREY, alpha=0.3)
        axis.hist(rank[:, j], np.linspace(0, result.levels, RANK_BINS + 1), color=BLUE, alpha=0.8)
        word = "uniform" if result.uniform()[j] else "NOT uniform"
        axis.set_title(f"{p.name}\n{word}, p = {result.p_value[j]:.2g}", fontsize=8)
        axis.set_xlabel("rank of truth")
    return figure


def training_curve(history: tuple[tuple[float, float], ...], best: tuple[int, ...]) -> Figure:
    """Losses of training and validation by epoch, in nats; where each network was kept."""
    figure, axis = plt.subplots(figsize=(5.5, 3.1), layout="constrained")
    epochs = np.arange(1, len(history) + 1)
    train, valid = np.array(history).T
    axis.plot(epochs, train, color=GREY, label="training")
    axis.plot(epochs, valid, color=BLUE, label="validation")
    for i, epoch in enumerate(best):
        axis.axvline(epoch, color=ORANGE, lw=0.8, label="kept" if i == 0 else None)
    axis.set(xlabel="epoch", ylabel="-log q(z | x) [nat]")
    axis.legend(frameon=False)
    return figure


def grid(n: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Any]]:
    """n axes in so many columns, each of this size in inches; what is left over is empty."""
    columns = min(columns, n)
    rows = -(-n // columns)
    axes: Any
    figure, axes = plt.subplots(
        rows, columns, figsize=(size[0] * columns, size[1] * rows), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis in axes.flat[n:]:
        axis.axis("off")
    return figure, list(axes.flat)


def fit_figures(study: Study, observed: Array, predicted: Array) -> dict[str, Figure]:
    """Every setting's profiles, and the image itself where its detector reads one.

    Args:
        observed: [size]; predicted: [n, size].
    """
    targets, detectors = study.targets, study.detectors
    profiles, images = [], []
    parts = (detectors.each, detectors.parts(observed), detectors.parts(predicted))
    for target, detector, x, y in zip(targets, *parts, strict=True):
        profiles.append((target, detector.profiles(x), detector.alike(x, y)))
        if target.reads == "image":
            shape = target.bins[::-1]
            images.append((target, x.reshape(shape), y.reshape(-1, *shape)))
    drawn = {"profile": profile_fit(profiles)}
    return {**drawn, "image": image_fit(images)} if images else drawn
