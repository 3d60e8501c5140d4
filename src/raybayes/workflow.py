"""Run a study from its file to its report, with progress on the way."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

from raybayes import browser, report, trusted
from raybayes.beamline.schema import OBJECTS, Number
from raybayes.campaigns import Bar
from raybayes.posterior import Posterior
from raybayes.store import Arrays
from raybayes.study import Checks, Run, Study, read_study, summary
from raybayes.train import Fit, State
from raybayes.trust import Judge, Pairs

Array = NDArray[np.float64]

CORNER = 1500  # draws shown
PREDICTED = 100  # draws simulated again
SHOWN = 0  # the validation pair that stands for one observation


def run_study(name: str, out: str | os.PathLike[str], quiet: bool = False) -> dict[str, Any]:
    """Simulate, train, check and report; resumes what an earlier run of the study left.

    Returns:
        the numbers of the closing table, and the path of the report.
    """
    run = Run(*read_study(name), Path(out))
    run.claim()
    return complete(run, quiet)


def complete(run: Run, quiet: bool = False) -> dict[str, Any]:
    """What `run_study` does in a folder that is claimed."""
    study, data = run.study, None
    if not study.online:
        shards = run.store.shards(study.simulations)
        with Bar(run.campaign, len(shards), len(run.store.missing(shards)), quiet) as bar:
            data = run.simulate(bar.add)
    posterior, fit = train_with_progress(run, data, quiet)
    checks = run.check(posterior)
    page = write_report(run, posterior, fit, checks)
    return {**summary(run, checks), "notes": run.notes, "report": str(page)}


def train_with_progress(run: Run, data: Arrays | None, quiet: bool) -> tuple[Posterior, Fit]:
    """`Run.train` with a bar of epochs."""
    total = run.study.training.epochs
    with tqdm(total=total, desc="train", unit="epoch", disable=quiet) as epochs:

        def progress(state: State) -> None:
            epochs.update(state.epoch - epochs.n)
            if state.history:
                epochs.set_postfix_str(f"validation {state.history[-1][1]:.3f} nat")

        return run.train(data, progress)


def write_report(run: Run, posterior: Posterior, fit: Fit, checks: Checks) -> Path:
    """All figures and the page, from the results of one run."""
    study, shown = run.study, report_parameters(run)
    rng = np.random.default_rng((study.seed, PREDICTED))
    draws = posterior.sample(checks.x[SHOWN], CORNER, study.seed + 1)
    profiles = run.expected(draws[:PREDICTED], (PREDICTED, 0))
    predicted = study.detectors.observe(profiles, rng)
    low, high = np.quantile(predicted, [0.05, 0.95], axis=0)
    observed = checks.x[SHOWN]
    judge = judge_of(run, posterior, checks)
    verdict = judge and judge.at(observed)
    images = report.drawn(
        lambda: {
            "recovery": report.recovery(shown, checks.theta, checks.draws),
            "corner": report.corner(
                shown, study.prior.sample(CORNER, rng), draws, checks.theta[SHOWN]
            ),
            **fit_figures(run, observed, predicted),
            "ranks": report.rank_histograms(shown, checks.rank, checks.calibration),
            "training": report.training_curve(fit.history, fit.best_epochs),
            **(trusted.figures(judge, verdict, shown) if judge and verdict else {}),
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
        "trust": trusted.content(judge, verdict, shown) if judge and verdict else None,
        "flow": _flow(run, posterior, checks, shown),
        "made_by": posterior.made_by,
    }
    return report.write_page(run.folder, images, content)


def judge_of(run: Run, posterior: Posterior, checks: Checks) -> Judge | None:
    """None where it was not asked for, or the likelihood is not exact."""
    if run.study.checks == "ranks" or not run.exact:
        return None
    pairs = Pairs(checks.theta, checks.x, checks.draws)
    return Judge(posterior, run.simulator, pairs, run.study.seed)


def _flow(
    run: Run, posterior: Posterior, checks: Checks, shown: list[report.Parameter]
) -> dict[str, Any] | str:
    """The posterior for the page to run, or why it cannot."""
    units, why_not = [p.unit for p in shown], browser.obstacle(posterior)
    return why_not or browser.described(posterior, units, run.study.targets, checks.x)


def fit_figures(run: Run, observed: Array, predicted: Array) -> dict[str, Figure]:
    """Every setting's profiles, and the image itself where its detector reads one.

    Args:
        observed: [size]; predicted: [n, size].
    """
    targets, detectors = run.study.targets, run.study.detectors
    profiles, images = [], []
    parts = (detectors.each, detectors.parts(observed), detectors.parts(predicted))
    for target, detector, x, y in zip(targets, *parts, strict=True):
        profiles.append((target, detector.profiles(x), detector.profiles(y)))
        if target.reads == "image":
            shape = target.bins[::-1]
            images.append((target, x.reshape(shape), y.reshape(-1, *shape)))
    drawn = {"profile": report.profile_fit(profiles)}
    return {**drawn, "image": report.image_fit(images)} if images else drawn


def what_is_read(study: Study) -> str:
    """In a word."""
    return study.detector.reads.removesuffix("s") if study.settings is None else "measurement"


def _training_note(fit: Fit) -> str:
    kept = " and ".join(str(epoch) for epoch in fit.best_epochs)
    note = f"{len(fit.history)} epochs; the weights after epoch {kept} were kept."
    return note + (f" It stopped early: {fit.stopped}." if fit.stopped else "")


def report_parameters(run: Run) -> list[report.Parameter]:
    shown = []
    prior = run.study.prior
    for name, low, high in zip(prior.names, prior.low, prior.high, strict=True):
        element, id_ = run.beamline.find(name)
        kind = OBJECTS[element.type][id_]
        shown.append(
            report.Parameter(name, kind.unit if isinstance(kind, Number) else "", low, high)
        )
    return shown


def rows(run: Run, checks: Checks) -> list[dict[str, object]]:
    """The report's table."""
    numbers = summary(run, checks)["parameters"]
    return [
        {
            "name": p.name,
            "prior": f"{p.low:g} … {p.high:g} {p.unit}",
            "error": f"{numbers[p.name]['rms_error']:.3g} {p.unit}",
            "shrinkage": f"{numbers[p.name]['sd_over_prior_sd']:.3f}",
            "verdict": report.verdict(numbers[p.name]["sd_over_prior_sd"]),
            "uniform": numbers[p.name]["ranks_uniform"],
            "p_value": f"{numbers[p.name]['rank_p_value']:.2g}",
        }
        for p in report_parameters(run)
    ]


def sentences(run: Run, checks: Checks) -> list[str]:
    """In words: what the profile tells, what it cannot, and which parameters hide each other."""
    names = np.array(run.study.prior.names)
    told = checks.shrinkage < report.LEARNED
    said = []
    if told.any():
        said.append(f"The {what_is_read(run.study)} tells {_list(names[told])}.")
    if (~told).any():
        shares = ", ".join(f"{s:.0%}" for s in checks.shrinkage[~told])
        said.append(
            f"It cannot tell {_list(names[~told])} alone: {shares} of the prior's width remains."
        )
    for i, j, r in _hidden_pairs(checks.draws):
        said.append(
            f"{names[i]} and {names[j]} hide each other (posterior correlation {r:+.2f}): only a "
            "combination of them is seen. Another setting, with one motor moved by a known step or "
            "a screen on the way, may tell them apart ([[settings]] in the study)."
        )
    return said + [f"{note}." for note in run.notes]


def _hidden_pairs(draws: np.ndarray, strong: float = 0.7) -> list[tuple[int, int, float]]:
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
