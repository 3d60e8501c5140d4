"""The command line. Heavy packages are imported inside the command that needs them."""

from raybayes.cli import (
    beams,
    camera,
    campaigns,
    check_simulator,
    doctor,
    engines,
    infer,
    new,
    run,
    workbench,
)
from raybayes.cli.frame import app, main

__all__ = [
    "app", "beams", "camera", "campaigns", "check_simulator", "doctor", "engines", "infer", "main",
    "new", "run", "workbench",
]  # fmt: skip
