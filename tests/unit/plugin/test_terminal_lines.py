"""A person who watches pytest learns what a test waits for, on every kind of terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.pytest_plugin import terminal_lines
from plugin.seeming import Given, Stage

pytest_plugins = ["pytester"]

ONE = """
import pytest
@pytest.mark.lab("hello")
def test_it(lab): print("a word of the test's own")
"""
SAID = "lab hello for test_what_*::test_it: boot … *s (a note)"


@pytest.fixture
def slow(stage: Stage, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A lab that keeps booting until a line was shown."""
    told = pytester.path / "told"
    stage.until = ("boot", told)
    write = terminal_lines._write

    def written(config: Any, line: str) -> None:
        write(config, line)
        told.touch()

    monkeypatch.setattr(terminal_lines, "FIRST", 0.05)
    monkeypatch.setattr(terminal_lines, "_write", written)
    return stage


@pytest.mark.parametrize("options", [[], ["-v"], ["-q"], ["-s"], ["--capture=sys"]])
@pytest.mark.usefixtures("slow")
def test_what_it_waits_for(given: Given, options: list[str]) -> None:
    """The line is separate, whatever is captured. What the test prints stays captured."""
    result = given(ONE, *options)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([SAID])
    assert ("a word of the test's own" in result.stdout.str()) == ("-s" in options)


@pytest.mark.usefixtures("stage")
def test_what_is_quick_is_not_told(given: Given) -> None:
    result = given(ONE)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("lab hello for*")


def test_a_worker_is_heard(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-xdist: workers have no terminal. Their lines come out of the main process's
    terminal."""
    told = pytester.path / "told"
    pytester.makeconftest(f"""
        import asyncio
        from pathlib import Path
        from lab import api
        from lab.errors import BusyError
        from lab.pytest_plugin import terminal_lines
        from lab.util.waiting import appears

        terminal_lines.FIRST = 0.05
        write = terminal_lines._write

        def written(config, line):
            write(config, line)
            Path({str(told)!r}).touch()

        def start(name, context, **_):
            with context.progress.stage("boot") as stage:
                stage.note("a note")
                asyncio.run(appears(Path({str(told)!r})))
            raise BusyError("this is far enough")

        terminal_lines._write = written
        api.start_lab = start
    """)
    monkeypatch.setenv("TMPDIR", str(pytester.path))
    monkeypatch.setenv("PYTHONPATH", str(Path(terminal_lines.__file__).parents[2]))
    pytester.makepyfile(ONE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "2")
    if len(str(pytester.path)) < 80:  # a socket's path has 107 bytes
        result.stdout.fnmatch_lines([SAID.replace("test_what_*", "test_a_worker_*")])
    result.assert_outcomes(errors=1)
    assert list(pytester.path.glob("lab-waits-*")) == []


def test_no_room_for_a_socket_is_no_error(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a long TMPDIR workers are not heard, and tests run as usual."""
    deep = pytester.path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    assert terminal_lines.listen(pytester.parseconfig()) is None
    assert list(deep.iterdir()) == []
