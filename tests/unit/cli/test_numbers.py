"""Numbers in options: what is read, and what is refused with the option's name."""

from __future__ import annotations

import pytest

from lab.cli.numbers import numbers, span, whole_number
from lab.errors import UsageError


def test_numbers_and_spans() -> None:
    assert whole_number("--seed", "017") == 17
    assert numbers("--keep", "5,2") == (5, 2)
    assert numbers("--keep", "none") == ()
    assert list(span("--seeds", "3")) == [1, 2, 3]
    assert list(span("--seeds", "41-42")) == [41, 42]


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "1234567890", "\u0663"])
def test_no_number(text: str) -> None:
    with pytest.raises(UsageError, match="--seed needs a whole number"):
        whole_number("--seed", text)
    with pytest.raises(UsageError, match="--keep needs"):
        numbers("--keep", f"1,{text}")


@pytest.mark.parametrize("text", ["0", "5-4"])
def test_an_empty_span(text: str) -> None:
    with pytest.raises(UsageError, match="no seed"):
        span("--seeds", text)


@pytest.mark.parametrize("text", ["", "-5", "5-", "a", "1-2-3"])
def test_no_span(text: str) -> None:
    with pytest.raises(UsageError, match=f"--seeds needs 200, or 41-60, not '{text}'"):
        span("--seeds", text)


def test_too_many() -> None:
    assert len(span("--seeds", "100000")) == 100_000
    with pytest.raises(UsageError, match="that is 100001"):
        span("--seeds", "100001")
