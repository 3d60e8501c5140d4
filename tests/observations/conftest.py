"""Files are decoded in the process of the test, which is quick; test_decoding.py has the other."""

import sys
from pathlib import Path

import pytest

from raybayes.observations import observation
from raybayes.observations.readers import read_file

sys.path.insert(0, str(Path(__file__).parent))  # the helpers that lie beside the tests


@pytest.fixture(autouse=True)
def decoded_here(monkeypatch):
    def decode(requests):
        return [read_file(request.path, request.reading) for request in requests]

    monkeypatch.setattr(observation, "decode", decode)
