import os
import sys

import pytest
from campaigns import ENGINE, MANY, PLAN, SLOW


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A study of MANY shards that take a tenth of a second each."""
    (tmp_path / "engine_of_test.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "slow.toml"
    path.write_text(PLAN.replace("simulations = 600", f"simulations = {50 * MANY}") + ENGINE)
    yield path
    sys.modules.pop("engine_of_test", None)
