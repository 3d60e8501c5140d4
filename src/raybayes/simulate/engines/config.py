"""Engines as data: the key `engine` of a study, and the engine that it builds."""

import shlex
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from raybayes.beamline.geometry import compile_beamline
from raybayes.errors import InputError
from raybayes.simulate.engines.protocol import Engine, Scene
from raybayes.simulate.simulator import Simulator, Tracing

SCREENS = ("ImagePlane", "ImagePlaneBundle", "Slit", "Aperture", "Foil")  # across the beam
INSIDE = 0.37  # of the way from low to high: where no effect is switched off by symmetry


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    package: ClassVar[str] = ""  # its distribution, where it is another's

    @property
    def runs(self) -> str:
        """What it runs because the study names it; "" where that is nothing."""
        return ""

    def check(self, scene: Scene) -> None:
        """Refuse now, not in hours, what our geometry cannot build."""
        last = scene.beamline.elements[-1]
        if last.type not in SCREENS:
            raise InputError(
                f"{scene.beamline.path}:{last.line}: {last.type} {last.name!r}: a study ends in a "
                "plane that sees the beam; add an ImagePlane behind it"
            )
        low, high = scene.support
        compile_beamline(scene.beamline, scene.names, [low, high])
        for i, name in enumerate(scene.names):
            moved = np.tile(low + INSIDE * (high - low), (3, 1))
            moved[:, i] = low[i], (low[i] + high[i]) / 2, high[i]
            try:
                compiled = compile_beamline(scene.beamline, scene.names, moved)
            except InputError:  # a corner of the prior; a campaign counts what fails there
                continue
            if all((table == table[0]).all() for table in (compiled.rows, compiled.emission)):
                raise InputError(
                    f"parameter {name}: nothing in the beamline as set in "
                    f"{scene.beamline.path} depends on it"
                )


class TracerConfig(_Config):
    """Our own tracer; `[tracing]` says how."""

    kind: Literal["tracer"] = "tracer"

    def build(self, scene: Scene, tracing: Tracing) -> Simulator:
        return Simulator(
            scene.beamline, scene.names, scene.support, scene.detector, tracing, scene.seed
        )


class FunctionConfig(_Config):
    """A Python function theta -> profiles, or (profiles, transmission)."""

    kind: Literal["function"]
    function: str = Field(pattern=r"^[\w.]+:\w+$", description="module:function")
    batched: bool = Field(True, description="theta is [n, d]; else one [d] at a time")
    seeded: bool = Field(False, description="it is called with seed=..., too")

    @property
    def runs(self) -> str:
        return f"the function {self.function}"

    def check(self, scene: Scene) -> None:
        _known(scene)

    def build(self, scene: Scene, tracing: Tracing) -> Engine:
        from raybayes.simulate.engines.function import Function

        return Function(scene, self.function, self.batched, self.seeded).check()


class CommandConfig(_Config):
    """Any program: it reads a file made from a template and writes the profile to another."""

    kind: Literal["command"]
    command: tuple[str, ...] = Field(
        min_length=1, description="{input}, {output} and {seed} are replaced"
    )
    template: str = Field(
        description="in a study a file's name, then its text; ${ELEMENT.PARAMETER} is replaced"
    )
    timeout: float = Field(600.0, gt=0, description="s; then it is killed")
    folder: str = Field("", description="the study's, as found when it is read")

    @property
    def runs(self) -> str:
        return f"the command {shlex.join(self.command)}"

    def check(self, scene: Scene) -> None:
        _known(scene)

    def build(self, scene: Scene, tracing: Tracing) -> Engine:
        from raybayes.simulate.engines.command import Command

        return Command.of(scene, self.command, self.template, self.timeout, self.folder)


class RayxConfig(_Config):
    """RAYX, from PyPI."""

    kind: Literal["rayx"]
    rays: int = Field(20_000, gt=0)
    package: ClassVar[str] = "rayx"

    def build(self, scene: Scene, tracing: Tracing) -> Engine:
        from raybayes.simulate.engines.rayx import Rayx

        return Rayx(scene, self.rays).check()


class XrtConfig(_Config):
    """xrt, on the CPU."""

    kind: Literal["xrt"]
    rays: int = Field(20_000, gt=0)
    package: ClassVar[str] = "xrt"

    def build(self, scene: Scene, tracing: Tracing) -> Engine:
        from raybayes.simulate.engines.xrt import Xrt

        return Xrt(scene, self.rays).check()


class RayUIConfig(_Config):
    """RAY-UI itself, through raypyng."""

    kind: Literal["rayui"]
    rays: int = Field(20_000, gt=0)
    path: str = Field("", exclude=True, description="RAY-UI's folder; raypyng looks where none")
    hide: bool = Field(True, exclude=True, description="run it without a window, by xvfb-run")
    timeout: float = Field(600.0, gt=0, description="s; then it is killed")
    package: ClassVar[str] = "raypyng"

    @property
    def runs(self) -> str:
        return f"a program in {self.path}" if self.path else ""

    def check(self, scene: Scene) -> None:
        _known(scene)

    def build(self, scene: Scene, tracing: Tracing) -> Engine:
        from raybayes.simulate.engines.rayui import RayUI

        return RayUI(scene, self.rays, self.path, self.hide, self.timeout).check()


EngineConfig = Annotated[
    Annotated[TracerConfig, Tag("tracer")]
    | Annotated[FunctionConfig, Tag("function")]
    | Annotated[CommandConfig, Tag("command")]
    | Annotated[RayxConfig, Tag("rayx")]
    | Annotated[XrtConfig, Tag("xrt")]
    | Annotated[RayUIConfig, Tag("rayui")],
    Discriminator(
        lambda value: (
            value.get("kind", "tracer") if isinstance(value, dict) else getattr(value, "kind", None)
        )
    ),
]


def _known(scene: Scene) -> None:
    """The parameters must exist; what they do is the engine's business."""
    for name in scene.names:
        scene.beamline.find(name)
