"""Conversion of a model: its convolutions change their class and nothing else, and can change it back.

In: a model, what is asked of its layers or of its output, and perhaps an example input. Out: a `ConversionReport`.
Refused, before anything changes: scripted models and arguments that are none. Layers that cannot be converted stay as
they are, and the report says why; an error on the way leaves the model as it was.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any, Final, TypeVar

from torch import nn

from winograd.conv.planning.tuning_mode import TuningName
from winograd.nn.conversion.ahead import Shapes, checked_shapes, plan_ahead
from winograd.nn.conversion.by_example import checked_output_tolerance, plan_by_example
from winograd.nn.conversion.change import (
    all_or_nothing,
    former_classes,
    plan_layers,
    state_of,
    unplan_layers,
    withdraw_budget,
)
from winograd.nn.conversion.doubts import doubts
from winograd.nn.conversion.eligible import Candidate, Filter, candidates, check_model, check_module, planned_layers
from winograd.nn.conversion.settings import Tolerance, checked_settings, layer_tolerances
from winograd.nn.folding.fold import unfold_
from winograd.nn.report import ConversionReport, LayerEntry

_Model = TypeVar("_Model", bound=nn.Module)

_LEFT_OUT: Final = "it was left out of the conversion, or came after it"


def convert_(
    model: nn.Module,
    tolerance: Tolerance = None,
    filter_fn: Filter | None = None,
    *,
    output_tolerance: float | None = None,
    example: Any = None,
    shapes: Shapes | None = None,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
    tuning: TuningName = "model",
) -> ConversionReport:
    """Make the convolutions of a model choose Winograd algorithms, in place; `revert_` undoes it.

    Only the class of each layer changes: parameters, buffers, hooks, flags, names and the identity of every module
    stay, and so does the state_dict. Algorithms are chosen at the first forward of each shape, or at once for the
    shapes of an example or those that are given.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place, or not at all if an error is raised.
    tolerance : float, mapping or callable, optional
        Largest predicted relative L2 error of one layer, positive; see `winograd.conv3d`. None takes that of the dtype
        that a layer runs with: 1e-5, and 1.9e-14 for float64. A mapping has them by the names of layers, others take
        that of the dtype; a function is called with the module and the name of each layer.
    filter_fn : callable, optional
        Called with the module and the name of each convolution; those for which it returns False stay as they are:
        a layer that was converted before stays converted, with the settings that it has.
    output_tolerance : float, optional
        Largest relative L2 error of what the model gives for the example, positive: the tolerances of the layers are
        chosen for it, the cheapest once the model is frozen; ``tolerance`` is the largest of each then. Layers that
        were built as planned ones keep theirs. The model is copied, and runs in float64 for comparison.
    example : Tensor, tuple, list or dict, optional
        Input of the model, a tuple or list of arguments, or a dictionary of named ones: for one forward in evaluation
        mode, in which plans are made, so that the report has them at once. Hooks are called. Attributes, parameters,
        buffers, training flags and random states are put back after it; lazy layers are lazy again.
    shapes : mapping, optional
        By the names of layers: an input shape (N, C, sizes...), or a list of them, to make plans for at once, as a
        report has them in its rows.
    workspace_cap, filter_cap : int, optional
        Bytes that a layer may take at most: for the workspace of a call, and for a transformed weight that is kept (see
        `freeze`). Beyond, tiles are taken in smaller blocks, and the weight is transformed by a smaller algorithm or in
        every call; the report says so. None takes the limits of the process, `winograd.conv.limits.set_memory_limits`:
        64 MiB and 512 MiB unless they were set.
    tuning : "model" or "measure"
        "measure" compiles and times the best candidates of every layer at its first forward of a shape, which takes
        seconds each, unless this machine has done so before; see `winograd.conv.tuning`.

    Returns
    -------
    ConversionReport
        What became of each convolution; plans are added as they are made.

    Raises
    ------
    TypeError
        If the model is no module, or is scripted, a tolerance is no number, a filter no function, or a cap no integer.
    ValueError
        If a tolerance is not a positive number, a name is not that of a convolution, a shape is no input of its layer,
        a cap is below 1, tuning is another word, or there is an output tolerance without an example.

    Warns
    -----
    UserWarning
        If no layer was converted now, or the output tolerance is not met.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv3d(4, 4, 3, padding=1), torch.nn.ReLU())
    >>> convert_(model)
    <ConversionReport: 1 of 1 convolutions converted, 0 plans made>
    >>> type(model[0]).__module__, sorted(model.state_dict())
    ('winograd.nn.modules', ['0.bias', '0.weight'])
    >>> type(revert_(model)[0]).__module__
    'torch.nn.modules.conv'
    >>> convert_(model, tolerance={"0": 1e-6}, example=torch.zeros(1, 4, 6, 8, 8))
    <ConversionReport: 1 of 1 convolutions converted, 1 plans made>
    """
    check_model(model)
    settings = checked_settings(workspace_cap, filter_cap, tuning)
    budget = checked_output_tolerance(output_tolerance, example)
    found = candidates(model, filter_fn)
    tolerances = layer_tolerances(tolerance, model, found)
    ahead = {} if shapes is None else checked_shapes(shapes, model, found)
    with all_or_nothing([one.layer for one in found]):
        if tolerances:
            withdraw_budget(one.layer for one in found)
        plan_layers(tolerances, settings)
        plan_ahead({one.layer: one.name for one in found}, ahead)
        if example is not None and tolerances:
            plan_by_example(model, example, found, budget)
    report = _report(model, found)
    for doubt in doubts(report, any_asked=bool(tolerances)):
        warnings.warn(doubt, UserWarning, stacklevel=2)
    return report


def convert(
    model: _Model,
    tolerance: Tolerance = None,
    filter_fn: Filter | None = None,
    *,
    output_tolerance: float | None = None,
    example: Any = None,
    shapes: Shapes | None = None,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
    tuning: TuningName = "model",
) -> _Model:
    """Return a converted copy of a model; the model stays as it is, and shares nothing with the copy.

    Parameters
    ----------
    model : torch.nn.Module
        Is copied by `copy.deepcopy`.
    tolerance, filter_fn, output_tolerance, example, shapes, workspace_cap, filter_cap, tuning
        As in `convert_`.

    Returns
    -------
    torch.nn.Module
        `conversion_report` says what became of its layers.

    Raises
    ------
    TypeError, ValueError
        As `convert_`.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv3d(4, 4, 3))
    >>> converted = convert(model, tolerance=1e-6)
    >>> type(model[0]).__module__, type(converted[0]).__module__
    ('torch.nn.modules.conv', 'winograd.nn.modules')
    >>> conversion_report(converted)
    <ConversionReport: 1 of 1 convolutions converted, 0 plans made>
    """
    check_model(model)
    twin = copy.deepcopy(model)
    convert_(
        twin,
        tolerance,
        filter_fn,
        output_tolerance=output_tolerance,
        example=example,
        shapes=shapes,
        workspace_cap=workspace_cap,
        filter_cap=filter_cap,
        tuning=tuning,
    )
    return twin


def conversion_report(model: nn.Module) -> ConversionReport:
    """Return what became of each convolution of a model that was converted, also of a copy or after unpickling.

    Raises
    ------
    TypeError
        If the model is no module.

    Examples
    --------
    >>> conversion_report(nn.Sequential(nn.Conv3d(4, 4, 3)))
    <ConversionReport: 0 of 1 convolutions converted, 0 plans made>
    """
    check_model(model)
    return _report(model, candidates(model))


def revert_(model: _Model) -> _Model:
    """Give the layers that `convert_` changed their former class back, in place, and drop their plans.

    Raises
    ------
    TypeError
        If the model is no module.
    RuntimeError
        If a converted layer, or a norm or ReLU folded into one, was given another class since; nothing is changed then.
        Classes that torch makes, of parametrizations and of sharding, stay around the former one.

    Returns
    -------
    torch.nn.Module
        The same model.
    """
    check_module(model)
    layers = list(planned_layers(model))
    former = former_classes(layers)
    unfold_([layer for _, layer in layers])
    unplan_layers(former)
    return model


def _report(model: nn.Module, found: list[Candidate]) -> ConversionReport:
    states = [state_of(one.layer) for one in found]
    entries = [
        LayerEntry(one.name, one.kind, state, one.refusal or (_LEFT_OUT if state is None else state.unseen))
        for one, state in zip(found, states, strict=True)
    ]
    return ConversionReport(tuple(entries), model)
