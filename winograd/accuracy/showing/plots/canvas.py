"""The paper that figures are drawn on: one style, no global state, the same bytes every time. matplotlib lives here.

In: figures. Out: the bytes of an SVG or of a PNG. No display is needed, and pyplot is never
loaded. Refused, with the extra that helps: machines without matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any, Final, ParamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Colours that the colour-blind tell apart: M. Okabe and K. Ito, Color universal design, 2008."""

MARKERS: Final = ("o", "s", "^", "v", "P", "X", "d")
"""Markers that go with the colours, for print in grey."""

GREYS: Final = "cividis"
"""Colour map that rises evenly in brightness, so that it survives print in grey and is read by the colour-blind."""

_SALT: Final = "winograd"
_STYLE: Final[dict[Any, Any]] = {
    "axes.grid": True,
    "axes.grid.which": "major",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "font.size": 10.0,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "legend.fontsize": "small",
    "legend.framealpha": 0.9,
    "lines.linewidth": 1.6,
    "lines.markersize": 6.0,
    "svg.fonttype": "path",
    "svg.hashsalt": _SALT,
}
_NO_METADATA: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def require_matplotlib() -> None:
    """Find out that pictures cannot be drawn before anything is computed for them.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.style  # noqa: F401
    except ModuleNotFoundError:
        message = "pictures need matplotlib, which is not installed: pip install 'winograd[plot]'"
        raise ModuleNotFoundError(message, name="matplotlib") from None


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of this project whatever the user's settings are, which come back afterwards.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    require_matplotlib()
    import matplotlib as mpl
    import matplotlib.style as mpl_style

    with mpl_style.context("default"), mpl.rc_context(_STYLE):
        yield


def in_style(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a function draw in `style`, and lay its figure out once and for all."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with style():
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()
        figure.set_layout_engine("none")  # or every further drawing moves the axes a little
        return figure

    return drawn


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, which belongs to no window and to no list of open figures."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def log_scale(axes: Axes) -> None:
    """Give an axis of errors a logarithmic scale with decimal labels, in between decades where there are few."""
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator())
    axes.yaxis.set_minor_formatter(LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(2, 0.6)))
    axes.grid(visible=True, which="minor", alpha=0.15)


def plain_log_scale(axes: Axes) -> None:
    """Give the horizontal axis a logarithmic scale with plain numbers, several to a decade."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def integer_ticks(axes: Axes) -> None:
    """Label the horizontal axis at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def svg_bytes(figure: Figure) -> bytes:
    """Return a figure as an SVG document, the same bytes for the same figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure

    Returns
    -------
    bytes
        One ``<svg>`` element in ASCII, without date, creator, scripts and references to anything outside.
    """
    target = StringIO()
    with style():
        figure.savefig(target, format="svg", metadata=_NO_METADATA)
    text = target.getvalue()
    return text[text.index("<svg") :].strip().encode("ascii", "xmlcharrefreplace")


def png_bytes(figure: Figure, dpi: int = 120) -> bytes:
    """Return a figure as the bytes of a PNG."""
    target = BytesIO()
    metadata: dict[str, Any] = {"Software": None}
    with style():
        figure.savefig(target, format="png", dpi=dpi, metadata=metadata)
    return target.getvalue()
