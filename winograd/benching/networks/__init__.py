"""Speed and error of whole networks: ours beside eager torch and torch.compile, folded and not."""

from __future__ import annotations
