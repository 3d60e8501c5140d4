"""Embeddings as data."""

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from raybayes.density.embeddings import Convolution, Embedding, Marked, Residual, Set
from raybayes.density.networks import MLP
from raybayes.errors import InputError

Activation = Literal["silu", "relu", "gelu", "tanh"]


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def by_kind(default: str) -> Discriminator:
    """Chooses the member of a union by its "kind", which may be left out."""
    return Discriminator(
        lambda value: (
            value.get("kind", default) if isinstance(value, dict) else getattr(value, "kind", None)
        )
    )


class MLPConfig(Config):
    """A multilayer perceptron; the last width is the context's. Without widths, c is x."""

    kind: Literal["mlp"] = "mlp"
    widths: tuple[int, ...] = (256, 128)
    activation: Activation = "silu"

    def build(self, size: int, rng: np.random.Generator) -> tuple[Embedding, int]:
        """A new network for observations of this length, and the length of its context."""
        sizes = (size, *self.widths)
        return MLP(sizes, self.activation, rng), sizes[-1]


class ResidualConfig(Config):
    """A residual multilayer perceptron."""

    kind: Literal["residual"] = "residual"
    width: int = Field(128, gt=0)
    blocks: int = Field(2, gt=0)
    activation: Activation = "silu"

    def build(self, size: int, rng: np.random.Generator) -> tuple[Embedding, int]:
        """A new network for observations of this length, and the length of its context."""
        return Residual(size, self.width, self.blocks, self.activation, rng), self.width


class ConvolutionConfig(Config):
    """Convolutions over profiles ([signals, length]) or images ([colours, height, width])."""

    kind: Literal["convolution"] = "convolution"
    shape: tuple[int, ...] = Field(min_length=2, max_length=3, description="x is read as this")
    channels: tuple[int, ...] = Field((16, 32), min_length=1, description="each halves the axes")
    kernel: int = Field(5, gt=0)
    width: int = Field(128, gt=0)
    activation: Activation = "silu"

    def build(self, size: int, rng: np.random.Generator) -> tuple[Embedding, int]:
        """A new network for observations of this length, and the length of its context.

        Raises:
            InputError: the observation's length does not fit.
        """
        if math.prod(self.shape) != size:
            raise InputError(
                f"embedding: shape {list(self.shape)} holds {math.prod(self.shape)} numbers, but "
                f"an observation has {size}"
            )
        built = Convolution(
            self.shape, self.channels, self.kernel, self.width, self.activation, rng
        )
        return built, self.width


class SetConfig(Config):
    """One network for every item of x, their mean, and one more network."""

    kind: Literal["set"] = "set"
    items: int = Field(gt=0, description="x is this many observations of the same length")
    widths: tuple[int, ...] = Field((128, 64), min_length=1)
    activation: Activation = "silu"

    def build(self, size: int, rng: np.random.Generator) -> tuple[Embedding, int]:
        """A new network for observations of this length, and the length of its context.

        Raises:
            InputError: the observation's length does not fit.
        """
        if size % self.items:
            raise InputError(f"embedding: {size} numbers do not divide into {self.items} items")
        each = MLP((size // self.items, *self.widths), self.activation, rng)
        together = MLP((self.widths[-1], *self.widths), self.activation, rng)
        return Set(each, together, self.items), self.widths[-1]


EmbeddingConfig = Annotated[
    Annotated[MLPConfig, Tag("mlp")]
    | Annotated[ResidualConfig, Tag("residual")]
    | Annotated[ConvolutionConfig, Tag("convolution")]
    | Annotated[SetConfig, Tag("set")],
    by_kind("mlp"),
]


def marked(config: EmbeddingConfig, size: int, rng: np.random.Generator) -> tuple[Embedding, int]:
    """As the config's own `build`, of an embedding that sees which features are unknown."""
    if isinstance(config, ConvolutionConfig):
        config = config.model_copy(update={"shape": (2 * config.shape[0], *config.shape[1:])})
    built, context = config.build(2 * size, rng)
    return Marked(built, config.items if isinstance(config, SetConfig) else 1), context
