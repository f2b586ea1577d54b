"""The training step of a whole network: verified, then timed against torch's own, interleaved.

In: a network of the registry, sizes, a tolerance. Out: a `NetworkMeasurement`. Refused: errors of ours above what is
allowed, see `winograd.benching.training.step`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from winograd.benching.statistics import Rounds
from winograd.benching.training.met import met_convolutions, training_loss
from winograd.benching.training.result import GradientErrors, LayerErrors, NetworkMeasurement
from winograd.benching.training.rivals import converted, in_formats
from winograd.benching.training.verified import verified
from winograd.conv.measuring.timing import fastest, race
from winograd.conv.tensors.layout import FORMATS
from winograd.networks import create, initialise_he
from winograd.nn.compare import relative_l2

_LEARNING_RATE: Final = 1e-3
"""Small enough that random labels leave the weights finite."""

_SCREENING_ROUNDS: Final = 1
"""A step takes seconds: one round shows which memory format is slower by a quarter."""

_FORMATS: Final = {"contiguous": torch.contiguous_format, "channels_last": FORMATS[5]}

Gradients = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Clips of a batch, their frames, and height and width."""

    batch: int
    frames: int
    size: int


@dataclass(frozen=True, slots=True)
class NetworkStep:
    """A network with all that one training step of it needs; a call runs the step.

    Parameters
    ----------
    model : torch.nn.Module
        In training mode.
    clips : Tensor of shape (N, C, frames, height, width)
    labels : Tensor of shape (N,)
    optimiser : torch.optim.Optimizer
        Of the parameters of the model.
    """

    model: nn.Module
    clips: Tensor
    labels: Tensor
    optimiser: torch.optim.Optimizer

    def __call__(self) -> float:
        """Zero the gradients, run forward, loss and backward, change the weights; return the loss."""
        self.optimiser.zero_grad()
        loss = training_loss(self.model, self.clips, self.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return float(loss.detach())


def measure_network(
    name: str,
    timed: Sizes,
    compared: Sizes,
    *,
    tolerance: float,
    repeats: int,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> NetworkMeasurement:
    """Verify the training step of a network, then time it against torch's own, interleaved.

    First every shape of convolution, on the tensors that it meets in the network, against float64; then the gradients
    of all parameters, against the network in float64; then time. Both sides begin with the same weights and run with
    all tensors contiguous and channels last; of each side the faster one is compared.

    Parameters
    ----------
    name : str
        Of the registry.
    timed, compared : Sizes
        For which the step is timed and its layers are verified, and for which the network is run in float64 as well.
    tolerance : float
        Of the conversion, and allowed for the error of each tensor of a layer.
    repeats : int
        Rounds of timing, at least 1.
    seed : int
        Of weights, clips and labels.
    progress : callable
        Called with a word before each step.

    Raises
    ------
    AboveToleranceError
        If an error of a layer of ours is above the tolerance; nothing was timed then.
    """
    model = initialise_he(create(name), seed).train()
    clips, labels = draw_batch(timed, seed)
    progress("verifying the layers")
    layers = _layer_errors(model, clips, labels, tolerance)
    progress("verifying the gradients of all parameters")
    gradients = gradient_errors(model, *draw_batch(compared, seed), tolerance=tolerance)
    progress("timing")
    rivals = {"direct": model, "ours": converted(model, tolerance)}
    steps = {side: network_steps(each, clips, labels) for side, each in rivals.items()}
    times = race(steps, repeats, screening=_SCREENING_ROUNDS)
    direct_layout, layout = fastest(times["direct"]), fastest(times["ours"])
    return NetworkMeasurement(
        network=name,
        input=tuple(clips.shape),
        layout=layout,
        direct_layout=direct_layout,
        rounds=Rounds(tuple(times["direct"][direct_layout]), tuple(times["ours"][layout])),
        layers=layers,
        gradients=gradients,
    )


def draw_batch(sizes: Sizes, seed: int, classes: int = 400) -> tuple[Tensor, Tensor]:
    """Return clips of independent normal numbers, and labels."""
    generator = torch.Generator().manual_seed(seed)
    clips = torch.randn(sizes.batch, 3, sizes.frames, sizes.size, sizes.size, generator=generator)
    return clips, torch.randint(classes, (sizes.batch,), generator=generator)


def network_steps(model: nn.Module, clips: Tensor, labels: Tensor) -> dict[str, NetworkStep]:
    """Return the step of copies of a network by memory format, each with parameters and an optimiser of its own."""
    steps = {}
    for name, memory_format in _FORMATS.items():
        own = copy.deepcopy(model).to(memory_format=memory_format)  # type: ignore[call-overload]
        optimiser = torch.optim.SGD(own.parameters(), lr=_LEARNING_RATE, momentum=0.9)
        steps[name] = NetworkStep(own, clips.contiguous(memory_format=memory_format), labels, optimiser)
    return steps


def gradient_errors(model: nn.Module, clips: Tensor, labels: Tensor, *, tolerance: float) -> GradientErrors:
    """Return how far the gradients of all parameters are from those of the network in float64, ours and torch's own.

    Where rounding changes the sign of an input of ReLU, an element of its gradient changes by all that it is; errors
    of whole networks in both may therefore be greater than those of their layers.

    Parameters
    ----------
    model : torch.nn.Module
        torch's own, in training mode; copies of it run.
    clips : Tensor of shape (N, C, frames, height, width)
    labels : Tensor of shape (N,)
    tolerance : float
        Of the conversion.
    """
    wide = copy.deepcopy(model).double()
    loss, exact = _gradients(wide, clips.double(), labels)
    _, direct = _gradients(copy.deepcopy(model), clips, labels)
    _, ours = _gradients(converted(model, tolerance), clips, labels)
    return GradientErrors(
        input=tuple(clips.shape),
        loss=loss,
        all=_overall(ours, exact),
        direct_all=_overall(direct, exact),
        worst=_worst(ours, exact),
        direct_worst=_worst(direct, exact),
    )


def _gradients(model: nn.Module, clips: Tensor, labels: Tensor) -> tuple[float, Gradients]:
    loss = training_loss(model, clips, labels)
    names, parameters = zip(*model.named_parameters(), strict=True)
    return float(loss.detach()), dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def _overall(gradients: Gradients, exact: Gradients) -> float:
    flat, true = (torch.cat([each[name].double().flatten() for name in exact]) for each in (gradients, exact))
    return relative_l2(flat, true)


def _worst(gradients: Gradients, exact: Gradients) -> tuple[str, float]:
    errors = {name: relative_l2(gradients[name], true) for name, true in exact.items()}
    name = max(errors, key=lambda name: errors[name])
    return name, errors[name]


def _layer_errors(model: nn.Module, clips: Tensor, labels: Tensor, tolerance: float) -> tuple[LayerErrors, ...]:
    found = []
    for met in met_convolutions(model, clips, labels):
        direct = in_formats(met.module, met.input, met.grad_output)
        ours = in_formats(converted(met.module, tolerance), met.input, met.grad_output)
        engaged, errors, direct_errors = verified(met.name, met.shape, direct, ours, tolerance)
        found.append(LayerErrors(met.name, engaged, errors, direct_errors))
    return tuple(found)
