"""A description as one HTML page: tables, the network drawn, and its layers as bars.

In: a description. Out: the bytes of the page, the same for the same description. Refused, with the extra that helps:
machines without matplotlib.
"""

from __future__ import annotations

from winograd.accuracy.showing.html_report import heading, html_page, paragraph, picture
from winograd.networks.description.picture import picture_svg
from winograd.networks.description.plot import description_svg
from winograd.networks.description.record import Description
from winograd.networks.description.showing import headline, html_tables


def description_page(description: Description) -> bytes:
    """Return the page of a network, with all of its layers.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    first, *rest = headline(description)
    tables = html_tables(description)
    return html_page(
        f"The network {description.network}",
        [
            paragraph(first),
            *map(paragraph, rest),
            picture(picture_svg(description).encode("ascii"), "From the clip to the scores, pictures, time, channels."),
            *tables[:2],
            heading("Layer by layer"),
            picture(description_svg(description), "Multiplications, direct and by tiles, and memory."),
            tables[2],
        ],
    )
