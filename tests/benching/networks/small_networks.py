"""Networks small enough for tests, and times that nobody measured."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.benching.made_up import MACHINE
from winograd.benching.networks.result import Costs, NetworksBenchmark, NetworkTimes, Run
from winograd.benching.networks.rivals import Rival

CLIP = (1, 2, 4, 8, 8)


class Small(nn.Module):
    """Two convolutions, of which one is followed by its norm, and the other by a norm behind a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv3d(2, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm3d(8)
        self.second = nn.Conv3d(8, 8, 3, padding=1)
        self.late = nn.BatchNorm3d(8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        x = self.late(torch.relu(self.second(x)))
        scores: Tensor = self.fc(x.mean(dim=(2, 3, 4)))
        return scores


def small(seed: int = 0) -> Small:
    """Return the network in evaluation mode, with norms that change what passes through them."""
    generator = torch.Generator().manual_seed(seed)
    model = Small().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm3d):
                for value in (module.weight, module.bias, module.running_mean, module.running_var):
                    assert value is not None
                    value.copy_(torch.rand(8, generator=generator) + 0.5)
    return model


def clip(seed: int = 0) -> Tensor:
    return torch.randn(CLIP, generator=torch.Generator().manual_seed(seed))


def times(*, folded: bool = True, compiled: bool = True) -> NetworkTimes:
    runs = {
        Rival.DIRECT: Run("contiguous", (8.0, 8.0), 3e-7),
        Rival.OURS: Run("channels_last", (4.0, 2.0), 2e-6),
        Rival.OURS_FOLDED: Run("channels_last", (2.0, 2.0), 2e-6),
    }
    if folded:
        runs[Rival.DIRECT_FOLDED] = Run("channels_last", (6.0, 6.0), 3e-7)
    if compiled:
        runs[Rival.COMPILED] = Run("channels_last", (5.0, 5.0), 3e-7)
    return NetworkTimes("small", CLIP, 1 if folded else 0, runs, Costs(2, 1, 2**20, 2**21, 2**19))


def benchmark(*networks: NetworkTimes) -> NetworksBenchmark:
    return NetworksBenchmark(
        networks=networks,
        repeats=2,
        seed=0,
        threads=2,
        tolerance=1e-5,
        machine=MACHINE,
        environment={"OMP_NUM_THREADS": "2"},
    )
