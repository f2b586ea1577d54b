"""Figures show the figures they are given: what is in their lines, images and bars."""

from __future__ import annotations

import numpy as np
import pytest

from winograd.accuracy.showing.pareto import FrontRow
from winograd.accuracy.showing.plots.fronts import draw_front
from winograd.accuracy.showing.plots.histograms import draw_histogram, mixture_density
from winograd.accuracy.showing.plots.places import draw_places
from winograd.accuracy.showing.plots.tiles import Source, TileSeries, draw_error_by_tile
from winograd.accuracy.showing.plots.valleys import draw_valley

SIZES, ERRORS = (2, 4, 6), (2e-8, 6e-8, 1e-7)
INTERVALS = tuple((0.9 * error, 1.1 * error) for error in ERRORS)


def test_error_by_tile_draws_every_series_where_it_lies() -> None:
    series = [
        TileSeries("1D", SIZES, ERRORS, INTERVALS, family="1D"),
        TileSeries("1D, predicted", SIZES, tuple(2 * error for error in ERRORS), source=Source.PREDICTED, family="1D"),
        TileSeries("published", (4,), (5e-8,), source=Source.PUBLISHED),
    ]
    [axes] = draw_error_by_tile(series, error="mean |error|", title="float32").axes
    assert axes.get_ylabel() == "mean |error|"
    assert axes.get_title(loc="left") == "float32"
    assert axes.get_yscale() == "log"
    drawn = {line.get_label(): line for line in axes.lines}
    for one in series:
        assert tuple(drawn[one.label].get_xdata()) == one.sizes
        assert tuple(drawn[one.label].get_ydata()) == one.errors
    assert drawn["1D"].get_color() == drawn["1D, predicted"].get_color()
    [bars] = axes.collections
    assert [(low, high) for (_, low), (_, high) in bars.get_segments()] == list(INTERVALS)


def test_columns_of_a_series_are_of_one_length() -> None:
    with pytest.raises(ValueError, match="1 errors and 0 intervals for 2 sizes"):
        TileSeries("a", (2, 3), (1e-7,))
    with pytest.raises(ValueError, match="2 errors and 1 intervals for 2 sizes"):
        TileSeries("a", (2, 3), (1e-7, 1e-7), ((0, 1),))


def test_no_series_make_an_empty_picture() -> None:
    assert draw_error_by_tile([], error="mean |error|").axes[0].lines[:] == []
    assert draw_front({}, error="relative L2").axes[0].lines[:] == []


def test_the_valley_has_its_lines_and_marks_the_least() -> None:
    values, predicted, kappas = [0.5, 0.6, 0.7], [3e-7, 2e-7, 2.5e-7], [5.0, 4.8, 4.7]
    measured = [(0.6, 2.1e-7, (2.0e-7, 2.2e-7))]
    top, bottom = draw_valley(values, predicted, kappas, measured, error="rms", point="a", title="F(4,3)").axes
    lines = {line.get_label(): line for line in (*top.lines, *bottom.lines)}
    assert list(lines["predicted"].get_ydata()) == predicted
    assert list(lines["measured, with 95 % interval"].get_ydata()) == [2.1e-7]
    assert list(lines["kappa of one axis"].get_ydata()) == kappas
    assert [axes.texts[0].get_text() for axes in (top, bottom)] == ["least: 2e-07 at 0.6", "least: 4.7 at 0.7"]
    assert bottom.get_xlabel() == "value of the point a"


@pytest.mark.parametrize(("values", "kappas"), [([], []), ([0.5], [1.0, 2.0])])
def test_a_valley_needs_columns_of_one_length(values: list[float], kappas: list[float]) -> None:
    with pytest.raises(ValueError, match="must be as many of each"):
        draw_valley(values, values, kappas, error="rms")


def test_the_front_joins_what_is_not_dominated() -> None:
    rows = [FrontRow("F(4,3)", 3.375, 1.6e-6), FrontRow("F(2,3)", 8.0, 3.4e-7), FrontRow("worse", 8.0, 1e-6)]
    [axes] = draw_front({"ours": rows, "published": rows[:1]}, error="relative L2").axes
    dominated, front, _, published = axes.lines
    assert [*zip(front.get_xdata(), front.get_ydata(), strict=True)] == [(3.375, 1.6e-6), (8.0, 3.4e-7)]
    assert [*zip(dominated.get_xdata(), dominated.get_ydata(), strict=True)] == [(8.0, 1e-6)]
    assert [*zip(published.get_xdata(), published.get_ydata(), strict=True)] == [(3.375, 1.6e-6)]
    assert [text.get_text() for text in axes.texts] == ["F(4,3)", "F(2,3)", "F(4,3)"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ours", "published"]


def test_the_histogram_counts_every_error_once() -> None:
    errors = np.random.default_rng(0).normal(size=(500, 2, 2))
    left, right = draw_histogram(errors, np.ones((2, 2)), [(0.5, 1.0), (0.9, 2.0)], title="title").axes
    counts, edges, _ = left.patches[0].get_data()
    assert np.all(np.abs(errors) < edges[-1])
    assert np.isclose((counts * np.diff(edges)).sum(), 1)
    tail, quantiles = right.lines
    largest = np.abs(errors).max(axis=(1, 2))
    assert np.array_equal(tail.get_xdata(), np.sort(largest))
    assert np.allclose(tail.get_ydata(), [(largest >= value).mean() for value in np.sort(largest)])
    assert [*zip(quantiles.get_xdata(), quantiles.get_ydata(), strict=True)] == [(1.0, 0.5), (2.0, pytest.approx(0.1))]
    [density] = left.lines
    assert np.array_equal(density.get_ydata(), mixture_density(density.get_xdata(), np.ones((2, 2))))


def test_the_density_of_outputs_that_are_not_exact_integrates_to_their_share() -> None:
    at = np.linspace(-30, 30, 6001)
    # The trapezoidal rule with step 0.01 has converged beyond 1e-9 for normal densities of this width.
    share = float(mixture_density(at, np.array([1.0, 2.0, 0.0, 3.0])).sum() * (at[1] - at[0]))
    assert share == pytest.approx(0.75, abs=1e-9)


def test_exact_results_have_a_histogram_too() -> None:
    left, right = draw_histogram(np.zeros((10, 4)), np.zeros(4)).axes
    assert left.patches[0].get_data().values.max() > 0
    assert right.lines[0].get_xdata().tolist() == [0.0] * 10


@pytest.mark.parametrize("errors", [np.zeros((0, 4)), np.array([[1.0, np.nan]]), np.array([[np.inf]])])
def test_errors_that_cannot_be_drawn_are_refused(errors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be at least one, all finite"):
        draw_histogram(errors)


def test_a_prediction_of_another_tile_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rms_by_output of shape \(3,\), must be \(4,\) like a tile"):
        draw_histogram(np.zeros((10, 4)), np.zeros(3))
    with pytest.raises(ValueError, match=r"predicted of shape \(3,\), must be \(4,\) like measured"):
        draw_places(np.zeros(4), np.zeros(3))


def test_places_of_one_axis_are_lines() -> None:
    measured, predicted = np.array([1.0, 2.0, 3.0]), np.array([1.1, 2.1, 3.1])
    [axes] = draw_places(measured, predicted).axes
    assert {line.get_label(): line.get_ydata().tolist() for line in axes.lines} == {
        "measured": measured.tolist(),
        "predicted": predicted.tolist(),
    }


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (1, 1), (8, 8)])
def test_places_of_more_axes_are_images_on_one_scale(shape: tuple[int, ...]) -> None:
    measured = 1e-7 * (1.0 + np.arange(np.prod(shape)).reshape(shape))
    figure = draw_places(measured, 2 * measured)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    slices = [image for stack in (measured, 2 * measured) for image in stack.reshape(-1, *shape[-2:])]
    unit = float(figure.axes[-1].get_ylabel().partition(" / ")[2])
    for image, wanted in zip(images, slices, strict=True):
        assert np.allclose(image.get_array() * unit, wanted, rtol=1e-12, atol=0)
        assert image.get_clim() == (0.0, pytest.approx(2 * measured.max() / unit, rel=1e-12))
    written = [float(text.get_text()) for axes in figure.axes for text in axes.texts]
    shown = [value / unit for image in slices for value in image.ravel()] if max(shape) <= 6 else []
    assert np.allclose(written, shown, atol=0.0501)


def test_four_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="must have one to three axes"):
        draw_places(np.zeros((1, 1, 1, 1)))


def test_an_exact_algorithm_is_drawn() -> None:
    assert draw_places(np.zeros((2, 2)), np.zeros((2, 2))).axes
