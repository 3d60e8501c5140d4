"""raybayes camera: what a camera's own frames say of its noise."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from raybayes.cli.frame import JSON, app, one_sentence, say, warnings_as_sentences


@app.command()
def camera(
    dark: Annotated[Path, typer.Argument(metavar="DARK", help="A frame without beam.")],
    frames: Annotated[list[Path], typer.Argument(metavar="FRAME...", help="Frames of a beam.")],
    as_json: JSON = False,
) -> None:
    """Gain, read noise and background of a camera, as keys of a study.

    By how the noise of a frame grows with its light. Give frames as the camera stored them:
    neither smoothed nor compressed nor averaged.
    """
    with one_sentence(), warnings_as_sentences():
        from raybayes.workflow.camera import camera_of_files

        result = camera_of_files(dark, frames)
        say(result, as_json, _lines(result))


def _lines(result: dict[str, Any]) -> Iterator[str]:
    for sentence in result["done"]:
        yield f"# {sentence}"
    yield "[observation]"
    yield (
        f"gain = {result['gain']:.4g}  # ± {result['gain_error']:.1g}, counts per unit of the file"
    )
    yield ""
    yield "[detector]  # of a pixel; a bin of n pixels has n backgrounds, and sqrt(n) read noises"
    yield f"background = {result['background']:.4g}  # counts"
    yield (
        f"read_noise = {result['read_noise']:.4g}  # ± {result['read_noise_error']:.1g}, counts rms"
    )
