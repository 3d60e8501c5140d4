"""The studies and results that lie open, and what can be done with them."""

import base64
import io
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from raybayes.analysis.measurement import Inference, Trained, measure, refining
from raybayes.array_types import Array
from raybayes.beamline.derive import with_values
from raybayes.beamline.pictures import along, layout_picture
from raybayes.errors import InputError
from raybayes.observations import Observation
from raybayes.simulate.instrument import is_instrument
from raybayes.web import responses
from raybayes.web.exports import EXPORTS, download_name, exported
from raybayes.web.requests import AtTheta, Example, Measurement, Opening, Refinement
from raybayes.web.runs import Listed
from raybayes.web.uploads import Unknown, Upload, Uploads

Answer = dict[str, Any]

OPEN = 3  # studies whose networks are kept in memory
RESULTS = 12  # that can still be exported
TRIED = 20  # thetas for an example: some may fail
EXAMPLES = 5  # a stream of random numbers that neither `inference` nor a shard has


@dataclass(frozen=True)
class Shown:
    """A result and the study that it came from."""

    trained: Trained
    found: Inference


@dataclass
class Session:
    """What one server holds. Its methods are called one at a time.

    Attributes:
        folder: for files of results; it goes when the server ends.
    """

    listed: Mapping[str, Listed]
    uploads: Uploads
    folder: Path
    opened: dict[str, Trained] = field(default_factory=dict)
    results: dict[str, Shown] = field(default_factory=dict)

    def studies(self) -> list[Answer]:
        return [
            {"id": id_, "name": one.name, "folder": str(one.folder), "trouble": one.trouble}
            for id_, one in self.listed.items()
        ]

    def open(self, request: Opening) -> Answer:
        """A study, with all that is compiled once behind it."""
        new = request.study not in self.opened
        trained = self._trained(request.study)
        if new:
            found = trained.infer(_example(trained, 0)[0])
            trained.expected_counts(found.best)
            trained.posterior.log_prob(found.draws, found.observation.x)
            if trained.run.exact:
                next(refining(trained.run, found))
        return responses.described(trained)

    def read(self, request: Measurement) -> Observation:
        """Uploaded files as an observation; may be called beside the other methods."""
        files = [self.uploads[id_] for id_ in request.files]
        beside = {
            name: self.uploads[id_]
            for name, id_ in (("dark", request.dark), ("mask", request.mask))
            if id_ is not None
        }
        return _measured(self._trained(request.study), files, beside, request.reading)

    def infer(self, request: Measurement, observation: Observation) -> Answer:
        """The posterior at what was read."""
        return self._inferred(self._trained(request.study), observation, request.seed)

    def example(self, request: Example) -> Answer:
        """The posterior at a simulated observation, and the truth."""
        trained = self._trained(request.study)
        observation, truth = _example(trained, request.number)
        return {**self._inferred(trained, observation, 0), "truth": responses.numbers(truth)}

    def refine(self, request: Refinement) -> Iterator[Answer | None]:
        """The same result by the exact likelihood, after some None between which others have
        their turn: it takes seconds."""
        shown = self._shown(request.result)
        for refined in refining(shown.trained.run, shown.found):
            yield responses.corrected(refined) if refined else None

    def simulate(self, request: AtTheta) -> Answer:
        """The beam at one theta."""
        trained = self._trained(request.study)
        expected = trained.expected_counts(_theta(trained, request.theta))
        measured = None
        if request.result:
            shown = self._shown(request.result)
            if shown.trained.run is not trained.run:
                raise InputError("this result is another study's; infer it with this one")
            measured = shown.found.observation.x
        return responses.beam(trained.run.study.detectors, expected, measured)

    def layout(self, request: AtTheta) -> Answer:
        """The beamline at one theta: a picture, and the same in words."""
        trained = self._trained(request.study)
        theta = _theta(trained, request.theta)
        named = zip(trained.run.study.prior.names, theta, strict=True)
        values = {name: value for name, value in named if not is_instrument(name)}
        beamline = with_values(trained.run.beamline, values)
        picture = io.BytesIO()
        layout_picture(beamline).savefig(picture, format="svg")
        text = base64.b64encode(picture.getvalue()).decode()
        return {
            "picture": f"data:image/svg+xml;base64,{text}",
            "elements": [
                {"name": e["name"], "type": e["type"], "m": 1e-3 * e["mm"], "off": e["misaligned"]}
                for e in along(beamline)
            ],
        }

    def export(self, result: str, kind: str) -> tuple[bytes, str]:
        """A file's content and its name."""
        shown = self._shown(result)
        if kind not in EXPORTS:
            raise Unknown(f"there is no export of this kind; there are {', '.join(EXPORTS)}")
        run = shown.trained.run
        content = exported(run, shown.found, kind, self.folder / result)
        return content, download_name(run, shown.found, kind)

    def _trained(self, id_: str) -> Trained:
        if id_ not in self.listed:
            raise Unknown("there is no such study; reload the page")
        one = self.listed[id_]
        if one.run is None or one.trouble:
            raise InputError(one.trouble)
        if id_ not in self.opened:
            self.opened[id_] = Trained(one.run)
            _newest(self.opened, OPEN)
        return self.opened[id_]

    def _shown(self, id_: str) -> Shown:
        if id_ not in self.results:
            raise Unknown("this result is no longer kept; infer it again")
        return self.results[id_]

    def _inferred(self, trained: Trained, observation: Observation, seed: int) -> Answer:
        found, id_ = trained.infer(observation, seed), secrets.token_hex(8)
        self.results[id_] = Shown(trained, found)
        _newest(self.results, RESULTS)
        return {"id": id_, **responses.inferred(trained, found)}


def _newest(kept: dict[str, Any], count: int) -> None:
    for id_ in list(kept)[:-count]:
        del kept[id_]


def _example(trained: Trained, number: int) -> tuple[Observation, Array]:
    """What the study's detectors read at a theta from the prior."""
    run = trained.run
    rng = np.random.default_rng((run.study.seed, EXAMPLES, number, EXAMPLES))
    for _ in range(TRIED):
        theta, x = run.observed(run.study.prior.sample(1, rng), rng)
        if len(x):
            break
    else:
        raise InputError(f"{TRIED} simulations failed one after the other; narrow the prior")
    done = ("Simulated at a theta drawn from the prior; nothing was measured.",)
    return Observation(x[0], done, (f"example {number + 1}",)), theta[0]


def _measured(
    trained: Trained, files: list[Upload], beside: dict[str, Upload], reading: dict[str, Any]
) -> Observation:
    """Read uploads; what is said of them says the person's names for them."""
    for name in ("dark", "mask"):
        if name in reading:  # a path of this machine
            raise InputError(f"give the {name} as a file")
    changes = {**reading, **{name: str(upload.path) for name, upload in beside.items()}}
    named = [*files, *beside.values()]

    def said(sentence: str) -> str:
        for upload in named:
            sentence = upload.named(sentence)
        return sentence

    try:
        found = measure(trained.run, [upload.path for upload in files], changes)
    except InputError as error:
        raise InputError(said(str(error))) from error
    done = tuple(said(sentence) for sentence in found.done)
    return replace(found, done=done, files=tuple(upload.name for upload in files))


def _theta(trained: Trained, values: list[float]) -> Array:
    """[d], inside the prior's ends."""
    low, high = np.transpose([(p.low, p.high) for p in trained.parameters])
    theta = np.asarray(values, np.float64)
    if theta.shape != low.shape or not ((low <= theta) & (theta <= high)).all():
        raise InputError(f"theta must be {len(low)} numbers, each in its parameter's range")
    return theta
