"""Trace a scene with one peer, in the peer's own environment: python run.py PEER SCENE.npz OUT.npz

A scene holds source rays and, for each theta, the frames of the elements in the world, all in
RAY-UI's axes (z along the beam, y up). The peers' axes are x' = -x, y' = z, z' = y. Slits and the
image plane are the same few lines of numpy for all; surfaces and gratings are the peer's.
"""

import importlib
import sys
import time

import numpy as np

TURN = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])


def to_plane(origin, axes, places, directions):
    """World [3, n] -> x and y [2, n] where the rays meet a screen, in its own frame."""
    place, direction = axes.T @ (places - origin[:, None]), axes.T @ directions
    return (place - place[2] / direction[2] * direction)[:2]


def follow(scene, i, rays, reflect):
    """The peer's `reflect` at every mirror, slits between; x, y at the image and who arrived."""
    places, directions, energy = rays[:3], rays[3:6], rays[6]
    alive = np.ones(rays.shape[1], bool)
    for k, kind in enumerate(scene["kinds"]):
        origin, axes = scene["origins"][i, k], scene["axes"][i, k]
        if kind in ("Slit", "ImagePlane"):
            at = to_plane(origin, axes, places, directions)
            alive &= (np.abs(at) < scene["halves"][k][:, None]).all(axis=0)
        else:
            turned = TURN @ axes @ TURN.T
            beam = TURN @ places, TURN @ directions, energy
            places, directions = reflect(k, turned, TURN @ origin, *beam)
            places, directions = TURN.T @ places, TURN.T @ directions
    return at, alive


def cpu_seconds(call, *arguments):
    start = time.process_time()
    call(*arguments)
    return time.process_time() - start


def main():
    name, source, target = sys.argv[1:]
    scene = dict(np.load(source))
    peer = importlib.import_module(f"with_{name}").Peer(scene)
    trace = getattr(peer, "trace", None) or (lambda i, rays: follow(scene, i, rays, peer.reflect))
    rays = scene["rays"]
    few = rays[:, :10_000]
    trace(0, few)  # warm
    start = time.process_time()
    _, alive = trace(0, rays)
    result = {
        "per_million": 1e6 / rays.shape[1] * (time.process_time() - start),
        "per_theta": np.mean([cpu_seconds(trace, s, few) for s in range(1, len(scene["origins"]))]),
        "arrived": alive.sum() / rays.shape[1],
    }
    if hasattr(peer, "reflect"):
        peer.same_torus = True
        result["at"], result["alive"] = trace(0, few)
    np.savez(target, **result)


if __name__ == "__main__":
    main()
