"""The tasks of the project itself."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab import install
from lab.cli import checks
from lab.util import process

ROW = {"row": "a fault", "wanted": 3, "done": 3, "held": 3, "failed": [], "skipped": "",
       "seconds": 1.5}  # fmt: skip
BAD = ROW | {"row": "another", "held": 1, "failed": ["time 0: it\nfell over", "time 2: again"]}
#: What the task is beneath its wrapping for Invoke.
run_faults = inspect.unwrap(checks.run_faults.body)


@pytest.mark.parametrize(
    ("rows", "status"),
    [([ROW], 0), ([ROW, BAD], 1), ([], 1), ([ROW | {"done": 2, "held": 2}], 1),
     ([ROW | {"done": 0, "held": 0, "skipped": "only root can"}], 0)],
)  # fmt: skip
def test_the_fault_table_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    rows: list[dict[str, Any]], status: int,
) -> None:  # fmt: skip
    """The status is 0 if everything held; 1 after a failure, a row that was cut off, or no row
    at all."""

    def attend(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> int:
        assert "-k" in argv
        assert env["LAB_FAULTS"] == "full"
        for number, row in enumerate(rows):
            Path(env["LAB_FAULT_RESULTS"], f"{number}.json").write_text(json.dumps(row))
            os.utime(Path(env["LAB_FAULT_RESULTS"], f"{number}.json"), (number, number))
        assert (cwd / "tests").is_dir()
        return 0

    needed: list[str] = []
    monkeypatch.setattr(install, "ensure", lambda group, _: needed.append(group))
    monkeypatch.setattr(process, "attend", attend)
    assert run_faults(full=True, only="fault") == status
    said = capsys.readouterr().out
    assert all(row["row"] in said for row in rows)
    assert ("it fell over" in said) == (BAD in rows)
    assert run_faults(full=True, only="fault", json=True) == status
    assert json.loads(capsys.readouterr().out) == rows
    assert needed == ["dev", "dev"]


@pytest.mark.parametrize(
    ("options", "wanted", "unwanted"),
    [
        ({"jobs": 3}, ["--numprocesses 3", "--dist=loadgroup"], ["-m ", "-k "]),
        ({"jobs": 1, "only": "some"}, ["-k some"], ["--numprocesses", "--dist"]),
        ({"quick": True}, ["-m not system or quick"], []),
        ({"unit": True, "quick": True}, ["-m not system"], ["or quick"]),
    ],
)
def test_what_pytest_is_asked(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], wanted: list[str], unwanted: list[str]
) -> None:
    """Options of `./inv test` become options of pytest, which replaces this process."""
    asked: list[str] = []
    monkeypatch.setattr(install, "ensure", lambda *_: None)
    monkeypatch.setattr(os, "execv", lambda _, argv: asked.extend(argv))
    monkeypatch.setattr(os, "chdir", lambda _: None)
    inspect.unwrap(checks.run_tests.body)(**options)
    line = " ".join(asked[3:])  # after: python -m pytest
    assert [words for words in wanted if words not in line] == []
    assert [words for words in unwanted if words in line] == []


def test_as_many_tests_as_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than there are processors, if there are three gigabytes for each; at least one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    for gigabytes, workers in ((64, 3), (7, 2), (1, 1)):
        sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": gigabytes << 18}
        monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
        assert checks._workers() == workers
