"""Hypothesis profiles: ``dev`` unless the environment variable CI is set, then ``ci``. Neither goes by the clock.

The tests of a GPU, which run on machines that have torch, Triton and pytest alone, need no hypothesis.
xdist's processes multiply matrices by one thread each: those of OpenBLAS spin while they wait for work.
``--update-golden`` writes the golden corpus again, see `tests.codegen.test_golden`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

try:
    from hypothesis import HealthCheck, settings
except ImportError:
    pass
else:
    UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("dev", UNTIMED, max_examples=50)
    settings.register_profile("ci", UNTIMED, max_examples=60, derandomize=True, print_blob=True)
    settings.load_profile("ci" if os.environ.get("CI") else "dev")

if os.environ.get("PYTEST_XDIST_WORKER"):  # before NumPy is imported, which reads this once
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the files of tests/golden again")


@pytest.fixture(scope="session")
def update_golden(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--update-golden"))


@pytest.fixture(scope="module")
def settable_flags() -> Iterator[None]:
    """Let tests set torch's flags by assignment, which PyTorch's own test modules forbid once they are imported."""
    torch = pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(torch.backends.flags_frozen.__globals__, "__allow_nonbracketed_mutation_flag", True)
        yield
