import pytest
from judged import POSTERIORS, Judged


@pytest.fixture(scope="session")
def judged():
    return {name: Judged(posterior) for name, posterior in POSTERIORS.items()}
