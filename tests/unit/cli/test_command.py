"""What Invoke lacks: optional words, exit statuses, one place that prints errors."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.collection import Collection

from lab import api
from lab.cli import command as task_command
from lab.cli import labs
from lab.cli.command import command
from lab.cli.output import fail, plain
from lab.cli.program import LabProgram
from lab.errors import Dom0Error, LabError, UsageError
from lab.model import Layer

SEEN: list[tuple[object, ...]] = []


@command("t.greet", words=("name",), optional=("name",), json="JSON")
def greet(name: str, json: bool = False) -> int:
    """Greets."""
    SEEN.append((name, json))
    return 7


@command("t.fail", words=("how",), json="JSON")
def fail_(how: str, json: bool = False) -> None:
    """Fails."""
    SEEN.append((how, json))
    match how:
        case "lab":
            raise Dom0Error("dom0 is lost", tail="last\nlines", hint="look")
        case "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        case "terminate":
            os.kill(os.getpid(), signal.SIGTERM)
        case "disk":
            Path("/dev/full").write_text("x")
        case "missing":
            Path("/no/such/file").read_text()


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Restore the handlers of the test runner."""
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {kind: signal.getsignal(kind) for kind in kinds}
    SEEN.clear()
    yield
    for kind, handler in before.items():
        signal.signal(kind, handler)


def invoke(*words: str) -> int:
    """The exit status of a command line."""
    top = Collection()
    top.add_collection(Collection("t", greet, fail_))
    with pytest.raises(SystemExit) as caught:
        LabProgram(top).run(["xenlab", *words])
    return int(caught.value.code or 0)


def test_an_optional_word_may_be_left_out() -> None:
    """Without it the task gets the empty string; the status is the task's own."""
    assert invoke("t.greet") == 7
    assert invoke("t.greet", "x") == 7
    assert invoke("t.greet", "--json") == 7
    assert SEEN == [("", False), ("x", False), ("", True)]


@pytest.mark.parametrize("words", [("t.greet",), ("t.fail",), ("t.fail", "lab")])
def test_help_of_a_task(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Before, after, and in the place of its words. Nothing is run."""
    assert invoke(*words, "--help") == 0
    assert invoke("--help", words[0]) == invoke("t.greet", "-h") == 0
    usage = {"t.greet": "t.greet [NAME]", "t.fail": "t.fail HOW"}[words[0]]
    assert f"Usage: ./inv {usage} [options]\n" in capsys.readouterr().out
    assert SEEN == []


def test_a_needed_word_may_not(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line is status 2, and the message says what to do."""
    for words in (("t.fail",), ("t.fail", "lab", "--nosuch"), ("t.nosuch",)):
        assert invoke(*words) == 2
    assert "what to do" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("lab", 4, "error [dom0]: dom0 is lost"),
        ("interrupt", 130, "interrupted"),
        ("terminate", 130, "interrupted"),
        ("disk", 3, "No space left on device"),
        ("missing", 3, "No such file or directory: /no/such/file"),
    ],
)
def test_failures_are_words_and_a_status(
    how: str, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever happens in a task: one message on standard error, nothing on output."""
    assert invoke("t.fail", how) == status
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


def test_errors_are_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json a program reads the layer, the reason, the last lines and the hint."""
    assert invoke("t.fail", "lab", "--json") == 4
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "verdict": "error", "layer": "dom0", "reason": "dom0 is lost", "hint": "look",
        "tail": ["last", "lines"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "status"), [(UsageError("x"), 2), (LabError("x"), 3), (Dom0Error("x"), 4)]
)
def test_every_error_has_its_status(error: LabError, status: int) -> None:
    """The statuses of the design."""
    assert fail(error) == status


def test_a_signal_while_the_end_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an interrupt like any other."""

    def interrupted(*_: object, **__: object) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return 3

    monkeypatch.setattr(task_command, "fail", interrupted)
    assert invoke("t.fail", "lab") == 130


def test_a_signal_when_the_lab_is_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes while `lab.up` says so: the message does not claim that nothing runs."""
    up = api.Up("hello", Path("/run"), [], {}, {}, 1.0)
    monkeypatch.setattr(api, "up", lambda *_, **__: up)
    monkeypatch.setattr(labs, "show_up", lambda _: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(SystemExit) as caught:
        LabProgram().run(["xenlab", "lab.up", "hello"])
    assert caught.value.code == 130
    said = capsys.readouterr().err
    assert "interrupted; lab hello is up; stop it: " in said
    assert "nothing" not in said


def test_stopping_is_heard_in_background_jobs() -> None:
    """A shell starts them with SIGINT ignored. SIGTERM still ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert invoke("t.fail", "terminate") == 130


def test_nohup_is_respected() -> None:
    """A process that ignores SIGHUP keeps ignoring it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert invoke("t.greet") == 7
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_values_as_json() -> None:
    """Paths and enums are text, sets and tuples lists."""
    assert plain(Path("/a")) == "/a"
    assert plain(Layer.XEN) == "xen"
    assert sorted(plain({1, 2})) == [1, 2]
    assert task_command.INTERRUPTED == 130
