"""The outcome of many runs: it survives a file, and what was tampered with is refused."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from lab.explore import outcome
from lab.explore.outcome import Outcome, Row
from lab.explore.shards import Shard
from lab.model import ExitStatus

ROW = Row("hello", "hello (arm64)", "PASS", 0, "", 0.1, 1.5, "ab" * 32, "same", "hello/2026-1")
BAD = dataclasses.replace(ROW, name="other", lab="other", verdict="FAIL xen", exit_status=4)
FOUND = Outcome(("hello", "other"), (ROW, BAD), Shard(1, 2))


def test_it_survives_a_file() -> None:
    assert outcome.load(json.loads(json.dumps(outcome.dump(FOUND)))) == FOUND
    whole = dataclasses.replace(FOUND, shard=None)
    assert outcome.load(outcome.dump(whole)) == whole


@pytest.mark.parametrize(
    "change",
    [
        {"shard": "5/2"},
        {"asked": [1]},
        {"rows": [{}]},
        {"rows": None},
        *(
            {"rows": [outcome.dump(FOUND)["rows"][0] | wrong]}
            for wrong in (
                {"exit_status": 77},
                {"exit_status": "0"},
                {"run": "../etc/passwd"},
                {"run": "hello/.."},
                {"run": "/etc/passwd"},
                {"lab": None},
                {"watched": "1"},
            )
        ),
    ],
)
def test_what_is_no_outcome(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        outcome.load(outcome.dump(FOUND) | change)


@pytest.mark.parametrize("found", [None, [], "x", {}, 7])
def test_what_is_something_else(found: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        outcome.load(found)


def test_the_worst_status_decides() -> None:
    assert (FOUND.passed, FOUND.exit_status) == (1, 4)
    assert outcome.worst([]) == 0
    assert outcome.worst([0, 1]) == 1
    assert outcome.worst([5, 1, 4]) == 4
    assert outcome.worst(list(ExitStatus)) == 2


def test_digests_are_compared_lab_by_lab() -> None:
    """The same name on another architecture is another lab; a run without a digest says nothing."""
    other = dataclasses.replace(ROW, digest="cd" * 32)
    none = dataclasses.replace(ROW, digest="")
    arm32 = dataclasses.replace(other, lab="hello")
    killed = dataclasses.replace(other, exit_status=3)
    assert outcome.differing([ROW, none, arm32, killed, ROW]) == []
    assert outcome.differing([none, ROW, other]) == [(ROW, other)]


def test_the_table() -> None:
    text = outcome.markdown([dataclasses.replace(ROW, lab="a|b")])
    assert text.splitlines()[2] == "| a/b | PASS | 0.1 s | abababababab | same | hello/2026-1 |"
