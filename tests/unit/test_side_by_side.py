"""Tests that run side by side: which run together, which alone, and how Ctrl-C ends all."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.util.deadline import Deadline

TESTS = Path(__file__).resolve().parent.parent

#: Two groups and a test that runs alone; each says where it ran, and from when to when.
SUITE = """
import os, pathlib, time
import pytest

@pytest.fixture(autouse=True)
def noted(request):
    began = time.monotonic()
    yield
    worker = os.environ["PYTEST_XDIST_WORKER"]
    pathlib.Path(f"{request.node.name} {worker} {began} {time.monotonic()}").touch()

@pytest.mark.parametrize("n", range(3))
@pytest.mark.xdist_group("one")
def test_one(n):
    time.sleep(0.1)

@pytest.mark.alone
def test_alone():
    time.sleep(0.3)

@pytest.mark.parametrize("n", range(3))
@pytest.mark.xdist_group("two")
def test_two(n):
    time.sleep(0.1)
"""

#: Each worker has something to clean up.
ENDLESS = """
import os, pathlib, time
import pytest

@pytest.fixture(scope="session")
def lab():
    yield
    time.sleep(0.5)
    pathlib.Path(f"cleaned {os.getpid()}").touch()

def say_and_wait():
    pathlib.Path("begun").write_text(f"{os.getpid()}\\n")
    time.sleep(600)

@pytest.mark.xdist_group("one")
def test_one(lab):
    say_and_wait()

@pytest.mark.xdist_group("two")
def test_two(lab):
    say_and_wait()
"""


def start(folder: Path, suite: str) -> subprocess.Popen[str]:
    """Run these tests with the project's own hooks, in two workers."""
    (folder / "test_suite.py").write_text(suite)
    argv = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider",
            "--rootdir", str(folder), "--numprocesses=2", "--dist=loadgroup",
            "--no-loadscope-reorder", "test_suite.py"]  # fmt: skip
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.Popen(
        argv, cwd=folder, env={**env, "PYTHONPATH": path, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def test_groups_stay_together_and_one_runs_alone(tmp_path: Path) -> None:
    said, _ = start(tmp_path, SUITE).communicate(timeout=240)
    assert "7 passed" in said, said
    found = [path.name.split() for path in tmp_path.glob("test_* gw*")]
    for group in ("test_one", "test_two"):
        assert len({worker for name, worker, *_ in found if name.startswith(group)}) == 1
    times = {name: (float(began), float(ended)) for name, _, began, ended in found}
    alone = times.pop("test_alone")
    assert all(ended <= alone[0] or alone[1] <= began for began, ended in times.values())
    assert not list(tmp_path.glob("xl-tests-*"))


@pytest.mark.parametrize("whom", [os.kill, os.killpg], ids=["pytest alone", "all"])
def test_ctrl_c_ends_all_and_lets_them_clean_up(
    tmp_path: Path, whom: Callable[[int, int], None]
) -> None:
    """A program sends SIGINT only to pytest, a terminal sends it to all processes at once."""
    os.mkfifo(tmp_path / "begun")
    running = start(tmp_path, ENDLESS)
    pids = two_lines(tmp_path / "begun", running)
    whom(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=240)
    assert running.returncode == pytest.ExitCode.INTERRUPTED, said
    assert {path.name.split()[1] for path in tmp_path.glob("cleaned *")} == pids
    assert not [pid for pid in pids if Path("/proc", pid).exists()]
    assert not list(tmp_path.glob("xl-tests-*"))


def two_lines(fifo: Path, running: subprocess.Popen[str]) -> set[str]:
    """The lines that two processes write into a FIFO while ``running`` runs."""
    deadline, text = Deadline(240), ""
    handle = os.open(fifo, os.O_RDWR)
    try:
        while text.count("\n") < 2:
            if not select.select([handle], [], [], 1)[0]:
                assert running.poll() is None, running.communicate()[0]
                assert deadline.left(), text
                continue
            text += os.read(handle, 100).decode()
    finally:
        os.close(handle)
    return set(text.split())
