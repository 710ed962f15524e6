"""What a command does while it waits for a cluster, with an engine that is not one."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

import pytest

from lab.cluster import client
from lab.cluster.client import Connection
from lab.cluster.contents import Part
from lab.cluster.task import CameBack, Order, Task
from lab.errors import LabError, MachineError

BACK = CameBack(b"", b"", "one")


class Future:
    """A future of the engine. ``result`` is what it gives, or raises; ``None``: it never ends."""

    key = "hello-1"

    def __init__(self, result: Any) -> None:
        self._result = result

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        if self._result is not None:
            call(self)

    def result(self) -> Any:
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


class Engine:
    """The part of the engine's client that we use."""

    status = "running"

    def __init__(self, result: Any, memory: int = 1 << 30, workers: int = 1) -> None:
        self._result = result
        self._workers = {n: {"resources": {"labs": 2, "memory": memory}} for n in range(workers)}
        self.events: list[Any] = []
        self.submitted: list[str] = []
        self.cancelled: list[Any] = []
        self.ran: list[Any] = []

    def submit(self, _function: Any, *_arguments: Any, key: str, **_how: Any) -> Future:
        self.submitted.append(key)
        return Future(self._result)

    def scheduler_info(self, n_workers: int) -> Any:
        assert n_workers == -1
        return {"workers": self._workers}

    def get_events(self, _topic: str) -> Any:
        return tuple(self.events)

    def cancel(self, futures: list[Any]) -> None:
        self.cancelled += futures

    def run(self, _function: Any, keys: list[str], **_how: Any) -> None:
        self.ran += keys


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LOOK", 0.01)
    monkeypatch.setattr(client, "PATIENCE", 0.05)


def task(number: str = "1") -> Task:
    return Task(Order("hello", number, {}, 512 << 20), "labs: {}", "")


def play(engine: Engine, notes: list[str]) -> CameBack:
    return Connection(engine).play(task(), {}, notes.append)


def test_a_part_is_sent_once() -> None:
    engine = Engine(BACK)
    connection = Connection(engine)
    parts = {"abc": Part("kernel", b"")}
    for number in ("1", "2"):
        assert connection.play(task(number), parts, lambda _: None) is BACK
    assert engine.submitted.count("part-abc") == 1
    connection.call_off()
    assert engine.cancelled == engine.ran == []


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (Engine(None, workers=0), "there is no worker; waited for 0 s"),
        (Engine(None, memory=1 << 20), "no worker has 512 MB for lab hello; waited for 0 s"),
    ],
)
def test_nobody_has_room(engine: Engine, words: str) -> None:
    """It says so while it waits, and gives up in the end. Then nothing is left on the cluster."""
    notes: list[str] = []
    connection = Connection(engine)
    with pytest.raises(LabError, match=words):
        connection.play(task(), {}, notes.append)
    assert notes
    assert words.startswith(notes[0])
    connection.call_off()
    assert engine.ran == [task().key]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (concurrent.futures.CancelledError(), LabError, "the scheduler of the cluster was lost"),
        (RuntimeError("four died"), MachineError, "could not run hello-1: RuntimeError: four died"),
        (LabError("the disk is full"), LabError, "^the disk is full"),
    ],
)
def test_what_the_engine_raises(error: Exception, kind: type[LabError], words: str) -> None:
    with pytest.raises(kind, match=words):
        play(Engine(error), [])


def test_a_scheduler_that_goes_away() -> None:
    engine = Engine(None)
    engine.status = "connecting"
    connection = Connection(engine)
    with pytest.raises(LabError, match="scheduler of the cluster was lost"):
        connection.play(task(), {}, lambda _: None)
    connection.call_off()
    assert engine.cancelled == engine.ran == []  # nobody would hear it, and that takes 20 s


def test_a_run_that_ran_twice_is_compared() -> None:
    engine = Engine(BACK)
    connection = Connection(engine)
    connection.play(task(), {}, lambda _: None)
    key = task().key
    said = [("one", "aa"), ("two", "aa")]
    engine.events = [(0, {"key": key, "on": w, "digest": d}) for w, d in said]
    engine.events.append((0, {"key": "of-others", "on": "one", "digest": "xx"}))
    engine.events.append((0, {"key": "of-others", "on": "two", "digest": "yy"}))
    assert connection.twice() == []
    engine.events.append((0, {"key": key, "on": "three", "digest": "bb"}))
    assert connection.twice() == [f"{key} ran on two and three, with different digests"]


def test_equal_tasks_have_equal_keys() -> None:
    assert task().key == task().key != task("2").key
