"""Run a study from its file to its report, with progress on the way."""

import os
import shlex
from pathlib import Path
from typing import Any

from tqdm import tqdm

from raybayes.analysis.judge import judge_of
from raybayes.errors import InputError
from raybayes.inference.posterior import Posterior
from raybayes.inference.train import Fit, State
from raybayes.report.checks_page import numbers
from raybayes.report.run_page import proven_notes, write_report
from raybayes.store import Arrays
from raybayes.study.accuracy import Proven, proven, said, silent, write_proven
from raybayes.study.campaigns import Bar
from raybayes.study.run import Checks, Run, open_posterior, open_run, summary
from raybayes.study.study import read_study


def run_study(name: str, out: str | os.PathLike[str], quiet: bool = False) -> dict[str, Any]:
    """Simulate, train, check and report; resumes what an earlier run of the study left.

    Returns:
        the numbers of the closing table, and the path of the report.
    """
    return complete(prepared(name, out, quiet), quiet)


def prepared(name: str | os.PathLike[str], out: str | os.PathLike[str], quiet: bool = True) -> Run:
    """A study in its folder, which is claimed, with rays that were tested to be enough.

    Raises:
        InputError: the study's or the folder's, or no number of rays is enough.
    """
    run, found = proven_run(name, out, quiet)
    if found and not quiet:
        said(found.sentence)
    return _claimed(run, found)


def proven_run(
    name: str | os.PathLike[str], out: str | os.PathLike[str], quiet: bool = True
) -> tuple[Run, Proven | None]:
    """As `prepared`, with nothing written yet; and how good its simulator is."""
    study, beamline = read_study(name)
    study, found = proven(study, beamline, Path(out), silent if quiet else said)
    return Run(study, beamline, Path(out)), found


def _claimed(run: Run, found: Proven | None) -> Run:
    run.claim()
    if found:
        write_proven(found, run.folder)
    return run


def complete(run: Run, quiet: bool = False) -> dict[str, Any]:
    """What `run_study` does in a folder that is claimed."""
    study, data = run.study, None
    if not study.online:
        shards = run.store.shards(study.simulations)
        with Bar(run.campaign, len(shards), len(run.store.missing(shards)), quiet) as bar:
            data = run.simulate(bar.add)
    posterior, fit = train_with_progress(run, data, quiet)
    checks = check_with_progress(run, posterior, quiet)
    if not quiet:
        said("judging the posterior and drawing the report")
    page = write_report(run, posterior, fit, checks)
    told = [*proven_notes(run, checks), *run.notes]
    return {**summary(run, checks), "notes": told, "report": str(page)}


def notes(run: Run) -> list[str]:
    """What a person must know of the simulator and the simulations."""
    return [*(run.proven.sentences if run.proven else []), *run.notes]


def check_with_progress(run: Run, posterior: Posterior, quiet: bool) -> Checks:
    """`Run.check` with a bar of pairs."""
    total = run.study.validation
    if run.exact and not quiet:
        total, rays = run.countable()
        said(f"checking the posterior on {total} pairs of {rays:.2g} counted rays each")
    with tqdm(desc="check", unit="pair", disable=quiet, total=total) as pairs:
        return run.check(posterior, lambda: pairs.update())


def train_with_progress(run: Run, data: Arrays | None, quiet: bool) -> tuple[Posterior, Fit]:
    """`Run.train` with a bar of epochs."""
    total = run.study.training.epochs
    with tqdm(total=total, desc="train", unit="epoch", disable=quiet) as epochs:

        def progress(state: State) -> None:
            epochs.update(state.epoch - epochs.n)
            if state.history:
                epochs.set_postfix_str(f"validation {state.history[-1][1]:.3f} nat")

        return run.train(data, progress)


def train_study(name: str, out: str | os.PathLike[str], quiet: bool = False) -> dict[str, Any]:
    """Train on what the store holds; simulates nothing, and resumes what an earlier call left.

    Raises:
        InputError: simulations are missing, with how many and the command that makes them.
    """
    run, found = proven_run(name, out, quiet)
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
    _claimed(run, found)
    _, fit = train_with_progress(run, store.read(study.simulations), quiet)
    return {
        "study": study.name,
        "simulations": study.simulations,
        "epochs": len(fit.history),
        "training_nats": fit.history[-1][0],
        "validation_nats": fit.history[-1][1],
        "best_epochs": list(fit.best_epochs),
        "stopped": fit.stopped,
        "notes": notes(run),
        "posterior": str(run.folder / "posterior.safetensors"),
    }


def check_run(
    out: str | os.PathLike[str], quiet: bool = True, trust_engine: bool = False
) -> dict[str, Any]:
    """Judge a run's posterior on fresh pairs, in numbers; writes nothing.

    Args:
        trust_engine: as for `open_run`.
    """
    run = open_run(out, trust_engine)
    posterior = open_posterior(run)
    checks = check_with_progress(run, posterior, quiet)
    judge = judge_of(run, posterior, checks)
    exact = judge and numbers(judge, run.study.prior.names)
    return {**summary(run, checks), "exact": exact}
