"""Training steps, verified and timed: of single layers and of whole networks, against torch's own."""

from __future__ import annotations
