"""The classifier of C2ST: scikit-learn's `MLPClassifier` and its defaults, compiled by JAX.

Near the exact posterior its training takes many hundred epochs of small steps, which cost mostly
the calls between them. `benchmarks/classifier.py` compares the two.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from raybayes.array_types import Array

BATCH = 200
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4
TOLERANCE = 1e-4  # of the training loss: less is no improvement
PATIENCE = 10  # epochs without one
EPOCHS = 10_000

Weights = list[tuple[jax.Array, jax.Array]]


def logits(
    inputs: Array, labels: Array, asked: Array, units: tuple[int, ...], seed: int = 0
) -> Array:
    """Train on inputs [n, d] with labels [n] in {0, 1}; the log odds of 1 for asked [m, d]."""
    sizes = (inputs.shape[1], *units, 1)
    arrays = [jnp.asarray(part, jnp.float32) for part in (inputs, labels, asked)]
    return np.asarray(_train(jax.random.key(seed), *arrays, sizes), float)


def _forward(weights: Weights, x: jax.Array) -> jax.Array:
    *hidden, (last, bias) = weights
    for matrix, shift in hidden:
        x = jax.nn.relu(x @ matrix + shift)
    return (x @ last + bias)[:, 0]


@partial(jax.jit, static_argnames="sizes")
def _train(
    key: jax.Array, inputs: jax.Array, labels: jax.Array, asked: jax.Array, sizes: tuple[int, ...]
) -> jax.Array:
    n = len(inputs)
    batch = min(BATCH, n)
    adam = optax.adam(LEARNING_RATE)

    def layer(key: jax.Array, fan_in: int, fan_out: int) -> tuple[jax.Array, jax.Array]:
        bound = (6 / (fan_in + fan_out)) ** 0.5  # Glorot
        uniform = partial(jax.random.uniform, dtype=jnp.float32, minval=-bound, maxval=bound)
        matrix, bias = jax.random.split(key)
        return uniform(matrix, (fan_in, fan_out)), uniform(bias, (fan_out,))

    def loss(weights: Weights, rows: jax.Array) -> jax.Array:
        found = optax.sigmoid_binary_cross_entropy(_forward(weights, inputs[rows]), labels[rows])
        penalty = sum(jnp.sum(matrix**2) for matrix, _ in weights)
        return found.mean() + WEIGHT_DECAY / 2 * penalty / batch

    def step(carry, rows):  # type: ignore[no-untyped-def]
        weights, memory = carry
        value, gradient = jax.value_and_grad(loss)(weights, rows)
        change, memory = adam.update(gradient, memory)
        return (optax.apply_updates(weights, change), memory), value

    def epoch(carry):  # type: ignore[no-untyped-def]
        trained, best, waited, count = carry
        order = jax.random.permutation(jax.random.fold_in(key, count), n)
        trained, losses = lax.scan(step, trained, order[: n - n % batch].reshape(-1, batch))
        mean = losses.mean()
        waited = jnp.where(mean > best - TOLERANCE, waited + 1, 0)
        return trained, jnp.minimum(best, mean), waited, count + 1

    def going(carry):  # type: ignore[no-untyped-def]
        _, _, waited, count = carry
        return (waited <= PATIENCE) & (count < EPOCHS)

    keys = jax.random.split(jax.random.fold_in(key, EPOCHS), len(sizes) - 1)
    weights = [layer(*each) for each in zip(keys, sizes[:-1], sizes[1:], strict=True)]
    start = ((weights, adam.init(weights)), jnp.float32(jnp.inf), 0, 0)
    (weights, _), *_ = lax.while_loop(going, epoch, start)
    return _forward(weights, asked)
