"""Tables and lists of numbers in text, as people and programs write them."""

from pathlib import Path

from raybayes.observations.measured import Measured, one_frame
from raybayes.observations.options import Reading, meant
from raybayes.observations.readers import columns, spec, srw
from raybayes.observations.readers.encoding import decoded
from raybayes.observations.readers.tables import tabulated


def read_text(path: Path, reading: Reading) -> tuple[Measured, ...]:
    """One number per line, a table with columns of positions and counts, an image; SPEC and SRW."""
    one_frame(path, reading.frame)
    text, told = decoded(path)
    if spec.is_spec(text):
        meant(path, reading, "a SPEC file", "decimal")
        return spec.read(path, text, reading)
    if srw.is_srw(text):
        meant(path, reading, "a file of SRW", "columns", "normalise", "decimal", "scan")
        return srw.read(path, text)
    meant(path, reading, "a text table", "scan")
    table = tabulated(path, text.splitlines(), reading.decimal)
    return columns.chosen(path, table, reading, told)
