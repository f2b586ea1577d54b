"""Models of every kind that people have: what is in them, what becomes of each convolution, and an input.

Out: `KINDS`, a table from a name to a function that makes a `Citizen`, the same one at every call. All are in float64,
in evaluation mode, and small: F(2, 3) is forced on what was converted, so that Winograd computes it.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune

C: Final = 4
"""Channels of every layer."""


@dataclass(frozen=True)
class Citizen:
    """A model, arguments of its forward, and what conversion must say of its layers.

    Parameters
    ----------
    model : torch.nn.Module
    converted : list of str
        Names of the layers that are converted.
    skipped : dict from str to str
        Names of the others, each with words of the reason.
    arguments : tuple
        Of the forward.
    """

    model: nn.Module
    converted: list[str]
    skipped: dict[str, str] = field(default_factory=dict)
    arguments: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        self.model.double().eval()
        if not self.arguments:
            object.__setattr__(self, "arguments", (clip(),))


def clip(*sizes: int) -> Tensor:
    """Return an input of independent zero-mean numbers."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*(sizes or (2, C, 4, 6, 5)), generator=generator, dtype=torch.float64)


KINDS: Final[dict[str, Callable[[], Citizen]]] = {}


def kind(name: str) -> Callable[[Callable[[], Citizen]], Callable[[], Citizen]]:
    """Put what follows into the table."""

    def enter(make: Callable[[], Citizen]) -> Callable[[], Citizen]:
        def seeded() -> Citizen:
            torch.manual_seed(0)
            with warnings.catch_warnings(action="ignore", category=FutureWarning):  # what torch is about to drop
                return make()

        KINDS[name] = seeded
        return seeded

    return enter


def conv(**options: Any) -> nn.Conv3d:
    """Return a convolution that keeps the sizes."""
    return nn.Conv3d(C, C, 3, padding=1, **options)


# Subclasses with constructors of their own, as in torchvision's video networks.


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
    return Citizen(nn.Sequential(Closed(C, C, 3), conv()), ["1"], {"0": "lets no subclass be made"})


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


# Forwards of their own.


class Causal(nn.Conv3d):
    """Pads time on the left, and lets torch do the rest."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(functional.pad(input, (0, 0, 0, 0, self.kernel_size[0] - 1, 0)))


class CausalInside(nn.Conv3d):
    """Pads time on the left, and calls the narrow part of torch's; it keeps the last slices if it is asked to."""

    def forward(self, input: Tensor, before: Tensor | None = None) -> Tensor:
        count = self.kernel_size[0] - 1
        before = input.new_zeros(*input.shape[:2], count, *input.shape[3:]) if before is None else before
        self.after = input[:, :, -count:].detach()
        return self._conv_forward(torch.cat([before, input], 2), self.weight, self.bias)


class Standardised(nn.Conv3d):
    """Standardises the weight in every call."""

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3, 4), keepdim=True)
        return self._conv_forward(input, weight / weight.std((1, 2, 3, 4), keepdim=True), self.bias)


class OwnInside(nn.Conv3d):
    """Overrides the narrow part, and calls torch's with another weight."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(input, weight + 1, bias)


class ByFunction(nn.Conv3d):
    """Asks nothing of torch's module: calls the function."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.conv3d(input, self.weight, self.bias, self.stride, self.padding)


@kind("causal convolutions")
def _causal() -> Citizen:
    layers = (Causal(C, C, 3, padding=(0, 1, 1)), nn.ReLU(), CausalInside(C, C, 3, padding=(0, 1, 1)))
    return Citizen(nn.Sequential(*layers), ["0", "2"])


@kind("a standardised weight")
def _standardised() -> Citizen:
    return Citizen(nn.Sequential(Standardised(C, C, 3, padding=1)), ["0"])


@kind("an own convolution inside")
def _own_inside() -> Citizen:
    model = nn.Sequential(OwnInside(C, C, 3, padding=1), ByFunction(C, C, 3, padding=1))
    return Citizen(model, ["0"], {"1": "computes the convolution itself: it overrides forward"})


@kind("a forward that was exchanged")
def _exchanged() -> Citizen:
    model = nn.Sequential(conv(), conv())
    forward = model[0].forward
    model[0].forward = lambda x: 2 * forward(x)  # as wrappers of layers do
    model[1]._conv_forward = lambda *tensors: tensors[0]
    return Citizen(model, ["0"], {"1": "_conv_forward was exchanged"})


# Weights that are computed.


@kind("weight norm by hooks")
def _old_weight_norm() -> Citizen:
    return Citizen(nn.Sequential(nn.utils.weight_norm(conv()), nn.utils.weight_norm(conv(bias=False))), ["0", "1"])


@kind("spectral norm by hooks")
def _old_spectral_norm() -> Citizen:
    return Citizen(nn.Sequential(nn.utils.spectral_norm(conv())), ["0"])


class Symmetric(nn.Module):
    """Adds the mirror image in time."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight + weight.flip(2)


def parametrized(register: Callable[[nn.Module], nn.Module]) -> Callable[[], Citizen]:
    """Return what makes a model of two such layers, and one of torchvision's subclasses."""
    return lambda: Citizen(nn.Sequential(register(conv()), nn.ReLU(), register(Causal(C, C, 3))), ["0", "2"])


kind("weight norm")(parametrized(parametrizations.weight_norm))
kind("spectral norm")(parametrized(parametrizations.spectral_norm))
kind("orthogonal weights")(parametrized(parametrizations.orthogonal))
kind("a symmetric weight")(parametrized(lambda one: parametrize.register_parametrization(one, "weight", Symmetric())))
kind("a computed bias")(parametrized(lambda one: parametrize.register_parametrization(one, "bias", nn.Softplus())))


@kind("pruned weights")
def _pruned() -> Citizen:
    model = nn.Sequential(conv(), Conv3DSimple(C, C))
    prune.l1_unstructured(model[0], "weight", amount=0.5)
    prune.random_unstructured(model[0], "bias", amount=1)
    prune.ln_structured(model[1], "weight", amount=0.3, n=2, dim=0)
    prune.l1_unstructured(model[1], "weight", amount=0.3)  # a container of two
    return Citizen(model, ["0", "1"])


# Modules and weights that are used twice.


class Twice(nn.Module):
    """One layer under two names and in a list, and another one with its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.again = conv()
        self.rest = nn.ModuleList([self.first, Conv3DSimple(C, C)])
        self.rest[1].weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.first, self.again, *self.rest):
            x = layer(x)
        return x


@kind("shared and tied layers")
def _shared() -> Citizen:
    return Citizen(Twice(), ["first", "rest.1"])


class Unrolled(nn.Module):
    """A recurrent network: one layer many times, at several sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.pool = conv(), nn.MaxPool3d((1, 2, 2))

    def forward(self, x: Tensor, *, steps: int = 2) -> dict[str, Any]:
        states = []
        for _ in range(steps):
            x = torch.tanh(self.cell(x))
            states.append(x)
            x = self.pool(x)
        return {"last": x, "states": tuple(states)}


@kind("a recurrent layer, and an output that is no tensor")
def _unrolled() -> Citizen:
    return Citizen(Unrolled(), ["cell"])


# Layers of other kinds.


@kind("lazy layers after their first forward")
def _lazy() -> Citizen:
    model = nn.Sequential(nn.LazyConv3d(C, 3, padding=1), nn.LazyBatchNorm3d(), nn.LazyConvTranspose3d(C, 3)).double()
    model(clip())
    return Citizen(model, ["0", "2"])


@kind("one, two and three axes, and transposed ones")
def _axes() -> Citizen:
    model = nn.Sequential(
        nn.Flatten(0, 1),
        nn.Unflatten(0, (2, C)),
        nn.ConvTranspose3d(C, C, 3, stride=2),
        nn.Flatten(2, 3),
        nn.Conv2d(C, C, 3),
        nn.ConvTranspose2d(C, C, 3),
        nn.Flatten(2),
        nn.Conv1d(C, C, 3),
        nn.ConvTranspose1d(C, C, 3),
    )
    return Citizen(model, ["2", "4", "5", "7", "8"])


@kind("what Winograd does not cover")
def _uncovered() -> Citizen:
    layers = (
        nn.Conv3d(C, C, 3, groups=C, padding="same"),
        nn.Conv3d(C, C, 1),
        nn.Conv3d(C, C, 3, dilation=2, padding=2),
        nn.Conv3d(C, C, (3, 1, 1), padding=(1, 0, 0), padding_mode="circular"),
        nn.Conv3d(C, C, 3, stride=2, padding=1, padding_mode="reflect"),
        nn.Conv3d(C, C, (1, 2, 2), padding="same"),
    )
    return Citizen(nn.Sequential(*layers), [str(number) for number in range(6)])


@kind("a convolution that is the model")
def _alone() -> Citizen:
    return Citizen(conv(), [""])


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
