"""How files are read: the options that every command on measured files has."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer


@dataclass(frozen=True)
class ReadingOptions:
    """What the caller changes of the study's table [observation]; None changes nothing."""

    pixel_size: Annotated[
        tuple[float, float] | None, typer.Option("--pixel-size", help="Width, height, mm.")
    ] = None
    roi: Annotated[
        tuple[int, int, int, int] | None,
        typer.Option("--roi", help="Left, top, width, height of what is used, pixels."),
    ] = None
    centre: Annotated[
        tuple[float, float] | None,
        typer.Option("--centre", help="x, y of the optical axis, pixels."),
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
        tuple[int, int] | None, typer.Option("--columns", help="Of positions and counts, from 1.")
    ] = None
    unit: Annotated[
        str | None, typer.Option("--unit", help="Of positions in a text table: mm or um.")
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
        given = {**asdict(self), "dark": str(self.dark.absolute()) if self.dark else None}
        return {name: value for name, value in given.items() if value is not None}
