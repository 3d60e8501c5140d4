"""raybayes run, train, check and report: a study from file to report, or one stage of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from raybayes.cli.frame import (
    JSON,
    OUT,
    STUDY,
    TRUST,
    app,
    one_sentence,
    prepare_jax,
    say,
    warnings_as_sentences,
)

FINISHED = Annotated[Path, typer.Argument(metavar="OUT", help="Folder of a finished run.")]


@app.command()
def run(study: STUDY, out: OUT, as_json: JSON = False) -> None:
    """Simulate, train, check and report; what is done already is not done again."""
    with one_sentence(), warnings_as_sentences():
        prepare_jax()
        from raybayes.workflow.run_study import run_study

        result = run_study(study, out, quiet=as_json)
        say(result, as_json, _finished(result))


@app.command()
def train(study: STUDY, out: OUT, as_json: JSON = False) -> None:
    """Train on what `raybayes simulate` has made; simulates nothing, resumes if begun."""
    with one_sentence(), warnings_as_sentences():
        prepare_jax()
        from raybayes.workflow.run_study import train_study

        result = train_study(study, out, quiet=as_json)
        say(result, as_json, _trained(result))


@app.command()
def check(out: FINISHED, trust_engine: TRUST = False, as_json: JSON = False) -> None:
    """Judge a trained posterior on fresh pairs; writes nothing."""
    with one_sentence(), warnings_as_sentences():
        prepare_jax()
        from raybayes.workflow.run_study import check_run

        result = check_run(out, as_json, trust_engine)
        say(result, as_json, _checked(result))


@app.command()
def report(out: FINISHED, trust_engine: TRUST = False, as_json: JSON = False) -> None:
    """Make a run's page anew."""
    with one_sentence(), warnings_as_sentences():
        prepare_jax()
        from raybayes.study.run import open_posterior, open_run
        from raybayes.workflow.run_study import complete

        finished = open_run(out, trust_engine)
        open_posterior(finished)  # refuses a run that is not trained, which would take long
        result = complete(finished, quiet=True)
        say(result, as_json, iter([f"report: {result['report']}"]))


def _trained(result: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{result['epochs']} epochs on {result['simulations']} simulations: validation "
        f"{result['validation_nats']:.3f} nat, training {result['training_nats']:.3f} nat"
    )
    if result["stopped"]:
        yield f"stopped early: {result['stopped']}"
    yield from result["notes"]
    yield f"posterior: {result['posterior']}"


def _finished(result: dict[str, Any]) -> Iterator[str]:
    yield from _table(result)
    yield from _counted(result)
    yield from result["notes"]
    yield f"report: {result['report']}"


def _counted(result: dict[str, Any]) -> Iterator[str]:
    """What the pairs of the checks cost."""
    if result["counted_rays"]:
        yield (
            f"{result['validation']} pairs of {result['counted_rays']:.3g} counted rays took "
            f"{result['counting_seconds']:.0f} s"
        )


def _table(result: dict[str, Any]) -> Iterator[str]:
    width = max(len(name) for name in result["parameters"])
    yield f"{'parameter':{width}}  rms error  sd / prior sd  ranks"
    for name, row in result["parameters"].items():
        ranks = "uniform" if row["ranks_uniform"] else "NOT uniform"
        yield (
            f"{name:{width}}  {row['rms_error']:9.3g}  {row['sd_over_prior_sd']:13.3f}  {ranks}"
            f" (p = {row['rank_p_value']:.2g}){_gapped(row)}"
        )


def _gapped(row: dict[str, Any]) -> str:
    """The same ranks, of observations with bins that have no reading."""
    if "gapped_rank_p_value" not in row:
        return ""
    word = "uniform" if row["gapped_ranks_uniform"] else "NOT uniform"
    return f", with gaps {word} (p = {row['gapped_rank_p_value']:.2g})"


WORDS = {
    "coverage_p_value": "coverage of densest regions",
    "tarp_p_value": "TARP coverage",
    "log_q_rank_p_value": "ranks of log q",
    "log_likelihood_rank_p_value": "ranks of the log-likelihood",
}


def _checked(result: dict[str, Any]) -> Iterator[str]:
    yield f"{result['study']}: {result['validation']} fresh pairs"
    yield from _counted(result)
    yield from _table(result)
    exact = result["exact"]
    if exact is None:
        yield "By ranks alone: the likelihood is not exact, or the study asks for no more."
        return
    yield from (f"{word}: p = {exact[key]:.2g}" for key, word in WORDS.items())
    width = max(len(name) for name in exact["intervals"])
    yield f"{'parameter':{width}}  {exact['level']:.0%} intervals held  factor that makes them hold"
    for name, row in exact["intervals"].items():
        held = f"{row['held']:.0%} (p = {row['p_value']:.2g})"
        yield f"{name:{width}}  {held:18}  {row['factor']:.2f}"
