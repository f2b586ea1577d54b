"""Names: identifiers of C and Python, and nothing else."""

from __future__ import annotations

import pytest

from winograd.codegen.names import MAX_NAME_LENGTH, checked_name


@pytest.mark.parametrize("name", ["winograd", "f4x3", "F", "_f", "a" * MAX_NAME_LENGTH, "Class", "int8", "match"])
def test_identifiers_are_names(name: str) -> None:
    assert checked_name(name) == name
    assert name.isidentifier()


@pytest.mark.parametrize(
    "name",
    ["", " ", "f(){}; //", "4f", "a b", "a-b", "a.b", "a\n", "\na", "a\x00", "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
     "\N{GREEK SMALL LETTER ALPHA}", "\N{FULLWIDTH LATIN SMALL LETTER A}", "a/*b*/", "a\\", '"', "#define"],
)  # fmt: skip
def test_other_text_is_refused_in_one_ascii_line(name: str) -> None:
    with pytest.raises(ValueError, match="is no identifier") as caught:
        checked_name(name)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["class", "None", "lambda", "int", "volatile", "typeof", "static_assert", "for"])
def test_keywords_of_both_languages_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is a keyword"):
        checked_name(name)


@pytest.mark.parametrize("name", ["__f", "_F", "__func__", "_Bool", "_Static_assert"])
def test_names_reserved_in_c_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="reserved in C"):
        checked_name(name)


@pytest.mark.parametrize("length", [MAX_NAME_LENGTH + 1, 10_000])
def test_long_names_are_refused_without_repeating_them(length: int) -> None:
    with pytest.raises(ValueError, match=f"name of {length} characters, at most {MAX_NAME_LENGTH}") as caught:
        checked_name("a" * length)
    assert len(str(caught.value)) < 100


def test_only_text_is_a_name() -> None:
    with pytest.raises(TypeError, match="name is a bytes"):
        checked_name(b"winograd")  # type: ignore[arg-type]
