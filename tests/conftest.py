"""Hypothesis profiles: ``dev`` unless the environment variable CI is set, then ``ci``. Neither goes by the clock."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("dev", UNTIMED, max_examples=50)
settings.register_profile("ci", UNTIMED, max_examples=150, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
