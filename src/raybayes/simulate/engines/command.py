"""Any program as an engine: a file made from a template in, a file with the profile out."""

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.simulate.engines.programs import run
from raybayes.simulate.engines.protocol import Capabilities, Key, Scene

# ${M4.rotationXerror}: a name of a parameter, or seed. A $ without braces stays.
NAME = re.compile(r"\$\{([^${}]+)\}")


@dataclass(frozen=True)
class Command:
    """A program that is run once for each theta, in a folder of its own.

    The output is the profile's bins as text (blanks, commas or lines between) or as .npy.

    Attributes:
        command: "{input}", "{output}" and "{seed}" in its words are replaced.
        text: the template's.
        timeout: s.
    """

    scene: Scene
    command: tuple[str, ...]
    text: str
    timeout: float

    @classmethod
    def of(
        cls, scene: Scene, command: Sequence[str], text: str, timeout: float, folder: str = ""
    ) -> "Command":
        """Refuse now what cannot work: no such program, an unknown name in the template.

        folder: of the study; words that name files in it do so wherever the program runs.
        """
        program, *words = command
        found_at = shutil.which(Path(folder, program) if os.sep in program else program)
        if found_at is None:
            raise InputError(f"engine.command: there is no program {program!r}")
        paths = [(word, os.path.abspath(os.path.join(folder, word))) for word in words]
        beside = [path if os.path.isfile(path) else word for word, path in paths]
        known = {*scene.names, "seed"}
        found = set(NAME.findall(text))
        for name in sorted(found - known):
            raise InputError(
                f"engine.template: ${{{name}}} is no parameter of the study; it has "
                f"{', '.join(scene.names)}"
            )
        for name in sorted(set(scene.names) - found):
            raise InputError(f"engine.template: it lacks ${{{name}}}, so nothing depends on it")
        return cls(scene, (os.path.abspath(found_at), *beside), text, timeout)

    @property
    def capabilities(self) -> Capabilities:
        everything = " ".join((*self.command, self.text))
        return Capabilities(seeded="{seed}" in everything, batched=False)

    def profiles(self, theta: Array, key: Key) -> tuple[Array, Array]:
        """As `Engine.profiles`; theta is [1, d]."""
        (one,) = theta
        seed = self.scene.integer(key)
        values = {name: repr(value) for name, value in self.scene.values(one).items()}
        values["seed"] = str(seed)
        with tempfile.TemporaryDirectory(prefix="raybayes-") as name:
            folder = Path(name)
            files = {"{input}": folder / "input", "{output}": folder / "output"}
            text = NAME.sub(lambda name: values[name[1]], self.text)
            files["{input}"].write_text(text, encoding="utf-8")
            run(
                [_replaced(w, {**files, "{seed}": seed}) for w in self.command],
                folder,
                self.timeout,
            )
            profile = read_profile(files["{output}"], self.scene.detector.size)
        return profile[None], np.array([self.scene.seen(profile)])


def _replaced(word: str, by: dict[str, object]) -> str:
    for name, value in by.items():
        word = word.replace(name, str(value))
    return word


def read_profile(path: Path, size: int) -> Array:
    """The numbers of a file [size]; an InputError says what is wrong with it."""
    if not path.exists():
        raise InputError("the program wrote no output")
    content = path.read_bytes()
    try:
        if content.startswith(b"\x93NUMPY"):
            numbers = np.load(path, allow_pickle=False).ravel()
            if numbers.dtype.kind not in "fiub":
                raise ValueError(f"an array of {numbers.dtype}")
        else:
            numbers = np.array(content.decode().replace(",", " ").split(), np.float64)
    except (ValueError, EOFError) as error:
        raise InputError(f"the program's output is not numbers ({error})") from error
    if numbers.shape != (size,):
        raise InputError(f"the program wrote {len(numbers)} numbers; the detector reads {size}")
    return np.asarray(numbers, np.float64)
