"""torch's convolutions with a plan: subclasses with the same parameters, state_dict and constructor.

In: what torch.nn's convolutions take, a tolerance and perhaps an algorithm. Out: their output, by the fastest algorithm
whose predicted error is tolerated, on CPU tensors of floating dtypes, gradients included; torch's own for the rest.
Compiled and exported programs get torch's operator for our convolution. See `winograd.nn.state` for what they keep.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Signature, signature
from typing import Any, ClassVar, Self, SupportsIndex

from torch import Tensor, nn

from winograd.conv.arguments import Algorithm
from winograd.conv.calls.recorded import is_recorded
from winograd.conv.choosing.prediction import default_tolerance
from winograd.conv.gradient.record import GradientPlan
from winograd.conv.plan.record import Plan
from winograd.conv.planning.tuning_mode import TuningName
from winograd.nn.convolving import ConvolutionState
from winograd.nn.recipes import blank_from_recipe, word_of
from winograd.nn.state import Convolution, LayerState
from winograd.nn.traced import traced_call


class PlannedConvolution(Convolution):
    """Mixed in before one of torch's convolutions; `PlannedDense` and `PlannedTransposed` say what they replace."""

    _winograd: LayerState
    _state_class: ClassVar[type[LayerState]]
    _plain_class: ClassVar[type[Convolution] | None] = None
    """For a class that was made of one that is not planned: that one."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Make a layer that has a state already: ``type(layer)(...)`` may come to a constructor that makes none."""
        made = super().__new__(cls)
        vars(made)["_winograd"] = cls._state_class(original=cls._plain_class)
        return made

    @property
    def tolerance(self) -> float:
        """Allowed relative L2 error of this layer; plans are made anew when it is set, None takes that of the dtype."""
        asked, weight = self._winograd.tolerance, getattr(self, "weight", None)
        dtype = str(getattr(weight, "dtype", "float32")).removeprefix("torch.")
        return default_tolerance(dtype) if asked is None else asked

    @tolerance.setter
    def tolerance(self, value: float | None) -> None:
        self._winograd.tolerate(value)

    @property
    def algorithm(self) -> Algorithm | None:
        """The forced algorithm, or None where the plan chooses."""
        return self._winograd.algorithm

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans made so far, one per shape, oldest first."""
        return self._winograd.plans

    @property
    def gradient_plans(self) -> tuple[GradientPlan, ...]:
        """The plans of the gradients that were asked for, of each shape that was differentiated, oldest first."""
        return self._winograd.gradient_plans

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        self._winograd.let_go(self)
        return super()._apply(fn, recurse)  # type: ignore[no-any-return, no-untyped-call]

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._winograd.let_go(self)
        super()._load_from_state_dict(*args, **kwargs)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        recipe, word = super().__reduce_ex__(protocol), word_of(type(self))
        return recipe if word is None else (blank_from_recipe, (word,), *recipe[2:])

    def __prepare_scriptable__(self) -> Convolution:
        """Refuse `torch.jit.script`, which would put what is returned here into the model in place of the layer.

        Raises
        ------
        RuntimeError
            Always.
        """
        raise RuntimeError(
            f"torch.jit.script has no {type(self).__name__} with a plan, "
            "give it winograd.revert_(copy.deepcopy(model)), or use torch.export"
        )

    def extra_repr(self) -> str:
        """Return torch's description, the tolerance and the newest plan."""
        newest = f", plan={self.plans[-1]!r}" if self.plans else ""
        return f"{super().extra_repr()}, tolerance={self.tolerance:g}{newest}"  # type: ignore[no-untyped-call]


class PlannedDense(PlannedConvolution):
    """Mixed in before a convolution that is not transposed: replaces the narrow ``_conv_forward``."""

    _winograd: ConvolutionState
    _state_class: ClassVar[type[LayerState]] = ConvolutionState

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not isinstance(input, Tensor) and (node := traced_call(self, input)) is not None:
            return node
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = nn.functional.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        if is_recorded():
            return self._winograd.record(self, input, weight, bias, padding)
        return self._winograd.convolve(self, input, weight, bias, padding)


class Built(PlannedConvolution):
    """A planned convolution built as such, by its constructor."""

    def __init__(
        self,
        *args: Any,
        tolerance: float | None = None,
        algorithm: Algorithm | None = None,
        tuning: TuningName = "model",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._winograd = self._state_class(tolerance, algorithm, self._plain_class, tuning=tuning)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # What torch.nn.utils.skip_init reads: torch's own parameters, ``device`` among them, and ours.
        super().__init_subclass__(**kwargs)
        given = list(signature(cls.__init__).parameters.values())
        if cls.__init__ is Built.__init__:
            convolutions = [base for base in cls.__mro__ if issubclass(base, Convolution)]
            others = [base for base in convolutions if not issubclass(base, PlannedConvolution)]
            torchs = next(base for base in others if base.__module__.startswith("torch."))
            own = [one for one in given if one.kind is one.KEYWORD_ONLY]
            given = [given[0], *signature(torchs).parameters.values(), *own]
        cls.__signature__ = Signature(given[1:])  # type: ignore[attr-defined]


class Conv1d(Built, PlannedDense, nn.Conv1d):
    """`torch.nn.Conv1d` by plan; see `Conv3d`."""


class Conv2d(Built, PlannedDense, nn.Conv2d):
    """`torch.nn.Conv2d` by plan; see `Conv3d`."""


class Conv3d(Built, PlannedDense, nn.Conv3d):
    """`torch.nn.Conv3d` by plan: same parameters, state_dict and results up to the tolerance.

    Parameters
    ----------
    *args, **kwargs
        As `torch.nn.Conv3d`.
    tolerance : float, optional
        Allowed relative L2 error against exact arithmetic, as predicted for independent zero-mean inputs; that of
        the dtype that it runs with if None: 1e-5, and 1.9e-14 for float64.
    algorithm : BilinearAlgorithm, NestedAlgorithm or "direct", optional
        Forces this one, whatever its error and speed; "direct" switches Winograd off for this layer.
    tuning : "model" or "measure"
        How candidates are compared: by the cost model, or timed on this machine at the first forward of each shape.

    Raises
    ------
    TypeError
        If the tolerance is no number.
    ValueError
        If the tolerance is not above 0, or tuning is another word; at the first forward if the algorithm does not fit
        the weight.

    Examples
    --------
    >>> layer = Conv3d(4, 8, 3, padding=1, tolerance=1e-6)
    >>> layer
    Conv3d(4, 8, kernel_size=(3, 3, 3), stride=(1, 1, 1), padding=(1, 1, 1), tolerance=1e-06)
    >>> sorted(layer.state_dict())
    ['bias', 'weight']
    """
