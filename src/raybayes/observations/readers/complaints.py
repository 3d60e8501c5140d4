"""What libraries say of a file's faults, which they then work around."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raybayes.errors import InputError


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


@contextmanager
def no_complaint(path: Path, library: str, kind: str) -> Iterator[None]:
    """A block in which a library that warns of faults has found damage.

    Raises:
        InputError: it has warned.
    """
    log, complaints = logging.getLogger(library), _Complaints()
    log.addHandler(complaints)
    try:
        yield
    finally:
        log.removeHandler(complaints)
    if complaints.heard:
        raise InputError(f"{path}: a damaged {kind} file ({complaints.heard[0]})")
