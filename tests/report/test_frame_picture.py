"""What was read, as it lies at the beam: on the page and in the terminal."""

import numpy as np
from targets import IMAGE

from raybayes.observations import Reading, read_observation
from raybayes.report.frame_picture import frame_pictures, in_letters


def spot(folder):
    """A frame of 60 x 40 pixels that is bright to the right and above the middle."""
    rows, columns = np.mgrid[:40, :60]
    pixels = 1 + 500 * np.exp(-((rows - 10) ** 2 + (columns - 45) ** 2) / 8)
    np.save(folder / "spot.npy", pixels)
    return read_observation([folder / "spot.npy"], IMAGE, Reading(pixel_size=0.002))


def test_letters_show_the_spot_where_it_is(tmp_path):
    said, *rows = in_letters(spot(tmp_path))
    assert "seen against the beam" in said
    bright = [(r, c) for r, row in enumerate(rows) for c, letter in enumerate(row) if letter == "@"]
    axis = [(len(rows) // 2 - 1, len(rows[0]) // 2)]  # 0 is in the middle of the frame
    assert bright and rows[axis[0][0]][axis[0][1]] == "+"
    assert all(r < axis[0][0] and c > axis[0][1] for r, c in bright)


def test_the_picture_has_the_axis_and_what_is_used(tmp_path):
    figure = frame_pictures(spot(tmp_path))["frame"]
    (axis,) = figure.axes
    assert "to the right" in axis.get_xlabel() and axis.get_ylabel().endswith("up")
    (used,) = axis.patches
    assert used.get_xy()[0] == -60 and used.get_width() == 120  # um
    shown = np.asarray(axis.images[0].get_array())
    assert np.unravel_index(shown.argmax(), shown.shape) == (29, 45)  # rows from below
