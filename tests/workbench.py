"""The workbench's server as a browser meets it, without a browser."""

import http.client
import json
from urllib.parse import urlsplit

import numpy as np
from studies import TINY

from raybayes.study.run import Run, open_run
from raybayes.study.study import read_study

WIDE = TINY.replace("simulations = 600", "simulations = 2000").replace("epochs = 4", "epochs = 12")
WIDE = WIDE.replace("[tracing]", "[detector]\nphotons = 1e3\n[tracing]")  # wide posteriors
IMAGE = WIDE.replace('"tiny"', '"picture"').replace(
    "[detector]", '[detector]\nreads = "image"\nbins = [12, 10]\npitch = [0.08, 0.025]'
)
# The second reads an image, after a known step of a motor.
SEVERAL = WIDE.replace('"tiny"', '"several"').replace(
    "[tracing]",
    """[[settings]]
[[settings]]
steps = {"M4.rotationXerror" = 0.05}
detector = {reads = "image", bins = [12, 10], pitch = [0.08, 0.025]}
[tracing]""",
)
SCRIPT = "<img src=x onerror=alert(1)>.csv"


def trained(study, folder):
    path = folder.with_suffix(".toml")
    path.write_text(study)
    run = Run(*read_study(path), folder)
    run.claim()
    run.train(run.simulate(), lambda state: None)


class Client:
    """A browser's manners without a browser."""

    def __init__(self, link):
        parts = urlsplit(link)
        self.host, self.cookie = parts.netloc, ""
        status, headers, _ = self.ask("GET", f"/?{parts.query}")
        assert status == 303 and headers["location"] == "/"
        self.set_cookie = headers["set-cookie"]
        self.cookie = self.set_cookie.partition(";")[0]

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.host, timeout=60)
        usual = {"Origin": f"http://{self.host}", "Cookie": self.cookie}
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        connection.request(method, path, body, {**usual, **named})
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def request(self, what, **body):
        status, _, text = self.ask("POST", f"/api/{what}", json.dumps(body))
        return status, json.loads(text)

    def upload(self, content, name="x.csv"):
        status, _, text = self.ask("POST", "/api/upload", content, X_File_Name=name)
        assert status == 200, text
        return json.loads(text)["id"]


def counts(x):
    return "\n".join(f"{v:.3f}" for v in x).encode()


def files_of_both(runs, folder):
    """What the study `several` may read: one file for each of its settings."""
    run = open_run(runs / "d")
    x = run.observe(np.array([[0.02, 0.1]]), np.random.default_rng(2))[0]
    profiles, image = run.study.detectors.parts(x)
    paths = [folder / "plain.csv", folder / "moved.npy"]
    paths[0].write_bytes(counts(profiles))
    np.save(paths[1], image)
    return run, paths
