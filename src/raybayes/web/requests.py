"""What the page may ask for."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from raybayes.web.uploads import MOST


class ApiRequest(BaseModel):
    """Nothing but the fields that are named."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Opening(ApiRequest):
    """A study, by its id."""

    study: str


class Measurement(ApiRequest):
    """The posterior at measured files, of each setting in the study's order.

    `reading` changes the study's [observation].
    """

    study: str
    files: list[str] = Field(min_length=1, max_length=MOST)
    dark: str | None = None
    mask: str | None = None
    reading: dict[str, Any] = {}
    seed: int = Field(0, ge=0, lt=2**32)


class Example(ApiRequest):
    """The posterior at a simulated observation; another one for another number."""

    study: str
    number: int = Field(0, ge=0, lt=2**32)


class Refinement(ApiRequest):
    """A result, to be corrected by the exact likelihood."""

    result: str


class AtTheta(ApiRequest):
    """One value for every parameter, beside a result where there is one."""

    study: str
    theta: list[float]
    result: str | None = None
