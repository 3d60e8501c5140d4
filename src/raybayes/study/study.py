"""A study is one TOML file = one run: simulate, train, check. The room that knows all others."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, Field

from raybayes.array_types import Array
from raybayes.beamline.model import Beamline
from raybayes.density import DensityConfig, Pretraining, deep
from raybayes.inference.train import Training
from raybayes.observations import Reading, Target
from raybayes.simulate.gaps import MOST, with_gaps
from raybayes.study.plan import ALONE, Plan, study_path


class Study(Plan):
    """The whole of a run: the plan of its simulations, and what is learned from them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    online: bool = Field(False, description="so many simulations anew in every epoch; none stored")
    validation: int = Field(1000, ge=100, description="fresh pairs for checks and report")
    gaps: float = Field(
        0.0,
        ge=0,
        le=1,
        exclude_if=lambda gaps: not gaps,  # studies without keep their hashes
        description="share of training's observations that have bins without a reading, so that "
        "measurements with dead pixels or masked parts have a posterior; 0: they are refused",
    )
    checks: Literal["ranks", "exact"] = Field(
        "exact", description="of the ranks of parameters alone, or by the exact likelihood too"
    )
    density: DensityConfig = deep(members=2)
    training: Training = Training()
    pretraining: Pretraining | None = None
    observation: Reading = Reading()

    @property
    def targets(self) -> list[Target]:
        """As of the plan; they may have bins without a reading if the network has seen such."""
        return [replace(each, gaps=MOST if self.gaps else 0.0) for each in super().targets]

    def observe(self, profile: Array, rng: np.random.Generator) -> Array:
        """Fractions [n, size] -> noisy readings [n, size], counts, of which some are missing."""
        return with_gaps(self.detectors, self.detectors.observe(profile, rng), self.gaps, rng)

    def readings(self, changes: Mapping[str, Any]) -> list[Reading]:
        """Of each setting, how its files are read, but for what a caller changes."""
        common = self.observation.model_dump()
        own = [each.observation for each in self.settings]
        return [Reading.model_validate({**common, **each, **changes}) for each in own]


def read_study(name: str | os.PathLike[str]) -> tuple[Study, Beamline]:
    """Read a shipped study by its name or any study by its path; see `Plan.read`."""
    study, beamline = Study.read(name)

    def placed(given: Mapping[str, Any]) -> dict[str, str]:
        folder = study_path(name).parent.absolute()
        paths = {key: given.get(key) for key in ("dark", "mask")}
        return {key: str(folder / os.path.expandvars(p)) for key, p in paths.items() if p}

    own = study.observation
    changes: dict[str, Any] = {
        "observation": own.model_copy(update=placed(own.model_dump(include={"dark", "mask"})))
    }
    if study.settings is not ALONE:
        changes["settings"] = tuple(
            each.model_copy(update={"observation": each.observation | placed(each.observation)})
            for each in study.settings
        )
    return study.model_copy(update=changes), beamline
