"""raybayes trace and show: one setting of a beamline, in numbers and pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raybayes.cli.frame import app, one_sentence, warnings_as_sentences

if TYPE_CHECKING:
    from raybayes.beamline.rml import Beamline
    from raybayes.beamline.trace import Rays


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
    with one_sentence(), warnings_as_sentences():
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
