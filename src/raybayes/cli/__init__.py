"""The command line. Heavy packages are imported inside the command that needs them."""

from raybayes.cli import beams, campaigns, doctor, engines, new, run
from raybayes.cli.frame import app, main

__all__ = ["app", "beams", "campaigns", "doctor", "engines", "main", "new", "run"]
