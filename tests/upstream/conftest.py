"""Imports PyTorch's suites before any test of theirs, and says at the end how often Winograd ran in them."""

from __future__ import annotations

import pytest

from tests.upstream import suites  # noqa: F401  first: keeps the process as it was
from tests.upstream.engagement import summary


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = summary()
    if lines:
        terminalreporter.section("Winograd in PyTorch's own suites")
        terminalreporter.write_line("\n".join(lines))
