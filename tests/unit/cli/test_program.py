"""What a newcomer sees: the page of all tasks, a task's page, and the answers to mistakes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.collection import Collection

from lab import __version__
from lab.cli.lab_task import SHORT, TASKS, VALUES
from lab.cli.namespace import namespace
from lab.cli.program import LabProgram
from lab.util.resources import in_checkout

NAMESPACE: Collection = namespace()
NAMES = sorted(NAMESPACE.task_names)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command line."""
    with pytest.raises(SystemExit) as caught:
        LabProgram().run(["xenlab", *words])
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_alone_it_shows_all_tasks(capsys: pytest.CaptureFixture[str], words: tuple[str]) -> None:
    """In 80 columns. Each task has one line, and the first thing to type comes first."""
    status, out, err = said(capsys, *words)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    for name in NAMES:
        usage = re.escape(TASKS[name].usage)
        (line,) = [line for line in lines if re.match(rf"  {usage} ", line)]
        assert line.endswith(".")
    assert "./inv lab.up" in lines[3]
    assert len(lines) < 80


@pytest.mark.parametrize("width", [20, 40, 60, 200])
def test_any_terminal_will_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for words in ((), ("lab.run", "--help")):
        lines = said(capsys, *words)[1].splitlines()
        assert max(map(len, lines)) <= max(width, 56)


@pytest.mark.parametrize("name", NAMES)
def test_every_task_explains_itself(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Every word, option and value has its explanation, and there is an example."""
    status, out, _ = said(capsys, name, "--help")
    assert status == 0
    assert out.startswith(f"Usage: ./inv {TASKS[name].usage}")
    assert max(map(len, out.splitlines())) <= 80
    about = TASKS[name]
    for argument in NAMESPACE[name].get_arguments(ignore_unknown_help=True):
        assert about.help.get(argument.name), argument.name
        if argument.takes_value and not argument.positional:
            assert argument.name in VALUES
        shown = argument.name.upper() if argument.positional else f"--{argument.name}"
        assert re.search(rf"^ .*{shown}\b", out, re.MULTILINE)
    example = out.partition("Example:\n  ./inv ")[2].strip()
    assert example.split()[0] in (name, about.typed)
    assert said(capsys, "--help", name)[1] == out


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_a_right_command_line(name: str) -> None:
    """The task knows all of its words and options."""
    import shlex

    program = LabProgram()
    program.create_config()
    program.parse_core(["xenlab", *shlex.split(TASKS[name].example)])
    program.parse_collection()
    program.parse_tasks()
    assert [one.name for one in program.tasks] == [name]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("lab.run", ""),
        ("lab.run hello", "hello"),
        ("lab.run hello sched-* --jobs 2 lab.up --cold x", "hello\nsched-*\nlab.up\nx"),
    ],
)
def test_a_last_word_may_come_more_than_once(line: str, name: str) -> None:
    """Options may stand between; the name of a task is a word here."""
    program = LabProgram()
    program.create_config()
    program.parse_core(["xenlab", *line.split()])
    program.parse_collection()
    program.parse_tasks()
    (task,) = program.tasks
    assert task.args.name.value == name
    assert TASKS["lab.run"].usage == "lab.run [NAME…]"


def test_short_options_mean_the_same_everywhere() -> None:
    """Only those of the table exist; none of them can change labs.lock."""
    writing = {"publish", "update", "force"}
    for name in NAMES:
        for argument in NAMESPACE[name].get_arguments(ignore_unknown_help=True):
            short = [one for one in argument.names if len(one) == 1]
            wanted = SHORT.get(argument.name)
            assert short == ([wanted] if wanted and not argument.positional else [])
            assert not (short and argument.name in writing)
    assert len(set(SHORT.values())) == len(SHORT)
    assert not {"h", "V"} & set(SHORT.values())


def test_the_version_is_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == said(capsys, "-V") == (0, f"xenlab {__version__}\n", "")


def test_a_group_can_be_listed_alone(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said(capsys, "--list", "image")
    assert status == 0
    assert "image.lock" in out
    assert "lab.up" not in out
    assert said(capsys, "--list")[1] == said(capsys)[1]
    assert "one of: bundle, cluster, guest" in said(capsys, "--list", "nosuch")[2]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lab.upp", "there is no task 'lab.upp'; did you mean lab.up?"),
        ("lab up", "there is no task 'lab'; did you mean lab.up?"),
        ("up", "there is no task 'up'; did you mean lab.up?"),
        ("report", "there is no task 'report'; did you mean trace.report?"),
        ("Lab.Run", "did you mean lab.run?"),
        ("lab-status", "did you mean lab.status?"),
        ("tests", "did you mean test?"),
        ("lab", "lab is a group of tasks: lab.bisect, lab.console, lab.core"),
        ("xyzzy", "there is no task 'xyzzy'\n"),
        ("--help lab.rum", "did you mean lab.run?"),
        ("lab.list --josn", "lab.list has no option '--josn'; did you mean --json?"),
        ("lab.up --josn", "lab.up has no option '--josn'; did you mean --json?"),
        ("lab.up hello --fource", "did you mean --force?"),
        ("lab.up --lab=x.yaml", "did you mean --labs?"),
        ("lab.up -p", "lab.up has no option '-p'\n"),
        ("lab.up --dry", "lab.up has no option '--dry'"),
        ("--json lab.list", "'--json' stands before a task"),
        ("lab.exec", "lab.exec needs NAME and LINE\n  what to do: write: ./inv lab.exec NAME LINE"),
        ("lab.exec hello", "lab.exec needs LINE"),
        (
            "bundle.save",
            "bundle.save needs FILE\n  what to do: write: ./inv bundle.save FILE [NAME…]",
        ),
        ("bundle.save a.bundle hello helo", "no lab 'helo'; did you mean 'hello'?"),
        ("lab.down hello periodic", "lab.down takes no argument 'periodic'"),
        ("lab.up hello lab.status", "only one task at a time, not lab.up and lab.status"),
        ("lab.up --count many", "--count needs a whole number, not 'many'"),
        ("lab.exec a b --timeout soon", "--timeout needs a number, not 'soon'"),
        ("lab.up --labs", "--labs needs a value: --labs=FILE"),
        ("lab.list \x1b[2J", "'\\x1b[2J'"),
    ],
)
def test_a_slip_gets_the_right_word(
    capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    """Exit status 2, on standard error, and always something to do. Nothing is run."""
    status, out, err = said(capsys, *line.split())
    assert (status, out) == (2, "")
    assert words in err
    assert err.startswith("error: ")
    assert "\n  what to do: " in err
    assert "\x1b" not in err


@pytest.mark.skipif(not in_checkout(), reason="an installed package has no inv")
@pytest.mark.parametrize("words", [(), ("lab.run", "--help"), ("--list",), ("lab.list",)])
def test_a_reader_that_goes_away_is_no_error(root: Path, words: tuple[str, ...]) -> None:
    """The exit status is that of a program that SIGPIPE ends; no message is printed."""
    reader, writer = os.pipe()
    os.close(reader)
    line = [sys.executable, "-m", "lab", *words]
    done = subprocess.run(line, stdout=writer, stderr=subprocess.PIPE, cwd=root, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_new_labs_are_started_from_where_they_are(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If they are written elsewhere, they need --labs; here they do not."""
    monkeypatch.chdir(tmp_path)
    assert said(capsys, "lab.new", "my labs")[2].endswith(" lab.up --labs 'my labs/labs.yaml'\n")
    assert said(capsys, "lab.new")[2].endswith(" lab.up\n")


#: An interrupt while Python executes code from a string, which the command handles.
HANDLED = """
import signal, sys
from lab.cli import program
def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        exec("signal.raise_signal(signal.SIGINT)")
    except KeyboardInterrupt:
        print("handled")
    sys.exit(130)
program.main = main
"""


def test_an_interrupted_command_has_its_own_exit_status(root: Path, tmp_path: Path) -> None:
    """Python itself would end by SIGINT, if the interrupt came during some imports."""
    (tmp_path / "sitecustomize.py").write_text(HANDLED)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    argv = [sys.executable, "-m", "lab", "lab.list"]
    done = subprocess.run(argv, env=env, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "handled\n", "")
