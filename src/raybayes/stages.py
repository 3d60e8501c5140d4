"""One stage of a study at a time: train, check, refine."""

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raybayes import trusted
from raybayes.errors import InputError
from raybayes.importance import MOVES, Moved, Refined, refitted
from raybayes.inference import (
    DRAWS,
    LEVELS,
    Inference,
    Trained,
    as_result,
    exact_likelihood,
    measure,
    open_posterior,
    open_run,
    refine,
    write_page,
)
from raybayes.prior import log_posterior
from raybayes.report import Parameter
from raybayes.results import write_result
from raybayes.store import make_folder
from raybayes.study import Run, read_study, summary
from raybayes.workflow import judge_of, train_with_progress

Array = NDArray[np.float64]

LED = (
    "its draws were led to the exact posterior by moves, and those of a law fitted to them "
    "weighed: worth {ess:.0f} of {n} (Pareto k {k:.2f})."
)
UNSURE = (
    "its draws were led to the exact posterior by moves, which gave the numbers; weighing a law "
    "fitted to them does not confirm these (Pareto k {k:.2f}), and the evidence is a guess."
)


def train_study(name: str, out: str | os.PathLike[str], quiet: bool = False) -> dict[str, Any]:
    """Train on what the store holds; simulates nothing, and resumes what an earlier call left.

    Raises:
        InputError: simulations are missing, with how many and the command that makes them.
    """
    run = Run(*read_study(name), Path(out))
    study, store = run.study, run.store
    if study.online:
        raise InputError(
            f"study {study.name}: it is online, so it stores no simulations to train on; use "
            f"raybayes run {shlex.join([name, '--out', str(out)])}"
        )
    missing = len(store.missing(store.shards(study.simulations)))
    if missing:
        command = shlex.join(["raybayes", "simulate", name, "--out", str(out)])
        raise InputError(
            f"{store.folder}: {missing} of {len(store.shards(study.simulations))} shards of "
            f"simulations are missing; make them first: {command}"
        )
    run.claim()
    _, fit = train_with_progress(run, store.read(study.simulations), quiet)
    return {
        "study": study.name,
        "simulations": study.simulations,
        "epochs": len(fit.history),
        "training_nats": fit.history[-1][0],
        "validation_nats": fit.history[-1][1],
        "best_epochs": list(fit.best_epochs),
        "stopped": fit.stopped,
        "notes": run.notes,
        "posterior": str(run.folder / "posterior.safetensors"),
    }


def check_run(out: str | os.PathLike[str]) -> dict[str, Any]:
    """Judge a run's posterior on fresh pairs, in numbers; writes nothing."""
    run = open_run(out)
    posterior = open_posterior(run)
    checks = run.check(posterior)
    judge = judge_of(run, posterior, checks)
    exact = judge and trusted.numbers(judge, run.study.prior.names)
    return {**summary(run, checks), "exact": exact}


def refine_files(
    out: str | os.PathLike[str],
    paths: Sequence[str | os.PathLike[str]],
    to: str | os.PathLike[str] | None = None,
    changes: dict[str, Any] | None = None,
    seed: int = 0,
    n: int = 10_000,
    moves: int = MOVES,
    quiet: bool = True,
) -> dict[str, Any]:
    """Infer from measured files and weigh n draws by the exact likelihood; write page and file.

    The file's posterior has DRAWS draws of equal weight, as ArviZ expects them: picked by their
    weights, then moved so that twins part. All n draws with their weights stand beside it, in the
    group "weighted". Where the weights cannot be trusted, those of a law that is fitted to the
    moved draws take their place; where these neither, the numbers are of the moved draws.

    Args:
        to: the folder of the results; default: OUT/refined, in one named after the first file.
        moves: of each draw; 0 leaves the twins.
        quiet: no progress bar.

    Returns:
        a row per parameter, of the exact posterior with the network's beside it; how far to
        trust the weights; and what `infer_files` returns.

    Raises:
        InputError: as `infer_files` and `refine`.
    """
    run = open_run(out)
    trained = Trained(run)
    network = trained.infer(measure(run, paths, changes or {}), seed)
    refined = refine(run, network, n, seed)
    folder = Path(to) if to else run.folder / "refined" / Path(paths[0]).name
    x = network.observation.x
    likelihood = exact_likelihood(run, x)
    drawn = network.posterior.moved(x, likelihood, refined, DRAWS, moves, seed, quiet)
    best, sentence = refined, refined.sentence
    if moves and not refined.trusted:
        best, how = _led(drawn, log_posterior(run.study.prior, likelihood), refined, seed)
        sentence = f"{refined.fault}: {how}"
    known = best if best.trusted else refined
    found = {
        "study": run.study.name,
        "parameters": _rows(network, best),
        "draws": n,
        "ess": known.ess,
        "pareto_k": known.pareto_k,
        "trusted": known.trusted,
        "log_evidence": best.log_evidence,
        "standard_error": best.standard_error,
        "sentence": sentence,
    }
    exact = trained.beside(network.observation, drawn.theta, seed)
    make_folder(folder)
    return {
        **found,
        "alarms": list(exact.alarms),
        "done": list(exact.observation.done),
        "moves": moves,
        "accepted": drawn.accepted,
        "written": _written(run, network, exact, drawn.log_p, best, found, folder),
    }


def _led(
    drawn: Moved, log_p: Callable[[Array], Array], refined: Refined, seed: int
) -> tuple[Refined, str]:
    """Weighted draws of a law fitted to the moved ones, or else the moved ones; and how."""
    n = len(refined.theta)
    try:
        again = refitted(drawn.theta, log_p, n, seed)
    except InputError:  # no such law, or almost none of its draws can be
        again = refined
    if again.trusted:
        return again, LED.format(ess=again.ess, n=n, k=again.pareto_k)
    equal = np.full(len(drawn.theta), -np.log(len(drawn.theta)))
    how = UNSURE.format(k=again.pareto_k)
    return replace(again, theta=drawn.theta, log_weight=equal), how


def _rows(network: Inference, refined: Refined) -> list[dict[str, Any]]:
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
    told = ("draws", "ess", "pareto_k", "log_evidence", "standard_error")
    plain = as_result(run, exact)
    result = replace(
        plain,
        log_prob=log_p - best.log_evidence,
        made_by={**plain.made_by, **{f"refined_{key}": f"{found[key]:.6g}" for key in told}},
        weighted=best,
    )
    nexus = folder / "result.nxs"
    write_result(nexus, result)
    parameters: list[Parameter] = exact.parameters
    page = write_page(
        run,
        exact,
        folder,
        lambda: {"exact": trusted.against_exact(network.draws, best, parameters)},
        found,
    )
    return {"report": str(page), "nexus": str(nexus)}
