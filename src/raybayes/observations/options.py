"""How a measured file is to be read, and what it must become."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from raybayes.array_types import Array
from raybayes.errors import InputError

Positive = Annotated[float, Field(gt=0)]
Pair = Annotated[
    tuple[Positive, Positive],
    BeforeValidator(lambda value: (value, value) if isinstance(value, int | float) else value),
]


def _number(value: object) -> object:
    """A column's number may come as text, from a command line or a page."""
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


Column = Annotated[Annotated[int, Field(ge=1)] | str, BeforeValidator(_number)]


class Reading(BaseModel):
    """The table [observation] of a study. Pixels are the file's own, from its upper left corner."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    columns: tuple[Column, ...] | None = Field(
        None,
        description="of a text table, names or numbers from 1: positions and counts; counts alone; "
        "or x, counts along x, y, counts along y",
    )
    normalise: Column | None = Field(
        None, description="the column of a beam monitor that counts are divided by"
    )
    decimal: Literal[".", ","] | None = Field(None, description="of a text table's numbers")
    dataset: str | None = Field(None, description="which array of an HDF5 or .npz file")
    frame: Annotated[int | Literal["mean"], BeforeValidator(_number)] | None = Field(
        None, description='of a file of several, from 1, or "mean"; default: the first'
    )
    scan: int | None = Field(None, description="of a SPEC file, its number; default: the first")
    unit: Literal["m", "cm", "mm", "um", "nm"] | None = Field(
        None, description="of positions, where the file has none; default: mm in a text table"
    )
    pixel_size: Pair | None = Field(None, description="of a camera, mm: one number or [x, y]")
    bin_by_bin: bool = Field(
        False, description="profiles as they stand, one reading for each bin, whatever positions"
    )
    roi: tuple[int, int, int, int] | None = Field(
        None, description="the part of an image that is used: left, top, width, height, pixels"
    )
    centre: tuple[float, float] | None = Field(
        None,
        description="x, y of the optical axis, pixels of the whole frame; default: where the "
        "file's axes are 0, or the middle",
    )
    origin: tuple[float, float] | None = Field(
        None, description="x, y of the optical axis in the file's own positions, mm"
    )
    seen: Literal["against", "downstream"] = Field(
        "against", description="how a picture shows the beam: against it, or as it goes"
    )
    rotate: Literal[0, 90, 180, 270] = Field(0, description="counter-clockwise, before any flip")
    flip: Literal["none", "horizontal", "vertical"] = "none"
    probe: Literal["slit", "knife"] | None = Field(
        None, description="what was scanned: a slit or wire (default), or a knife's edge"
    )
    slit: Positive | None = Field(
        None, description="width of a scanned slit or wire, mm; default: counts of its own step, "
        "or where steps are uneven, a bin of the study",
    )  # fmt: skip
    smoothing: Positive | None = Field(
        None, description="FWHM that a knife's readings are smoothed by, mm; default: none"
    )
    mask: str | None = Field(None, description="a picture that is not 0 where there is no reading")
    dark: str | None = Field(None, description="a frame without beam, subtracted")
    background: float | Literal["none", "edge"] = Field(
        "none", description='subtracted per pixel; "edge": the median of the border'
    )
    hot: float | None = Field(
        None, gt=0, description="pixels so many standard deviations over their neighbours mend"
    )
    saturation: float | None = Field(
        None, description="a reading so high is no reading; default: the largest whole number, or "
        "where many readings share the largest value",
    )  # fmt: skip
    gain: Positive = Field(1.0, description="counts per unit of the file")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.columns is not None and len(self.columns) not in (1, 2, 4):
            raise ValueError("columns must be 1, 2 or 4 names or numbers")
        if self.centre is not None and self.origin is not None:
            raise ValueError("centre (pixels) and origin (mm) both say where the optical axis is")
        if self.smoothing is not None and self.probe != "knife":
            raise ValueError('smoothing is of a knife\'s readings; set probe to "knife"')
        if self.slit is not None and self.probe == "knife":
            raise ValueError("slit is the width of a slit or a wire, and probe says a knife")
        return self


@dataclass(frozen=True)
class Target:
    """What an observation must become.

    Attributes:
        reads: two profiles, or an image (rows from below, each from left to right).
        edges: of the horizontal and the vertical bins, mm.
        background: counts per bin that the study expects; where a background was subtracted,
            it is put in that place.
        name: of its setting, where a study has several.
        gaps: the share of the readings of a profile or an image that may be unknown (NaN).
    """

    reads: Literal["profiles", "image"]
    edges: tuple[Array, Array]
    background: float = 0.0
    name: str = ""
    gaps: float = 0.0

    @property
    def bins(self) -> tuple[int, int]:
        """Horizontal and vertical."""
        return len(self.edges[0]) - 1, len(self.edges[1]) - 1

    @property
    def size(self) -> int:
        """The length of its part of an observation."""
        horizontal, vertical = self.bins
        return horizontal * vertical if self.reads == "image" else horizontal + vertical


def meant(path: Path, reading: Reading, kind: str, *unknown: str) -> None:
    """Refuses those of the keys that are set."""
    for key in unknown:
        if getattr(reading, key) is not None:
            raise InputError(f"{path}: is {kind}, where {key} means nothing; leave {key} out")
