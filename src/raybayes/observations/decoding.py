"""Files decoded in a process of their own, which can be ended, and cannot fill the memory.

`decode` starts it; `main` is what it runs.
"""

import io
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from raybayes.errors import InputError
from raybayes.observations.axes import Axis
from raybayes.observations.measured import Measured
from raybayes.observations.options import Reading
from raybayes.observations.readers import read_file

SECONDS = 15  # of the clock, for all files of one call, once the process is ready
CPU_SECONDS = 3  # since then
READY = (
    b"."  # what the process says when it has loaded itself, which may take long where others work
)
MEMORY = 2**30  # bytes of the decoding process
LENGTH = 8  # bytes of a number that says how long an answer is


@dataclass(frozen=True)
class Request:
    """A file, and how it is read."""

    path: Path
    reading: Reading


def decode(requests: Sequence[Request]) -> list[tuple[Measured, ...]]:
    """What stands in each file.

    Raises:
        InputError: a file is missing, damaged or not understood, takes too long, or fills the
            memory; the first that is.
    """
    asked = [[str(request.path), request.reading.model_dump_json()] for request in requests]
    program = f"from {__name__} import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", program]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.read(len(READY))
        out, complaints = process.communicate(json.dumps(asked).encode(), SECONDS)
        late = False
    except subprocess.TimeoutExpired:
        process.kill()
        out, complaints = process.communicate()
        late = True
    except BaseException:  # Ctrl-C
        process.kill()
        process.wait()
        raise
    return understood(requests, out, complaints, late, process.returncode)


def understood(
    requests: Sequence[Request], out: bytes, complaints: bytes, late: bool, code: int
) -> list[tuple[Measured, ...]]:
    """What the decoding process has answered.

    Args:
        complaints: what it wrote on stderr.
        late: whether it was ended, for want of time; code: with which it ended.

    Raises:
        InputError: as `decode`.
    """
    answers = list(_answers(io.BytesIO(out)))
    for request, answer in zip(requests, answers, strict=False):
        if isinstance(answer, str):
            raise InputError(answer)
        _no_complaint(request.path, complaints)
    if len(answers) < len(requests):
        why = _why(late, code, complaints)
        raise InputError(f"{requests[len(answers)].path}: {why}")
    return [answer for answer in answers if not isinstance(answer, str)]


def _why(late: bool, code: int, complaints: bytes) -> str:
    """What ended the decoding."""
    from signal import SIGXCPU

    if late:
        return (
            f"has not been read within {SECONDS} s; if the machine is busy, try again; else the "
            "file is damaged, made to do harm, or should be stored as TIFF or HDF5"
        )
    if code == -SIGXCPU:
        return (
            f"takes more than {CPU_SECONDS} s to read: damaged, made to do harm, or so large that "
            "it should be stored as TIFF or HDF5"
        )
    words = complaints.decode(errors="replace").strip().splitlines()
    if "MemoryError" in (words[-1] if words else "") or "allocate" in (words[-1] if words else ""):
        return f"takes more than {MEMORY >> 20} MB to read; give one frame or profile"
    return f"ends the program that reads it ({words[-1][:200] if words else f'signal {-code}'})"


def _no_complaint(path: Path, complaints: bytes) -> None:
    """Libraries in C warn of damage on stderr and go on; what they then give is not trusted."""
    words = complaints.decode(errors="replace").strip()
    if words:
        raise InputError(f"{path}: is damaged ({words.splitlines()[0][:200]})")


def _answers(stream: IO[bytes]) -> Iterator[tuple[Measured, ...] | str]:
    """What came whole: of each file what stands in it, or why not."""
    while len(head := stream.read(LENGTH)) == LENGTH:
        body = stream.read(int.from_bytes(head))
        if len(body) < int.from_bytes(head):
            return
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            described = json.loads(bytes(arrays["described"]))
            if "error" in described:
                yield str(described["error"])
            else:
                yield tuple(_unpacked(each, arrays) for each in described["found"])


def _unpacked(described: dict[str, Any], arrays: Any) -> Measured:
    axes = described["axes"]
    return Measured(
        arrays[described["values"]],
        axes and tuple(Axis(arrays[a["values"]], a["name"], a["unit"]) for a in axes),
        described["pixel"] and tuple(described["pixel"]),
        described["ceiling"],
        arrays[described["bad"]] if described["bad"] else None,
        tuple(described["told"]),
    )


def _packed(found: tuple[Measured, ...]) -> bytes:
    arrays: dict[str, Any] = {}

    def put(array: Any) -> str:
        name = f"a{len(arrays)}"
        arrays[name] = array
        return name

    described = [
        {
            "values": put(one.values),
            "axes": one.axes
            and [{"values": put(a.values), "name": a.name, "unit": a.unit} for a in one.axes],
            "pixel": one.pixel,
            "ceiling": one.ceiling,
            "bad": None if one.bad is None else put(one.bad),
            "told": one.told,
        }
        for one in found
    ]
    return _answer({"found": described}, arrays)


def _answer(described: dict[str, Any], arrays: dict[str, Any]) -> bytes:
    text = np.frombuffer(json.dumps(described).encode(), np.uint8)
    body = io.BytesIO()
    np.savez(body, described=text, **arrays)
    return len(body.getvalue()).to_bytes(LENGTH) + body.getvalue()


def _limited() -> None:
    """Limits that the system keeps, where it has them."""
    try:
        import resource
    except ImportError:  # Windows: the clock alone
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    end = math.ceil(used.ru_utime + used.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (end, end + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Answer for each file that is asked on stdin, in order."""
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    asked = json.load(sys.stdin)
    _limited()
    for path, reading in asked:
        try:
            answer = _packed(read_file(Path(path), Reading.model_validate_json(reading)))
        except InputError as error:
            answer = _answer({"error": str(error)}, {})
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()
