"""The progress display always shows something that moves, and how far it is."""

from __future__ import annotations

import contextvars
import io
import itertools
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lab import progress
from lab.model import Completed
from lab.progress import Amount, Progress, Within, current
from lab.toolchain import bootstrap, unpack
from lab.toolchain.index import Index
from lab.util import live_line, process, together
from lab.util.deadline import Deadline


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def becomes(state: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = Deadline(seconds)
    while not state() and not deadline.passed():
        time.sleep(0.005)
    return state()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Update the display quickly."""
    monkeypatch.setattr(progress, "BEAT", 0.02)
    monkeypatch.setattr(progress, "LONGEST_BEAT", 0.02)
    monkeypatch.setattr(progress, "LOOK", 0.0)


@pytest.mark.usefixtures("quick")
def test_a_long_stage_is_told_again() -> None:
    """The innermost stage is repeated, with what it is doing now, not what it did before."""
    out = io.StringIO()
    shown = Progress(out)
    with shown.stage("toolchain"), shown.stage("packages") as stage:
        stage.note("first")
        assert becomes(lambda: "so far (first)" in out.getvalue())
        stage.note("second")
        assert becomes(lambda: "so far (second)" in out.getvalue())
    said = out.getvalue()
    noted = said[said.index("(first)") :]  # on a busy machine it was told before
    beats = [line for line in noted.splitlines()[1:] if "so far" in line]
    assert all(re.match(r"  packages … \d+ s so far \((first|second)\)", one) for one in beats)
    said = out.getvalue()
    time.sleep(0.05)
    assert out.getvalue() == said  # it is over


def test_the_log_of_a_long_stage_stays_short() -> None:
    """It is told less and less often, but often again once something else was said."""
    shown = live_line.Repeated(io.StringIO(), lambda: "compiling", 1000.0, 1900.0)
    try:
        pauses = []
        for _ in range(5):
            shown._beat()
            pauses.append(shown._pause)
        assert pauses == [1250.0, 1562.5, 1900.0, 1900.0, 1900.0]
        shown.say("compiled")
        assert shown._pause == 1000.0
    finally:
        shown.stop()


@pytest.mark.usefixtures("quick")
def test_who_works_says_how_far_it_is() -> None:
    """Deeply nested code can do so without a stage as a parameter. The words follow the work."""
    out = io.StringIO()
    with Progress(out).stage("toolchain"):
        current().note("unpacking")
        with current().looking(lambda: "1 of 2"):
            assert becomes(lambda: "(unpacking: 1 of 2)" in out.getvalue())
    assert out.getvalue().splitlines()[-1].endswith("(unpacking)")
    current().note("nobody sees this")


@pytest.mark.usefixtures("quick")
def test_a_look_that_fails_stops_nothing() -> None:
    """What is looked at may be gone at that moment."""
    out = io.StringIO()

    def look() -> str:
        raise FileNotFoundError

    with Progress(out).stage("toolchain") as stage, stage.looking(look):
        assert becomes(lambda: out.getvalue().count("toolchain") > 2)


def test_quick_stages_are_told_once() -> None:
    """They end before the first update."""
    out = io.StringIO()
    with Progress(out).stage("boot"):
        pass
    assert len(out.getvalue().splitlines()) == 1


def test_a_stage_may_end_in_another_context() -> None:
    """For example the stage of a fixture, which is made and cleaned up in different contexts."""
    stage = Progress(io.StringIO()).stage("boot")
    contextvars.copy_context().run(stage.__enter__)
    contextvars.copy_context().run(stage.__exit__, None, None, None)
    assert not [one for one in threading.enumerate() if one.name == "progress"]


@pytest.mark.usefixtures("quick")
def test_without_rich_a_terminal_has_one_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """This is so while the environment is being made."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with (shown := Progress(out)).stage("environment") as stage:
        stage.note("x" * 200)
        assert becomes(lambda: out.getvalue().count("environment") > 2)
        shown.say("a word")
    assert "\r\x1b[Ka word\n" in out.getvalue()
    lines = [part for part in re.split(r"[\r\n]", out.getvalue()) if "…" in part][:-1]
    assert max(map(len, lines)) <= 79 + len("\x1b[K")
    assert out.getvalue().endswith(")\n")


def test_amounts_are_told_with_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the speed so far; never more than the total."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    amount = Amount(100_000_000)
    assert amount.words(10_000_000) == "10 of 100 MB"
    now[0] = 2.0
    assert amount.words(30_000_000) == "30 of 100 MB, about 7 s left"
    assert amount.words(120_000_000) == "100 of 100 MB"
    now[0] = 300.0
    assert amount.words(40_000_000) == "40 of 100 MB, about 10 min left"
    assert Amount(0).words(5_000_000) == "5 MB"
    assert Amount(7, "labs", 1).words(3) == "3 of 7 labs"


@pytest.mark.usefixtures("quick")
def test_a_download_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the files that are there and those that are arriving."""
    coming = tmp_path / "var/cache/apt/archives/partial"
    out = io.StringIO()

    def download(*_: object) -> Completed:
        (coming.parent / "a_1%3a2_amd64.deb").write_bytes(bytes(1_000_000))
        (coming / "b_1_all.deb").write_bytes(bytes(1_000_000))
        assert becomes(lambda: "fetched 2 of 3 MB" in out.getvalue())
        return Completed((), 0, b"", b"", 1)

    monkeypatch.setattr(bootstrap, "attempt", download)
    with Progress(out).stage("toolchain"):
        found = Index(tmp_path).fetch(["a"], 3_000_000)
    assert [path.name for path in found] == ["a_1%3a2_amd64.deb"]


@pytest.mark.usefixtures("quick")
def test_unpacking_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the packages that are done; base-files comes before all others."""
    out, begun = io.StringIO(), list[str]()
    for name in ("base-files_1_amd64.deb", "a_1_amd64.deb", "b_1_amd64.deb"):
        (tmp_path / name).write_bytes(bytes(1_000_000))

    def half(give: list[str], *_: object, **__: object) -> Completed:
        begun.append(Path(give[-1]).name)
        if begun[-1].startswith("b_"):
            assert becomes(lambda: "unpacked 2 of 3 MB" in out.getvalue())
        return Completed((), 0, b"", b"", 1)

    monkeypatch.setattr(process, "piped", half)
    with Progress(out).stage("toolchain"):
        unpack.unpack(sorted(tmp_path.glob("*.deb")), tmp_path / "tree")
    assert begun[0] == "base-files_1_amd64.deb"
    assert sorted(begun[1:]) == ["a_1_amd64.deb", "b_1_amd64.deb"]


@pytest.mark.usefixtures("quick")
def test_stages_of_threads_have_a_line_each() -> None:
    """All stages that are active are shown, and each ends in its own time."""
    out = io.StringIO()
    shown = Progress(out)

    def both_are_told() -> bool:
        lines = out.getvalue().splitlines()
        return any("packages" in a and "compiler" in b for a, b in itertools.pairwise(lines))

    def work(name: str) -> None:
        with shown.stage(name):
            assert becomes(both_are_told)

    with shown.stage("images"):
        together.all_of([partial(work, "packages"), partial(work, "compiler")])
    assert out.getvalue().splitlines()[-1].startswith("images … ")
    assert "  packages … " in out.getvalue()


def test_progress_needs_nothing_that_is_installed(root: Path) -> None:
    """It works before there is an environment."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import lab.progress"
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(root)], check=True, cwd="/")


@pytest.mark.usefixtures("quick")
def test_work_within_a_stage_has_one_line() -> None:
    """Its stages are shown in that line while they run, and have no lines of their own. What it
    says stays, once."""
    out = io.StringIO()
    outer = Progress(out)
    inner = Within(outer, "1 of 2: lab hello")
    with outer.stage("1 of 2: lab hello") as stage, stage.looking(inner.words):
        with inner.stage("images"), inner.stage("Xen") as deep:
            deep.note("7 files")
            assert becomes(lambda: "so far (Xen: 7 files)" in out.getvalue())
        for _ in range(2):
            inner.say("newer packages")
        stage.note("PASS")
    lines = [line for line in out.getvalue().splitlines() if "so far" not in line]
    assert lines[0] == "1 of 2: lab hello: newer packages"
    assert re.fullmatch(r"1 of 2: lab hello … \d+\.\ds \(PASS\)", lines[1])
    assert len(lines) == 2
