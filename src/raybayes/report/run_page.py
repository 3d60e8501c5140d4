"""The report of a run: figures, tables and sentences."""

from pathlib import Path
from typing import Any

import numpy as np

from raybayes.analysis.judge import judge_of
from raybayes.inference.posterior import Posterior
from raybayes.inference.train import Fit
from raybayes.report import browser, checks_page, figures
from raybayes.report.page import drawn, write_page
from raybayes.study.parameters import Parameter, shown_parameters, spoken
from raybayes.study.run import Checks, Run, summary
from raybayes.study.study import Study

CORNER = 1500  # draws shown
PREDICTED = 100  # draws simulated again
SHOWN = 0  # the validation pair that stands for one observation


def write_report(run: Run, posterior: Posterior, fit: Fit, checks: Checks) -> Path:
    """All figures and the page, from the results of one run."""
    study, shown = run.study, shown_parameters(run.beamline, run.study.prior)
    rng = np.random.default_rng((study.seed, PREDICTED))
    draws = posterior.sample(checks.x[SHOWN], CORNER, study.seed + 1)
    profiles = run.profiles(draws[:PREDICTED], (PREDICTED, 0))
    predicted = study.detectors.observe(profiles, rng)
    low, high = np.quantile(predicted, [0.05, 0.95], axis=0)
    observed = checks.x[SHOWN]
    judge = judge_of(run, posterior, checks)
    verdict = judge and judge.at(observed)
    images = drawn(
        lambda: {
            "recovery": figures.recovery(shown, checks.theta, checks.draws),
            "corner": figures.corner(
                shown, study.prior.sample(CORNER, rng), draws, checks.theta[SHOWN]
            ),
            **figures.fit_figures(study, observed, predicted),
            "ranks": figures.rank_histograms(shown, checks.rank, checks.calibration),
            "training": figures.training_curve(fit.history, fit.best_epochs),
            **(checks_page.figures(judge, verdict, shown) if judge and verdict else {}),
        }
    )
    content = {
        "study": study.name,
        "reads": what_is_read(study),
        "beamline": run.beamline.path.rpartition("/")[2],
        "simulations": study.simulations,
        "validation": study.validation,
        "sentences": sentences(run, checks),
        "rows": rows(run, checks),
        "predicted": PREDICTED,
        "coverage": f"{((observed >= low) & (observed <= high)).mean():.2f}",
        "all_uniform": bool(checks.calibration.uniform().all()),
        "levels": checks.calibration.levels,
        "training_note": _training_note(fit),
        "trust": checks_page.content(judge, verdict, shown) if judge and verdict else None,
        "flow": _flow(run, posterior, checks, shown),
        "made_by": posterior.made_by,
    }
    return write_page(run.folder, images, content)


def _flow(
    run: Run, posterior: Posterior, checks: Checks, shown: list[Parameter]
) -> dict[str, Any] | str:
    """The posterior for the page to run, or why it cannot."""
    units, why_not = [p.unit for p in shown], browser.obstacle(posterior)
    return why_not or browser.described(posterior, units, run.study.targets, checks.x)


def what_is_read(study: Study) -> str:
    """In a word."""
    return "measurement" if len(study.targets) > 1 else study.targets[0].reads.removesuffix("s")


def _training_note(fit: Fit) -> str:
    kept = " and ".join(str(epoch) for epoch in fit.best_epochs)
    note = f"{len(fit.history)} epochs; the weights after epoch {kept} were kept."
    return note + (f" It stopped early: {fit.stopped}." if fit.stopped else "")


def rows(run: Run, checks: Checks) -> list[dict[str, object]]:
    """The report's table."""
    numbers = summary(run, checks)["parameters"]
    return [
        {
            "name": p.name,
            "prior": f"{p.low:g} … {p.high:g} {p.unit}",
            "error": f"{numbers[p.name]['rms_error']:.3g} {p.unit}",
            "sd_ratio": f"{numbers[p.name]['sd_over_prior_sd']:.3f}",
            "verdict": figures.verdict(numbers[p.name]["sd_over_prior_sd"]),
            "uniform": numbers[p.name]["ranks_uniform"],
            "p_value": f"{numbers[p.name]['rank_p_value']:.2g}",
        }
        for p in shown_parameters(run.beamline, run.study.prior)
    ]


def sentences(run: Run, checks: Checks) -> list[str]:
    """In words: which parameters are constrained, which are not, and which are degenerate."""
    names = np.array([spoken(name) for name in run.study.prior.names])
    known = checks.sd_ratio < figures.CONSTRAINED
    said = []
    if known.any():
        said.append(f"The {what_is_read(run.study)} constrains {_list(names[known])}.")
    if (~known).any():
        shares = ", ".join(f"{s:.0%}" for s in checks.sd_ratio[~known])
        said.append(
            f"It constrains {_list(names[~known])} weakly: {shares} of the prior's width remains."
        )
    for i, j, r in _degenerate_pairs(checks.draws):
        said.append(
            f"{names[i]} and {names[j]} are degenerate (posterior correlation {r:+.2f}): only a "
            "combination of them is constrained. Another setting, with one motor moved by a known "
            "step or a screen on the way, may separate them ([[settings]] in the study)."
        )
    if checks.gapped is not None:
        good = bool(checks.gapped.uniform().all())
        said.append(
            "Observations with bins that have no reading are calibrated as well."
            if good
            else "Observations with bins that have no reading are NOT calibrated: "
            f"{_list(names[~checks.gapped.uniform()])}; use raybayes refine for such data."
        )
    return said + [f"{note}." for note in (*proven_notes(run, checks), *run.notes)]


def proven_notes(run: Run, checks: Checks) -> list[str]:
    """How good the simulator is on this study, and what the checks are made of."""
    said = list(run.proven.sentences) if run.proven else []
    if checks.counted:
        said.append(
            f"The {len(checks.theta)} pairs of the checks are made of {checks.counted:.3g} counted "
            "rays, not of the profiles that trained the network"
        )
    return said


def _degenerate_pairs(draws: np.ndarray, strong: float = 0.7) -> list[tuple[int, int, float]]:
    """Pairs whose mean correlation within a posterior is strong."""
    centred = draws - draws.mean(axis=1, keepdims=True)
    centred /= centred.std(axis=1, keepdims=True)
    correlation = np.einsum("nli,nlj->ij", centred, centred) / (draws.shape[0] * draws.shape[1])
    i, j = np.triu_indices(len(correlation), 1)
    return [
        (int(a), int(b), float(correlation[a, b]))
        for a, b in zip(i, j, strict=True)
        if abs(correlation[a, b]) > strong
    ]


def _list(names: np.ndarray) -> str:
    *first, last = (str(n) for n in names)
    return f"{', '.join(first)} and {last}" if first else last
