"""C2ST: our compiled classifier beside scikit-learn's, which sbibm uses.

    ./run python benchmarks/classifier.py
    ./run python benchmarks/classifier.py --d 10 --draws 10000

Two distributions that differ a little, where a classifier trains longest: accuracy and seconds for
each of --seeds pairs of samples. Ours trains a fold in each thread, scikit-learn a fold on each
core.
"""

import argparse
import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each of scikit-learn's folds has a core

import numpy as np
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier

from raybayes.diagnostics import c2st


def sklearn_c2st(a, b, seed):
    mean, sd = a.mean(axis=0), a.std(axis=0, ddof=1)
    data = np.concatenate([(a - mean) / sd, (b - mean) / sd])
    units = 10 * a.shape[1]
    classifier = MLPClassifier((units, units), max_iter=10_000, random_state=seed)
    folds = KFold(5, shuffle=True, random_state=seed)
    target = np.repeat([0, 1], len(a))
    return cross_val_score(classifier, data, target, cv=folds, n_jobs=-1).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--d", type=int, default=6, help="parameters")
    parser.add_argument("--draws", type=int, default=2000, help="of each distribution")
    parser.add_argument("--seeds", type=int, default=3)
    a = parser.parse_args()
    ours, theirs = [], []
    for seed in range(a.seeds):
        rng = np.random.default_rng(seed)
        one = rng.normal(size=(a.draws, a.d))
        other = 0.85 * rng.normal(size=(a.draws, a.d)) + 0.1
        c2st(one[:200], other[:200])  # loads JAX; each shape is compiled in its timed call
        start = time.perf_counter()
        ours.append([c2st(one, other, seed).accuracy, time.perf_counter() - start])
        start = time.perf_counter()
        theirs.append([sklearn_c2st(one, other, seed), time.perf_counter() - start])
        for name, (accuracy, seconds) in (("raybayes", ours[-1]), ("scikit-learn", theirs[-1])):
            print(f"seed {seed}  {name:12}  {accuracy:.3f}  {seconds:6.1f} s", flush=True)
    print(f"seconds, scikit-learn / raybayes: {np.divide(theirs, ours)[:, 1].mean():.1f}")


if __name__ == "__main__":
    main()
