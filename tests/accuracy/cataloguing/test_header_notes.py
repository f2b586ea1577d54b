"""Notes for the header of a file: the model's figures for the code's dtype, the catalogue's for the algorithm."""

from __future__ import annotations

import pytest

from winograd.accuracy.catalogue import best, catalogue
from winograd.accuracy.cataloguing.header_notes import catalogued, predicted
from winograd.accuracy.model import predict_error, predict_relative_l2
from winograd.accuracy.protocol import Experiment
from winograd.algebra.nesting import as_nested, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.header import checked_notes
from winograd.codegen.interpret import Contraction
from winograd.codegen.lower import Lowering, SumOrder

NESTED = nest(toom_cook(2, 3), toom_cook(4, 3))
INTEGERS = nest(*[toom_cook(4, 3, "0,1,-1,2,-2,inf")] * 2)


def sentence(dtype: str, lowering: Lowering, target: str = "c") -> str:
    notes, warning = predicted(NESTED, target, dtype, lowering)
    assert warning is None
    assert checked_notes(notes) == tuple(notes)
    return " ".join(notes)


@pytest.mark.parametrize("dtype", ["", "float32"])
def test_float32_is_what_the_model_says(dtype: str) -> None:
    one, many = (predict_relative_l2(NESTED, channels=channels) for channels in (1, 64))
    assert f": {one:.1e} with 1 channel, {many:.1e} with 64 channels." in sentence(dtype, Lowering())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bits_are_for_what_is_stored(dtype: str) -> None:
    text = sentence(dtype, Lowering())
    experiment = Experiment(
        "x",
        contraction=Contraction.FUSED,
        filter_rounding="once",
        interface=dtype,  # type: ignore[arg-type]
    )
    figure = predict_error(NESTED, "float32", experiment).relative_l2
    assert f"in {dtype} for" in text
    assert "float32 with fused multiply-add" in text
    assert f": {figure:.1e} with 1 channel" in text


def test_float64_transforms_filters_like_everything_else() -> None:
    text = sentence("float64", Lowering())
    figure = predict_error(NESTED, "float64", Experiment("x", contraction=Contraction.FUSED)).relative_l2
    assert f"(everything with fused multiply-add): {figure:.1e} with 1 channel" in text


def test_other_programs_than_the_models_are_marked() -> None:
    assert "about" not in sentence("", Lowering())
    assert "about" in sentence("", Lowering(SumOrder.HUFFMAN))
    text = sentence("", Lowering(fma=False))
    assert "everything else without fused multiply-add): about " in text
    assert predicted(NESTED, "c", "", Lowering(transposed=True)) == ([], None)


def test_other_targets_say_whose_figures_they_are() -> None:
    assert "of this algorithm in C" not in sentence("", Lowering())
    assert "of this algorithm in C, in float32 for" in sentence("", Lowering(), "json")


@pytest.mark.parametrize(("dtype", "is_useless"), [("float32", True), ("float64", False)])
def test_a_useless_result_is_warned_of_in_its_dtype(dtype: str, is_useless: bool) -> None:
    notes, warning = predicted(nest(toom_cook(2, 3, "0,1000000,-1000000,inf")), "c", dtype)
    assert len(notes) >= 1
    assert (warning is not None) == is_useless
    assert not is_useless or f"is useless in {dtype} at these points" in str(warning)


@pytest.mark.filterwarnings("ignore:.* has a predicted relative L2 error")
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_the_best_algorithm_has_its_own_figures(ndim: int, dtype: str) -> None:
    for m, products in ((4, 7), (6, 8)):
        row = catalogue().row(m, 3, products)
        notes = catalogued(as_nested(best(m, 3, ndim, dtype, products)))
        assert checked_notes(notes) == tuple(notes)
        assert notes[0] == f"Catalogue ({row.source}), this {row.label}: {row.construction}"
        assert f"{dtype} {row.error(ndim, dtype):.1e}" in notes[2]
        shown = {other for other in ("float32", "float16", "bfloat16") if f" {other} " in notes[2]}
        assert {row.is_scaled(ndim, other) for other in shown} == {row.is_scaled(ndim, dtype)}


def test_another_algorithm_is_held_against_the_best() -> None:
    row = catalogue().row(4, 3)
    notes = catalogued(INTEGERS)
    assert notes[0] == f"Catalogue ({row.source}), its best {row.label}: {row.construction}"
    assert all(f"{dtype} {row.error(2, dtype):.1e}" in notes[2] for dtype in ("float32", "float16", "bfloat16"))


def test_no_row_is_no_note() -> None:
    assert catalogued(NESTED) == []  # its axes differ
    assert catalogued(nest(toom_cook(20, 3))) == []
    assert catalogued(nest(toom_cook(1, 3))) == []
