"""Refine: infer from measured files, corrected by the exact likelihood."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from raybayes.analysis.measurement import (
    DRAWS,
    LEVELS,
    Inference,
    Trained,
    measure,
    refine,
    told_modes,
)
from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.inference.importance import Refined
from raybayes.inference.mcmc import MOVES, McmcDraws
from raybayes.inference.proposal import refitted
from raybayes.prior import log_posterior
from raybayes.report.checks_page import against_exact
from raybayes.report.frame_picture import in_letters
from raybayes.report.measurement_page import as_result, write_measurement_page
from raybayes.report.nexus import write_result
from raybayes.simulate.accuracy import next_rung
from raybayes.simulate.counted_check import Row, compare, count_at, enough_counted
from raybayes.store import make_folder
from raybayes.study.parameters import Parameter
from raybayes.study.run import Run, exact_likelihood, open_run
from raybayes.workflow.infer import folder_name

CONFIRMED = (
    "MCMC moves took its draws to the exact posterior, and draws of a mixture fitted to them were "
    "weighed: worth {ess:.0f} of {n} (Pareto k {k:.2f})."
)
TESTED, COUNTED = 3, 1_000_000  # draws at which the simulator is tested, rays for each, at most
MORE = 2  # times that it may get more rays
UNSURE = (
    "MCMC moves took its draws to the exact posterior, which gave the numbers; weighing draws of a "
    "mixture fitted to them does not confirm these (Pareto k {k:.2f}), and the evidence is a guess."
)


@dataclass(frozen=True)
class Refining:
    """How much work a refinement is.

    Attributes:
        n: draws that are weighed.
        moves: MCMC moves of each of the file's draws; 0 leaves duplicate draws.
        seed: with the run and the files it determines the result.
    """

    n: int = 10_000
    moves: int = MOVES
    seed: int = 0


def refine_files(
    out: str | os.PathLike[str],
    paths: Sequence[str | os.PathLike[str]],
    to: str | os.PathLike[str] | None = None,
    changes: dict[str, Any] | None = None,
    refining: Refining = Refining(),
    quiet: bool = True,
    trust_engine: bool = False,
) -> dict[str, Any]:
    """Infer from measured files and weigh n draws by the exact likelihood; write page and file.

    The file's posterior has DRAWS draws of equal weight, as ArviZ expects them: picked by their
    weights, then parted by MCMC moves. All n draws with their weights stand beside it, in the group
    "weighted". Where the weights cannot be trusted, those of a mixture that is fitted to the draws
    after their MCMC moves take their place; where these neither, the numbers are of the latter.

    Args:
        out: the folder of a finished run.
        paths: files, of each setting in the study's order.
        to: the folder of the results; default: one in OUT/refined, named as by `infer_files`.
        changes: of the study's table [observation].
        quiet: no progress bar.
        trust_engine: as for `open_run`.

    Returns:
        a row per parameter, of the exact posterior with the network's beside it; how far to
        trust the weights; and what `infer_files` returns.

    Raises:
        InputError: as `infer_files` and `refine`.
    """
    n, moves, seed = refining.n, refining.moves, refining.seed
    run = open_run(out, trust_engine)
    trained = Trained(run)
    network = trained.infer(measure(run, paths, changes or {}), seed)
    run, refined, worst = settled(run, network, refining)
    folder = Path(to) if to else run.folder / "refined" / folder_name(network.observation)
    x = network.observation.x
    likelihood = exact_likelihood(run, x)
    drawn = network.posterior.tempered(x, likelihood, refined, DRAWS, moves, seed, quiet)
    best, sentence = refined, refined.sentence
    if moves and not refined.trusted:
        best, how = _confirmed(drawn, log_posterior(run.study.prior, likelihood), refined, seed)
        sentence = f"{refined.fault}: {how}"
    known = best if best.trusted else refined
    found = {
        "study": run.study.name,
        "parameters": _rows(network, best, drawn.theta),
        "draws": n,
        "ess": known.ess,
        "pareto_k": known.pareto_k,
        "trusted": known.trusted,
        "log_evidence": best.log_evidence,
        "standard_error": best.standard_error,
        "sentence": sentence,
        "simulator": {
            "rays": run.study.tracing.rays,
            "error": worst.noise,
            "uncertainty": worst.uncertainty,
        },
    }
    exact = trained.beside(network.observation, drawn.theta, seed)
    if not worst.good:  # the page must say it, too
        exact = replace(exact, alarms=(*exact.alarms, off_at_draws(worst)))
    make_folder(folder)
    return {
        **found,
        "beam": exact.beam(run.study.detectors),
        "alarms": list(exact.alarms),
        "done": list(exact.observation.done),
        "picture": in_letters(exact.observation),
        "moves": moves,
        "accepted": drawn.accepted,
        "written": _written(run, network, exact, drawn.log_p, best, found, folder),
    }


def settled(run: Run, network: Inference, refining: Refining) -> tuple[Run, Refined, Row]:
    """Weighted draws with rays that are enough at the draws themselves, by counting.

    A prior's corners do not tell how exact the likelihood is where the posterior lies; a few of its
    draws do. Where the simulator's own error is too large there, it gets more rays.

    Returns:
        the run with those rays, the draws, and the worst row of the last test.
    """
    seed = refining.seed
    for more in range(1 + MORE):
        refined = refine(run, network, refining.n, seed)
        worst = tested(run, refined, seed)
        if worst.good or run.study.tracing.mode == "counting" or more == MORE:
            break
        run = finer(run)
    return run, refined, worst


def tested(run: Run, refined: Refined, seed: int) -> Row:
    """The worst of the simulator's errors at a few draws of a posterior, by counting."""
    words = [f"draw {i + 1}" for i in range(TESTED)]
    rays = enough_counted(run.simulator, COUNTED)
    points = count_at(run.simulator, refined.sample(TESTED, seed), words, seed, rays)
    return max(compare(run.simulator, points), key=lambda row: row.noise)


def finer(run: Run) -> Run:
    """With the next number of rays."""
    tracing = next_rung(run.study.tracing)
    return replace(run, study=run.study.model_copy(update={"tracing": tracing}))


def off_at_draws(worst: Row) -> str:
    """An alarm: the likelihood is not exact here."""
    return (
        f"At draws of the posterior the simulator is off by {worst.noise:.2g} times the variance "
        "of the detector's noise, and more rays did not help: the posterior is too narrow."
    )


def _confirmed(
    drawn: McmcDraws, log_p: Callable[[Array], Array], refined: Refined, seed: int
) -> tuple[Refined, str]:
    """Weighted draws of a mixture fitted to MCMC draws, or else the MCMC draws; and how."""
    n = len(refined.theta)
    try:
        again = refitted(drawn.theta, log_p, n, seed)
    except InputError:  # no such mixture, or almost none of its draws can be
        again = refined
    if again.trusted:
        return again, CONFIRMED.format(ess=again.ess, n=n, k=again.pareto_k)
    equal = np.full(len(drawn.theta), -np.log(len(drawn.theta)))
    how = UNSURE.format(k=again.pareto_k)
    return replace(again, theta=drawn.theta, log_weight=equal), how


def _rows(network: Inference, refined: Refined, draws: Array) -> list[dict[str, Any]]:
    low, high = refined.quantile(LEVELS)
    mean, sd = refined.mean(), refined.sd()
    return [
        {
            "parameter": row["parameter"],
            "unit": row["unit"],
            "mean": float(mean[j]),
            "sd": float(sd[j]),
            "low": float(low[j]),
            "high": float(high[j]),
            "network": {key: row[key] for key in ("mean", "sd", "low", "high")},
            "modes": told_modes(draws[:, j], network.parameters[j]),
        }
        for j, row in enumerate(network.table())
    ]


def _written(
    run: Run,
    network: Inference,
    exact: Inference,
    log_p: Array,
    best: Refined,
    found: dict[str, Any],
    folder: Path,
) -> dict[str, str]:
    """The NeXus file and the page; where they are."""
    kept = ("draws", "ess", "pareto_k", "log_evidence", "standard_error")
    plain = as_result(run, exact)
    result = replace(
        plain,
        log_prob=log_p - best.log_evidence,
        made_by={**plain.made_by, **{f"refined_{key}": f"{found[key]:.6g}" for key in kept}},
        weighted=best,
    )
    nexus = folder / "result.nxs"
    write_result(nexus, result)
    parameters: list[Parameter] = exact.parameters
    page = write_measurement_page(
        run,
        exact,
        folder,
        lambda: {"exact": against_exact(network.draws, best, parameters)},
        found,
    )
    return {"report": str(page), "nexus": str(nexus)}
