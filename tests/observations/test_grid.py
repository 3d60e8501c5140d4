"""One known beam in everybody's files, with every option: its counts where they belong, or a no.

What must come of each cell stands here, by what the file says and by the option's meaning. What the
beam looks like then is worked out by NumPy on the picture as one sees it against the beam.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
from grid import (
    CELLS,
    CENTRE,
    DEAD,
    EDGES,
    OPTIONS,
    ORIGIN,
    OTHER,
    PICTURE,
    PROFILES,
    frames_of,
    image_cell,
    kinds,
    sides_of,
)
from pictures_written import AXES, BELOW, FRAMES, RIGHT, SHALLOW, SIZE, X, Y
from profiles_written import FALLS

from raybayes.errors import LONGEST, InputError, shown

FINE = 24  # points of a pixel, in each direction


@dataclass(frozen=True)
class Seen:
    """A picture as seen against the beam: [rows from above, columns from the left].

    Attributes:
        x, y: mm, where its columns and its rows lie.
    """

    picture: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def turned(self, quarters):
        """The last column becomes the first row; what lay up lies left."""
        seen = self
        for _ in range(quarters):
            seen = Seen(np.rot90(seen.picture), -seen.y, seen.x[::-1])
        return seen

    def across(self):
        return Seen(np.fliplr(self.picture), -self.x[::-1], self.y)

    def over(self):
        return Seen(np.flipud(self.picture), self.x, -self.y[::-1])

    def binned(self):
        """[rows from below, columns]"""
        return shares(self.y, EDGES[1]) @ self.picture @ shares(self.x, EDGES[0]).T


def shares(at, edges):
    """[bins, pixels]: of each pixel's counts, by points in it."""
    points = at[:, None] + ((np.arange(FINE) + 0.5) / FINE - 0.5) * abs(at[1] - at[0])
    bins = np.searchsorted(edges, points) - 1
    inside = (bins >= 0) & (bins < len(edges) - 1)
    pixels = np.broadcast_to(np.arange(len(at))[:, None], bins.shape)
    share = np.zeros((len(edges) - 1, len(at)))
    np.add.at(share, (bins[inside], pixels[inside]), 1 / FINE)
    return share


def about(seen, x, y):
    """With the optical axis there."""
    return replace(seen, x=seen.x - x, y=seen.y - y)


def scaled(seen):
    return replace(seen, x=OTHER * seen.x, y=OTHER * seen.y)


NOWHERE = "has no positions, so origin"
NO_SIZE, NO_UNIT, IN_PIXELS = "nothing says how large", "set unit", "set unit .* or pixel_size"
SHORT = "covers .* but the study's bins go"
CAMERA = "give one of the same camera"
NOT_MEANT = "leave {} out"
# Refusals of pictures: by the option, in the order of what the file says.
SAYS = ("nothing", "size", "positions", "no unit", "pixels")
REFUSED = {
    "none": (NO_SIZE, "", "", NO_UNIT, IN_PIXELS),
    "origin": (NOWHERE, NOWHERE, "", "", "in pixels, so origin"),
    "origin, another pixel_size": (NOWHERE, NOWHERE, "", "", "in pixels, so origin"),
    "roi too small": (SHORT,) * 5,
    "another unit": ("", "", "unit says nm; leave unit out", SHORT, ""),
    "bin_by_bin": (NOT_MEANT.format("bin_by_bin"),) * 5,
    "probe slit": (NOT_MEANT.format("probe"),) * 5,
    "dark of another camera": (CAMERA,) * 5,
    "saturation": ("are saturated",) * 5,
}
TURNS = {
    "rotate 90": (1, ""), "rotate 180": (2, ""), "rotate 270": (3, ""),
    "flip horizontal": (0, "h"), "flip vertical": (0, "v"),
    "rotate 90, flip horizontal": (1, "h"), "rotate 270, flip vertical": (3, "v"),
    "seen downstream": (0, "h"), "seen downstream, rotate 90": (1, "h"),
    "rotate 90, centre": (1, ""),
}  # fmt: skip


def picture_wanted(says, name, option):
    """A refusal's words, or the picture as it should lie at the beam."""
    if option == "frame 2" and name not in FRAMES:
        return "holds 1 frame, so there is no frame 2"
    no = REFUSED.get(option, ("",) * 5)[SAYS.index(says)]
    if no:
        return no
    first, second = PICTURE, PICTURE[::-1, ::-1]
    several = frames_of(name, [first, second])
    picture = {"frame 2": several[-1], "frame mean": np.mean(several, axis=0)}.get(
        option, several[0]
    )
    if option == "gain":
        picture = 2 * picture
    lies = says in ("positions", "no unit")
    seen = Seen(picture, *(AXES if lies else (X, Y)))
    if option in ("another pixel_size", "origin, another pixel_size"):
        # The size is another, and so are all distances from the optical axis.
        return scaled(about(seen, *ORIGIN) if option.startswith("origin") else seen)
    if option == "origin":
        return about(seen, *ORIGIN)
    if "centre" in option:  # in the file's own pixels
        column, row = CENTRE
        at = X.size - 1 - column if name in RIGHT else column
        seen = about(seen, seen.x[at], seen.y[Y.size - 1 - row if name in BELOW else row])
    quarters, mirror = TURNS.get(option, (0, ""))
    seen = seen.turned(quarters)
    return {"": seen, "h": seen.across(), "v": seen.over()}[mirror]


# Refusals of two profiles.
PROFILE_SAYS = ("positions", "mm supposed", "no unit", "counts", "bins")
FEW = "has 80 readings and no positions"
PROFILE_REFUSED = {
    "none": ("", "", NO_UNIT, FEW, ""),
    "another pixel_size": ("", "", "", "", SHORT),
    # of which positions in no unit, which may count pixels, is the origin so many mm?
    "origin, another pixel_size": ("", NO_UNIT, "", NOWHERE, NOWHERE),
    "origin": ("", "", "", NOWHERE, NOWHERE),
    "centre": ("", "", "", "", "centre needs pixel_size"),
    "another unit": ("unit says nm; leave unit out", SHORT, SHORT, "", ""),
    "bin_by_bin": (FEW, FEW, FEW, FEW, ""),
    "frame 2": ("there is no frame 2",) * 5,
    "dark of another camera": (CAMERA,) * 5,
    "saturation": ("are saturated|is saturated",) * 5,
    **{name: (NOT_MEANT.format("rotate"),) * 5 for name in OPTIONS if "rotate" in name},
    **{name: (NOT_MEANT.format("roi"),) * 5 for name in OPTIONS if "roi" in name},
    **{name: (NOT_MEANT.format("flip"),) * 5 for name in OPTIONS if name.startswith("flip")},
    **{name: (NOT_MEANT.format(name),) * 5 for name in ("mask", "hot")},
}


def profiles_wanted(says, name, option):
    """A refusal's words, or the counts in the bins of both profiles."""
    if name == "pandas, both in one table" and option.startswith("dark"):
        return "holds two profiles|not clear"  # a dark frame is of one
    no = PROFILE_REFUSED.get(option, ("",) * 5)[PROFILE_SAYS.index(says)]
    if no:
        return no
    sides = [(at, counts) for _, at, counts in sides_of(says)]
    if says == "counts":  # in the middle, by their size
        sides = [(X, sides[0][1]), (Y[::-1], sides[1][1])]
    if option == "dark":  # given for the horizontal profile alone
        sides = sides[:1]
    parts = []
    for side, (at, counts) in enumerate(sides):
        at, counts = side_wanted(name, option, side, at, counts)
        if option == "background edge" and says == "bins":  # else they end in nothing
            counts = counts - (counts[0] + counts[-1]) / 2
        parts.append(shares(at, EDGES[side]) @ counts)
    return np.concatenate(parts)


def side_wanted(name, option, side, at, counts):
    """Where the counts of one profile lie, and how many they are."""
    if option == "centre":
        k = CENTRE[side]
        at = at - at[len(at) - 1 - k if name in FALLS else k]
    if option.startswith("origin"):
        at = at - ORIGIN[side]
    if "another pixel_size" in option:
        at = OTHER * at
    if option == "seen downstream" and side == 0:
        at, counts = -at[::-1], counts[::-1]
    return at, 2 * counts if option == "gain" else counts


def centroid(values, edges):
    return (values * (edges[1:] + edges[:-1])).sum() / 2 / values.sum()


def faults(found, wanted, lossy):
    """What of the counts in the bins is not as it should be."""
    parts, edges = (found, wanted), EDGES
    if wanted.ndim == 2:
        found = found.reshape(wanted.shape)
        pairs = [(found.sum(0), wanted.sum(0)), (found.sum(1), wanted.sum(1))]
    elif len(wanted) == len(EDGES[0]) - 1:
        pairs, edges = [parts], EDGES[:1]
    else:
        pairs = list(zip(*(np.split(p, [len(EDGES[0]) - 1]) for p in parts), strict=True))
    said = []
    for (own, right), bins in zip(pairs, edges, strict=True):
        off = centroid(own, bins) - centroid(right, bins)
        if abs(off) > 0.1 * (bins[1] - bins[0]):
            said.append(f"its centroid is {off:.3g} mm off")
        if abs(own.sum() / right.sum() - 1) > (0.02 if lossy else 1e-3):
            said.append(f"it holds {own.sum():.6g} for {right.sum():.6g}")
    if np.abs(found - wanted).max() > 0.05 * wanted.max():
        said.append("it is another beam")
    return said


def judged(what, says, name, option, folder):
    """What is wrong with a cell."""
    wanted = (picture_wanted if what == "picture" else profiles_wanted)(says, name, option)
    try:
        found = CELLS[what][1](says, name, option, folder).x
    except InputError as error:
        line = shown(error)
        if not isinstance(wanted, str):
            return [f"refused: {line}"]
        whole = re.search(wanted, str(error)) and len(str(error)) <= LONGEST and "\n" not in line
        return [] if whole else [f"refused with other words: {line}"]
    if isinstance(wanted, str):
        return [f"read, and should be refused ({wanted})"]
    counts = wanted.binned() if isinstance(wanted, Seen) else wanted
    return faults(found, counts, option == "mask" or name == "Pillow JPEG")


@pytest.mark.filterwarnings("ignore")  # of other people's writers
@pytest.mark.parametrize("what, says, name", [*kinds()], ids=lambda word: word.replace(" ", "-"))
def test_each_cell_is_right_or_refused(what, says, name, tmp_path):
    found = {}
    for i, option in enumerate(OPTIONS):
        (folder := tmp_path / str(i)).mkdir()
        found[option] = judged(what, says, name, option, folder)
    assert not {option: said for option, said in found.items() if said}


@pytest.mark.parametrize("name", ["h5py, x falls, y rises", "h5py [x, y]", "SRW"])
def test_profiles_of_a_picture_are_its_sums(name, tmp_path):
    found = image_cell("positions", name, "none", tmp_path, PROFILES).x
    wanted = Seen(PICTURE, *AXES).binned()
    np.testing.assert_allclose(found, [*wanted.sum(0), *wanted.sum(1)], rtol=1e-6, atol=1)


def test_spec_is_as_others_read_it(tmp_path):
    """The file by hand is one of SPEC's by silx's reader, too."""
    pytest.importorskip("silx")
    from profiles_written import WRITERS
    from silx.io.specfile import SpecFile

    path = WRITERS["mm supposed"]["SPEC"](tmp_path / "x", sides_of("mm supposed"))[0]
    scan = SpecFile(str(path))["1.1"]
    assert scan.labels == ["slx", "Epoch", "Seconds", "diode"]
    np.testing.assert_allclose(scan.data_column_by_name("diode"), PICTURE.sum(0))
    np.testing.assert_allclose(scan.data_column_by_name("slx"), AXES[0], atol=1e-9)


def test_the_beam_shows_every_turn():
    """Else a turn that is forgotten would not be seen; and a tenth of a bin is little beside it."""
    plain = Seen(PICTURE, X, Y)
    turned = [plain.turned(k) for k in range(4)]
    for seen in [*turned[1:], *(t.across() for t in turned)]:
        assert faults(seen.binned(), plain.binned(), True)
    assert SHALLOW and DEAD and SIZE[0] != SIZE[1]


def test_the_page_has_every_key_and_suffix():
    from pathlib import Path

    from raybayes.observations import Reading
    from raybayes.observations.readers import READERS

    page = (Path(__file__).parents[2] / "docs" / "observations.md").read_text()
    assert not [key for key in Reading.model_fields if f"`{key}`" not in page]
    assert not [suffix for suffix in READERS if suffix not in page]
    assert f"{len([*kinds()]) * len(OPTIONS)} cells" in page and f"{len([*kinds()])} kinds" in page
