"""What the commands say and how they end: artefacts on stdout, everything else as single lines on stderr.

In: the work of a command as a function. Out: its exit status; no exception leaves. Refused: nothing.
Status: 0; 1 where the mathematics, a file or a missing extra says no; 2, which argparse gives, for a wrong command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

_LONGEST = 400
"""Characters of a message that are shown."""

_QUIET_LOAD = 1.0
"""Load average up to which a machine counts as idle; what ran before is still in it."""


@dataclass(frozen=True, slots=True)
class Console:
    """The streams of one command.

    Parameters
    ----------
    program : str
        How the command is called; every line on stderr begins with it.
    """

    program: str

    def status_of(self, work: Callable[[], int]) -> int:
        """Do the work and return its exit status, or say in one line why it could not be done."""
        try:
            return work()
        except SystemExit as stop:  # argparse: 0 after --help, else 2
            return stop.code if isinstance(stop.code, int) else 2
        except BrokenPipeError:  # whoever reads stdout has seen enough
            return 1
        except OSError as error:
            where = "" if error.filename is None else f"{error.filename!r}: "
            return self.failed(f"{where}{error.strerror or error or type(error).__name__}")
        except KeyboardInterrupt:
            return self.failed("interrupted")
        except (ArithmeticError, ImportError, MemoryError, RuntimeError, TypeError, ValueError) as error:
            return self.failed(str(error) or type(error).__name__)

    def print(self, artefact: bytes) -> int:
        """Write to stdout and return the exit status; a BrokenPipeError where nobody reads it."""
        if sys.stdout is None:
            return self.failed("stdout is closed")
        try:
            sys.stdout.buffer.write(artefact)
            sys.stdout.buffer.flush()
        except OSError as error:
            # What could not be written must not be tried again when Python exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                raise
            return self.failed(f"stdout: {error.strerror or error}")
        return 0

    def failed(self, message: str) -> int:
        """Say what went wrong, and return the status that says so, too."""
        self.tell(f"error: {message}")
        return 1

    def tell(self, message: str) -> None:
        """Write one line to stderr, if there is one."""
        if sys.stderr is not None:
            sys.stderr.write(one_line(self.program, message))

    def warn_of_load(self) -> None:
        """Say so where the machine is not idle, before anything is timed."""
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        if load > _QUIET_LOAD:
            self.tell(f"warning: load average {load:.1f}: where other jobs want the cores, times tell little")


def one_line(program: str, message: str) -> str:
    r"""Return a message as one line of printable ASCII, whatever the user's text in it was.

    Examples
    --------
    >>> one_line("prog", "error: 'a\nb' is no number")
    "prog: error: 'a\\nb' is no number\n"
    """
    shown = "".join(char if char.isascii() and char.isprintable() else ascii(char)[1:-1] for char in message)
    return f"{program}: {shown if len(shown) <= _LONGEST else shown[:_LONGEST] + '...'}\n"
