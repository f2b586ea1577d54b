"""Which norm and which ReLU can be computed inside of which convolution, and why the others cannot.

In: a flow and convolutions. Out: for each a `Pair`, or the reason in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize

from winograd.nn.folding.flow import End, Flow
from winograd.nn.folding.hooks import has_hooks, hook_names
from winograd.nn.folding.weights import Norm
from winograd.nn.modules import PlannedDense
from winograd.nn.state import Convolution
from winograd.quoting import quote

_CONV_FORWARDS: Final = (
    nn.Conv1d._conv_forward,
    nn.Conv2d._conv_forward,
    nn.Conv3d._conv_forward,
    PlannedDense._conv_forward,
)


class Fold(Enum):
    """What is folded into convolutions: batch norms, or ReLUs, too, behind a norm or a convolution."""

    NORMS = "norms"
    ALL = "all"


FoldName = Literal["norms", "all"]


def checked_fold(fold: FoldName | Fold) -> Fold:
    """Return what is asked for.

    Raises
    ------
    ValueError
        If it is another word.
    """
    try:
        return Fold(fold)
    except ValueError:
        raise ValueError(f"fold is {quote(fold)}, must be 'norms', 'all' or None") from None


@dataclass(frozen=True, slots=True)
class Pair:
    """What comes after a convolution and nothing else: a norm, a ReLU, or a norm and a ReLU."""

    norm: Norm | None
    relu: nn.ReLU | None


def find_pairs(
    flow: Flow, layers: Iterable[Convolution], names: Mapping[nn.Module, str], fold: Fold
) -> dict[Convolution, Pair | str]:
    """Return the pair of each convolution, or why it has none."""
    return {layer: _pair(flow, layer, names, fold) for layer in layers}


def _pair(flow: Flow, layer: Convolution, names: Mapping[nn.Module, str], fold: Fold) -> Pair | str:
    if layer not in flow.takers:
        return "the forward does not call it"
    obstacle = _layer_obstacle(layer)
    if obstacle is not None:
        return obstacle
    taker = _only_taker(flow, layer)
    if isinstance(taker, Norm):
        reason = _norm_obstacle(flow, layer, taker)
        return reason or Pair(taker, _relu_after(flow, taker) if fold is Fold.ALL else None)
    if fold is Fold.ALL and (relu := _relu_after(flow, layer)) is not None:
        return Pair(None, relu)
    return f"its output goes to {_listed(flow.takers[layer], names)}"


def _only_taker(flow: Flow, module: nn.Module) -> End | None:
    """Return what alone takes the result of every call of a module, or None."""
    calls = flow.takers.get(module, [])
    takers = {taker for call in calls for taker in call}
    return takers.pop() if len(takers) == 1 and all(len(call) == 1 for call in calls) else None


def _relu_after(flow: Flow, module: nn.Module) -> nn.ReLU | None:
    taker = _only_taker(flow, module)
    return taker if isinstance(taker, nn.ReLU) and not _own_of(taker, nn.ReLU) else None


def _layer_obstacle(layer: Convolution) -> str | None:
    if isinstance(layer, nn.modules.conv._ConvTransposeNd):
        return "it is a transposed convolution"
    if isinstance(layer, LazyModuleMixin):
        return "its weight has no shape yet"
    own = _own_of(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
    return f"it has {own}" if own else None


def _norm_obstacle(flow: Flow, layer: Convolution, norm: Norm) -> str | None:
    if isinstance(norm, LazyModuleMixin) or norm.num_features != layer.out_channels:
        return "the norm after it has another number of features, or none yet"
    if own := _own_of(norm, Norm):
        return f"the norm after it has {own}"
    if any(giver is not layer for giver in flow.givers[norm]):
        return "the norm after it takes other inputs, too"
    if any(buffer is None for buffer in (norm.running_mean, norm.running_var, norm.num_batches_tracked)):
        return "the norm after it has no running statistics"
    return None


def _own_of(module: nn.Module, bases: type[nn.Module] | tuple[type[nn.Module], ...]) -> str:
    """Return what makes a module compute other than its base class does on its parameters; empty if nothing."""
    bases = bases if isinstance(bases, tuple) else (bases,)
    base = next(base for base in bases if isinstance(module, base))
    cls = plain_class(type(module))
    if parametrize.is_parametrized(module):
        return "parametrizations: its weight is computed anew in each call"
    if "forward" in vars(module) or cls.forward is not base.forward or not _convolves_as_torch(module):
        return "a forward of its own"
    return f"hooks: {', '.join(hook_names(module))}" if has_hooks(module) else ""


def _convolves_as_torch(module: nn.Module) -> bool:
    """Return whether what a module gives is what the convolution gave, if it is one."""
    if not isinstance(module, Convolution) or isinstance(module, nn.modules.conv._ConvTransposeNd):
        return True
    return "_conv_forward" not in vars(module) and type(module)._conv_forward in _CONV_FORWARDS


def plain_class(cls: type[nn.Module]) -> type[nn.Module]:
    """Return the class that a module had before it began to pass on what was folded."""
    plain: type[nn.Module] = getattr(cls, "_winograd_plain", cls)
    return plain


def _listed(calls: list[list[End]], names: Mapping[nn.Module, str]) -> str:
    takers = dict.fromkeys(taker if isinstance(taker, str) else names[taker] for call in calls for taker in call)
    return " and ".join(takers) or "nothing"
