"""Compiled models: converted in place and turned back, since the compiled code is bound to the classes of modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import winograd
from tests.nn.conversion.laws import assert_close, force, planned, snapshot


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Network(nn.Module):
    """Of a class of its own: torch compiles no forward of torch's in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv3d(4, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu())


def network() -> Network:
    torch.manual_seed(0)
    return Network().double().eval()


def clip() -> Tensor:
    return torch.randn(1, 4, 4, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Counted:
    """A backend that runs graphs as they are, and keeps what they call."""

    def __init__(self) -> None:
        self.graphs: list[set[str]] = []

    def __call__(self, graph: torch.fx.GraphModule, _inputs: Any) -> Callable[..., Any]:
        self.graphs.append({str(node.target) for node in graph.graph.nodes if node.op == "call_function"})
        return graph.forward


def compiled_whole(model: Network, backend: Counted) -> nn.Module:
    return torch.compile(model, backend=backend)


def compiled_in_place(model: Network, backend: Counted) -> nn.Module:
    model.compile(backend=backend)
    return model


def compiled_layer(model: Network, backend: Counted) -> nn.Module:
    model.second = torch.compile(model.second, backend=backend)
    return model


WAYS = {"whole": compiled_whole, "in place": compiled_in_place, "a layer": compiled_layer}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("inlined", [True, False])
def test_compiled_code_follows_conversion_and_reversion(way: str, inlined: bool) -> None:
    backend = Counted()
    with torch._dynamo.config.patch(inline_inbuilt_nn_modules=inlined), torch.no_grad():
        model = WAYS[way](network(), backend)
        expected = model(clip())
        before = snapshot(model)
        report = winograd.convert_(model, example=clip())
        assert (report.converted, report.skipped) == (2, 0)
        assert all(row.input for row in report.rows)
        assert len(backend.graphs) == 1  # the example compiles nothing
        force(model)
        output = model(clip())
        assert_close(output, expected)
        assert not torch.equal(output, expected)
        assert "winograd.convolution.default" in backend.graphs[-1]
        assert len(planned(model)) == 2
        winograd.revert_(model)
        assert torch.equal(model(clip()), expected)
        assert snapshot(model) == before
        assert len(backend.graphs) == 2  # the first one is still right
