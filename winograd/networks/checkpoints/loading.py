"""Weights from checkpoint files into networks, under whatever names public programs give them.

In: a model or the name of a network, and a checkpoint file or its tensors. Out: the model with these values, in place.
Refused: files that hold more than tensors, and checkpoints that do not fit; the model is then as it was.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from winograd.networks.checkpoints.files import read_weights, tensor_of
from winograd.networks.checkpoints.fitting import Fitted, complete, fit
from winograd.networks.registry import create
from winograd.networks.video_network import VideoNetwork

_Model = TypeVar("_Model", bound=nn.Module)


def pretrained(name: str, path: str | Path, **options: Any) -> VideoNetwork:
    """Build the network of that name for the classes of a checkpoint, with its weights, for evaluation.

    Parameters
    ----------
    name : str
        One of `list_networks`.
    path : str or Path
        See `load_weights`.
    **options
        Of the network. The number of classes, and where the names of the checkpoint tell whose it is, the epsilon of
        normalisations and the form of R(2+1)D, are those of the checkpoint unless they are given.

    Returns
    -------
    VideoNetwork
        In evaluation mode.

    Raises
    ------
    OSError, UnknownNetworkError, ValueError
        As `create` and `load_weights`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "r3d.pth")
    ...     torch.save({"state_dict": create("r3d_10", num_classes=7).state_dict()}, path)
    ...     model = pretrained("r3d_10", path)
    >>> model.fc.out_features, model.training
    (7, False)
    """
    state = read_weights(path)
    with torch.device("meta"):  # names only
        model = create(name, **options)
    fitted = fit(state, model.state_dict())
    classifier = fitted.tensors.get(f"{model.classifier}.weight")
    if classifier is not None and classifier.ndim > 0:
        options.setdefault("num_classes", len(classifier))
    if fitted.convention.norm_eps is not None and _epsilons(model) - {fitted.convention.norm_eps}:
        options.setdefault("norm_eps", fitted.convention.norm_eps)
    if fitted.convention.mid_channels is not None:
        options.setdefault("mid_channels", fitted.convention.mid_channels)
    return load_state(create(name, **options), state, source=path).eval()


def load_weights(model: _Model, path: str | Path, *, skip: Sequence[str] = ()) -> _Model:
    """Load a checkpoint file into the model, in place, after checking that names and shapes fit: all of it, or nothing.

    Parameters
    ----------
    model : torch.nn.Module
        Unchanged if anything does not fit.
    path : str or Path
        See `read_weights`. Names may be those of torchvision, VMZ (PyTorch and Caffe2), ig65m, mmaction2, pytorchvideo
        and kenshohara for residual networks, of piergiaj and kinetics-i3d for I3D, of DavideA, jfzhang95 and mmaction2
        for C3D, and of qijiezhao for P3D.
    skip : sequence of str
        Shell patterns of names, of the model or the file, that are left out: the model keeps its values there.

    Returns
    -------
    torch.nn.Module
        The same model.

    Raises
    ------
    ImportError, OSError, ValueError
        As `read_weights`; ValueError naming what is missing with the nearest that is there, what is unexpected, what
        has another shape, and what is sparse, complex or quantized.

    Warns
    -----
    UserWarning
        If the names tell that the weights were trained with another epsilon of the normalisations.
    """
    return load_state(model, read_weights(path), source=path, skip=skip)


def load_state(
    model: _Model,
    state: Mapping[str, Tensor | NDArray[Any]],
    *,
    source: str | Path = "state",
    skip: Sequence[str] = (),
) -> _Model:
    """Load tensors or arrays by name, as `load_weights` does; ``source`` is where they came from, for the error."""
    tensors = {name: tensor_of(value) if isinstance(value, np.ndarray) else value for name, value in state.items()}
    expected = model.state_dict()
    fitted = fit(tensors, expected)
    classifier = getattr(model, "classifier", None)
    values = complete(
        fitted,
        expected,
        skip=skip,
        source=str(source),
        classifier=classifier if isinstance(classifier, str) else None,
    )
    _warn_of_epsilon(model, fitted)
    model.load_state_dict(values)
    return model


def _epsilons(model: nn.Module) -> set[float]:
    norms = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
    return {layer.eps for layer in model.modules() if isinstance(layer, norms)}


def _warn_of_epsilon(model: nn.Module, fitted: Fitted) -> None:
    trained = fitted.convention.norm_eps
    others = _epsilons(model) - {trained}
    if trained is not None and others:
        warnings.warn(
            f"{fitted.convention.program}'s weights were trained with norm_eps {trained:g}, the model has "
            f"{', '.join(f'{eps:g}' for eps in sorted(others))}",
            stacklevel=4,
        )
