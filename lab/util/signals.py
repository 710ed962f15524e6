"""Signals that ask a command to stop: one way in, and moments in which they must wait.

A person's Ctrl-C, a supervisor's SIGTERM and a closed terminal's SIGHUP all become SIGINT, which
is an orderly end: ``KeyboardInterrupt``, or the main task's cancellation while an event loop runs.
An event loop that does not come to it is not waited for: whatever it is at is interrupted.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

#: What asks us to stop.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds that an event loop has for an orderly end, and then for each other step of it.
PATIENCE, IMPATIENCE = 1.2, 0.4


def one_way_to_stop() -> None:
    """Have every one of them end the command in order.

    A shell starts background jobs with SIGINT ignored; SIGTERM must stop those as well, so
    the handler of SIGINT is always set. SIGHUP stays ignored where nohup(1) wants it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)


def like_ctrl_c() -> None:
    """Have SIGTERM and SIGHUP end a program of somebody else's as Ctrl-C does, if it leaves them
    to the system: that would end it at once, and its labs' machines would go on."""
    if threading.current_thread() is not threading.main_thread():
        return
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is signal.SIG_DFL:
            signal.signal(each, _interrupt)


def leaving() -> None:
    """The command is over but for the end of Python itself, which is not told in words."""
    for each in STOPPING:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, signal.SIG_DFL)


def run(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run``, which the first signal ends, whatever it is at.

    Raises:
        KeyboardInterrupt: a signal came.
    """
    try:
        runner = new_runner()
        with _stopping() as stop, runner:
            return _run(stop, runner, main)
    finally:
        _forget(main)


def new_runner() -> asyncio.Runner:
    """A runner whose event loop is made. Signals wait meanwhile: half a loop cannot be closed."""
    runner = asyncio.Runner()
    try:
        with held_back():
            runner.get_loop()
    except BaseException:
        runner.close()
        raise
    return runner


def run_in(runner: asyncio.Runner, main: Coroutine[Any, Any, T]) -> T:
    """``runner.run(main)``, which the first signal ends, whatever it is at.

    asyncio itself waits for the next turn of its loop, which does not come while something
    blocks it, and for tasks that do not end when they are cancelled.

    Raises:
        KeyboardInterrupt: a signal came.
    """
    with _stopping() as stop:
        return _run(stop, runner, main)


@contextlib.contextmanager
def _stopping() -> Iterator[_Stop | None]:
    """Signals are ours for a while; ``None`` if somebody else sees to them."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield None
        return
    stop = _Stop()
    signal.signal(signal.SIGINT, stop.came)
    try:
        yield stop
    finally:
        stop.over()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _run(stop: _Stop | None, runner: asyncio.Runner, main: Coroutine[Any, Any, T]) -> T:
    if stop is None:
        return runner.run(main)
    try:
        found = runner.run(stop.around(main))
    except BaseException as error:
        if stop.times and not isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        _forget(main)
    if stop.times:
        raise KeyboardInterrupt
    return found


def _forget(main: Coroutine[Any, Any, T]) -> None:
    """Close a coroutine that has not begun, as nobody else knows of it."""
    if inspect.getcoroutinestate(main) == inspect.CORO_CREATED:
        main.close()


class _Stop:
    """What a signal does to an event loop: first it cancels the main task; then it interrupts,
    again and again until all is over."""

    def __init__(self) -> None:
        self.times = 0
        self._task: asyncio.Task[Any] | None = None
        self._over = False
        self._lock = threading.Lock()

    async def around(self, main: Coroutine[Any, Any, T]) -> T:
        self._task = asyncio.current_task()
        return await main

    def came(self, *_: object) -> None:
        self.times += 1
        if self._over:
            return
        timer = threading.Timer(PATIENCE if self.times == 1 else IMPATIENCE, self._again)
        timer.daemon = True
        timer.start()
        if self.times > 1 or self._task is None or self._task.done():
            raise KeyboardInterrupt
        self._task.cancel()
        self._task.get_loop().call_soon_threadsafe(lambda: None)  # wakes it up

    def over(self) -> None:
        """No signal comes from here any more when this returns."""
        with self._lock:
            self._over = True

    def _again(self) -> None:
        with self._lock:
            if not self._over:
                # To that thread itself: nothing else interrupts a system call that it waits in.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """They wait until the block is done: for cleaning up, which must be bounded in time.

    Their handlers are swapped rather than masked: a mask holds for one thread, and the system
    may hand the signal to another.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python runs signal handlers in the main thread alone
        return
    came: list[int] = []
    before = {each: signal.signal(each, lambda number, _: came.append(number)) for each in STOPPING}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        if came:
            signal.raise_signal(came[0])


def _interrupt(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)
