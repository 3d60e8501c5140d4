"""Conditional densities q(z | x) on R^d, and the recipes that configure them."""

from raybayes.density.config import (
    DensityConfig,
    FlowConfig,
    MatchingConfig,
    MixtureConfig,
    RnadeConfig,
    cinn,
    deep,
    flow_matching,
    maf_nsf,
    members,
    mixture,
    nsf,
    rnade,
    skeleton,
)
from raybayes.density.ensemble import Density, Ensemble
from raybayes.density.pretraining import Pretraining

__all__ = [
    "Density",
    "DensityConfig",
    "Ensemble",
    "FlowConfig",
    "MatchingConfig",
    "MixtureConfig",
    "Pretraining",
    "RnadeConfig",
    "cinn",
    "deep",
    "flow_matching",
    "maf_nsf",
    "members",
    "mixture",
    "nsf",
    "rnade",
    "skeleton",
]
