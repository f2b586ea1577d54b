"""Subclasses with constructors, tables, metaclasses, recipes and attributes of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar, Final, Generic, TypeVar

import torch
from torch import Tensor, nn

from tests.nn.conversion.citizens import C, Citizen, Maker, conv, entering

KINDS: Final[dict[str, Maker]] = {}
"""Models by what is special about them."""

kind = entering(KINDS)


class Conv3DSimple(nn.Conv3d):
    """All axes at once."""

    def __init__(self, in_planes: int, out_planes: int, midplanes: int | None = None, stride: int = 1) -> None:
        super().__init__(in_planes, out_planes, kernel_size=(3, 3, 3), stride=stride, padding=1, bias=False)

    @staticmethod
    def get_downsample_stride(stride: int) -> tuple[int, int, int]:
        """Return the stride of the shortcut."""
        return stride, stride, stride


class Conv2Plus1D(nn.Sequential):
    """Space, then time."""

    def __init__(self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1) -> None:
        space = nn.Conv3d(in_planes, midplanes, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False)
        time = nn.Conv3d(midplanes, out_planes, (3, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0), bias=False)
        super().__init__(space, nn.BatchNorm3d(midplanes), nn.ReLU(inplace=True), time)


class Conv3DNoTemporal(nn.Conv3d):
    """Space only."""

    def __init__(self, in_planes: int, out_planes: int, midplanes: int | None = None, stride: int = 1) -> None:
        sizes: dict[str, Any] = {"kernel_size": (1, 3, 3), "stride": (1, stride, stride), "padding": (0, 1, 1)}
        super().__init__(in_planes, out_planes, bias=False, **sizes)


@kind("torchvision's subclasses")
def _torchvision() -> Citizen:
    layers = (Conv3DSimple(C, C), Conv2Plus1D(C, C, 7), Conv3DNoTemporal(C, C), Conv3DSimple(C, C, stride=2))
    return Citizen(nn.Sequential(*layers), ["0", "1.0", "1.3", "2", "3"])


class Residual(nn.Module):
    """A block that takes the class of its convolutions."""

    def __init__(self, builder: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(builder(C, C, 5), nn.BatchNorm3d(C), nn.ReLU(inplace=True))
        self.conv2 = nn.Sequential(builder(C, C, 5), nn.BatchNorm3d(C))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv2(self.conv1(x)) + x)


@kind("residual blocks")
def _residual() -> Citizen:
    names = ["0.conv1.0", "0.conv2.0", "1.conv1.0.0", "1.conv1.0.3", "1.conv2.0.0", "1.conv2.0.3"]
    return Citizen(nn.Sequential(Residual(Conv3DSimple), Residual(Conv2Plus1D)), names)


Kept = TypeVar("Kept")


class Odd(nn.Conv3d, Generic[Kept]):
    """A constructor with one argument, a class attribute, slots, and a class of a type variable."""

    __slots__ = ("kept",)
    expansion = 3

    def __init__(self, kept: Kept) -> None:
        super().__init__(C, C, 3, padding=1)
        self.kept = kept

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_kept": self.kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.kept = state.pop("_kept")
        super().__setstate__(state)


@kind("slots, type variables and a state of its own")
def _odd() -> Citizen:
    return Citizen(nn.Sequential(Odd[int](3)), ["0"])


class Growing(nn.Conv3d):
    """Makes another one of its class."""

    def grown(self, outputs: int) -> Growing:
        other = type(self)(self.in_channels, outputs, 3, padding=1)
        with torch.no_grad():
            other.weight[: self.out_channels] = self.weight
        return other


@kind("a layer that makes another one")
def _growing() -> Citizen:
    return Citizen(nn.Sequential(Growing(C, C, 3, padding=1)), ["0"])


class Listed(nn.Conv3d):
    """Keeps a table of its subclasses, each with a key of its own."""

    table: ClassVar[dict[str, type[Listed]]] = {}

    def __init_subclass__(cls, *, key: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        assert key not in Listed.table
        Listed.table[key] = cls


class ListedSimple(Listed, key="simple"):
    """In the table, once."""


@kind("a table of subclasses")
def _listed() -> Citizen:
    return Citizen(nn.Sequential(ListedSimple(C, C, 3)), ["0"])


class Sealing(type):
    """Makes classes that say that they may be."""

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> Any:
        if not body.get("is_allowed"):
            raise TypeError("may not be")
        return super().__new__(cls, name, bases, body)


class Closed(nn.Conv3d, metaclass=Sealing):
    """Its metaclass refuses subclasses."""

    is_allowed = True


@kind("a metaclass that refuses")
def _closed() -> Citizen:
    return Citizen(nn.Sequential(Closed(C, C, 3), conv()), ["1"], {"0": "no subclass can be made of its class"})


class Rebuilt(nn.Conv3d):
    """Is copied by a recipe of its own, for it holds what cannot be."""

    def __init__(self, channels: int, state: dict[str, Any] | None = None) -> None:
        super().__init__(channels, channels, 3, padding=1, dtype=torch.float64)
        self.lock = threading.Lock()
        if state is not None:
            self.load_state_dict(state)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.in_channels, self.state_dict())


@kind("a recipe of its own for copies")
def _rebuilt() -> Citizen:
    return Citizen(nn.Sequential(Rebuilt(C)), ["0"])


class Guarded(nn.Conv3d):
    """Lets nobody set what it does not know."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "__class__":
            raise AttributeError(name)
        super().__setattr__(name, value)


@kind("guarded attributes")
def _guarded() -> Citizen:
    return Citizen(nn.Sequential(Guarded(C, C, 3, bias=False)), ["0"])


class Ruled(nn.Conv3d):
    """Its attributes have the names of ours."""

    def __init__(self) -> None:
        super().__init__(C, C, 3, padding=1)
        self.tolerance = 3.0
        self.plans = "mine"

    def forward(self, input: Tensor) -> Tensor:
        return self.tolerance * super().forward(input)


@kind("attributes with the names of ours")
def _ruled() -> Citizen:
    return Citizen(nn.Sequential(Ruled(), conv()), ["1"], {"0": "its attribute 'tolerance' would be hidden"})
