"""Harm files at random: raybayes opens each, or refuses it in one sentence.

    ./run python tests/fuzz.py TARGET [--seconds N] [--seed S] [--keep FOLDER] [--json]

Targets are rml, study, artefacts and observations.

Each case runs in a process of its own kind, which is watched: an error that is no InputError is a
"traceback", more than 10 s a "hang", more than 1 GB a "memory", and a file that opens although its
bytes changed a "silent". Ends with code 1 where there are any.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

HANG = 10.0  # s
MEMORY = 1e9  # bytes, beside what the process had before
SET_UP = 600.0  # s: the first case makes what is harmed, and compiles
FINE = ("opened", "refused")
BAD = ("traceback", "hang", "memory", "silent")
SHOWN = 3  # examples of each kind of finding


def judged(case):
    """What came of a case, and what there is to say of it."""
    from raybayes.errors import LONGEST, InputError, shown

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case.open()
    except InputError as error:
        line = shown(error)
        good = 0 < len(line) <= LONGEST and line.isprintable()
        return ("refused" if good else "traceback"), line
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        last = f"{type(error).__name__}: {str(error)[:200]} ({where.filename}:{where.lineno})"
        return "traceback", last
    return ("silent" if case.damaged else "opened"), case.file.name


def outcomes(target, seed, count):
    """How often each came of `count` cases, in this process; and the findings."""
    found, findings = Counter(), []
    for i in range(count):
        word, said = judged(target.case(random.Random(f"{seed} {i}")))
        found[word] += 1
        if word in BAD:
            findings.append((word, i, said))
    return found, findings


def work(name, folder, seed, pipe):
    """Cases by their numbers, until there are no more."""
    from raybayes.cli.frame import prepare_jax

    prepare_jax()
    from fuzzed import TARGETS

    target = TARGETS[name](Path(folder))
    judged(target.case(random.Random(0)))
    pipe.send(("ready", ""))
    while (i := pipe.recv()) is not None:
        case = target.case(random.Random(f"{seed} {i}"))
        pipe.send(("case", str(case.file)))
        pipe.send(judged(case))


class Worker:
    """A process that judges cases, and is killed where one takes too much."""

    def __init__(self, name, folder, seed):
        self.pipe, theirs = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        self.process = spawn.Process(target=work, args=(name, folder, seed, theirs), daemon=True)
        self.process.start()
        theirs.close()
        word, said = self._answer(SET_UP, float("inf"))
        if word != "ready":
            raise SystemExit(f"the target cannot be set up: {word} {said}")
        self.before = self._bytes()

    def judge(self, i):
        """The verdict, what there is to say, and the case's file."""
        self.pipe.send(i)
        word, file = self._answer(HANG, self.before + MEMORY)
        if word == "case":
            word, said = self._answer(HANG, self.before + MEMORY)
            return word, said, file
        return word, file, ""

    def _answer(self, seconds, most):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.pipe.poll(0.05):
                    return self.pipe.recv()
            except EOFError:
                self.process.join()
                return "traceback", f"the process ended with code {self.process.exitcode}"
            if self._bytes() > most:
                self.stop()
                return "memory", f"more than {MEMORY / 1e9:g} GB"
        self.stop()
        return "hang", f"more than {seconds:g} s"

    def _bytes(self):
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):  # it has ended
            return 0

    @property
    def alive(self):
        return self.process.is_alive()

    def stop(self):
        self.process.kill()
        self.process.join()


def fuzz(name, seconds, seed, keep=None):
    """Counts of verdicts in so many seconds, and the findings: verdict, number, words."""
    found, findings = Counter(), []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        worker, i, end = Worker(name, folder, seed), 0, time.monotonic() + seconds
        while time.monotonic() < end:
            if not worker.alive:
                worker = Worker(name, folder, seed)
            word, said, file = worker.judge(i)
            found[word] += 1
            if word not in FINE:
                findings.append((word, i, said))
                if keep and file:
                    shutil.copy(file, keep / f"{name}-{seed}-{i}-{word}{Path(file).suffix}")
            i += 1
        worker.stop()
    return found, findings


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", help="rml, study, artefacts or observations")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the files that were found")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    found, findings = fuzz(given.target, given.seconds, given.seed, given.keep)
    counts = {word: found[word] for word in (*FINE, *BAD)}
    if given.json:
        result = {"target": given.target, "seed": given.seed, "cases": found.total(), **counts}
        print(json.dumps({**result, "findings": findings}, indent=1))
    else:
        words = ", ".join(f"{count} {word}" for word, count in counts.items())
        print(f"{given.target}, seed {given.seed}: {found.total()} cases: {words}")
        for kind in dict.fromkeys(said for _, _, said in findings):
            same = [(word, i) for word, i, said in findings if said == kind]
            print(f"{len(same)} x {same[0][0]}: {kind}; cases {[i for _, i in same[:SHOWN]]}")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
