"""What a conversion says aloud, beside its report, when less came of it than was asked for.

In: the report. Out: sentences for warnings, none where all went well.
"""

from __future__ import annotations

from collections.abc import Iterator

from winograd.nn.report import ConversionReport


def warning_texts(report: ConversionReport, *, any_asked: bool) -> Iterator[str]:
    """Yield what a user should know of a conversion that asked for some layers, or for none."""
    if not any_asked and report.converted:
        yield (
            f"nothing was converted now; layers converted before ({report.converted}) stay as they are, and revert_ "
            "turns them back"
        )
    elif not any_asked:
        yield "no convolution was converted; the report says why"
    budget = report.budget
    if budget is not None and (budget.reason or not budget.is_met):
        state = "met without its margin" if budget.is_met else "not met"
        error = f"the output is off by {budget.measured_error:.1e}"
        yield "; ".join(
            filter(None, (f"output_tolerance {budget.output_tolerance:g} is {state}: {error}", budget.reason))
        )
