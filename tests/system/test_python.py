"""Labs from Python: the pytest plugin, the wheel, and the examples, as users run them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest

from lab.util import process
from system.world import LONGEST, ROOT, Running, Said, World, until

EXAMPLES = ROOT / "examples"

#: Tests of somebody who wants to see what goes wrong.
WRONG = """
import pytest
from lab.toolchain import adopt

pytestmark = pytest.mark.lab("hello", scope="module")

def test_expects_what_never_comes(lab):
    lab.guest("hello").expect("hello from FreeRTOS")
    lab.guest("hello").expect("good bye", within=1)

def test_loses_its_machine(lab):
    adopt(lab.dom0.found.record).kill()
    lab.guest("hello").expect("never", within=60)

def test_has_another_lab(lab):
    assert lab.dom0.run("true").status == 0

def test_hears_too_much(lab, monkeypatch):
    monkeypatch.setenv("LAB_CONSOLE_LIMIT", "1K")
    lab.guest("hello").expect("never", within=600)

@pytest.mark.lab("crash")
def test_waits_for_one_that_crashes(lab):
    lab.guest("crash").expect("never", within=600)
"""

#: Two workers; one of them is killed, lab and all.
KILLED = """
import os, pathlib, signal, time
import pytest

def seen(lab):
    pathlib.Path(f"{lab.name} {os.environ['PYTEST_XDIST_WORKER']}").touch()
    lab.guest("hello").expect("alive")
    while len(list(pathlib.Path().glob("hello-*"))) < 2:  # else one might get the other's name
        time.sleep(0.02)

@pytest.mark.lab("hello")
def test_lives(lab):
    seen(lab)

@pytest.mark.lab("hello")
def test_dies(lab):
    seen(lab)
    os.kill(os.getpid(), signal.SIGKILL)
"""

#: More labs than there is room for; each says from when to when it had its lab.
CROWDED = r"""
import pathlib, time
import pytest

@pytest.mark.lab("hello")
@pytest.mark.parametrize("n", [1, 2])
def test_uses(lab, n):
    began = time.monotonic()
    lab.guest("hello").expect(r"alive at tick [3-9]\d\d\d", regex=True)
    pathlib.Path(f"{began} {time.monotonic()}").touch()
"""

#: A person loses patience.
ENDLESS = """
import pathlib
import pytest

@pytest.mark.lab("hello")
def test_waits(lab):
    pathlib.Path("up").touch()
    lab.guest("hello").expect("never", within=600)
"""


def run(
    *argv: str | Path, cwd: Path, status: int = 0, env: Mapping[str, str] | None = None
) -> Said:
    """Run a program to its end, which must have this status. It gets our environment."""
    done = process.run(
        [str(word) for word in argv], cwd=cwd, env={**os.environ, **(env or {})}, timeout=LONGEST
    )
    said = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
    words = f"status {said.status}, not {status}\n{said.out}\n{said.err}"
    assert said.status == status, words
    return said


@pytest.fixture
def suite(world: World, tmp_path: Path) -> Path:
    """A folder for tests, with the labs of the world.

    Its pytest has temporary files of its own: else it would remove what earlier runs of all these
    tests left, which took minutes.
    """
    ini = f"[pytest]\naddopts = --basetemp=temporary\nlab_file = {world.folder}/labs.yaml\n"
    (tmp_path / "pytest.ini").write_text(ini)
    return tmp_path


def pytest_in(suite: Path, text: str, *options: str, status: int) -> Said:
    (suite / "test_suite.py").write_text(text)
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return run(*argv, cwd=suite, status=status)


def test_failures_errors_and_what_is_shown(suite: Path) -> None:
    """A wrong expectation fails, with the guest's lines. A crash fails at once. A lost machine
    is an error. The next test has a lab again."""
    said = pytest_in(suite, WRONG, "--junitxml=junit.xml", status=1)
    assert "2 failed, 1 passed, 2 errors" in said.out
    assert "GuestCrashed: guest crash: its domain crashed" in said.out
    assert re.search(r"#0 .*crash_data \(\) at app/main\.c:\d+", said.out), said.out
    assert "printed more than 1K" in said.out
    assert "'good bye' was not seen on the console of hello within 1s" in said.out
    assert "its domain still runs" in said.out
    assert "- console hello of lab hello-1 -" in said.out
    assert "task 1: hello from FreeRTOS" in said.out
    assert "MachineError: QEMU ended by itself while the lab waited for 'never'" in said.out
    assert "run folder: " in said.out
    tests = ElementTree.parse(suite / "junit.xml").getroot().find("testsuite")
    assert tests is not None
    assert (tests.get("failures"), tests.get("errors"), tests.get("tests")) == ("2", "2", "5")


def test_workers_have_labs_of_their_own_and_a_dead_one_leaves_nothing(suite: Path) -> None:
    """pytest-xdist: two labs, two names. The lab of the killed worker is gone when pytest ends."""
    said = pytest_in(suite, KILLED, "-n2", "-pno:randomly", status=1)
    assert "1 failed, 1 passed" in said.out
    assert "crashed while running" in said.out
    seen = [one.name.split() for one in suite.glob("hello-*")]
    assert len({name for name, _ in seen}) == len({worker for _, worker in seen}) == 2


def test_labs_wait_for_room(suite: Path) -> None:
    """Two workers, and room for one lab: both get theirs, one after the other."""
    with (suite / "pytest.ini").open("a") as ini:
        ini.write("lab_cpus = 4\nlab_memory = 1G\n")
    said = pytest_in(suite, CROWDED, "-n2", status=0)
    assert "2 passed" in said.out
    (_, end), (begin, _) = sorted([float(word) for word in one.name.split()]
                                  for one in suite.glob("*.* *.*"))  # fmt: skip
    assert end < begin, "they had labs at the same time"


@pytest.mark.parametrize(
    ("how", "status"),
    [
        (signal.SIGINT, pytest.ExitCode.INTERRUPTED),
        (signal.SIGTERM, pytest.ExitCode.INTERRUPTED),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_an_interrupted_pytest_leaves_nothing(
    suite: Path, world: World, how: signal.Signals, status: int
) -> None:
    """Ctrl-C while a test waits; after a kill the next command stops the lab."""
    (suite / "test_suite.py").write_text(ENDLESS)
    child = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=suite, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    running = Running(child)
    until("the lab is up", (suite / "up").exists, LONGEST)
    assert running.signal(how).end().status == status
    if how is signal.SIGKILL:
        assert "lab hello-1: the command that started it died" in world.run("lab.status").err
    assert world.left() == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("talk", ["the guest says: task ", "it answers: you typed: good morning", "Domain-0"]),
        ("compare", ["hello", "pinned"]),
        ("jitter", ["p99 jitter", "fast", "slow"]),
    ],
)
def test_the_examples(world: World, name: str, words: list[str]) -> None:
    """Each of the small programs does what it says."""
    said = run(sys.executable, EXAMPLES / f"{name}.py", "labs.yaml", cwd=world.folder)
    assert [word for word in words if word not in said.out] == []


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of an empty environment into which the built wheel was installed."""
    folder = tmp_path_factory.mktemp("installed")
    config = folder / "build.cfg"
    config.write_text(f"[build]\nbuild_base = {folder / 'build'}\n")
    wheel: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        folder / "dist",
        ROOT,
    ]
    run(*wheel, cwd=folder, env={"DIST_EXTRA_CONFIG": str(config)})
    (built,) = (folder / "dist").glob("xenlab-*.whl")
    names = ZipFile(built).namelist()
    shipped = ("images/freertos/Makefile", "images/dom0/contents", "labs.yaml", "labs.lock",
               "dockerfiles/packages", "images/hypervisor/debug.config")  # fmt: skip
    assert [name for name in shipped if f"lab/resources/{name}" not in names] == []
    bin_ = folder / "venv" / "bin"
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", bin_ / "python"]
    # Most of what is installed is never imported here.
    run(*pip, "install", "-q", "--no-compile", built, "pytest", "pytest-xdist", cwd=folder)
    return bin_


def test_a_project_of_its_own(installed: Path, tmp_path: Path) -> None:
    """examples/pytest-project, outside any checkout, with the wheel: its tests pass."""
    project = tmp_path / "project"
    shutil.copytree(EXAMPLES / "pytest-project", project)
    said = run(installed / "python", "-m", "pytest", "-n2", "--dist=loadfile", "-v", cwd=project)
    assert "passed" in said.out
    assert "failed" not in said.out
    assert list(project.glob("runs/calculator-*/*/manifest.json"))


def test_the_tasks_without_a_checkout(installed: Path, tmp_path: Path) -> None:
    """`xenlab` has the tasks, `lab.new` writes labs, and messages name the command that exists
    there."""
    assert "lab.up" in run(installed / "xenlab", "--list", cwd=tmp_path).out
    without = run(installed / "xenlab", "lab.up", cwd=tmp_path, status=2)
    assert "xenlab lab.new" in without.err
    run(installed / "xenlab", "lab.new", cwd=tmp_path)
    assert "hello" in run(installed / "xenlab", "lab.list", cwd=tmp_path).out
    again = run(installed / "xenlab", "lab.new", cwd=tmp_path, status=2)
    assert "exists already" in again.err
    assert (tmp_path / "images/freertos/apps/hello/main.c").is_file()
    run(installed / "xenlab", "test", cwd=tmp_path, status=2)
