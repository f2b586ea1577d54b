"""Point sets of the literature and of well-known programs: what the catalogue is compared with.

Each lists rational points for one tile size; a set of n points gives every F(m, r) with m + r - 1 = n. Nothing is
computed here. Sets with irrational points stand with rational ones that are closer than float32 resolves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from winograd.algebra.moduli import parse_moduli


@dataclass(frozen=True, slots=True)
class PublishedSet:
    """Moduli that somebody published, linear ones (points) but for superlinear algorithms.

    Parameters
    ----------
    moduli : str
        In the grammar of `winograd.algebra.moduli`.
    source : str
        Where they come from.

    Examples
    --------
    >>> PublishedSet("x,x-1,x+1,inf", "A. Lavin and S. Gray, arXiv 1509.09308").tile
    4
    """

    moduli: str
    source: str

    @property
    def tile(self) -> int:
        """Number of inputs of the algorithms that it gives."""
        return sum(modulus.degree for modulus in parse_moduli(self.moduli))


def _at(points: str, source: str) -> PublishedSet:
    """Return the set of points such as "0,1/2,-1/2,inf"."""
    return PublishedSet(",".join(map(_linear, points.split(","))), source)


def _linear(point: str) -> str:
    if point in ("0", "inf"):
        return {"0": "x", "inf": "inf"}[point]
    return f"x+{point[1:]}" if point.startswith("-") else f"x-{point}"


_LAVIN_GRAY: Final = "A. Lavin and S. Gray, arXiv 1509.09308"
_WINCNN: Final = "wincnn, README and issues 5, 8, 22"
_BARABASZ: Final = "B. Barabasz et al., arXiv 1803.10986, 2D, as listed in TVM's winograd_util"
_NOVA: Final = "J. Lohia, arXiv 2512.18453"

PUBLISHED: Final = (
    _at("0,1,-1,inf", _LAVIN_GRAY),
    _at("0,1,-1,2,-2,inf", _LAVIN_GRAY),
    _at("0,-1,1,2,inf", _WINCNN),
    _at("0,1,-1,2,-2,1/2,-1/2,inf", _WINCNN),
    _at("0,1,-1,2,-2,1/2,-1/2,3,-3,inf", _WINCNN),
    _at("0,1,-1,2,-2,1/2,-1/2,4,-4,inf", _WINCNN),
    _at("0,1,-1,2,-2,1/2,-1/2,3/2,-3/2,inf", _WINCNN),
    _at("0,7/10,-7/10,3/2,-3/2,inf", "A. Lavin, neon issue 224"),
    _at("0,5/8,-5/8,3/2,-3/2,inf", "oneDNN, F(4,3)"),
    _at("0,577/816,-577/816,577/408,-577/408,inf", "ncnn, F(4,3) at +-sqrt(1/2), +-sqrt(2)"),
    _at("0,-1,1,1/2,inf", _BARABASZ),
    _at("0,-1,1,1/2,-2,inf", _BARABASZ),
    _at("0,-1,1,1/2,-2,-1/2,inf", _BARABASZ),
    _at("0,-1,1,1/2,-1/2,2,-2,-1/4,inf", _BARABASZ),
    _at("0,-1,1,1/2,-1/2,2,-2,-1/4,4,inf", _BARABASZ),
    _at("0,-1,1,1/2,-1/2,2,-2,-1/4,3/4,-4/3,inf", _BARABASZ),
    _at("0,-1,1,1/2,-1/2,2,-2,-1/4,4,3/4,-4/3,inf", _BARABASZ),
    _at("0,-1,1,1/2,-1/2,2,-2,-1/4,4,3/4,-4/3,1/4,inf", _BARABASZ),
    _at("0,-1,1,1/2,-1/2,2,-2,-1/4,4,1/4,-3/4,4/3,-4,inf", _BARABASZ),
    _at("0,-1,1,1/2,-1/2,2,-2,-1/4,4,1/4,-3/4,4/3,3/4,-4/3,inf", _BARABASZ),
    _at("0,-1,1,1/2,-1/2,2,-2,-1/4,4,1/4,-3/4,4/3,-4,3/4,-4/3,inf", _BARABASZ),
    _at("0,5/6,-5/6,7/6,-7/6,inf", _NOVA),
    _at("0,3/5,-3/5,1,-1,7/6,-7/6,inf", _NOVA),
    _at("0,2/5,-2/5,5/6,-5/6,1,-1,7/6,-7/6,inf", _NOVA),
    PublishedSet("x,x-1,x+1,x^2+1,inf", "B. Barabasz and D. Gregg, arXiv 1905.05233"),
)
"""All sets, those of a source together."""


def published_sets(tile: int) -> tuple[PublishedSet, ...]:
    """Return the published sets for one tile size.

    Examples
    --------
    >>> [one.moduli for one in published_sets(4)]
    ['x,x-1,x+1,inf']
    """
    return tuple(one for one in PUBLISHED if one.tile == tile)
