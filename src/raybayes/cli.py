"""The command line. Heavy packages are imported inside the command that needs them."""

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raybayes import __version__
from raybayes.errors import InputError

if TYPE_CHECKING:
    from raybayes.beamline.rml import Beamline
    from raybayes.beamline.trace import Rays

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Invert X-ray beamlines: from a beam profile to the optics' parameters that made it.",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it and exit.")
    ] = False,
) -> None:
    pass


@contextmanager
def _one_sentence() -> Iterator[None]:
    """A person's mistake is one sentence on stderr and exit code 2, never a traceback."""
    try:
        yield
    except InputError as error:
        typer.echo(f"raybayes: {error}", err=True)
        raise typer.Exit(2) from None


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="A shipped study (ue112) or a TOML file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the results; resumed if begun.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Simulate, train, check and report; what is done already is not done again."""
    with _one_sentence():
        _prepare_jax()
        from raybayes.workflow import run_study

        result = run_study(study, out, quiet=as_json)
        typer.echo(json.dumps(result, indent=1) if as_json else _table(result))


@app.command()
def report(
    out: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
) -> None:
    """Make a run's page anew."""
    with _one_sentence():
        _prepare_jax()
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
    with _one_sentence():
        _prepare_jax()
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


def _prepare_jax() -> None:
    """Keep compiled code on disk, and let every core be a device that trains a member."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_cache()))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    flags, wanted = os.environ.get("XLA_FLAGS", ""), "--xla_force_host_platform_device_count"
    if wanted not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {wanted}={min(os.cpu_count() or 1, 8)}".strip()


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "raybayes" / "jax"


def _table(result: dict) -> str:
    width = max(len(name) for name in result["parameters"])
    lines = [f"{'parameter':{width}}  rms error  sd / prior sd  ranks"]
    for name, row in result["parameters"].items():
        ranks = "uniform" if row["ranks_uniform"] else "NOT uniform"
        lines.append(
            f"{name:{width}}  {row['rms_error']:9.3g}  {row['sd_over_prior_sd']:13.3f}  {ranks}"
            f" (p = {row['rank_p_value']:.2g})"
        )
    return "\n".join([*lines, f"report: {result['report']}"])


@app.command()
def trace(
    file: Annotated[Path, typer.Argument(help="A beamline: RAY-UI's RML file.")],
    table: Annotated[
        Path | None, typer.Option("--table", help="Write the rays as RAY-UI's table (CSV).")
    ] = None,
    rays: Annotated[
        int | None, typer.Option("--rays", help="How many; default: as in the file.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed, the same rays.")] = 0,
    plane: Annotated[
        str | None, typer.Option("--plane", help="An element's name; default: the last one.")
    ] = None,
    spot: Annotated[
        Path | None, typer.Option("--spot", help="Write a picture of the spot (PNG).")
    ] = None,
    layout: Annotated[
        Path | None, typer.Option("--layout", help="Write a picture of the beamline (PNG).")
    ] = None,
    slit_diffraction: Annotated[
        bool, typer.Option("--slit-diffraction", help="Let slits diffract, as in RAY-UI.")
    ] = False,
    allow_unmodelled: Annotated[
        bool,
        typer.Option("--allow-unmodelled", help="Warn of what is not modelled and go on."),
    ] = False,
) -> None:
    """Trace a beamline and say what arrives; RAY-UI's RawRaysOutgoing with --table."""
    with _one_sentence(), _warnings_as_sentences():
        from raybayes.beamline.results import summary
        from raybayes.beamline.rml import read_rml
        from raybayes.beamline.table import write_table
        from raybayes.beamline.trace import trace as trace_rays

        beamline = read_rml(file, unmodelled="warn" if allow_unmodelled else "error")
        result = trace_rays(beamline, rays, plane, seed, slit_diffraction=slit_diffraction)
        if table is not None:
            write_table(result, table)
        _pictures(beamline, result, spot, layout)
        typer.echo("\n".join(f"{name:14} {text}" for name, text in summary(result).items()))


def _pictures(beamline: "Beamline", rays: "Rays", spot: Path | None, layout: Path | None) -> None:
    if spot is None and layout is None:
        return
    from raybayes.beamline.pictures import layout_picture, save, spot_diagram

    if spot is not None:
        save(spot_diagram(rays), spot)
    if layout is not None:
        save(layout_picture(beamline), layout)


@contextmanager
def _warnings_as_sentences() -> Iterator[None]:
    """A warning is one sentence on stderr."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    for sentence in dict.fromkeys(str(warning.message) for warning in caught):
        typer.echo(f"raybayes: warning: {sentence}", err=True)


def main() -> None:
    try:
        app()
    except KeyboardInterrupt:
        sys.exit("raybayes: interrupted; run the same command again to go on")
