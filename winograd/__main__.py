"""``python -m winograd`` lists the commands, each of which is a module of its own."""

from __future__ import annotations

import argparse
import sys

from winograd import __version__

COMMANDS = {
    "bench": "verify and time the layers of a network against the best direct convolution: ratios, errors, rates",
    "error": "measure, predict and bound the error of an algorithm; with pictures as an HTML report",
    "gen": "print or write generated code for the transforms of F(m, r)",
    "layers": "describe a network in numbers: layers with their shapes, parameters, multiplications, memory; drawn",
    "plan": "say which algorithm a convolution or the layers of a network take, what that costs and why",
    "search": "search the algorithm with the least error for F(m, r)",
    "run": "run a 3D network on a video clip, directly and converted: speed and error of every layer",
}


def main(arguments: list[str] | None = None) -> int:
    """List the commands: on stdout when asked to by ``--help``, else on stderr as a usage error (exit 2)."""
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="python -m winograd",
        usage="python -m winograd.COMMAND [-h] ...",
        description="Winograd convolution: exact algorithms, their error, their code, fast 3D convolution.",
        epilog="\n".join(
            ["commands:", *(f"  python -m winograd.{name:<{width}}  {what}" for name, what in COMMANDS.items())]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.parse_args(arguments)
    parser.print_help(sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
