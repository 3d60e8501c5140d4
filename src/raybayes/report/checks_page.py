"""The report's second half: how far to trust a posterior, and what to measure next."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from raybayes.analysis.judge import LEVEL, Judge, Verdict
from raybayes.array_types import Array
from raybayes.diagnostics.style import BLUE, GREY, ORANGE
from raybayes.inference.estimates import Mode
from raybayes.inference.importance import Refined
from raybayes.report.figures import grid
from raybayes.simulate.derivatives import Step, information, next_steps
from raybayes.study.parameters import Parameter, spoken


def calibration_curves(judge: Judge, parameters: list[Parameter]) -> Figure:
    """ECDFs of ranks, coverage of densest regions, TARP coverage."""
    axes: Any
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained", sharey=True)
    names = [p.name for p in parameters]
    judge.calibration.plot(axes[0], [*names, "log q", "log-likelihood"])
    judge.coverage.plot(axes[1], ["densest regions"])
    judge.tarp_coverage.plot(axes[2], ["TARP"])
    titles = ("ranks of the truth", "highest-density coverage", "TARP")
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title)
        axis.legend(frameon=False, fontsize=6)
    for axis in axes[1:]:
        axis.set_ylabel("")
    return figure


def alarm_panels(verdict: Verdict) -> Figure:
    """The observation over what simulated ones give."""
    axes: Any
    judgements: list[Any] = [*verdict.alarms, verdict.local]
    titles = ["distance of summaries", "predictions", "evidence", "L-C2ST"]
    figure, axes = plt.subplots(1, 4, figsize=(12, 2.8), layout="constrained")
    for axis, judgement, title in zip(axes, judgements, titles, strict=True):
        judgement.plot(axis)
        axis.set_title(title)
        axis.legend(frameon=False, fontsize=6)
    return figure


def against_exact(
    draws: Array,
    refined: Refined | None,
    parameters: list[Parameter],
    modes: Sequence[Mode] = (),
) -> Figure:
    """Marginals of the network's draws [n, d] and of those weighed by the exact likelihood."""
    figure, axes = grid(len(parameters), 3, (3.2, 2.0))
    for j, (axis, p) in enumerate(zip(axes, parameters, strict=False)):
        edges = np.linspace(p.low, p.high, 61)
        axis.hist(draws[:, j], edges, density=True, color=BLUE, alpha=0.4, label="network")
        if refined is not None:
            axis.hist(
                refined.theta[:, j], edges, weights=refined.weight, density=True,
                histtype="step", color=ORANGE, label="exact likelihood",
            )  # fmt: skip
        for i, mode in enumerate(modes):
            axis.axvline(mode.theta[j], color=GREY, lw=0.8, ls=":", label="" if i else "mode")
        axis.set(xlabel=p.label, yticks=[])
    axes[0].legend(frameon=False, fontsize=7)
    return figure


def figures(judge: Judge, verdict: Verdict, parameters: list[Parameter]) -> dict[str, Figure]:
    """The figures of the page's second half."""
    return {
        "calibration": calibration_curves(judge, parameters),
        "alarms": alarm_panels(verdict),
        "exact": against_exact(verdict.draws, verdict.refined, parameters, verdict.estimates.modes),
    }


def content(judge: Judge, verdict: Verdict, parameters: list[Parameter]) -> dict[str, Any]:
    """Tables and sentences for the page."""
    step = next_steps(judge.simulator, verdict.estimates.mean)
    return {
        "sentences": verdict.sentences(),
        "estimates": estimate_rows(verdict, parameters),
        "modes": mode_rows(verdict, parameters),
        "intervals": interval_rows(judge, parameters),
        "level": f"{LEVEL:.0%}",
        "exact": exact_words(verdict),
        "identifiable": identifiable(judge, verdict),
        "next": [_next_row(judge, one, parameters) for one in step],
    }


def estimate_rows(verdict: Verdict, parameters: list[Parameter]) -> list[dict[str, str]]:
    """Point estimates of each parameter, as text."""
    e, refined = verdict.estimates, verdict.refined
    rows = []
    for j, p in enumerate(parameters):
        exact = "—"
        if refined is not None and refined.trusted:
            exact = f"{refined.mean()[j]:.4g} ± {refined.sd()[j]:.2g}"
        rows.append(
            {
                "name": p.label,
                "mean": f"{e.mean[j]:.4g} ± {e.sd[j]:.2g}",
                "exact": exact,
                "median": f"{e.median[j]:.4g}",
                "geometric": f"{e.geometric_median[j]:.4g}",
                "map": f"{e.map[j]:.4g}",
                "mean_of_256": f"{e.mean_of_256[j]:.4g} ± {e.sd[j] / 16:.2g}",
                "network_sd": "—" if e.network_sd is None else f"{e.network_sd[j]:.2g}",
            }
        )
    return rows


def mode_rows(verdict: Verdict, parameters: list[Parameter]) -> list[dict[str, Any]]:
    """Each mode's mass and place, with Laplace's standard deviation."""
    rows = []
    for mode in verdict.estimates.modes:
        sd = np.sqrt(np.diag(mode.covariance))
        places = []
        for j in range(len(parameters)):
            spread = f" ± {sd[j]:.2g}" if np.isfinite(sd[j]) else ""
            places.append(f"{mode.theta[j]:.4g}{spread}{' (edge)' if mode.at_edge[j] else ''}")
        rows.append({"mass": f"{mode.mass:.0%}", "places": places})
    return rows


def interval_rows(judge: Judge, parameters: list[Parameter]) -> list[dict[str, str]]:
    """How often intervals held, and how much they must grow to hold as often as they say."""
    conformal = judge.conformal_intervals
    return [
        {
            "name": p.name,
            "held": f"{conformal.before[j]:.0%}",
            "grow": f"{conformal.factor[j]:.2f}",
            "p_value": f"{conformal.p_value[j]:.2g}",
        }
        for j, p in enumerate(parameters)
    ]


def numbers(judge: Judge, names: Sequence[str]) -> dict[str, Any]:
    """What the exact likelihood says of all pairs: p-values, and how intervals held."""
    conformal, calibration = judge.conformal_intervals, judge.calibration
    intervals = {
        name: {
            "held": float(conformal.before[j]),
            "p_value": float(conformal.p_value[j]),
            "factor": float(conformal.factor[j]),
        }
        for j, name in enumerate(names)
    }
    return {
        "coverage_p_value": float(judge.coverage.p_value[0]),
        "tarp_p_value": float(judge.tarp_coverage.p_value[0]),
        "log_q_rank_p_value": float(calibration.p_value[-2]),
        "log_likelihood_rank_p_value": float(calibration.p_value[-1]),
        "level": LEVEL,
        "intervals": intervals,
    }


def exact_words(verdict: Verdict) -> list[str]:
    """The network against the exact posterior, in numbers."""
    words = []
    if verdict.refined is not None:
        r = verdict.refined
        words.append(f"log evidence {r.log_evidence:.1f} ± {r.standard_error:.2g} nat")
    if verdict.c2st is not None:
        words.append(f"C2ST {verdict.c2st.accuracy:.3f} (0.5: no difference)")
    if verdict.prdc is not None:
        found = verdict.prdc
        words.append(
            f"coverage {found.coverage:.2f} where {found.expected[3]:.2f} is expected, density "
            f"{found.density:.2f} where 1 is"
        )
    words.append(
        f"chi² per bin {verdict.predictive.chi2_per_bin:.2f} where "
        f"{verdict.predictive.replicated.mean():.2f} is expected"
    )
    return words


def identifiable(judge: Judge, verdict: Verdict) -> str:
    """How many directions the data know better than the prior, before any network."""
    found = information(judge.simulator, verdict.estimates.mean)
    worst = found.directions[-1]
    names = [
        f"{w:+.2f} {spoken(n)}" for w, n in zip(worst, found.names, strict=True) if abs(w) > 0.2
    ]
    return (
        f"By Fisher's information at the posterior mean, {found.identifiable} of "
        f"{len(found.names)} directions are known better than the prior knows them. The least "
        f"known one is {' '.join(names)} (in units of the prior's standard deviation)."
    )


def _next_row(judge: Judge, step: Step, parameters: list[Parameter]) -> dict[str, Any]:
    units = {p.name: p.unit for p in parameters}
    several = len(judge.simulator.settings) > 1
    what = "the same settings again" if several else "the same again"
    if step.name:
        moved = f"{spoken(step.name)} moved by {step.size:+.3g} {units[step.name]}"
        what = f"{what}, {moved}" if several else moved
    return {"what": what, "nats": f"{step.nats:.2f}", "sd": [f"{s:.2f}" for s in step.sd]}
