"""Architectures as data, and the densities they build."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float
from pydantic import (
    Field,
    Tag,
    field_validator,
    model_validator,
)

from raybayes.density.embedding_config import (
    Activation,
    Config,
    EmbeddingConfig,
    MLPConfig,
    by_kind,
    marked,
)
from raybayes.density.embeddings import Embedding, Features, Kind
from raybayes.density.ensemble import Density, Ensemble
from raybayes.density.flow import Flow
from raybayes.density.layers import Autoregressive, Conditioner, Coupling, Layer, Step
from raybayes.density.matching import WAVES, Matching
from raybayes.density.mixing import LU, ActNorm, Mixing, Orthogonal, permutation, rotation
from raybayes.density.mixture import Mixture
from raybayes.density.networks import MLP
from raybayes.density.rnade import Rnade, order_and_regression
from raybayes.density.standardised import Regression, Standardised, regressed, unit
from raybayes.density.transforms import Affine, AffineSpline, Spline, Transform
from raybayes.density.trees import array32, stack

DEEP = (256, 256, 256, 256)  # worth more to Muon than wide


class _DensityConfig(Config):
    """What every density has."""

    members: int = Field(1, gt=0, description="networks of an ensemble, drawn from as a mixture")
    features: Kind = Field("auto", description="of x; counts are stabilised by 2 sqrt(x + offset)")
    offset: float = Field(3 / 8, ge=0, description="of counts: 3/8, plus read noise squared")
    missing: bool = Field(
        False,
        exclude_if=lambda missing: not missing,  # densities without keep their hashes
        description="entries of x may be NaN: nothing is known of them; training must have such",
    )
    embedding: EmbeddingConfig = MLPConfig()
    start: Literal["prior", "linear"] = Field(
        "prior", description="a network starts there, or at the posterior linear in x"
    )

    def _embedding(self, size: int, rng: np.random.Generator) -> tuple[Embedding, int]:
        """As the embedding's own `build`; it sees which entries are missing where some may be."""
        if self.missing:
            return marked(self.embedding, size, rng)
        return self.embedding.build(size, rng)

    def regression(
        self, z: Float[np.ndarray, "n d"], f: Float[np.ndarray, "n size"], items: int
    ) -> Regression:
        """What is taken off z before a network sees it."""
        if self.start == "linear":
            return regressed(z, f, items)
        return unit(z.shape[1], f.shape[1])

    def prepared(
        self, networks: list[Any], z: Float[np.ndarray, "n d"], f: Float[np.ndarray, "n size"],
        items: int,
    ) -> list[Any]:  # fmt: skip
        """New networks, with what else of them is fitted to some pairs before training."""
        return networks


def _of_one_width(widths: tuple[int, ...]) -> tuple[int, ...]:
    """The masks of an autoregressive network are those of one width."""
    if len(set(widths)) > 1:
        raise ValueError(f"widths {list(widths)} differ; an autoregressive network has one width")
    return widths


class FlowConfig(_DensityConfig):
    """A normalising flow."""

    kind: Literal["flow"] = "flow"
    structure: Literal["coupling", "autoregressive"] = "coupling"
    transform: Literal["affine", "spline", "affine_spline"] = "affine"
    layers: int = Field(8, gt=0)
    widths: tuple[int, ...] = Field((128, 128), min_length=1, description="of a conditioner")
    activation: Activation = "silu"
    mixing: Literal["orthogonal", "permutation"] = "orthogonal"
    lu: bool = Field(False, description="train the mixings, from that start, as P L U")
    actnorm: bool = False
    bins: int = Field(8, gt=1, description="of a spline")
    bound: float = Field(5.0, gt=0, description="a spline is the identity beyond")

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.structure == "autoregressive":
            _of_one_width(self.widths)
        return self

    def build(self, dim: int, size: int, seed: int) -> Flow:
        """A new flow on R^dim; its weights and fixed mixings follow from the seed."""
        rng = np.random.default_rng(seed)
        embedding, context = self._embedding(size, rng)
        layers = [
            Layer(
                self._mixing(dim, rng),
                ActNorm(dim) if self.actnorm else None,
                self._step(dim, context, rng),
            )
            for _ in range(self.layers)
        ]
        return Flow(embedding, stack(layers), dim)

    def prepared(
        self, networks: list[Flow], z: Float[np.ndarray, "n d"], f: Float[np.ndarray, "n size"],
        items: int,
    ) -> list[Flow]:  # fmt: skip
        """Flows whose normalisation fits z [n, d] and features f [n, size] before training."""
        return [flow.initialised(array32(z), array32(f)) for flow in networks]

    def _step(self, dim: int, context: int, rng: np.random.Generator) -> Step:
        transform = self._transform()
        if self.structure == "autoregressive":
            outputs = dim * transform.parameters
            net = Conditioner(dim, context, self.widths, outputs, self.activation, rng)
            return Autoregressive(net, transform, dim)
        changed = -(-dim // 2)
        outputs = changed * transform.parameters
        net = Conditioner(dim - changed, context, self.widths, outputs, self.activation, rng)
        return Coupling(net, transform, changed)

    def _transform(self) -> Transform:
        if self.transform == "affine":
            return Affine()
        spline = Spline(self.bins, self.bound)
        return spline if self.transform == "spline" else AffineSpline(spline)

    def _mixing(self, dim: int, rng: np.random.Generator) -> Mixing:
        if self.mixing == "permutation":
            matrix = permutation(dim, -(-dim // 2), rng)
        else:
            matrix = rotation(dim, rng)
        return LU(matrix) if self.lu else Orthogonal(matrix)


class MixtureConfig(_DensityConfig):
    """A Gaussian mixture density network: the plain baseline."""

    kind: Literal["mixture"] = "mixture"
    components: int = Field(8, gt=0)
    widths: tuple[int, ...] = (128,)
    activation: Activation = "silu"

    def build(self, dim: int, size: int, seed: int) -> Mixture:
        """A new mixture of normals on R^dim; its weights follow from the seed."""
        rng = np.random.default_rng(seed)
        embedding, context = self._embedding(size, rng)
        outputs = Mixture.outputs(dim, self.components)
        head = MLP((context, *self.widths, outputs), self.activation, rng)
        return Mixture(embedding, head, dim, self.components)


class RnadeConfig(_DensityConfig):
    """An autoregressive density of truncated Gaussian mixtures inside the prior's box."""

    kind: Literal["rnade"] = "rnade"
    embedding: EmbeddingConfig = MLPConfig(widths=DEEP)
    components: int = Field(8, gt=0, description="of every coordinate")
    widths: tuple[int, ...] = Field(DEEP, min_length=1, description="all the same")
    activation: Activation = "silu"

    @field_validator("widths")
    @classmethod
    def _even(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        return _of_one_width(widths)

    def build(self, dim: int, size: int, seed: int) -> Rnade:
        """A new autoregressive mixture on R^dim; its weights follow from the seed."""
        rng = np.random.default_rng(seed)
        embedding, context = self._embedding(size, rng)
        outputs = Rnade.outputs(dim, self.components)
        net = Conditioner(dim, context, self.widths, outputs, self.activation, rng)
        order, slopes = Orthogonal(np.eye(dim)), array32(np.zeros((dim, dim)))
        parts = (order, unit(dim, size), embedding, net, slopes)
        return Rnade(*parts, dim, self.components)

    def regression(
        self, z: Float[np.ndarray, "n d"], f: Float[np.ndarray, "n size"], items: int
    ) -> Regression:
        """None, whatever z [n, d] and f [n, size]: its start is linear inside the box, not in z."""
        return unit(z.shape[1], f.shape[1])

    def prepared(
        self, networks: list[Rnade], z: Float[np.ndarray, "n d"], f: Float[np.ndarray, "n size"],
        items: int,
    ) -> list[Rnade]:  # fmt: skip
        """Networks whose start, order and slopes fit z [n, d] and features f [n, size]."""
        parts = order_and_regression(z, f, items, self.start == "linear")
        return [
            eqx.tree_at(lambda own: (own.order, own.regression), network, parts)
            for network in networks
        ]


class MatchingConfig(_DensityConfig):
    """Conditional flow matching: log_prob and draws solve an ordinary differential equation."""

    kind: Literal["flow_matching"] = "flow_matching"
    widths: tuple[int, ...] = Field((128, 128, 128), min_length=1, description="of the velocity")
    activation: Activation = "silu"
    power: float = Field(0.0, gt=-1, description="t ~ t^(1 / (1 + power)); large: uniform")

    def build(self, dim: int, size: int, seed: int) -> Matching:
        """A new flow-matching density on R^dim; its weights follow from the seed."""
        rng = np.random.default_rng(seed)
        embedding, context = self._embedding(size, rng)
        seen = dim + 1 + 2 * WAVES
        velocity = Conditioner(seen, context, self.widths, dim, self.activation, rng)
        return Matching(embedding, velocity, dim, self.power)


DensityConfig = Annotated[
    Annotated[FlowConfig, Tag("flow")]
    | Annotated[MixtureConfig, Tag("mixture")]
    | Annotated[RnadeConfig, Tag("rnade")]
    | Annotated[MatchingConfig, Tag("flow_matching")],
    by_kind("flow"),
]


def cinn(**changes: Any) -> FlowConfig:
    """The conditional invertible network of Steinbach (2021): 8 blocks of two halves, 256 units."""
    published = {"layers": 16, "widths": (256, 256), "mixing": "permutation", "activation": "relu"}
    return FlowConfig(**{**published, **changes})


def deep(**changes: Any) -> FlowConfig:
    """Many narrow affine layers between trained linear maps: most nats per second on smooth x."""
    return FlowConfig(**{"layers": 16, "widths": (64, 64), "lu": True, **changes})


def nsf(**changes: Any) -> FlowConfig:
    """A neural spline flow by coupling, arXiv 1906.04032."""
    own = {"layers": 8, "transform": "spline", "mixing": "permutation", "lu": True}
    return FlowConfig(**{**own, **changes})


def maf_nsf(**changes: Any) -> FlowConfig:
    """An autoregressive neural spline flow: cheap to train; draws come coordinate by coordinate."""
    own = {"structure": "autoregressive", "layers": 5, "widths": (64, 64)}
    return nsf(**{**own, **changes})


def mixture(**changes: Any) -> MixtureConfig:
    """A Gaussian mixture density network."""
    return MixtureConfig(**changes)


def rnade(**changes: Any) -> RnadeConfig:
    """Autoregressive mixtures in the prior's box: for posteriors that are thin sheets in it."""
    return RnadeConfig(**changes)


def flow_matching(**changes: Any) -> MatchingConfig:
    """Conditional flow matching: cheap to train, dear to sample."""
    return MatchingConfig(**changes)


def members(
    config: DensityConfig, z: Float[np.ndarray, "n d"], x: Float[np.ndarray, "n size"], seed: int
) -> list[Density]:
    """New networks of an ensemble, fitted to the scale of some z and x; their seeds differ.

    Args:
        z, x: [n, d] and [n, size].
    """
    (n, dim), size = z.shape, x.shape[1]
    items = getattr(config.embedding, "items", 1)  # those of a set share one scale
    rows = x.reshape(n * items, -1) if size % items == 0 else x
    one = Features(rows.shape[1], config.features, config.offset, config.missing).fitted(rows)
    features = jax.tree.map(lambda a: array32(np.tile(a, size // a.size)), one)
    f = np.asarray(_each(features, x))
    regression = config.regression(z, f, items)
    seeds = np.random.SeedSequence(seed).generate_state(config.members)
    networks: list[Any] = [config.build(dim, size, int(each)) for each in seeds]
    residual = np.asarray(_each(regression.residual, z, f))
    return [
        Standardised(features, regression, network)
        for network in config.prepared(networks, residual, f, items)
    ]


def skeleton(config: DensityConfig, dim: int, size: int) -> Density:
    """A density of the right structure with wrong numbers, to be filled from a file."""
    features = Features(size, config.features, config.offset, config.missing)
    one = Standardised(features, unit(dim, size), config.build(dim, size, 0))
    return one if config.members == 1 else Ensemble(stack([one] * config.members), config.members)


def _each(function: Callable[..., Array], *rows: np.ndarray) -> Array:
    """Of every row; compiled, since single operations would be one by one."""
    return jax.jit(jax.vmap(function))(*(np.asarray(a, np.float32) for a in rows))
