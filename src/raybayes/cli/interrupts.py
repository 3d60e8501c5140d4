"""Ctrl-C ends a command with one sentence and code 130, whatever runs when it comes.

Python raises KeyboardInterrupt between any two of its instructions, so also in callbacks of C code
(LLVM's, XLA's, the garbage collector's), which cannot pass it on: it is reported as ignored, and
lost. Here it is raised again a moment later. For code that catches it, or makes another error of
it, loops over epochs and shards call `stop_if_asked`, and the end of the command looks, too.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from raybayes.errors import ask_to_stop, asked_to_stop

SENTENCE = "raybayes: interrupted; run the same command again to go on\n"
CODE = 130  # of a shell for what Ctrl-C ended: 128 + SIGINT
AGAIN = 0.05  # s


@contextmanager
def interruptible() -> Iterator[None]:
    """Around a whole command. A second Ctrl-C ends it at once, without tidying up."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not under nohup
        _install()
    try:
        yield
    except BaseException:  # also what a library made of a KeyboardInterrupt
        if not asked_to_stop():
            raise
    if asked_to_stop():
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stderr.write(SENTENCE)
        sys.exit(CODE)


def _install() -> None:
    signal.signal(signal.SIGINT, _first)
    signal.signal(signal.SIGALRM, signal.default_int_handler)  # raises KeyboardInterrupt, too
    sys.unraisablehook = _lost
    # Signals wait while C code runs; a thread that reads of them from a pipe does not.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader,), daemon=True).start()


def _first(*_: object) -> None:
    ask_to_stop()
    raise KeyboardInterrupt


def _lost(unraisable: Any) -> None:
    """Of an error that C code cannot pass on."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, AGAIN)
    else:
        sys.__unraisablehook__(unraisable)


def _watch(reader: int) -> None:
    """End at the second Ctrl-C of which the pipe tells."""
    presses = 0
    while presses < 2:
        presses += os.read(reader, 1) == bytes([signal.SIGINT])
    os.write(2, SENTENCE.encode())
    os._exit(CODE)
