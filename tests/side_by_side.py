"""Runs tests side by side: groups and orders them, and runs some of them alone.

``./inv test`` lets pytest-xdist start several workers. Each worker takes a whole group at a time,
that is, tests which share something costly. Without workers, only the order is the same as here.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

from lab.util import files

TESTS = Path(__file__).parent
SYSTEM = TESTS / "system"
#: The files of system tests that take longest. They begin first, so that all workers end together.
LONGEST_FIRST = (
    "test_docker", "test_python", "test_hypervisors", "test_tools", "test_lock", "test_moved",
    "test_fault_table", "test_repro", "test_templates", "test_traces",
)  # fmt: skip
#: The key under which a worker is told the folder that all workers of a run share.
ROOM = "xenlab-room"
#: Seconds that the workers have to clean up after Ctrl-C.
CLEAN_UP = 120.0
_FOLDER = pytest.StashKey[Path]()
_WORK = pytest.StashKey[contextlib.ExitStack]()


def arrange(items: list[pytest.Item]) -> None:
    """Sort the tests and group them: unit tests, then labs, then tests that run alone.

    The result is the same in each worker.
    """
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> tuple[bool, bool, int]:
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    boots = SYSTEM in item.path.parents
    return is_alone(item), boots, places.get(item.path.stem, len(places)) if boots else 0


def _group(item: pytest.Item) -> str:
    """The group of a test. Unit tests of one file stay together, and so do system tests that
    share a fixture of their file."""
    if mark := item.get_closest_marker("xdist_group"):
        return str(mark.args[0])
    if is_alone(item) or (SYSTEM in item.path.parents and not _shares(item)):
        return item.nodeid
    return str(item.path)


def _shares(item: pytest.Item) -> bool:
    """Whether the test uses a fixture that is made once for its file."""
    info = getattr(item, "_fixtureinfo", None)
    found = info.name2fixturedefs.values() if info else ()
    return any(one.scope == "module" for several in found for one in several)


def is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


# ---------------------------------------------------------------- one room for all workers


def room(config: pytest.Config) -> Path:
    """The folder that the workers of this run share; it is removed when the run ends."""
    if _FOLDER not in config.stash:
        folder = tempfile.TemporaryDirectory(prefix="xl-tests-", ignore_cleanup_errors=True)
        config.stash[_FOLDER] = Path(folder.name)
        config.add_cleanup(folder.cleanup)
    return config.stash[_FOLDER]


def _room_of(config: pytest.Config) -> Path | None:
    """The same, in a worker."""
    name = getattr(config, "workerinput", {}).get(ROOM)
    return Path(name) if name else None


@contextmanager
def turn(item: pytest.Item) -> Iterator[None]:
    """Let a test begin. A test that runs alone waits for all others, and all others wait for it.

    The locks belong to the process, so none is left if the worker dies (fcntl_locking(2)).
    """
    folder = _room_of(item.config)
    if folder is None:
        yield
        return
    with (folder / "turn").open("ab+") as handle:
        with files.locked(folder / "door"):  # nobody overtakes a test that waits to be alone
            fcntl.lockf(handle, fcntl.LOCK_EX if is_alone(item) else fcntl.LOCK_SH)
        yield


# ---------------------------------------------------------------- who takes which tests


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """A worker takes a whole group. The workers have told which tests belong to which.

    pytest-xdist has the same (``--dist=loadgroup``), but takes the groups from the names of tests,
    which its version 3.8 cannot change under pytest 9.2.
    """

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        self._groups: dict[str, str] = {}

    def schedule(self) -> None:
        self._groups = json.loads((room(self.config) / "groups").read_text())
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self._groups[nodeid]


def tell(session: pytest.Session) -> None:
    """Write down the groups for :class:`Scheduling`, which reads them once all workers have done
    so."""
    if folder := _room_of(session.config):
        groups = {item.nodeid: _group(item) for item in session.items}
        files.write_atomic(folder / "groups", json.dumps(groups))


# ---------------------------------------------------------------- Ctrl-C


def begin(config: pytest.Config) -> None:
    """From now on :func:`interrupt` finds this worker, and waits for its :func:`end`."""
    if folder := _room_of(config):
        signal.signal(signal.SIGINT, _Once())
        stack = config.stash[_WORK] = contextlib.ExitStack()
        stack.enter_context(files.locked(folder / f"worker-{os.getpid()}"))


def end(config: pytest.Config) -> None:
    if stack := config.stash.get(_WORK, None):
        stack.close()


class _Once:
    """Ctrl-C reaches a worker several times: from the terminal, and through pytest-xdist.

    Only the first one interrupts. It says so itself, because a fixture that ends may set the
    handler anew.
    """

    def __init__(self) -> None:
        self._interrupted = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self._interrupted:
            self._interrupted = True
            signal.default_int_handler(number, frame)


def interrupt(config: pytest.Config) -> None:
    """Interrupt the workers, and wait until they have cleaned up."""
    if _FOLDER not in config.stash:
        return
    workers = list(room(config).glob("worker-*"))
    for path in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(path.name.partition("-")[2]), signal.SIGINT)
    waits = threading.Thread(target=_wait_for, args=(workers,), daemon=True)
    waits.start()
    waits.join(CLEAN_UP)


def _wait_for(workers: list[Path]) -> None:
    for path in workers:
        with files.locked(path):
            pass
