"""The letters of a text file."""

import re
from contextlib import suppress
from pathlib import Path

from raybayes.errors import InputError

NONE_IN_C = re.compile(r"[+-]?\d\.#(?:QNAN|SNAN|IND|INF)\w*", re.IGNORECASE)  # of Windows


def decoded(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file, and which encoding had to be supposed."""
    text, told = _encoded(path)
    return NONE_IN_C.sub("na", text.replace("\N{MINUS SIGN}", "-")), told


def _encoded(path: Path) -> tuple[str, tuple[str, ...]]:
    content = path.read_bytes()
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return _text(path, content, encoding), ()
    try:
        return _text(path, content, "utf-8-sig"), ()
    except InputError:
        text = _text(path, content, "cp1252")
        return text, ("Not UTF-8: read as Windows-1252.",)


def _text(path: Path, content: bytes, encoding: str) -> str:
    from raybayes.observations.readers import READERS

    with suppress(UnicodeDecodeError):
        text = content.decode(encoding)
        if "\0" not in text:
            return text
    raise InputError(
        f"{path}: is neither text (UTF-8; UTF-16 with its mark) nor of a known suffix "
        f"({', '.join(READERS)})"
    )
