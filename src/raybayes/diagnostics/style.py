"""What several diagnostics draw, and the colours that all figures share."""

from typing import Any

from raybayes.array_types import Array

BLUE, ORANGE, GREY = "#2166ac", "#d95f02", "#8c8c8c"


def against_null(ax: Any, null: Array, observed: Array, name: str, p_value: Array) -> None:
    """A statistic where nothing is wrong (grey) and as it was found (orange lines)."""
    ax.hist(null, bins="auto", color=GREY, alpha=0.6, label="where nothing is wrong")
    for i, value in enumerate(observed):
        ax.axvline(value, color=ORANGE, label="found" if i == 0 else None)
    ax.set(xlabel=name, ylabel="trials", title=f"p = {p_value.min():.2g}")
    ax.legend(frameon=False)
