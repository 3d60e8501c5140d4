"""An embedding trained by itself before the density: the second option of Steinbach (2021)."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from pydantic import BaseModel, ConfigDict, Field

from raybayes.density.embeddings import Embedding, Features
from raybayes.density.networks import Dense
from raybayes.density.trees import Constants
from raybayes.errors import InputError


class Pretraining(BaseModel):
    """What an embedding learns first; its last layer is then dropped."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: Literal["regression", "classification"] = "regression"
    bins: int = Field(16, gt=1, description="of equal prior mass, for classification")
    epochs: int = Field(10, gt=0)
    frozen: bool = Field(True, description="or tuned further with the density")

    def head(self, network: Any, dim: int, rng: np.random.Generator) -> "Head":
        """For the embedding of a `Standardised` density.

        Raises:
            InputError: it has no layer, so there is nothing to train.
        """
        embedding = network.density.embedding
        if not jax.tree.leaves(eqx.filter(embedding, eqx.is_array)):
            raise InputError(
                "pretraining: the embedding has no layers; give it widths, or leave pretraining out"
            )
        context = jax.eval_shape(embedding, network.features.mean).shape[0]
        outputs = dim if self.target == "regression" else dim * self.bins
        return Head(network.features, embedding, Dense(context, outputs, rng), dim)


class Head(eqx.Module):
    """An embedding and one last layer that reads z from it: its value, or the bin it is in."""

    features: Features
    embedding: Embedding
    last: Dense
    dim: int = eqx.field(static=True)

    def loss(
        self, z: Float[Array, " d"], x: Float[Array, " size"], key: Key[Array, ""]
    ) -> Float[Array, ""]:
        """Squared error of z, or -log of the probability of its bins (nats)."""
        out = self.last(jax.nn.silu(self.embedding(self.features(x)))).reshape(self.dim, -1)
        bins = out.shape[1]
        if bins == 1:
            return ((out[:, 0] - z) ** 2).sum()
        # The prior is N(0, 1) in z, so its distribution function makes the bins equal.
        place = jnp.floor(jax.scipy.stats.norm.cdf(z) * bins).astype(jnp.int32)
        chosen = jnp.clip(place, 0, bins - 1)[:, None]
        return -jnp.take_along_axis(jax.nn.log_softmax(out), chosen, axis=1).sum()


class Frozen(Constants):
    """An embedding that training leaves alone."""

    embedding: Embedding

    def __call__(self, features: Float[Array, " size"]) -> Float[Array, " c"]:
        return self.embedding(features)


def with_embedding(network: Any, embedding: Embedding, frozen: bool) -> Any:
    """A `Standardised` density with another embedding."""
    bare = embedding.embedding if isinstance(embedding, Frozen) else embedding
    new = Frozen(bare) if frozen else bare
    return eqx.tree_at(lambda one: one.density.embedding, network, new)
