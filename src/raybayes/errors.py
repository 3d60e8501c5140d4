"""What may end a job: a person's mistake, how it is said, and whether a person asked to stop."""

import threading

LONGEST = 500  # letters of a message
CUT = " ... "
_stop = threading.Event()


class InputError(ValueError):
    """Something given to raybayes is wrong; the message says what, where and what to do."""


def ask_to_stop() -> None:
    """Ctrl-C was pressed."""
    _stop.set()


def asked_to_stop() -> bool:
    """Whether it was."""
    return _stop.is_set()


def stop_if_asked() -> None:
    """Raise KeyboardInterrupt where it was: a library may have swallowed the first one."""
    if _stop.is_set():
        raise KeyboardInterrupt


def shown(message: object) -> str:
    """A message as one line of at most LONGEST letters, safe to print.

    It may quote a file: what a terminal would obey, or what turns the reading direction, is
    escaped. Of a list, as many lines are shown as there is room for.
    """
    first, *rest = [_printable(line) for line in str(message).splitlines() if line.strip()] or [""]
    start = f"{first} " if first.endswith(":") else f"{first}; "
    for count in range(len(rest), 0, -1):
        line = start + "; ".join(rest[:count] + ["..."] * (count < len(rest)))
        if len(line) <= LONGEST:
            return line
    return shorten(first, LONGEST)


def shorten(text: str, longest: int = 200) -> str:
    """With its middle left out where it is long: a message begins with what, and ends in advice."""
    if len(text) <= longest:
        return text
    end = (longest - len(CUT)) // 2
    return text[: longest - len(CUT) - end] + CUT + text[-end:]


def _printable(text: str) -> str:
    """Control characters, and halves of letters that a name of a file may hold, as \\x1b."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
