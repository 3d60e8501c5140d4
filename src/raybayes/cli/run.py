"""raybayes run: a study from its file to its report."""

import json
from pathlib import Path
from typing import Annotated

import typer

from raybayes.cli.frame import app, one_sentence, prepare_jax


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="A shipped study (ue112) or a TOML file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the results; resumed if begun.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Simulate, train, check and report; what is done already is not done again."""
    with one_sentence():
        prepare_jax()
        from raybayes.workflow import run_study

        result = run_study(study, out, quiet=as_json)
        typer.echo(json.dumps(result, indent=1) if as_json else _table(result))


def _table(result: dict) -> str:
    width = max(len(name) for name in result["parameters"])
    lines = [f"{'parameter':{width}}  rms error  sd / prior sd  ranks"]
    for name, row in result["parameters"].items():
        ranks = "uniform" if row["ranks_uniform"] else "NOT uniform"
        lines.append(
            f"{name:{width}}  {row['rms_error']:9.3g}  {row['sd_over_prior_sd']:13.3f}  {ranks}"
            f" (p = {row['rank_p_value']:.2g})"
        )
    return "\n".join([*lines, *result["notes"], f"report: {result['report']}"])
