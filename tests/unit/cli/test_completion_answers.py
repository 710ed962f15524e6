"""What a shell is offered; that it is quick, and never an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli import completion_answers, completion_scripts, completion_table
from lab.cli.completion_answers import FILES, complete
from lab.cli.lab_task import TASKS
from lab.model import ARCHITECTURES
from lab.util import yaml_names

TABLE = completion_table.table()
LABS = """
labs:
  hello: {description: "one guest", guests: [hello]}
  periodic: {}
guests: {hello: {}, load: {}}
matrices: {scheduling: {}}
hypervisors: {debug: {}}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "labs.yaml").write_text(LABS)
    (tmp_path / "other.yaml").write_text("labs: {another: {}}")
    (tmp_path / "runs/hello").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["lab.sta"], ["lab.status"]),
        (["comp"], ["completion"]),
        (["--v"], ["--version"]),
        (["--help", "lab.st"], ["lab.status"]),
        (["lab.up", ""], ["hello", "periodic"]),
        (["lab.up", "--json", "h"], ["hello"]),
        (["lab.up", "--labs", "other.yaml", ""], ["another"]),
        (["lab.up", "-l", "other.yaml", ""], ["another"]),
        (["lab.up", "--labs=other.yaml", ""], ["another"]),
        (["lab.up", "hello", ""], []),
        (["lab.run", "hello", ""], ["hello", "periodic"]),
        (["lab.run", "hello", "periodic", "p"], ["periodic"]),
        (["bundle.save", "a.bundle", "h"], ["hello"]),
        (["bundle.save", "a.bundle", "hello", "p"], ["periodic"]),
        (["lab.up", "--co"], ["--cold", "--count"]),
        (["lab.up", "--cold", "--co"], ["--count"]),
        (["lab.up", "--door", ""], ["auto", "docker", "rootfs", "host"]),
        (["lab.up", "--door=ro"], ["--door=rootfs"]),
        (["lab.up", "--labs", ""], [FILES]),
        (["lab.up", "--labs=o"], [FILES]),
        (["lab.up", "--count", ""], []),
        (["lab.inject", "hello", ""], ["hello", "load"]),
        (["lab.console", "hello", "--on", ""], ["hello", "load", "dom0", "xen"]),
        (["lab.exec", "hello", ""], []),
        (["guest.build", "l"], ["load"]),
        (["lab.matrix", ""], ["scheduling"]),
        (["image.build", "--hypervisor", ""], ["debug"]),
        (["trace.stats", ""], ["latest", "hello"]),
        (["trace.diff", "hello", "la"], ["latest"]),
        (["trace.export", "--to", "c"], ["chrome", "csv"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["test", "--u"], ["--unit"]),
        (["nosuch.task", ""], []),
        ([""], sorted(one.typed for one in TASKS.values() if one.typed in TABLE)),
    ],
)
def test_what_may_come_next(words: list[str], found: list[str]) -> None:
    answer = list(complete(words, TABLE))
    assert (sorted(answer) if words == [""] else answer) == found


@pytest.mark.parametrize("text", ["", "labs: [", "labs: 3", "- x", "labs: {a: &a [*a]}", "\0"])
def test_a_file_that_is_wrong_offers_nothing(here: Path, text: str) -> None:
    """The mistake is shown to the person who runs the command, not to the one who is typing it."""
    (here / "labs.yaml").write_text(text)
    assert list(yaml_names.defined(here / "labs.yaml", "labs")) in ([], ["a"])


def test_names_are_as_they_are_written(here: Path) -> None:
    """Not as YAML reads some words: nothing, true, a number."""
    file = here / "labs.yaml"
    file.write_text("labs: {null: {description: 1e3}, on: {}, 007: {}, ~: {}}")
    assert yaml_names.defined(file, "labs") == {"null": "1e3", "on": "", "007": "", "~": ""}


def test_what_is_no_file_is_not_opened(here: Path) -> None:
    os.mkfifo(here / "fifo")
    assert yaml_names.defined(here / "fifo", "labs") == {}
    assert yaml_names.defined(here / "none", "labs") == {}


def test_bash_takes_words_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """bash splits words at each "=", and replaces only what is behind it."""
    completion_answers.main(["bash", "lab.up", "--door", "=", "ro"])
    completion_answers.main(["bash", "lab.up", "--door", "="])
    assert capsys.readouterr().out == "rootfs\nauto\ndocker\nrootfs\nhost\n"


def test_every_shell_gets_it_its_own_way(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in completion_scripts.SHELLS:
        completion_answers.main([shell, "lab.up", "h"])
    assert capsys.readouterr().out == "hello\nhello:one guest\nhello\tone guest\n"


def test_the_second_time_nothing_of_ours_is_imported(here: Path, root: Path) -> None:
    """A shell is waiting, so the list of tasks is kept until the program changes."""
    script = (
        "import sys; sys.argv[1:] = ['--complete', 'bash', 'lab.stat']\n"
        "from lab.__main__ import main\n"
        "try: main()\n"
        "finally: print(*sorted(n for n in sys.modules if n in ('invoke', 'lab.api', 'pydantic')))"
    )
    said = []
    for _ in range(2):
        line = [sys.executable, "-c", script]
        done = subprocess.run(line, cwd=here, capture_output=True, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": str(root)})  # fmt: skip
        said.append(done.stdout)
    assert said == ["lab.status\ninvoke lab.api\n", "lab.status\n\n"]
    kept = json.loads((here / "cache/completion.json").read_text())
    assert kept["tasks"].keys() == TABLE.keys()


def test_no_room_for_the_cache_is_no_error(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "file").touch()
    monkeypatch.setenv("LAB_CACHE", str(here / "file"))
    completion_answers.main(["fish", "lab.stat"])
    assert capsys.readouterr().out.startswith("lab.status\t")


def test_every_word_has_a_kind_or_none(root: Path) -> None:
    """Whoever adds a task must say what can be completed in it."""
    for name, task in TABLE.items():
        for kind in (*task["words"], *(one["kind"] for one in task["options"].values())):
            assert kind in {
                "", "value", "file", "console", "run", *completion_answers._FIXED,
                *completion_answers._SECTIONS,
            }, name  # fmt: skip
    assert (root / "inv").read_text().index("--complete") < (root / "inv").read_text().index(
        "python=$(find_python)"
    )


def test_every_architecture_is_offered() -> None:
    assert [*completion_answers._FIXED["arch"]] == [one.xen for one in ARCHITECTURES]
