"""Can a classifier distinguish two distributions? C2ST, globally and at one observation.

C2ST as sbibm defines it: Lueckmann et al., arXiv 2101.04653; L-C2ST: Linhart et al., arXiv
2306.03580.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom, gamma

from raybayes.array_types import Array
from raybayes.diagnostics.arrays import at_least, checked
from raybayes.diagnostics.style import BLUE, GREY, against_null

FOLDS = 5
LEAST = 100


@dataclass(frozen=True)
class C2ST:
    """Cross-validated accuracy of a classifier between two samples.

    Attributes:
        folds: [5], accuracy on each held-out fold.
        n: draws classified, of both samples together.
    """

    folds: Array
    n: int

    @property
    def accuracy(self) -> float:
        """0.5: it cannot distinguish them; 1: it always can. Its standard error is sqrt(1/4n)."""
        return float(self.folds.mean())

    @property
    def p_value(self) -> float:
        """Of so many right answers by guessing."""
        return float(binom.sf(round(self.accuracy * self.n) - 1, self.n, 0.5))

    def plot(self, ax: Any) -> None:
        """Accuracy of each fold; the band holds 95 % of those that guess."""
        low, high = binom.ppf([0.025, 0.975], self.n // FOLDS, 0.5) / (self.n // FOLDS)
        ax.axhspan(low, high, color=GREY, alpha=0.3, label="guessing, 95 %")
        ax.plot(np.arange(1, FOLDS + 1), self.folds, "o", color=BLUE, label="fold")
        ax.axhline(self.accuracy, color=BLUE, lw=1, label=f"mean {self.accuracy:.3f}")
        ax.set(xlabel="fold", ylabel="accuracy", ylim=(min(0.45, self.folds.min() - 0.02), 1.01))
        ax.legend(frameon=False)


def c2st(reference: ArrayLike, draws: ArrayLike, seed: int = 1) -> C2ST:
    """Classifier two-sample test with sbibm's classifier.

    Both samples in units of the reference's standard deviation; a perceptron of two layers of
    10 d units; 5 folds, each in a thread of its own.

    Args:
        reference: [n, d] draws of one distribution.
        draws: [n, d] of the other.
    """
    from sklearn.model_selection import KFold

    from raybayes.diagnostics.perceptron import logits

    a = checked("reference", reference, "n", "d")
    b = checked("draws", draws, *a.shape)  # as many: otherwise guessing is not right half the time
    at_least("draws", len(a), LEAST, "the classifier learns from them")
    mean, sd = a.mean(axis=0), a.std(axis=0, ddof=1)
    data = np.concatenate([(a - mean) / sd, (b - mean) / sd])
    target = np.repeat([0, 1], len(a))
    units = 10 * a.shape[1]

    def accuracy(fold: tuple[Array, Array]) -> float:
        train, test = fold
        odds = logits(data[train], target[train], data[test], (units, units), seed)
        return float(((odds > 0) == target[test]).mean())

    folds = KFold(FOLDS, shuffle=True, random_state=seed).split(data)
    with ThreadPoolExecutor() as threads:
        return C2ST(np.array(list(threads.map(accuracy, folds))), len(data))


@dataclass(frozen=True)
class LocalC2ST:
    """How well a classifier distinguishes q's draws from truths at one observation.

    Attributes:
        statistic: mean squared distance of the class probability from 1/2 over draws at x_o.
        null: [trials], the same where q is right: classes swapped at random in each pair.
    """

    statistic: float
    null: Array

    @property
    def p_value(self) -> float:
        """From a gamma distribution of the null's moments: small p need no 1,000 trials."""
        mean, variance = self.null.mean(), self.null.var(ddof=1)
        return float(gamma.sf(self.statistic, mean**2 / variance, scale=variance / mean))

    def plot(self, ax: Any) -> None:
        """The statistic over its null distribution."""
        found, p_value = np.array([self.statistic]), np.array([self.p_value])
        against_null(ax, self.null, found, "mean (class probability − 1/2)²", p_value)


def local_c2st(
    theta: ArrayLike,
    draws: ArrayLike,
    x: ArrayLike,
    x_o: ArrayLike,
    draws_o: ArrayLike,
    trials: int = 100,
    seed: int = 0,
) -> LocalC2ST:
    """L-C2ST: is q(theta | x_o) right, judged from pairs (theta, x) alone? (2306.03580, alg. 1-3)

    Args:
        theta: [n, d] truths.
        draws: [n, d], one draw of q(theta | x) for each pair.
        x: [n, size] observations, or summaries of them.
        x_o: [size], where to judge.
        draws_o: [m, d] of q(theta | x_o).
        trials: classifiers trained under the null.
    """
    from sklearn.preprocessing import StandardScaler

    values = checked("theta", theta, "n", "d")
    drawn = checked("draws", draws, *values.shape)
    seen = checked("x", x, len(values), "size")
    here = checked("x_o", x_o, seen.shape[1])
    asked = checked("draws_o", draws_o, "m", values.shape[1])
    at_least("pairs", len(values), LEAST, "the classifier learns from them")
    pairs = np.stack([np.hstack([values, seen]), np.hstack([drawn, seen])])
    where = np.hstack([asked, np.tile(here, (len(asked), 1))])
    scale = StandardScaler().fit(pairs.reshape(-1, pairs.shape[-1]))
    scaled, where = np.stack([scale.transform(p) for p in pairs]), scale.transform(where)
    rng = np.random.default_rng(seed)
    swaps = rng.uniform(size=(trials, len(values))) < 0.5
    null = [_separation(_swapped(scaled, swap), where, i) for i, swap in enumerate(swaps)]
    return LocalC2ST(_separation(scaled, where, trials), np.array(null))


def _swapped(pairs: Array, swap: Array) -> Array:
    """Truth and draw of a pair are alike if q is right: either may be called the truth."""
    return np.where(swap[:, None], pairs[::-1], pairs)


def _separation(pairs: Array, where: Array, seed: int) -> float:
    from sklearn.neural_network import MLPClassifier

    n = pairs.shape[1]
    classifier = MLPClassifier(
        (64,),
        alpha=0.1,
        batch_size=min(200, n),
        learning_rate_init=5e-3,
        early_stopping=True,
        random_state=seed,
    )
    classifier.fit(pairs.reshape(2 * n, -1), np.repeat([0, 1], n))
    return float(((classifier.predict_proba(where)[:, 1] - 0.5) ** 2).mean())
