"""Signals that ask a command to stop: they all act alike, and can be held back for a while.

A person's Ctrl-C, a supervisor's SIGTERM and a closed terminal's SIGHUP all become SIGINT. It ends
the command in order: by ``KeyboardInterrupt``, or by cancelling the main task while an event loop
runs. If the event loop does not react in time, it is interrupted, whatever it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from lab.util import together
from lab.util.holding import STOPPING, held_back

__all__ = [
    "STOPPING", "held_back", "leaving", "like_ctrl_c", "new_runner", "one_way_to_stop", "run",
    "run_in",
]  # fmt: skip

T = TypeVar("T")

#: Seconds that an event loop has for an orderly end, and then for each further step.
PATIENCE, IMPATIENCE = 1.2, 0.4


def one_way_to_stop() -> None:
    """Make each of these signals end the command in order.

    A shell starts background jobs with SIGINT ignored; SIGTERM must stop those as well, so
    the handler of SIGINT is always set. SIGHUP stays ignored where nohup(1) wants it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)


def like_ctrl_c() -> None:
    """Make SIGTERM and SIGHUP act like Ctrl-C in somebody else's program, unless it handles them.

    The system would end the program at once, and the machines of its labs would go on."""
    if threading.current_thread() is not threading.main_thread():
        return
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is signal.SIG_DFL:
            signal.signal(each, _interrupt)


def leaving() -> None:
    """Signals now end the process silently: the command is over, and only Python has to end."""
    for each in STOPPING:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, signal.SIG_DFL)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Like ``asyncio.run``, but the first signal ends it, whatever it is doing.

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
    """Like ``runner.run(main)``, but the first signal ends it, whatever it is doing.

    asyncio itself waits for the next turn of its loop, which does not come while something blocks,
    and for tasks that do not end when they are cancelled.

    Raises:
        KeyboardInterrupt: a signal came.
    """
    with _stopping() as stop:
        return _run(stop, runner, main)


@contextlib.contextmanager
def _stopping() -> Iterator[_Stop | None]:
    """Handle signals for a while; yields ``None`` if somebody else handles them."""
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
        if stop.late:
            raise KeyboardInterrupt


def _run(stop: _Stop | None, runner: asyncio.Runner, main: Coroutine[Any, Any, T]) -> T:
    if stop is None:
        return _Beside().run(runner, main)
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


class _Beside:
    """Runs an event loop where signals do not come: in a thread. It is cancelled if the work of
    that thread is called off (:mod:`lab.util.together`)."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._over = False

    def run(self, runner: asyncio.Runner, main: Coroutine[Any, Any, T]) -> T:
        loop = runner.get_loop()

        def end() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(self._cancel)

        with together.ended_by(end):
            try:
                return runner.run(self._around(main))
            except asyncio.CancelledError:
                together.go_on()
                raise
            finally:
                _forget(main)

    async def _around(self, main: Coroutine[Any, Any, T]) -> T:
        self._task = asyncio.current_task()
        if self._over:  # called off before it began
            raise asyncio.CancelledError
        return await main

    def _cancel(self) -> None:
        self._over = True
        if self._task:
            self._task.cancel()


class _Stop:
    """What a signal does to an event loop. The first cancels the main task. Then the loop is
    interrupted again and again until it ends."""

    def __init__(self) -> None:
        self.times = 0
        self.late = False
        self._task: asyncio.Task[Any] | None = None
        self._over = False
        self._lock = threading.Lock()

    async def around(self, main: Coroutine[Any, Any, T]) -> T:
        self._task = asyncio.current_task()
        return await main

    def came(self, *_: object) -> None:
        self.times += 1
        if self._over:  # the first one is no repetition of ours
            self.late |= self.times == 1
            return
        timer = threading.Timer(PATIENCE if self.times == 1 else IMPATIENCE, self._again)
        timer.daemon = True
        timer.start()
        if self.times > 1 or self._task is None or self._task.done():
            raise KeyboardInterrupt
        self._task.cancel()
        self._task.get_loop().call_soon_threadsafe(lambda: None)  # wakes it up

    def over(self) -> None:
        """After this, no more signals are sent from here."""
        with self._lock:
            self._over = True

    def _again(self) -> None:
        with self._lock:
            if not self._over:
                # To that very thread: nothing else interrupts a system call in which it waits.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _interrupt(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)
