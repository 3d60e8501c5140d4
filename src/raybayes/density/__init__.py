"""Conditional densities q(z | x) on R^d, and the recipes that configure them."""

from raybayes.density.config import (
    DensityConfig,
    FlowConfig,
    MixtureConfig,
    cinn,
    deep,
    maf_nsf,
    members,
    mixture,
    nsf,
    skeleton,
)
from raybayes.density.ensemble import Density, Ensemble

__all__ = [
    "Density",
    "DensityConfig",
    "Ensemble",
    "FlowConfig",
    "MixtureConfig",
    "cinn",
    "deep",
    "maf_nsf",
    "members",
    "mixture",
    "nsf",
    "skeleton",
]
