"""Sphinx configuration. Builds offline; the notebooks are copied in and executed, once, by this build.

The gallery of the networks is written by it, too. With ``-j 2`` and more, notebooks are executed side by side.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import winograd

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported; notebooks run side by side

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from network_gallery import write_gallery  # noqa: E402

shutil.rmtree(HERE / "api", ignore_errors=True)  # or the page of a module that has moved stays
shutil.rmtree(HERE / "notebooks", ignore_errors=True)
shutil.copytree(HERE.parent / "notebooks", HERE / "notebooks", ignore=shutil.ignore_patterns(".*"))
shutil.rmtree(HERE / "networks", ignore_errors=True)
write_gallery(HERE / "networks")

project = "winograd"
author = "The winograd developers"
copyright = "2026, the winograd developers"  # noqa: A001, RUF100
version = release = winograd.__version__

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "py:obj"

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's Parameters say more
autodoc_member_order = "bysource"
autodoc_use_legacy_class_based = True  # Sphinx 9.0's new autodoc fails on type aliases once numpydoc is loaded
numpydoc_show_class_members = False

myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # seconds of a cell: ends what hangs, also on a machine with other work
nb_merge_streams = True
nb_render_markdown_format = "myst"  # explanations show themselves as Markdown with formulas

html_theme = "furo"
html_title = f"winograd {release}"
html_show_sourcelink = False

_LITERAL = re.compile(r"(``.*?``|`[^`]*`)")
_MARKUP = re.compile(r"\||(?<!\w)\*(?!\w+\*)|(?<=\w)_(?!\w)")  # but *word* stays emphasis


def escape_formulas(_app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Let ``|x|``, ``(N, C, *sizes)`` and ``convert_`` stand in a docstring's prose without being read as markup."""
    in_example = False
    for number, line in enumerate(lines):
        in_example = line.lstrip().startswith(">>>") or (in_example and bool(line.strip()))
        if not in_example:
            parts = _LITERAL.split(line)
            parts[::2] = [_MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
            lines[number] = "".join(parts)


def spread_notebooks(_app: Sphinx, _env: BuildEnvironment, docnames: list[str]) -> None:
    """Put pages between the notebooks: Sphinx gives each of its processes neighbours to read."""
    notebooks = [name for name in docnames if name.startswith("notebooks/")]
    pages = [name for name in docnames if name not in notebooks]
    between = len(pages) // max(len(notebooks), 1)
    for number, notebook in enumerate(notebooks):
        pages.insert(number * (between + 1), notebook)
    docnames[:] = pages


def show_one_branch(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Let the navigation beside a page open only the branch of that page: all modules beside each take minutes."""
    if "toctree" in context:
        whole = context["toctree"]
        context["toctree"] = lambda **options: whole(**{**options, "collapse": True})


def setup(app: Sphinx) -> None:
    """Escape before numpydoc takes a docstring apart, shorten before Furo draws; both are connected at priority 500."""
    app.connect("autodoc-process-docstring", escape_formulas, priority=400)
    app.connect("env-before-read-docs", spread_notebooks)
    app.connect("html-page-context", show_one_branch, priority=400)
