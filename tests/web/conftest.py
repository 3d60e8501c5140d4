import shutil
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from workbench import IMAGE, SEVERAL, WIDE, Client, trained

from raybayes.study.run import open_run
from raybayes.web.server import serve


@pytest.fixture(scope="session")
def runs(once):
    """A folder of four runs; one has not been trained."""

    def make(folder):
        trained(WIDE, folder / "a")
        trained(IMAGE, folder / "b")
        (folder / "c").mkdir()
        shutil.copy(folder / "a" / "study.json", folder / "c")
        trained(SEVERAL, folder / "d")

    return once("runs", make)


@contextmanager
def serving(folder):
    """The link of a server that runs in a thread."""
    known, begun = {}, threading.Event()

    def ready(link, server):
        known.update(link=link, server=server)
        begun.set()

    thread = threading.Thread(target=serve, args=([folder], 0, ready))
    thread.start()
    assert begun.wait(30)
    try:
        yield known["link"]
    finally:
        known["server"].should_exit = True
        thread.join(30)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def link(runs):
    """Of a server that serves all tests: `client` has opened it."""
    with serving(runs) as link:
        yield link


@pytest.fixture
def unopened(runs):
    """The link of a server of the test's own."""
    with serving(runs) as link:
        yield link


@pytest.fixture(scope="session")
def x(runs):
    """Counts that the study `tiny` may read."""
    return open_run(runs / "a").observe(np.array([[0.02, 0.1]]), np.random.default_rng(1))[0]


@pytest.fixture(scope="session")
def client(link):
    return Client(link)
