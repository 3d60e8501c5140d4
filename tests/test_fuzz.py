"""A short form of each fuzzer: only sentences, and no damage in silence."""

import random

import pytest
from fuzz import BAD, Worker, fuzz, judged, outcomes
from fuzzed import TARGETS, Case

from raybayes.errors import InputError

COUNTS = {"rml": 150, "study": 150, "artefacts": 40, "observations": 60}


@pytest.mark.parametrize("name", COUNTS)
def test_a_few_cases(name, tmp_path):
    target = TARGETS[name](tmp_path)
    found, findings = outcomes(target, 1, COUNTS[name])
    if name == "observations":
        target.close()
    assert not findings and found.total() == COUNTS[name]
    assert found["refused"] > 20


def test_unchanged_files_open(tmp_path):
    """Else nothing was tested."""
    for open_ in TARGETS["artefacts"](tmp_path).opens.values():
        open_()


def raising(error):
    def open_():
        raise error

    return open_


VERDICTS = {
    "traceback": (raising(KeyError("a")), False),
    "refused": (raising(InputError("wrong; mend it")), False),
    "silent": (lambda: None, True),
    "opened": (lambda: None, False),
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_verdicts(verdict, tmp_path):
    assert judged(Case(tmp_path / "a", *VERDICTS[verdict]))[0] == verdict


def test_an_empty_message_is_no_sentence(tmp_path):
    assert judged(Case(tmp_path / "a", raising(InputError(""))))[0] == "traceback"


def test_cases_follow_from_their_seed(tmp_path):
    target = TARGETS["study"](tmp_path)
    made = [target.case(random.Random("1 7")).file.read_bytes() for _ in range(2)]
    assert made[0] == made[1] and "hang" in BAD


@pytest.mark.slow
def test_cases_are_watched(tmp_path, monkeypatch):
    found, findings = fuzz("study", 2, 1)
    assert found.total() > 10 and not findings
    worker = Worker("study", str(tmp_path), 1)
    monkeypatch.setattr("fuzz.HANG", 0.0)
    assert worker.judge(0)[0] == "hang" and not worker.alive
    worker = Worker("study", str(tmp_path), 1)
    assert worker._answer(60, 0)[0] == "memory" and not worker.alive
