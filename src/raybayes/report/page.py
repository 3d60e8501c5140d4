"""Figures as pictures, and pages that stand alone."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import matplotlib

matplotlib.use("Agg")  # pages are files; no window is ever opened
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from raybayes.store import write_whole

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 130,
}


def drawn(figures: Callable[[], dict[str, Figure]]) -> dict[str, bytes]:
    """Draw figures in the report's style; each as a PNG."""
    with plt.rc_context(STYLE):
        return {name: png(figure) for name, figure in figures().items()}


def png(figure: Figure) -> bytes:
    """A figure as PNG; it is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    plt.close(figure)
    return buffer.getvalue()


def write_page(
    folder: Path,
    figures: dict[str, bytes],
    content: dict[str, object],
    template: str = "report.html.jinja",
) -> Path:
    """Write every figure as a PNG and all of them in one self-contained report.html."""
    for name, image in figures.items():
        write_whole(folder / f"{name}.png", image)
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.PackageLoader("raybayes", "pages"),
    )
    images = {
        n: "data:image/png;base64," + base64.b64encode(i).decode() for n, i in figures.items()
    }
    page = environment.get_template(template).render(images=images, **content)
    path = folder / "report.html"
    write_whole(path, page.encode())
    return path
