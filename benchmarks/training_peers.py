"""The peers' side of training.py and sbibm.py, in their own environment without raybayes."""

import json
import sys
import time

import numpy as np
import torch


def curve(validation, seconds):
    """Best so far against time."""
    ends = np.cumsum(seconds)
    return [
        [float(t), float(v)] for t, v in zip(ends, np.minimum.accumulate(validation), strict=True)
    ]


def timed(function, repeats=3):
    function()
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def trained(data, limit, options):
    """sbi's own loop, until `limit` seconds or its own early stop; the loop and its estimator."""
    from sbi.inference import NPE_C
    from sbi.neural_nets import posterior_nn

    class Timed(NPE_C):
        def _converged(self, epoch, stop_after_epochs):
            done = super()._converged(epoch, stop_after_epochs)
            if not done and time.perf_counter() > end:
                self._neural_net.load_state_dict(self._best_model_state_dict)
                return True
            return done

    inference = Timed(density_estimator=posterior_nn(**options), show_progress_bars=False)
    pairs = (torch.as_tensor(data["theta"]), torch.as_tensor(data["x"]))
    inference.append_simulations(*pairs)
    end = time.perf_counter() + limit
    return inference, inference.train()


def sbi_draws(data, path):
    """A file with [observations, count, d] draws of sbi's NSF; some may be outside the prior."""
    torch.set_num_threads(1)  # products this small make a second thread wait, not work
    _, estimator = trained(data, np.inf, {"model": "nsf"})
    with torch.no_grad():
        drawn = [
            estimator.sample((int(data["count"]),), torch.as_tensor(x)[None])[:, 0]
            for x in data["observed"]
        ]
    np.save(path, torch.stack(drawn).numpy())
    return {"draws": path}


def sbi(data, limit, options, sampled):
    """Its validation losses, its loss on the test pairs and its times."""
    inference, estimator = trained(data, limit, options)
    summary = inference._summary
    with torch.no_grad():
        test = estimator.log_prob(
            torch.as_tensor(data["test_theta"])[None], torch.as_tensor(data["test_x"])
        )
    result = {
        "curve": curve(summary["validation_loss"], summary["epoch_durations_sec"]),
        "test_nll": -float(test.mean()),
        "epochs": len(summary["validation_loss"]),
    }
    if sampled:
        x = torch.as_tensor(data["test_x"])
        with torch.no_grad():
            result["draws_of_one"] = timed(lambda: estimator.sample((10_000,), x[:1]))
            result["draws_of_many"] = timed(lambda: estimator.sample((256,), x[:2000]), 1)
    return result


def freia(data, limit, batch):
    """Steinbach's (2021) affine cINN, 8 blocks of two halves with 256 units; Adam as published."""
    from FrEIA.framework import ConditionNode, GraphINN, InputNode, Node, OutputNode
    from FrEIA.modules import GLOWCouplingBlock, PermuteRandom

    d, size = data["theta"].shape[1], data["x"].shape[1]

    def subnet(inputs, outputs):
        return torch.nn.Sequential(
            torch.nn.Linear(inputs, 256), torch.nn.ReLU(), torch.nn.Linear(256, 256),
            torch.nn.ReLU(), torch.nn.Linear(256, outputs),
        )  # fmt: skip

    condition, nodes = ConditionNode(size), [InputNode(d)]
    for i in range(8):
        nodes.append(Node(nodes[-1], PermuteRandom, {"seed": i}))
        options = {"subnet_constructor": subnet, "clamp": 1.9}
        nodes.append(Node(nodes[-1], GLOWCouplingBlock, options, conditions=condition))
    inn = GraphINN([*nodes, condition, OutputNode(nodes[-1])], verbose=False)
    mean, sd = data["x"].mean(axis=0), data["x"].std(axis=0)
    x, test_x = (torch.as_tensor((data[k] - mean) / sd) for k in ("x", "test_x"))
    theta, test = torch.as_tensor(data["theta"]), torch.as_tensor(data["test_theta"])
    held = len(x) // 20
    optimiser = torch.optim.Adam(inn.parameters(), lr=5e-4, weight_decay=1e-5)

    def nll(a, b):
        z, log_det = inn(a, c=[b])
        return (0.5 * (z**2).sum(dim=1) - log_det).mean() + 0.5 * d * np.log(2 * np.pi)

    validation, seconds, tests, steps = [], [], [], 0
    while sum(seconds) < limit:
        start = time.perf_counter()
        for rows in torch.randperm(len(x) - held).split(batch):
            optimiser.zero_grad()
            nll(theta[rows], x[rows]).backward()
            torch.nn.utils.clip_grad_norm_(inn.parameters(), 10.0)
            optimiser.step()
            steps += 1
        seconds.append(time.perf_counter() - start)
        with torch.no_grad():
            validation.append(nll(theta[-held:], x[-held:]).item())
            tests.append(nll(test, test_x).item())
    best = int(np.argmin(validation))
    return {
        "curve": curve(validation, seconds),
        "test_nll": tests[best],
        "epochs": len(seconds),
        "step": min(seconds) / (steps / len(seconds)),
    }


def main():
    path, which, limit = sys.argv[1], sys.argv[2], float(sys.argv[3])
    with np.load(path) as stored:
        data = {name: stored[name] for name in stored.files}
    torch.manual_seed(0)
    if which == "sbi_draws":
        result = sbi_draws(data, f"{path}.draws.npy")
    elif which == "freia":
        result = freia(data, limit, 512)
    elif which == "sbi_nsf":
        options = {"model": "nsf", "hidden_features": 256, "num_transforms": 8}
        result = sbi(data, limit, options, sampled=True)
    else:
        result = sbi(data, limit, {"model": "maf"}, sampled=True)
    print("\n" + json.dumps(result))  # sbi leaves its line open


if __name__ == "__main__":
    main()
