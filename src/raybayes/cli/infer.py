"""raybayes infer and report: a finished run, used on a measurement or shown again."""

import json
from pathlib import Path
from typing import Annotated

import typer

from raybayes.cli.frame import app, one_sentence, prepare_jax


@app.command()
def report(
    out: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
) -> None:
    """Make a run's page anew."""
    with one_sentence():
        prepare_jax()
        from raybayes.inference import open_posterior, open_run
        from raybayes.workflow import complete

        run = open_run(out)
        open_posterior(run)  # refuses a run that has not been trained, which would take long
        typer.echo(f"report: {complete(run, quiet=True)['report']}")


@app.command()
def infer(
    out: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    files: Annotated[
        list[Path],
        typer.Argument(
            help="One image or list of counts, or a horizontal and a vertical profile: text, "
            "CSV, NumPy, HDF5, NeXus, PNG, TIFF, BMP."
        ),
    ],
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder of the results; default: in OUT.")
    ] = None,
    pixel_size: Annotated[
        tuple[float, float] | None, typer.Option("--pixel-size", help="Width, height, mm.")
    ] = None,
    roi: Annotated[
        tuple[int, int, int, int] | None,
        typer.Option("--roi", help="Left, top, width, height of what is used, pixels."),
    ] = None,
    centre: Annotated[
        tuple[float, float] | None,
        typer.Option("--centre", help="x, y of the optical axis, pixels."),
    ] = None,
    dark: Annotated[
        Path | None, typer.Option("--dark", help="A frame without beam, subtracted.")
    ] = None,
    background: Annotated[
        str | None, typer.Option("--background", help="A number per pixel, edge or none.")
    ] = None,
    hot: Annotated[
        float | None, typer.Option("--hot", help="Mend pixels so many sd over their neighbours.")
    ] = None,
    rotate: Annotated[
        int | None, typer.Option("--rotate", help="90, 180 or 270 degrees, counter-clockwise.")
    ] = None,
    flip: Annotated[
        str | None, typer.Option("--flip", help="horizontal, vertical or none.")
    ] = None,
    columns: Annotated[
        tuple[int, int] | None, typer.Option("--columns", help="Of positions and counts, from 1.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Which array of an HDF5 or .npz file.")
    ] = None,
    gain: Annotated[
        float | None, typer.Option("--gain", help="Counts per unit of the file.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed, the same draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """What a measurement says of the parameters, by the posterior that a run has trained.

    Options stand in the study's table [observation] too; those given here come before them.
    """
    changes = {
        "pixel_size": pixel_size, "roi": roi, "centre": centre, "background": background,
        "dark": str(dark.absolute()) if dark else None, "hot": hot, "rotate": rotate,
        "flip": flip, "columns": columns, "dataset": dataset, "gain": gain,
    }  # fmt: skip
    with one_sentence():
        prepare_jax()
        from raybayes.inference import infer_files

        given = {key: value for key, value in changes.items() if value is not None}
        result = infer_files(out, files, to, given, seed)
        typer.echo(json.dumps(result, indent=1) if as_json else _inferred(result))


def _inferred(result: dict) -> str:
    rows = result["parameters"]
    width = max(len(row["parameter"]) for row in rows)
    lines = [f"{'parameter':{width}}       mean     median         sd        68 % interval  unit"]
    lines += [
        f"{row['parameter']:{width}} {row['mean']:10.4g} {row['median']:10.4g} {row['sd']:10.3g}"
        f" {row['low']:9.4g} .. {row['high']:8.4g}  {row['unit']}"
        for row in rows
    ]
    lines += [f"ALARM: {alarm}" for alarm in result["alarms"]]
    return "\n".join([*lines, *(f"{key}: {path}" for key, path in result["written"].items())])
