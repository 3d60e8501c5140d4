"""Small studies, and the command line as a function."""

import hashlib
from importlib import resources
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from raybayes.cli import app

TRUTH = np.array([0.02, 0.1])  # of the run `finished`
UE112 = Path(str(resources.files("raybayes") / "data" / "ue112_pgm1.rml"))
TINY = """
name = "tiny"
beamline = "ue112_pgm1.rml"
seed = 3
simulations = 600
validation = 100
shard = 50
[parameters]
"M4.rotationXerror" = [-0.06, 0.06]
"M4.rotationZerror" = [-0.5, 0.5]
[tracing]
rays = 128
tolerance = 5.0
[density]
layers = 4
widths = [32]
members = 2
embedding = {widths = [32, 16]}
[training]
epochs = 4
"""


def command(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def shards(folder):
    files = sorted((Path(folder) / "simulations").glob("shard-*"))
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
