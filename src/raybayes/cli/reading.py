"""How files are read: the options that every command on measured files has."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer


@dataclass(frozen=True)
class ReadingOptions:
    """What the caller changes of the study's table [observation]; None changes nothing."""

    pixel_size: Annotated[
        tuple[float, float] | None,
        typer.Option("--pixel-size", metavar="X Y", help="Width and height of a pixel, mm."),
    ] = None
    roi: Annotated[
        tuple[int, int, int, int] | None,
        typer.Option("--roi", metavar="X Y W H", help="Left, top, width, height used, pixels."),
    ] = None
    centre: Annotated[
        tuple[float, float] | None,
        typer.Option("--centre", metavar="X Y", help="The optical axis, pixels."),
    ] = None
    dark: Annotated[
        Path | None, typer.Option("--dark", help="A frame without beam, subtracted.")
    ] = None
    background: Annotated[
        str | None, typer.Option("--background", help="A number per pixel, edge or none.")
    ] = None
    hot: Annotated[
        float | None,
        typer.Option("--hot", help="Replace pixels so many sd over their neighbours."),
    ] = None
    rotate: Annotated[
        int | None, typer.Option("--rotate", help="90, 180 or 270 degrees, counter-clockwise.")
    ] = None
    flip: Annotated[str | None, typer.Option("--flip", help="horizontal, vertical or none.")] = None
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="A,B",
            help="Of positions and counts, names or numbers from 1; four for two profiles.",
        ),
    ] = None
    normalise: Annotated[
        str | None, typer.Option("--normalise", help="Column of a monitor to divide by.")
    ] = None
    decimal: Annotated[
        str | None, typer.Option("--decimal", help="Of a text table's numbers: . or ,")
    ] = None
    unit: Annotated[
        str | None, typer.Option("--unit", help="Of positions: m, cm, mm, um or nm.")
    ] = None
    bin_by_bin: Annotated[
        bool | None,
        typer.Option("--bin-by-bin", help="Profiles as they stand, whatever their positions."),
    ] = None
    origin: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--origin", metavar="X Y", help="The optical axis in the file's positions, mm."
        ),
    ] = None
    seen: Annotated[
        str | None,
        typer.Option("--seen", help="How pictures show the beam: against or downstream."),
    ] = None
    probe: Annotated[
        str | None, typer.Option("--probe", help="What was scanned: slit (or wire) or knife.")
    ] = None
    slit: Annotated[
        float | None, typer.Option("--slit", help="Width of a scanned slit or wire, mm.")
    ] = None
    smoothing: Annotated[
        float | None, typer.Option("--smoothing", help="FWHM that a knife's scan gets, mm.")
    ] = None
    frame: Annotated[
        str | None, typer.Option("--frame", help="Of a file of several: a number or mean.")
    ] = None
    scan: Annotated[int | None, typer.Option("--scan", help="Number in a SPEC file.")] = None
    mask: Annotated[
        Path | None, typer.Option("--mask", help="A picture, not 0 where there is no reading.")
    ] = None
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Which array of an HDF5 or .npz file.")
    ] = None
    saturation: Annotated[
        float | None, typer.Option("--saturation", help="A reading so high is no reading.")
    ] = None
    gain: Annotated[float | None, typer.Option("--gain", help="Counts per unit of the file.")] = (
        None
    )

    def changes(self) -> dict[str, Any]:
        """Of the keys of [observation], those that were given."""
        columns = None if self.columns is None else self.columns.split(",")
        paths = {"dark": self.dark, "mask": self.mask}
        given = {
            **asdict(self),
            "columns": columns,
            **{name: str(path.absolute()) if path else None for name, path in paths.items()},
        }
        return {name: value for name, value in given.items() if value is not None}
