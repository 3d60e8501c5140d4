"""RAY-UI itself as an engine, through raypyng, which starts it and speaks to it.

RAY-UI computes the geometry from the parameters, misalignment too, and draws its own rays.
"""

import atexit
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.derive import with_values
from raybayes.beamline.model import Beamline, Param
from raybayes.beamline.rml import write_rml
from raybayes.errors import InputError
from raybayes.simulate.engines.programs import end
from raybayes.simulate.engines.protocol import Capabilities, Key, Scene, needs

TABLE = "RawRaysOutgoing"
SETUP = "engine rayui: RAY-UI cannot be started: "


@dataclass(frozen=True)
class RayUI:
    """RAY-UI's rays, one theta and one process at a time.

    Attributes:
        rays: of a theta.
        path: the folder of RAY-UI's executable; "": where raypyng looks for it.
        hide: without a window.
        timeout: s, of a theta; then RAY-UI is killed.
    """

    scene: Scene
    rays: int
    path: str
    hide: bool
    timeout: float

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(seeded=False, batched=False)

    def check(self) -> "RayUI":
        """Find RAY-UI now, not in hours."""
        self._runner()
        return self

    def _runner(self) -> Any:
        runner = _limited(needs("raypyng.runner").RayUIRunner, self.timeout)
        try:
            return runner(ray_path=self.path or None, hide=self.hide)
        except Exception as error:  # raypyng raises a bare Exception, among others
            raise InputError(f"{SETUP}{' '.join(str(error).split())}; set engine.path") from error

    def profiles(self, theta: Array, key: Key) -> tuple[Array, Array]:
        """As `Engine.profiles`; theta is [1, d]."""
        beamline = with_values(self.scene.beamline, self.scene.values(theta[0]))
        last = beamline.elements[-1].name
        with tempfile.TemporaryDirectory(prefix="raybayes-") as folder:
            file = Path(folder) / "theta.rml"
            write_rml(self._with_rays(beamline), file)
            with self._started() as api:
                _must(api.load(str(file)), "load the beamline")
                _must(api.trace(analyze=False), "trace it")
                _must(api.export(last, TABLE, folder, "raybayes-"), "export the rays")
            at = read_table(Path(folder), last)
        rng = np.random.default_rng((self.scene.seed, *key))
        profile = self.scene.detector.counted(at, np.ones(at.shape[1]), self.rays, rng)
        return profile[None], np.array([at.shape[1] / self.rays])

    def _with_rays(self, beamline: Beamline) -> Beamline:
        count = {"numberRays": Param(str(self.rays), {"enabled": "T"})}
        return beamline.with_params(beamline.source.name, count)

    @contextmanager
    def _started(self) -> Iterator[Any]:
        """RAY-UI, running; killed with all its children in the end."""
        runner = self._runner().run()
        atexit.unregister(runner.kill)  # raypyng registers one for every theta
        process = runner._process
        try:
            yield needs("raypyng.runner").RayUIAPI(runner)
        finally:
            runner.kill()
            end(process)


def _limited(base: Any, timeout: float) -> Any:
    """raypyng's runner waits for ever for a RAY-UI that hangs or has died; this one does not."""

    class Limited(base):
        def run(self) -> Any:
            self.end = time.monotonic() + timeout
            return super().run()

        def _readline_with_timeout(self, timeout: float | None = None) -> str | None:
            line = super()._readline_with_timeout(max(0.0, self.end - time.monotonic()))
            if line is None and not self.isrunning:
                raise InputError("RAY-UI ended before it had answered")
            if line is None and time.monotonic() >= self.end:
                raise InputError(f"RAY-UI took more than {self.timeout:g} s and was killed")
            return line

    Limited.timeout = timeout
    return Limited


def _must(success: bool, what: str) -> None:
    if not success:
        raise InputError(f"RAY-UI could not {what}")


def read_table(folder: Path, element: str) -> Array:
    """x and y, [2, n], mm, of the rays that arrived.

    RAY-UI has dropped rays by chance where intensity is lost, so each that is left counts as one.
    """
    files = list(folder.glob(f"*{element}-{TABLE}.csv"))
    if len(files) != 1:
        raise InputError(f"RAY-UI exported {len(files)} tables of rays of {element}")
    _, header, *lines = files[0].read_text().splitlines()
    columns = [name.rpartition("_")[2] for name in header.split("\t")]
    if not {"OX", "OY"} <= set(columns):
        raise InputError(f"RAY-UI's table of {element} has no columns OX and OY")
    rows = [line.split("\t") for line in lines if line.strip()]
    picked = [[float(row[columns.index(name)]) for row in rows] for name in ("OX", "OY")]
    return np.array(picked)
