"""Files that a person gives to the page: bounded, kept under names of the server's own."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from raybayes.errors import InputError
from raybayes.observations.readers import READERS

LIMIT = 64 * 2**20  # bytes of a file
KEPT = 48  # files; older ones go
MOST = 40  # that are measured together
LONGEST = 100  # letters of a name


class TooLarge(InputError):
    """More bytes than are taken."""

    status = 413


class Unknown(InputError):
    """An id that stands for nothing, or no longer."""

    status = 404


@dataclass(frozen=True)
class Upload:
    """A file, and what the person calls it; that name is shown, never used as a path."""

    path: Path
    name: str

    def named(self, sentence: str) -> str:
        """With the person's name for the file in place of the server's."""
        return sentence.replace(str(self.path), self.name).replace(self.path.name, self.name)


@dataclass
class Uploads:
    """The newest files in one folder."""

    folder: Path
    kept: dict[str, Upload] = field(default_factory=dict)

    async def receive(self, pieces: AsyncIterator[bytes], length: str | None, name: str) -> str:
        """Write a file as it comes and give its id.

        Raises:
            TooLarge: it is, by what it says of itself or by what has come.
        """
        shown, id_ = shown_name(name), secrets.token_hex(8)
        suffix = PurePosixPath(shown).suffix.lower()
        path = self.folder / (id_ + (suffix if suffix in READERS else ""))
        try:
            with path.open("wb") as file:
                async for piece in bounded(pieces, length, LIMIT, shown):
                    file.write(piece)
        except Exception:  # too large, or the person went away
            path.unlink()
            raise
        self.kept[id_] = Upload(path, shown)
        self._forget()
        return id_

    def _forget(self) -> None:
        for id_ in list(self.kept)[:-KEPT]:
            self.kept.pop(id_).path.unlink(missing_ok=True)

    def __getitem__(self, id_: str) -> Upload:
        if id_ not in self.kept:
            raise Unknown("this file is no longer kept; give it again")
        return self.kept[id_]


async def bounded(
    pieces: AsyncIterator[bytes], length: str | None, limit: int, what: str
) -> AsyncIterator[bytes]:
    """The pieces, until they are too many; an announced length is believed before any comes."""
    seen = int(length) if length and length.isdecimal() else 0
    if seen <= limit:
        seen = 0
        async for piece in pieces:
            seen += len(piece)
            if seen > limit:
                break
            yield piece
    if seen > limit:
        raise TooLarge(
            f"{what}: has more than the {limit / 2**20:g} MB that are taken; give one frame or "
            "profile"
        )


def shown_name(quoted: str) -> str:
    """The last part of a percent-encoded name, without what cannot be printed."""
    last = unquote(quoted).replace("\\", "/").rpartition("/")[2]
    kept = "".join(letter for letter in last if letter.isprintable())
    return kept[-LONGEST:] or "upload"
