"""Other programs: run with a time limit, and nothing left over when it ends."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raybayes.errors import InputError


def run(command: Sequence[str], folder: Path, timeout: float) -> str:
    """Its standard output.

    Args:
        folder: where it runs.
        timeout: s; then it and its children are killed.

    Raises:
        InputError: it cannot be started, takes too long, or fails: with its last words.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # so that its children can be killed with it
        )
    except OSError as error:
        raise InputError(f"{command[0]}: cannot be started ({error.strerror})") from error
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise InputError(f"{command[0]}: took more than {timeout:g} s and was killed") from None
    finally:
        end(process)
    if process.returncode:
        words = (errors.strip() or output.strip()).splitlines()
        last = f": {words[-1]}" if words else ""
        # A temporary folder's name would make equal failures differ.
        last = last.replace(str(folder), "")
        raise InputError(f"{command[0]}: ended with code {process.returncode}{last}")
    return output


def end(process: "subprocess.Popen[Any]") -> None:
    """Kill it and whatever it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):  # words that it never read
                stream.close()
    process.wait()
