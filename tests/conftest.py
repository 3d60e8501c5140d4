import os
from importlib import resources
from pathlib import Path

import jax
import pytest

from raybayes.beamline.rml import read_rml

UE112 = Path(str(resources.files("raybayes") / "data" / "ue112_pgm1.rml"))


@pytest.fixture(scope="session")
def ue112():
    return read_rml(UE112)


@pytest.fixture(scope="session")
def shared():
    folder = Path(os.environ.get("RAYBAYES_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}; set RAYBAYES_SHARED")
    return folder


@pytest.fixture
def strict_jax():
    """No silent broadcasting of ranks or promotion of types in our own code (optax needs both)."""
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield
