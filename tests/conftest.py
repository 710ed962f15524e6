"""Fixtures of all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import side_by_side
from hypothesis import settings

from lab.util import process
from lab.util.signals import STOPPING

#: The checkout.
ROOT = Path(__file__).resolve().parent.parent
#: Folders that are made, not written.
MADE = {".git", ".venv", "runs", "build", "dist", "__pycache__"}

#: The last words of a quick run.
LEFT_OUT = (
    "quick: left out all other tests in tests/system. ./inv test runs everything; "
    "./inv test --only WORDS runs those whose names match."
)

# The machines that run this are shared and slow at times: no limit on one example's time.
settings.register_profile("lab", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("lab")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    side_by_side.arrange(items)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist says that this worker knows its tests
def pytest_collection_finish(session: pytest.Session) -> None:
    side_by_side.tell(session)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> side_by_side.Scheduling | None:
    groups = config.getoption("dist") == "loadgroup"
    return side_by_side.Scheduling(config, log) if groups else None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist starts a worker."""
    node.workerinput[side_by_side.ROOM] = str(side_by_side.room(node.config))


def pytest_sessionstart(session: pytest.Session) -> None:
    side_by_side.begin(session.config)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
    """In a worker, it is over when the fixtures have cleaned up: after this hook."""
    if exitstatus == pytest.ExitCode.INTERRUPTED:
        side_by_side.interrupt(session.config)
    try:
        yield
    finally:
        side_by_side.end(session.config)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with side_by_side.turn(item):
        return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    if "quick" in config.option.markexpr and not hasattr(config, "workerinput"):
        print(LEFT_OUT)


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """Restore the signal handlers, because tasks that run in this process set them."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def sources() -> list[Path]:
    """Every file that somebody wrote: what git tracks or would add. Without git, all files."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = process.run(listing, cwd=ROOT, timeout=60)
    except FileNotFoundError:
        return _walk()
    if done.returncode != 0:
        return _walk()
    names = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    return sorted(ROOT / name for name in names if name and (ROOT / name).is_file())


def _walk() -> list[Path]:
    found = []
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if name not in MADE and not name.startswith(".")]
        found += [Path(folder, name) for name in names]
    return sorted(found)
