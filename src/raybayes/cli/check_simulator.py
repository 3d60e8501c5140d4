"""raybayes check-simulator: expected profiles beside counted rays."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from raybayes.cli.frame import JSON, STUDY, app, one_sentence, say, warnings_as_sentences
from raybayes.errors import InputError

HELD = 0.5  # of the light at the plane: a detector that holds less is told


@app.command("check-simulator")
def check_simulator(
    study: STUDY,
    rays: Annotated[
        int, typer.Option("--rays", min=1000, help="Counted for each theta, at most.")
    ] = 1_000_000,
    as_json: JSON = False,
) -> None:
    """Hold a study's expected profiles against counted rays, all over its prior.

    Ends with an error where they are off by more than the study's tolerance, which is a tenth of
    the variance of the detector's noise unless [tracing] says another.
    """
    with one_sentence(), warnings_as_sentences():
        from raybayes.study.accuracy import said, silent
        from raybayes.workflow.check_simulator import check_simulator as checked

        result = checked(study, rays, silent if as_json else said)
        say(result, as_json, _lines(result))
        if not result["good"]:
            raise InputError(f"study {result['study']}: {result['sentence']}")


def _lines(result: dict[str, Any]) -> Iterator[str]:
    rays = result["tracing"]["rays"]
    widened = f"; the likelihood is widened by {result['widened']:.0%}" if result["widened"] else ""
    enough = "are enough for" if result["good"] else "leave"
    yield (
        f"{result['study']}: {rays} rays carried as Gaussians {enough} an error of "
        f"{result['error']:.1%} of the noise's variance (the tolerance is "
        f"{result['tolerance']:.0%}), which shifts a parameter by at most {result['shift']:.2f} of "
        f"its sd{widened}; beside counted rays:"
    )
    width = max(len(row["at"]) for row in result["rows"])
    yield (
        f"{'at':{width}}  setting  transmission  counted  error h, v, % of peak  "
        "error / noise variance"
    )
    for row in result["rows"]:
        errors = ", ".join(f"{100 * e:.2f}" for e in row["error"])
        lost = f" (lost at {row['lost_at']})" if row["lost_at"] else ""
        mark = "" if row["good"] else f"  TOO LARGE{lost}"
        mark = "  undecided" if row["undecided"] else mark
        mark = f"  {row['held']:.0%} in the bins" if row["held"] < HELD else mark
        mark = f"  no light{lost}" if row["dark"] else mark
        yield (
            f"{row['at']:{width}}  {row['setting']:7}  {row['expected']:12.5f}  "
            f"{row['counted']:7.5f}  {errors:>21}  {row['noise']:7.3f} ± "
            f"{row['uncertainty']:.3f}{mark}"
        )
    if any(row["noise"] < 0 for row in result["rows"]):
        yield "a ratio below 0 is 0 by the luck of counting"
    if result["undecided"]:
        yield f"{result['undecided']} rows are undecided: count more rays (--rays)"
    if result["dark"]:
        rows = len(result["rows"])
        yield f"at {result['dark']} of {rows} thetas no light lands in the bins; narrow the prior"
    yield from result["notes"]
    if result["good"] and not result["undecided"]:
        yield "passes: the expected profiles are right wherever light arrives"
