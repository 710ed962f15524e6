"""Runs work side by side in threads. The first failure, or a signal, ends all of it.

Code that starts something which does not end by itself says how to end it (:func:`ended_by`): kill
a process, remove a container. The threads have the caller's context, with its stage of progress.
"""

from __future__ import annotations

import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

from lab.util.deadline import Deadline
from lab.util.holding import held_back

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

#: Seconds until a thread that waits looks for a signal: one that comes in the moment before Python
#: sleeps does not wake it.
LOOK = 0.5
#: Seconds that cancelled work has to end. After that, nobody waits for it.
END_SECONDS = 15.0


class CalledOff(Exception):
    """Raised in a piece of work when another one has failed, or a signal has come."""


class _Group:
    """Work that ends together."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._ends: dict[object, Callable[[], None]] = {}
        self.over = False

    def add(self, key: object, end: Callable[[], None]) -> None:
        with self._guard:
            self._ends[key] = end
            over = self.over
        if over:
            end()

    def remove(self, key: object) -> None:
        with self._guard:
            self._ends.pop(key, None)

    def call_off(self) -> None:
        with self._guard:
            self.over = True
            ends = list(self._ends.values())
        for end in ends:
            end()


_group: ContextVar[_Group | None] = ContextVar("group", default=None)


@contextlib.contextmanager
def ended_by(end: Callable[[], None]) -> Iterator[None]:
    """While the block runs, ``end`` (called in another thread) ends it if it is called off.

    Raises:
        CalledOff: it was called off; also instead of an exception of the block.
    """
    group = _group.get()
    if group is None:
        yield
        return
    go_on()
    key = object()
    group.add(key, end)
    try:
        yield
    except Exception:
        go_on()
        raise
    finally:
        group.remove(key)
    go_on()


def go_on() -> None:
    """Work that does many small things calls this between them.

    Raises:
        CalledOff: the work was called off.
    """
    group = _group.get()
    if group is not None and group.over:
        raise CalledOff


def all_of(works: Sequence[Callable[[], T]], at_once: int = 0) -> list[T]:
    """The results of ``works``, in their order. ``at_once``: the most threads at a time.

    Raises:
        Exception: of the work that failed first. The others have ended then.
        KeyboardInterrupt: a signal came; the same holds.
    """
    group, count = _Group(), min(at_once or len(works), len(works))
    waiting = iter(enumerate(works))
    guard = threading.Lock()
    done: queue.SimpleQueue[tuple[int, T | None, BaseException | None]] = queue.SimpleQueue()

    def worker() -> None:
        _group.set(group)
        while not group.over:
            with guard:
                number, work = next(waiting, (-1, None))
            if work is None:
                return
            try:
                done.put((number, work(), None))
            except BaseException as error:
                done.put((number, None, error))
                group.call_off()

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(worker,), daemon=True)
        for _ in range(count)
    ]
    found: dict[int, T | None] = {}

    def end() -> None:
        group.call_off()
        done.put((-1, None, CalledOff()))

    with ended_by(end):
        try:
            with held_back():  # Thread.start does not bear an interrupt
                for thread in threads:
                    thread.start()
            while len(found) < len(works):
                number, result, error = _next(done)
                if error is not None:
                    raise error
                found[number] = result
        finally:
            with held_back():
                group.call_off()
                _wait_for(threads)
    return [found[number] for number in range(len(works))]  # type: ignore[misc]


def _next(done: queue.SimpleQueue[A]) -> A:
    while True:
        with contextlib.suppress(queue.Empty):
            return done.get(timeout=LOOK)


def _wait_for(threads: Sequence[threading.Thread]) -> None:
    """Wait until the threads have ended, for :data:`END_SECONDS` together."""
    patience = Deadline(END_SECONDS)
    for thread in threads:
        if thread.ident is not None:
            thread.join(patience.left())


def pair(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """The results of both; otherwise as :func:`all_of`."""
    works: list[Callable[[], A | B]] = [first, second]
    found: list[Any] = all_of(works)
    return found[0], found[1]
