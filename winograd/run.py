"""``python -m winograd.run``: a 3D network on a real clip, directly and converted: speed and error of every layer.

In: the name of a network and a video file. Out: a table on stdout, the same as JSON, and a plot; progress on stderr.
Refused, in one line: unknown networks and bad options (exit 2); unreadable files, missing extras (exit 1).
Exit 1, too, where outputs are not finite or a converted layer's measured error is above the tolerance.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from winograd.arguments import positive
from winograd.artefact import checked_targets, write_atomically

if TYPE_CHECKING:
    from torch import Tensor, nn

    from winograd.nn.comparison import LayerComparison

_PROGRAM: Final = "python -m winograd.run"

_NO_KERNEL: Final = "no native kernel"
"""How the reason of a plan begins that lacks a compiler only."""

_EXTRAS: Final = {"torch": "torch", "av": "video", "matplotlib": "plot"}
"""Modules needed here, and the extras that install them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:  # argparse: 0 after --help, else 2
        return stop.code if isinstance(stop.code, int) else 2
    required = ["torch", "av", *(["matplotlib"] if options.plot is not None else [])]
    lacking = [module for module in required if not _installed(module)]
    return _failed(_install(lacking[0])) if lacking else _reported(options)


def _reported(options: argparse.Namespace) -> int:
    """Run, and turn what a user can meet into one line and an exit status."""
    from winograd.networks.registry import UnknownNetworkError

    try:
        excess = _run(options)
    except UnknownNetworkError as error:
        return _failed(str(error), status=2)
    except BrokenPipeError:  # whoever reads stdout has seen enough
        return 1
    except OSError as error:
        return _failed(f"{error.filename or 'stdout'}: {error.strerror or error}")
    except KeyboardInterrupt:
        return _failed("interrupted")
    except (MemoryError, RuntimeError, TypeError, ValueError) as error:
        return _failed(str(error).partition("\n")[0] or type(error).__name__)
    return 0 if excess is None else _failed(excess)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description="Run a 3D network on a video clip, directly and converted.", allow_abbrev=False
    )
    parser.add_argument("network", help="name of a network, such as c3d")
    parser.add_argument("--clip", required=True, metavar="FILE", help="a video; its first and last frames are compared")
    parser.add_argument("--other-clip", metavar="FILE", help="a second video, whose first frames are the second clip")
    parser.add_argument("--weights", metavar="FILE", help="a checkpoint (default: He initialisation, see --seed)")
    parser.add_argument("--seed", type=_integer(0), default=0, help="of the He initialisation (default: 0)")
    parser.add_argument("--tolerance", type=positive, default=1e-5, help="predicted error allowed (default: 1e-5)")
    parser.add_argument(
        "--threads",
        type=_integer(1),
        help="threads, at most one per core (default: what torch uses)",
    )
    parser.add_argument("--repeats", type=_integer(1), default=15, help="rounds of timing (default: 15)")
    parser.add_argument("--json", metavar="FILE", help="the table as JSON (default: winograd-NETWORK.json)")
    parser.add_argument("--plot", metavar="FILE", help="the plot as PNG (default: winograd-NETWORK.png)")
    return parser


def _integer(least: int) -> Callable[[str], int]:
    def parsed(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not least <= int(text[:19]) < 2**63:
            raise argparse.ArgumentTypeError(f"{text[:40]!a} must be an integer of at least {least}")
        return int(text)

    return parsed


def _checked_threads(count: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count > cores:
        raise ValueError(f"argument --threads: {count}, must be at most {cores}, the cores of this machine")
    return count


def _run(options: argparse.Namespace) -> str | None:
    """Compare, print and write; return what is wrong with the errors that were measured, or None."""
    import torch

    from winograd.conv.timing import measured_on
    from winograd.networks import create
    from winograd.nn.compare import compare

    with torch.device("meta"):  # sizes only
        outline = create(options.network)
    json_path = options.json or f"winograd-{options.network}.json"
    plot_path = options.plot or f"winograd-{options.network}.png"
    checked_targets(json_path, plot_path)
    if not plot_path.lower().endswith(".png"):
        raise ValueError(f"argument --plot: {plot_path}, must end in .png")
    if options.threads:
        torch.set_num_threads(_checked_threads(options.threads))
    clips = _read_clips(options, outline.input_shape)
    model, weights = _model(options, outline.classifier)
    comparison = compare(
        model, clips, tolerance=options.tolerance, repeats=options.repeats, stack=outline.stack, progress=_progress
    )
    _check_finite(comparison.layers)
    settings = {
        "network": options.network,
        "clips": [options.clip, options.other_clip or options.clip],
        "weights": weights,
        "seed": options.seed,
        "tolerance": options.tolerance,
        "repeats": options.repeats,
        "threads": torch.get_num_threads(),
        "batch": 1,
        "machine": measured_on(),
    }
    for reason in dict.fromkeys(layer.reason for layer in comparison.layers if layer.reason.startswith(_NO_KERNEL)):
        without = [layer.layer for layer in comparison.layers if layer.reason == reason]
        _progress(f"warning: {', '.join(without)} run directly: {reason}")
    print(_heading(settings))
    print(comparison)
    text = json.dumps({**settings, **comparison.as_dict()}, indent=2, allow_nan=False) + "\n"
    write_atomically(json_path, text.encode())
    print(f"table as JSON: {json_path}")
    if _installed("matplotlib"):
        from winograd.nn.plot import draw_comparison

        write_atomically(plot_path, draw_comparison(comparison, f"{options.network}, {weights}"))
        print(f"plot: {plot_path}")
    else:
        print(f"no plot: {_install('matplotlib')}", file=sys.stderr)
    return _excess(comparison.layers, options.tolerance)


def _check_finite(layers: Sequence[LayerComparison]) -> None:
    broken = [layer.layer for layer in layers if not isfinite(layer.measured_error)]
    if broken:
        raise ValueError(f"outputs of {', '.join(broken)} are not finite; check the weights and the clip")


def _excess(layers: Sequence[LayerComparison], tolerance: float) -> str | None:
    """Return one line on the converted layers whose measured error is above the tolerance, or None."""
    converted = (layer for layer in layers if layer.predicted_error is not None)
    above = [layer for layer in converted if layer.measured_error > tolerance]
    if not above:
        return None
    listed = ", ".join(f"{layer.layer} {layer.measured_error:.1e}" for layer in above)
    return f"measured errors above the tolerance {tolerance:.1e}: {listed}"


def _read_clips(options: argparse.Namespace, input_shape: tuple[int, int, int, int]) -> Tensor:
    import torch

    from winograd.networks.clip import read_clip, read_clips

    _, frames, size, _ = input_shape
    if options.other_clip is None:
        return torch.stack(read_clips(options.clip, frames=frames, size=size))
    paths = (options.clip, options.other_clip)
    return torch.stack([read_clip(path, frames=frames, size=size) for path in paths])


def _model(options: argparse.Namespace, classifier: str) -> tuple[nn.Module, str]:
    """Return the network and a line on where its weights are from; the outputs of the checkpoint decide on its size."""
    from winograd.networks import create, initialise_he
    from winograd.networks.checkpoints import load_state, read_weights

    if options.weights is None:
        model = initialise_he(create(options.network), options.seed)
        return model.eval(), f"He-initialised weights, seed {options.seed}, not trained"
    state = read_weights(options.weights)
    last = state.get(f"{classifier}.weight")
    classes = {} if last is None or last.ndim == 0 else {"num_classes": len(last)}
    model = create(options.network, **classes)
    load_state(model, state, source=options.weights)
    return model.eval(), f"weights from {options.weights}"


def _heading(settings: dict[str, Any]) -> str:
    machine = settings["machine"]
    return "\n".join(
        [
            f"{settings['network']}, {settings['weights']}, tolerance {settings['tolerance']:g}, batch 1",
            f"{machine['processor']}, {settings['threads']} threads, torch {machine['torch']}, {machine['date']}; "
            f"medians of {settings['repeats']} interleaved rounds",
            "errors: relative L2 against float64 direct convolution of the layer's own float32 input; times in ms",
            "predicted errors: for independent zero-mean inputs; activations cancel less in the sums and do better",
            "",
        ]
    )


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _install(module: str) -> str:
    return f'{module} is not installed; pip install "winograd[{_EXTRAS[module]}]"'


def _progress(line: str) -> None:
    print(f"{_PROGRAM}: {line}", file=sys.stderr, flush=True)


def _failed(line: str, status: int = 1) -> int:
    print(f"{_PROGRAM}: {line}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
