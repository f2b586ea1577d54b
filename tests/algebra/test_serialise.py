"""JSON: what goes out comes back, what was changed on the way is refused, and text is never evaluated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import algorithms, nested_algorithms
from winograd.algebra import serialise
from winograd.algebra.bilinear import BilinearAlgorithm, ProofError
from winograd.algebra.crt import crt
from winograd.algebra.expressions import MAX_NUMBER_LENGTH
from winograd.algebra.fourier import gauss_fft, regular_fft, symbolic_fourier
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.points import INFINITY
from winograd.algebra.residues import ComplexProduct, SchoolbookProduct
from winograd.algebra.serialise import from_json, to_json
from winograd.algebra.toom_cook import toom_cook

F43 = toom_cook(4, 3)
RECORDED = [
    crt(4, 3, "x,x-1,x+1,x^2+1,inf"),
    crt(4, 3, "x,x-1,x+1,x^2+1,inf", products=[None, None, None, [1, -1, INFINITY], None]),
    crt(4, 3, "x^2,x-1/3,x^2+1,inf", products=["schoolbook", None, ComplexProduct(SchoolbookProduct()), None]),
    crt(2, 3, "x^4+1", products=[toom_cook(2, 3)]),
    crt(4, 4, "x-1,x^2+1,x^2-x+1,inf^2", products=[None, ComplexProduct(), None, None]),
    symbolic_fourier(6, 3),
]


def record(algorithm: BilinearAlgorithm) -> tuple[Any, ...]:
    return algorithm.points, algorithm.moduli, algorithm.products


@given(algorithms())
def test_algorithms_come_back(algorithm: BilinearAlgorithm) -> None:
    text = to_json(algorithm)
    read = from_json(text)
    assert isinstance(read, BilinearAlgorithm)
    assert read == algorithm
    assert read.digest == algorithm.digest
    assert record(read) == record(algorithm)
    assert to_json(read) == text


@settings(max_examples=25)
@given(nested_algorithms())
def test_nests_come_back(nested: NestedAlgorithm) -> None:
    read = from_json(to_json(nested))
    assert isinstance(read, NestedAlgorithm)
    assert read == nested
    assert [axis.points for axis in read.axes] == [axis.points for axis in nested.axes]


@pytest.mark.parametrize("algorithm", RECORDED, ids=repr)
def test_moduli_and_products_come_back(algorithm: BilinearAlgorithm) -> None:
    text = to_json(algorithm)
    read = from_json(text)
    assert isinstance(read, BilinearAlgorithm)
    assert read == algorithm
    assert record(read) == record(algorithm)
    assert to_json(read) == text


A, B = sympy.symbols("a b")
ROOT, THIRD = sympy.sqrt(2), sympy.Rational(1, 3)
X = sympy.Symbol("x")
IRRATIONAL: list[Callable[[], BilinearAlgorithm]] = [
    *(partial(fft, tile - 2, 3) for tile in (3, 4, 5, 6, 8, 10, 12) for fft in (regular_fft, gauss_fft)),
    partial(gauss_fft, 5, 3),
    partial(regular_fft, 7, 3),
    lambda: toom_cook(4, 3, [0, A, -A, B, -B, INFINITY]),
    lambda: toom_cook(2, 2, [0, ROOT * A, -A]),
    lambda: toom_cook(4, 3, [0, ROOT, -ROOT, sympy.sqrt(5), -sympy.sqrt(3), INFINITY]),
    lambda: toom_cook(2, 3, [0, 1, sympy.I, -sympy.I / 3]),
    lambda: toom_cook(2, 2, [0, 2**THIRD, -1]),
    lambda: crt(2, 2, [X, X**2 - ROOT]),
    lambda: crt(2, 2, [sympy.Poly(X**3 + A, X)], products=[[0, 1, 2 * A]]),
]


@pytest.mark.parametrize("make", IRRATIONAL)
def test_algebraic_and_symbolic_algorithms_come_back(make: Callable[[], BilinearAlgorithm]) -> None:
    algorithm = make()
    text = to_json(algorithm)
    read = from_json(text)
    assert isinstance(read, BilinearAlgorithm)
    assert read == algorithm
    assert record(read) == record(algorithm)
    assert to_json(read) == text


@pytest.mark.parametrize("algorithm", [gauss_fft(3, 3), toom_cook(2, 2, [0, A, -A])], ids=repr)
@pytest.mark.parametrize("other", [["^", "7", "1/2"], ["symbol", "b"], "I", "5/7"], ids=str)
def test_every_changed_irrational_entry_is_refused(algorithm: BilinearAlgorithm, other: object) -> None:
    content = json.loads(to_json(algorithm))
    matrix = content["axis"]["g"]
    lists = [(row, j) for row in matrix for j, entry in enumerate(row) if isinstance(entry, list)]
    assert lists
    row, j = lists[0]
    row[j] = other
    with pytest.raises(ProofError, match=r"^axis: F\(.,.\): sum_t at\[.,t\] g\[t,.\] bt\[t,.\] is .*\(deviation"):
        from_json(json.dumps(content))


def roots(*numbers: int) -> list[Any]:
    return ["+", *(["^", str(number), "1/2"] for number in numbers)]


def deep(levels: int) -> list[Any]:
    return ["+", deep(levels - 1) if levels else "2", "1"]


BASE = ["+", "1", ["symbol", "a"]]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (["exp", "1"], r'^axis.g\[0\]\[0\] is \["exp", "1"\], must be text "p" or "p/q" .* or a list headed by'),
        (["+", "1", ["sqrt", "2"]], r'^axis.g\[0\]\[0\]\[2\] is \["sqrt", "2"\], must be'),
        ([["+"], "1", "1"], "must be text"),
        ([], "must be text"),
        (["+", "1"], "must be text"),
        (["^", "2", ["symbol", "a"]], r"\[0\]\[2\] is .*, must be text"),
        (["^", "2", "65"], "at most 64/8 in size is allowed there"),
        (["^", "2", "1/17"], "at most 64/8 in size is allowed there"),
        (["^", "0", "-1"], "is not finite"),
        (["^", ["^", ["symbol", "a"], "64"], "2"], "has the exponent 128, at most 64/8 is allowed"),
        (["^", ["^", "2", "64"], "64"], r"is a number of more than 1024 digits$"),
        (["^", BASE, "64"], "has more than 1024 terms when it is multiplied out"),
        (["^", "1" + "0" * 65, "1/2"], "is a root of a number of more than 64 digits"),
        (["cos", "1/129"], "at most 128/128 in size is allowed there"),
        (["sin", ["symbol", "a"]], r"\[0\]\[1\] is .*, must be text"),
        (["symbol", "__import__('os')"], r"must be a letter or _ and at most 31 letters"),
        (["symbol", "a" * 33], "must be a letter or _"),
        (["symbol", ["a"]], "must be a letter or _"),
        (["symbol", "ä"], "must be a letter or _"),
        (deep(30), "is too large, at most 2048 parts nested 24 deep are allowed"),
        (["+", *["1"] * 2048], "is too large, at most 2048 parts"),
        (roots(*range(1, 18)), "has more than 16 distinct roots, sines and cosines"),
        (roots(2, 3, 5, 7), "^axis has 4 distinct irrational numbers, at most 3 are allowed$"),
        (["^", "2", "1/5"], None),
        (["+", ["^", "2", "1/8"], ["cos", "1/7"]], "irrational numbers of degree 48, at most 20 is allowed"),
        (["+", *(["symbol", f"a{k}"] for k in range(7))], "^axis has 7 symbols, at most 6 are allowed$"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_expressions_outside_the_grammar_and_the_limits_are_refused(expression: object, message: str | None) -> None:
    content = json.loads(to_json(toom_cook(1, 1)))
    content["axis"]["g"] = [[expression]]
    with pytest.raises(ValueError, match=message or "") as caught:
        from_json(json.dumps(content))
    assert isinstance(caught.value, ProofError) == (message is None)  # allowed, and only the law refuses it
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (sympy.pi, "holds pi, which has no form in JSON"),
        (sympy.exp(sympy.I * sympy.pi / 3), r"holds exp\(I\*pi/3\), which has no form in JSON"),
        (sympy.Symbol("a", positive=True), "holds a, which would be read as another expression"),
        (sympy.Symbol("a b"), "must be a letter or _ .* could not be read again"),
        (A**65, "at most 64/8 in size is allowed there; it could not be read again"),
    ],
    ids=str,
)
def test_what_could_not_be_read_again_is_not_written(number: sympy.Expr, message: str) -> None:
    with pytest.raises(NotImplementedError, match=message):
        to_json(BilinearAlgorithm(m=1, r=1, at=[[number]], g=[[1 / number]], bt=[[1]]))


@pytest.mark.parametrize("algorithm", RECORDED[:-1], ids=repr)
def test_the_record_is_enough_to_make_the_algorithm_again(algorithm: BilinearAlgorithm) -> None:
    read = from_json(to_json(algorithm))
    assert isinstance(read, BilinearAlgorithm)
    assert crt(read.m, read.r, read.moduli, read.products) == algorithm


@pytest.mark.parametrize("size", [(3, 30), (16, 17), (2, 63)])
def test_large_tiles_come_back(size: tuple[int, int]) -> None:
    algorithm = toom_cook(*size)
    assert from_json(to_json(algorithm)) == algorithm


@given(st.sampled_from([F43, *RECORDED]), st.data())
def test_every_changed_coefficient_is_refused(algorithm: BilinearAlgorithm, data: st.DataObject) -> None:
    content = json.loads(to_json(nest(toom_cook(1, 2), algorithm)))
    matrix = content["axes"][1][data.draw(st.sampled_from(["at", "g", "bt"]))]
    places = [(i, j) for i, row in enumerate(matrix) for j, entry in enumerate(row) if entry != "0"]
    i, j = data.draw(st.sampled_from(places))
    matrix[i][j] = data.draw(st.sampled_from(["0", "7/1000003", "-" + matrix[i][j].lstrip("-") + "1"]))
    with pytest.raises(ProofError, match=r"^axes\[1\]: F\(.,.\): sum_t at\[.,t\] g\[t,.\] bt\[t,.\] is .*\(deviation"):
        from_json(json.dumps(content))


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    content = json.loads(to_json(RECORDED[0]))
    content["axis"]["points"] = ["0", "inf"]
    change(content)
    return json.dumps(content)


DEEP = '{"format":"winograd algorithm","version":1,"axis":' + "[" * 500_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "text is no JSON"),
        ("{", "text is no JSON"),
        (DEEP, "nested too deeply"),
        ("9" * 5000, "text is no JSON"),
        ('{"format":1,"format":2}', "an object lists a key twice"),
        ("[]", "JSON is no algorithm"),
        ("null", "JSON is no algorithm"),
        ("{}", "JSON is no algorithm"),
        (changed(lambda c: c.update(format="other")), "JSON is no algorithm"),
        (changed(lambda c: c.update(version=2)), "^version is 2, only 1 can be read$"),
        (changed(lambda c: c.update(version=True)), "^version is true, only 1 can be read$"),
        (changed(lambda c: c.update(version="1")), '^version is "1", only 1 can be read$'),
        (changed(lambda c: c.pop("version")), "^version is null, only 1 can be read$"),
        (changed(lambda c: c.update(extra=1)), 'algorithm has the unknown key "extra"'),
        (changed(lambda c: c.update(axes=[])), r"algorithm has the unknown key"),
        (changed(lambda c: c.pop("axis")), "algorithm lacks axis"),
        (changed(lambda c: c.update(axis=[])), r"^axis is \[\], must be an object$"),
        (changed(lambda c: c["axis"].pop("bt")), "axis lacks bt"),
        (changed(lambda c: c["axis"].update(at_=1)), 'axis has the unknown key "at_"'),
        (changed(lambda c: c["axis"].update(m="4")), r'^axis.m is "4", must be an integer$'),
        (changed(lambda c: c["axis"].update(m=True)), "axis.m is true, must be an integer"),
        (changed(lambda c: c["axis"].update(m=4.0)), "axis.m is 4.0, must be an integer"),
        (changed(lambda c: c["axis"].update(m=0)), "m is 0, must be at least 1"),
        (changed(lambda c: c["axis"].update(m=10**9)), "at most 64 is allowed"),
        (changed(lambda c: c["axis"].update(m=3)), r"^axis: .*shape \(4, 7\); F\(3,3\)"),
        (changed(lambda c: c["axis"].update(at=[])), "axis.at must be a list of rows of one length"),
        (changed(lambda c: c["axis"].update(at={})), r"axis.at is \{\}, must be a list"),
        (changed(lambda c: c["axis"]["at"][1].pop()), "axis.at must be a list of rows of one length"),
        (changed(lambda c: c["axis"]["at"].pop()), r"at of shape \(3, 7\); F\(4,3\) of rank 7 needs \(4, 7\)"),
        (changed(lambda c: c["axis"]["g"].__setitem__(0, "1")), r'axis.g\[0\] is "1", must be a list'),
        (changed(lambda c: c["axis"].update(points="0,1")), 'axis.points is "0,1", must be a list'),
        (changed(lambda c: c["axis"]["points"].append("x")), r"axis.points\[2\] is"),
        (changed(lambda c: c["axis"]["moduli"].append({"infinity": 0})), r"axis.moduli\[5\].infinity is 0, must be"),
        (changed(lambda c: c["axis"]["moduli"].append({"infinity": True})), r"axis.moduli\[5\].infinity is true"),
        (changed(lambda c: c["axis"]["moduli"].append({"polynomial": ["1"]})), "must end with 1"),
        (changed(lambda c: c["axis"]["moduli"].append({"polynomial": ["1", "2"]})), "must end with 1"),
        (changed(lambda c: c["axis"]["moduli"].append("x")), r"axis.moduli\[5\] is \"x\", must be an object"),
        (changed(lambda c: c["axis"]["products"].append("schoolbook")), "must be an object with one key"),
        (changed(lambda c: c["axis"]["products"].append({"fast": []})), "must be one of"),
        (changed(lambda c: c["axis"]["products"].append({"schoolbook": 1})), "must be one of"),
        (changed(lambda c: c["axis"]["products"].append({"complex": {"complex": {}}})), "must be"),
        (changed(lambda c: c["axis"]["products"].append({"given": {}})), r"axis.products\[5\].given lacks m"),
    ],
    ids=lambda text: text[:24],
)
def test_what_is_no_algorithm_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        from_json(text)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "number",
    [
        1,
        1.0,
        None,
        True,
        ["1"],
        "",
        " 1",
        "+1",
        "01",
        "1/0",
        "1/-2",
        "1/2/3",
        "1.0",
        "1e5",
        "1e10000000",
        "nan",
        "inf",
        "x",
        "sqrt(2)",
        "١",  # noqa: RUF001
        "1\n",
        "__import__('os').system('touch evaluated')",
        "9" * (MAX_NUMBER_LENGTH + 1),
    ],
    ids=lambda number: str(number)[:16],
)
def test_what_is_no_number_is_refused_and_never_evaluated(
    number: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = json.loads(to_json(F43))
    content["axis"]["g"][1][2] = number
    with pytest.raises(ValueError, match=r'^axis\.g\[1\]\[2\] is .*, must be text "p" or "p/q"'):
        from_json(json.dumps(content))
    assert not list(tmp_path.iterdir())


def test_text_that_is_too_long_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = to_json(F43)
    monkeypatch.setattr(serialise, "MAX_TEXT_LENGTH", len(text))
    assert from_json(text) == F43
    with pytest.raises(ValueError, match=rf"^JSON of {len(text) + 1} characters, at most {len(text)} are allowed$"):
        from_json(text + " ")


def test_what_is_no_text_or_no_algorithm_is_refused() -> None:
    with pytest.raises(TypeError, match="text is a bytes, must be a str"):
        from_json(to_json(F43).encode())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="algorithm is a str, must be a BilinearAlgorithm or a NestedAlgorithm"):
        to_json("F(4,3)")  # type: ignore[arg-type]


def test_numbers_that_are_too_long_are_not_written() -> None:
    huge = sympy.Integer(10) ** MAX_NUMBER_LENGTH
    with pytest.raises(NotImplementedError, match="a number of 1025 characters, at most 1024 can be read"):
        to_json(BilinearAlgorithm(m=1, r=1, at=[[huge]], g=[[1 / huge]], bt=[[1]]))


def test_the_bytes_are_the_same_in_every_process() -> None:
    program = (
        "from winograd.algebra import crt, fourier, serialise, toom_cook\n"
        "print(serialise.to_json(toom_cook.toom_cook(4, 3)))\n"
        "print(serialise.to_json(crt.crt(4, 3, 'x,x-1,x+1,x^2+1,inf')))\n"
        "print(serialise.to_json(fourier.gauss_fft(3, 3)))"
    )
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        assert run.stdout.decode("ascii").splitlines() == [
            to_json(algorithm) for algorithm in (F43, RECORDED[0], gauss_fft(3, 3))
        ]
