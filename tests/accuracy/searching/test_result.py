"""A search's result: one line, a short escaped table, JSON, and a digest that is the same everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from winograd import search_points
from winograd.accuracy.searching.json_report import as_json
from winograd.accuracy.searching.result import SearchResult

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def result() -> SearchResult:
    return search_points(2, 3, budget=40, objective="model", norm="relative_l2")


def test_repr_is_one_line_and_names_the_conditions(result: SearchResult) -> None:
    assert repr(result).startswith("<SearchResult F(2,3) in 1D, float32: best <0,1,-1,inf")
    assert repr(result).endswith("40 evaluated, 16 measured, seed 0>")
    assert "\n" not in repr(result)


def test_the_table_has_one_row_for_each_candidate(result: SearchResult) -> None:
    header, *rows = result.table
    assert len(rows) == len(result.ranking)
    assert {len(row) for row in rows} == {len(header)}
    assert "relative_l2" in header
    assert result._repr_html_().count("<tr>") == 1 + len(rows)


def test_ten_thousand_candidates_are_shown_short(result: SearchResult) -> None:
    many = replace(result, ranking=result.ranking * 1000)
    shown = many._repr_html_(), repr(many)
    assert len(shown[0]) < 20_000
    assert len(shown[1]) < 400


def test_html_is_escaped(result: SearchResult) -> None:
    assert "<SearchResult" not in result._repr_html_()
    assert "&lt;SearchResult" in result._repr_html_()


def test_json_says_what_was_searched_and_found(result: SearchResult) -> None:
    content = json.loads(as_json(result))
    assert content["task"]["rank"] == 4
    assert content["task"]["objective"] == "model"
    assert content["ranking"][0]["points"] == ["0", "1", "-1", "inf"]
    assert len(content["ranking"]) == len(result.ranking)
    best = result.ranking[0].report
    assert best is not None
    assert content["ranking"][0]["relative_l2"] == best.relative_l2
    assert content["ranking"][0]["relative_l2_interval"] == list(best.relative_l2_interval)


def test_candidates_that_were_not_measured_are_shown(result: SearchResult) -> None:
    bare = replace(result.ranking[0], report=None, operations=None, predicted=None)
    partial = replace(result, ranking=(bare,), interrupted=True)
    assert "not measured" in repr(partial)
    assert "not measured" in partial._repr_html_()
    assert json.loads(as_json(partial))["ranking"][0]["operations"] is None
    assert partial.digest != result.digest


def test_the_digest_is_the_same_in_another_process(result: SearchResult) -> None:
    program = (
        "from winograd import search_points;"
        "print(search_points(2, 3, budget=40, objective='model', norm='relative_l2').digest)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT, text=True)
    assert ran.stdout.strip() == result.digest


def test_whatever_differs_changes_the_digest(result: SearchResult) -> None:
    others = [
        replace(result, evaluated=39),
        replace(result, ranking=result.ranking[1:]),
        replace(result, task=replace(result.task, seed=1)),
        replace(result, interrupted=True),
    ]
    assert len({result.digest, *(other.digest for other in others)}) == 5
