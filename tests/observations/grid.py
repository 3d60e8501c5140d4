"""What comes of each kind of file with each option: `python tests/observations/grid.py` prints it.

What must come of it stands in test_grid.py.
"""

import re
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pictures_written
import profiles_written
from pictures_written import ASIDE, COLUMNS, FRAMES, ROWS, SHALLOW, SIZE

from raybayes.errors import InputError, shown
from raybayes.observations import Reading, Target
from raybayes.observations.frames import Source
from raybayes.observations.observation import Loaded, observed
from raybayes.observations.readers import read_file

BINS = (12, 10)
WIDTHS = (0.01, 0.012)  # mm
EDGES = tuple((np.arange(n + 1) - n / 2) * w for n, w in zip(BINS, WIDTHS, strict=True))
IMAGE, PROFILES = Target("image", EDGES), Target("profiles", EDGES)


def picture():
    """A beam right of and above the middle, skew in both ways, with a mark on its upper right."""
    right, down = np.arange(COLUMNS) - 33.0, np.arange(ROWS) - 17.0
    across = np.where((right > 0) & (right < 25), right**2 * np.exp(-right / 4), 0)
    along = np.where((down > 0) & (down < 22), (22 - down) ** 2 * np.exp(down / 5 - 4), 0)
    beam = np.outer(along / along.max(), across / across.max())
    beam[20:22, 52:54] += 0.25
    return np.round(3600 * beam)


PICTURE = picture()
DARK = 3.0 + np.add.outer(np.arange(ROWS), np.arange(COLUMNS)) % 2
DEAD = (29, 43)  # row and column, in the beam
OTHER = 0.8  # times the size of pixels
UNITS = {"silx dicttonx": "um", "h5py, Greek mu": "um", "h5py, micro sign": "um", "SRW": "m",
         "pandas CSV with index": "um", "pandas UTF-16, tabs, micro sign": "um",
         "nexusformat, profile": "m"}  # fmt: skip
CENTRE, ORIGIN, ROI = (45, 26), ASIDE, (6, 6, 70, 46)
# What is set, beside the size or the unit without which nothing could be read.
OPTIONS = {
    "none": {},
    "pixel_size": {},
    "another pixel_size": {},
    "centre": {"centre": CENTRE},
    "origin": {"origin": ORIGIN},
    "origin, another pixel_size": {"origin": ORIGIN},
    "roi": {"roi": ROI},
    "roi, centre": {"roi": ROI, "centre": CENTRE},
    "roi too small": {"roi": (30, 20, 30, 30)},
    "rotate 90": {"rotate": 90},
    "rotate 180": {"rotate": 180},
    "rotate 270": {"rotate": 270},
    "flip horizontal": {"flip": "horizontal"},
    "flip vertical": {"flip": "vertical"},
    "rotate 90, flip horizontal": {"rotate": 90, "flip": "horizontal"},
    "rotate 270, flip vertical": {"rotate": 270, "flip": "vertical"},
    "rotate 90, centre": {"rotate": 90, "centre": CENTRE},
    "seen downstream": {"seen": "downstream"},
    "seen downstream, rotate 90": {"seen": "downstream", "rotate": 90},
    "unit": {},
    "another unit": {"unit": "nm"},
    "bin_by_bin": {"bin_by_bin": True},
    "probe slit": {"probe": "slit"},
    "frame 1": {"frame": 1},
    "frame 2": {"frame": 2},
    "frame mean": {"frame": "mean"},
    "gain": {"gain": 2.0},
    "background edge": {"background": "edge"},
    "dark": {"dark": "dark"},
    "dark of another camera": {"dark": "small"},
    "mask": {"mask": "mask"},
    "hot": {"hot": 200.0},
    "saturation": {"saturation": 90.0},
}
FIRST = {"none", "pixel_size", "another pixel_size", "origin, another pixel_size", "unit",
         "another unit"}  # fmt: skip


def options_of(says, name, option, sizes=SIZE):
    """The keys of [observation] of a cell, but for the files of dark and mask."""
    given = dict(OPTIONS[option])
    if option in ("pixel_size", "another pixel_size", "origin, another pixel_size"):
        factor = 1.0 if option == "pixel_size" else OTHER
        given["pixel_size"] = tuple(factor * size for size in sizes)
    if option == "unit":
        given["unit"] = UNITS.get(name, "mm")
    if says in ("nothing", "pixels", "counts") and option != "none":
        given.setdefault("pixel_size", sizes)
    if says == "no unit" and option not in FIRST - {"origin, another pixel_size"}:
        given.setdefault("unit", "mm")
    return given


def read(paths, given, folder, target):
    """As read_observation, without a process of its own."""
    reading = Reading(**given)
    source = Source(read_file, reading, folder)
    return observed([Loaded(p, read_file(p, reading), source, "") for p in paths], target)


def frames_of(name, frames):
    """Those that a format can hold, with the levels that it can."""
    frames = frames if name in FRAMES else frames[:1]
    return [np.floor(f / 16) if name in SHALLOW else f for f in frames]


def image_cell(says, name, option, folder, target=IMAGE):
    """The observation of a picture; the second frame, where there is one, is another."""
    write = pictures_written.WRITERS[says][name]
    given, first = options_of(says, name, option), PICTURE
    frames = frames_of(name, [first, first[::-1, ::-1]])
    if "dark" in given:
        frames = [frame + DARK for frame in frames]
        dark = DARK[:-2] if given["dark"] == "small" else DARK
        given["dark"] = (_small if len(dark) < ROWS else write)(folder / "dark", [dark]).name
    if "mask" in given:
        mask = np.zeros(first.shape)
        mask[DEAD] = 1
        frames = [np.where(mask == 1, 0, frame) for frame in frames]
        beside = write if name != "Pillow JPEG" else pictures_written.saved(
            ".png", pictures_written.pillow, True
        )  # fmt: skip
        given["mask"] = beside(folder / "mask", [mask]).name
    return read([write(folder / "x", frames)], given, folder, target)


def _small(stem, frames):
    np.save(stem.with_suffix(".npy"), frames[0])
    return stem.with_suffix(".npy")


def sides_of(says, dark=0.0):
    """(name, positions, counts) of both profiles, rising."""
    if says == "bins":
        middles = [(edges[1:] + edges[:-1]) / 2 for edges in EDGES]
        made = [(at, np.arange(1.0, len(at) + 1) ** 2 + dark) for at in middles]
        return [(name, *one) for name, one in zip("xy", made, strict=True)]
    x, y = pictures_written.AXES
    return [("x", x, PICTURE.sum(0) + dark), ("y", y[::-1], PICTURE.sum(1)[::-1] + dark)]


def profile_cell(says, name, option, folder):
    """The observation of two profiles."""
    write = profiles_written.WRITERS[says][name]
    given = options_of(says, f"{name}, profile" if name == "nexusformat" else name, option,
                       WIDTHS if says == "bins" else SIZE)  # fmt: skip
    kept = sides_of(says, 7.0 if "dark" in given else 0.0)
    for key in ("dark", "mask"):
        if key in given:  # of one length: given with the horizontal profile alone
            at = kept[0][1][: len(kept[0][1]) - 2 * (given[key] == "small")]
            made = [(n, p, 7.0 + np.zeros(len(p))) for n, p in (("x", at), ("y", kept[1][1]))]
            given[key] = write(folder / key, made)[0].name
    target = PROFILES
    paths = write(folder / "x", kept)
    if given.get("dark") and len(paths) == 2:
        paths, target = paths[:1], Target("profiles", (EDGES[0], np.zeros(1)))
    return read(paths, given, folder, target)


CELLS = {"picture": (pictures_written.WRITERS, image_cell),
         "profile": (profiles_written.WRITERS, profile_cell)}  # fmt: skip


def kinds():
    """What, what the file says, its writer."""
    for what, (writers, _) in CELLS.items():
        for says, own in writers.items():
            yield from ((what, says, name) for name in own)


def outcome(what, says, name, option):
    """ "read", or why not."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            CELLS[what][1](says, name, option, Path(folder))
        except InputError as error:
            return shown(error).replace(f"{folder}/", "")
    return "read"


def shortened(line):
    """A refusal without the file's name and its advice."""
    return line.partition(": ")[2].partition("; ")[0].replace("|", "/")


def main():
    """For pictures and profiles a table: options down, what the file says across; and the words.

    Where the kinds of a column differ, both outcomes stand there, with the number of kinds.
    """
    words = {}
    for what, (writers, _) in CELLS.items():
        print(f"\n| {what}s | " + " | ".join(writers) + " |\n" + "|---" * (len(writers) + 1) + "|")
        total = 0
        for option in OPTIONS:
            row = []
            for says, own in writers.items():
                came = Counter()
                for name in own:
                    said = outcome(what, says, name, option)
                    key = "read"
                    if said != "read":
                        line = shortened(said)
                        alike = " ".join(re.findall("[a-z]{4,}", line)[-3:])
                        key = f"no ({words.setdefault(alike, (len(words) + 1, line))[0]})"
                    came[key] += 1
                total += came.total()
                row.append(
                    " / ".join(k if len(came) == 1 else f"{k} x {n}" for k, n in came.items())
                )
            print(f"| {option} | " + " | ".join(row) + " |")
        print(f"\n{total} cells; kinds: " + ", ".join(f"{len(o)} {s}" for s, o in writers.items()))
    for number, line in words.values():
        print(f"{number}. {line}")


if __name__ == "__main__":
    main()
