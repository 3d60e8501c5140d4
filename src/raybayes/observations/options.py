"""How a measured file is to be read, and what it must become."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from raybayes.array_types import Array

Positive = Annotated[float, Field(gt=0)]
Pair = Annotated[
    tuple[Positive, Positive],
    BeforeValidator(lambda value: (value, value) if isinstance(value, int | float) else value),
]


class Reading(BaseModel):
    """The table [observation] of a study. Pixels are the file's own, from its upper left corner."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    columns: tuple[int, int] | None = Field(
        None, description="of a text table, from 1: positions and counts"
    )
    dataset: str | None = Field(None, description="which array of an HDF5 or .npz file")
    unit: Literal["mm", "um"] = Field("mm", description="of positions in a text table")
    pixel_size: Pair | None = Field(None, description="of a camera, mm: one number or [x, y]")
    roi: tuple[int, int, int, int] | None = Field(
        None, description="the part of an image that is used: left, top, width, height, pixels"
    )
    centre: tuple[float, float] | None = Field(
        None,
        description="x, y of the optical axis, pixels; default: the file's axes, or the middle",
    )
    rotate: Literal[0, 90, 180, 270] = Field(0, description="counter-clockwise, before any flip")
    flip: Literal["none", "horizontal", "vertical"] = "none"
    dark: str | None = Field(None, description="a frame without beam, subtracted")
    background: float | Literal["none", "edge"] = Field(
        "none", description='subtracted per pixel; "edge": the median of the border'
    )
    hot: float | None = Field(
        None, gt=0, description="pixels so many standard deviations over their neighbours mend"
    )
    saturation: float | None = Field(
        None, description="a reading so high is no reading; default: the largest whole number"
    )
    gain: Positive = Field(1.0, description="counts per unit of the file")


@dataclass(frozen=True)
class Target:
    """What an observation must become.

    Attributes:
        reads: two profiles, or an image (rows from below, each from left to right).
        edges: of the horizontal and the vertical bins, mm.
        background: counts per bin that the study expects; where a background was subtracted,
            it is put in that place.
        name: of its setting, where a study has several.
    """

    reads: Literal["profiles", "image"]
    edges: tuple[Array, Array]
    background: float = 0.0
    name: str = ""

    @property
    def bins(self) -> tuple[int, int]:
        """Horizontal and vertical."""
        return len(self.edges[0]) - 1, len(self.edges[1]) - 1

    @property
    def size(self) -> int:
        """The length of its part of an observation."""
        horizontal, vertical = self.bins
        return horizontal * vertical if self.reads == "image" else horizontal + vertical
