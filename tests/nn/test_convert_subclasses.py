"""Subclasses of torch's convolutions: converted with their own methods, or left as they are for a reason."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

import winograd
from tests.nn.converted_models import Conv3DSimple, clip, planned
from tests.torch_citizen.pairs import allowed, distance
from winograd.nn.folding import pairs


class Scaled(nn.Conv3d):
    """Overrides forward around torch's."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Shifted(nn.Conv3d):
    """Changes the weight on its way to torch's narrow method."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return 2 * super()._conv_forward(input, weight + 1, bias)


class CausalByMethod(nn.Conv3d):
    """Sees the present and the past: pads in front, then convolves as torch does."""

    def forward(self, x: Tensor) -> Tensor:
        front = (self.kernel_size[0] - 1) * self.dilation[0]
        return self.narrow(nn.functional.pad(x, (0, 0, 0, 0, front, 0)))

    def narrow(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight, self.bias)


class Added(nn.ConvTranspose3d):
    """Overrides the forward that a planned transposed convolution has, too."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(input, output_size) + 1


class Own(nn.Conv3d):
    """Computes the convolution itself."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv3d(x, self.weight.tanh(), self.bias, padding=self.padding)


class Narrow(nn.Conv3d):
    """Computes the convolution itself, in the narrow method."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return nn.functional.conv3d(input, weight, bias) + self.forward.__name__.count("x")


class Demanding(nn.Conv3d):
    """Has an attribute that a planned convolution has, too."""

    def __init__(self) -> None:
        super().__init__(3, 4, 3)
        self.tolerance = "none"


class Final(nn.Conv3d):
    """Lets no subclass be made."""

    def __init_subclass__(cls) -> None:
        raise TypeError("final")


class Sealed(type):
    """A metaclass whose classes stay without subclasses."""

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, object]) -> type:
        if any(isinstance(base, Sealed) for base in bases):
            raise TypeError("sealed\nfor good")
        return super().__new__(cls, name, bases, body)


class SealedConv(nn.Conv3d, metaclass=Sealed):
    """Lets no subclass be made."""


def test_subclasses_keep_name_attributes_and_own_methods() -> None:
    model = nn.Sequential(
        Conv3DSimple(3, 4, midplanes=7),
        Scaled(4, 4, 3),
        CausalByMethod(4, 4, 3),
        Shifted(4, 4, 3, padding=1),
        Added(4, 4, 3),
    )
    expected = model(clip(size=9))
    classes = [type(layer) for layer in model]
    winograd.convert_(model)
    assert planned(model) == ["0", "1", "2", "3", "4"]
    assert [type(layer).__qualname__ for layer in model] == [cls.__qualname__ for cls in classes]
    assert all(isinstance(layer, cls) for layer, cls in zip(model, classes, strict=True))
    assert model[0].midplanes == 7
    assert distance(model(clip(size=9)), expected) <= 5 * allowed(torch.float32)  # of five layers
    assert all(len(layer.plans) == 1 for layer in model)  # each comes to the planned convolution
    winograd.revert_(model)
    assert [type(layer) for layer in model] == classes
    assert torch.equal(model(clip(size=9)), expected)


@pytest.mark.parametrize("noticed", [True, False])
def test_what_a_narrow_method_of_its_own_makes_of_the_output_is_not_folded(
    noticed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = nn.Sequential(Shifted(3, 4, 3), nn.BatchNorm3d(4), nn.ReLU()).eval()
    model[1].running_var.fill_(3.0)
    expected = model(clip(size=9))
    report = winograd.convert_(model)
    if not noticed:
        monkeypatch.setattr(pairs, "_convolves_as_torch", lambda _: True)
    with warnings.catch_warnings(action="ignore"):
        winograd.freeze(model, fold="all")
    with torch.no_grad():
        right = distance(model(clip(size=9)), expected) <= 4 * allowed(torch.float32)
    assert right is noticed
    assert report.layers[0].folds.startswith("nothing: ") is noticed


def test_a_subclass_that_makes_another_of_its_kind_gets_a_planned_one() -> None:
    model = nn.Sequential(Conv3DSimple(3, 4))
    winograd.convert_(model, tolerance=1e-6)
    twin = type(model[0])(3, 4, midplanes=2)
    twin.load_state_dict(model[0].state_dict())
    torch.testing.assert_close(twin(clip()), model(clip()))
    assert len(twin.plans) == 1
    assert type(winograd.revert_(twin)) is Conv3DSimple


def test_layers_that_cannot_be_converted_stay_and_the_report_says_why() -> None:
    model = nn.ModuleDict(
        {
            "own": Own(3, 4, 3),
            "narrow": Narrow(3, 4, 3),
            "linear": nn.Linear(3, 4),
            "patched": nn.Conv3d(3, 4, 3),
            "demanding": Demanding(),
            "sealed": SealedConv(3, 4, 3),
            "excluded": nn.Conv3d(3, 4, 3),
            "plain": nn.Conv3d(3, 4, 3),
            "final": Final(3, 4, 3),
        }
    )
    model["patched"]._conv_forward = lambda *tensors: tensors[0]
    classes = {name: type(module) for name, module in model.items()}
    report = winograd.convert_(model, filter_fn=lambda _module, name: name != "excluded")
    assert planned(model) == ["plain", "final"]
    reasons = {layer.name: layer.reason for layer in report.layers}
    assert "overrides forward and never calls torch's" in reasons["own"]
    assert "overrides _conv_forward and never calls torch's" in reasons["narrow"]
    assert "overrides _conv_forward, in this one layer" in reasons["patched"]
    assert "its attribute 'tolerance' would be hidden" in reasons["demanding"]
    assert "no subclass can be made of its class: TypeError: sealed" in reasons["sealed"]
    assert "good" not in reasons["sealed"]  # one line
    assert reasons["excluded"] == "excluded by filter_fn"
    assert "linear" not in reasons
    assert all(type(model[name]) is cls for name, cls in classes.items() if name not in ("plain", "final"))
    assert model["demanding"].tolerance == "none"
