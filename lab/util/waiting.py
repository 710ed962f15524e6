"""Events of the host as asyncio knows them: a path that appears, a program that ends."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lab.errors import MachineError
from lab.model import Program

if TYPE_CHECKING:
    from asyncinotify import Inotify

T = TypeVar("T")

#: As long as poll(2) can wait (its milliseconds are 32 bits), in seconds.
FOREVER = 20 * 86400.0


def open_inotify() -> Inotify:
    """An inotify(7) instance, to be given to :func:`let_go`; a user may have 128 of them, usually.

    Raises:
        MachineError: there are too many.
    """
    from asyncinotify import Inotify  # many commands watch no file, and ctypes is slow to load

    try:
        return Inotify()
    except OSError as error:
        raise MachineError(
            f"files cannot be watched: {error.strerror}",
            hint="start fewer labs at once, close other programs that watch files, or raise "
            "fs.inotify.max_user_instances",
        ) from error


def let_go(inotify: Inotify) -> None:
    """Close it, but not here: close(2) waits some milliseconds for the kernel's other readers
    (fsnotify_destroy_group, fs/notify/group.c of Linux), and much is waiting for us."""
    threading.Thread(target=inotify.close, daemon=True, name="close-inotify").start()


@contextlib.contextmanager
def watching() -> Iterator[Inotify]:
    """An inotify(7) instance for a while.

    Raises:
        MachineError: there are too many.
    """
    inotify = open_inotify()
    try:
        yield inotify
    finally:
        let_go(inotify)


async def appears(path: Path) -> None:
    """Until something is at ``path``; its folder must exist. Bound it with a timeout.

    Raises:
        MachineError: files cannot be watched.
    """
    from asyncinotify import Mask

    with watching() as inotify:
        inotify.add_watch(path.parent, Mask.CREATE | Mask.MOVED_TO)
        while not path.exists():
            await inotify.get()


#: Set when whoever waits for this thread's work does not want it any more.
_unwanted: ContextVar[threading.Event | None] = ContextVar("unwanted", default=None)


class Unwanted(Exception):
    """Nobody waits for this work any more: raised in its thread."""


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Have a thread do what would keep the event loop. When this is cancelled, the work is told
    (see :func:`go_on`), and has ended when this returns.

    The thread is a daemon: work that does not ask does not keep our process alive.
    """
    unwanted, loop = threading.Event(), asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(found: T | None, error: BaseException | None) -> None:
        if error is None:
            done.set_result(found)  # type: ignore[arg-type]
        else:
            done.set_exception(error)

    def thread() -> None:
        _unwanted.set(unwanted)
        found, failed = None, None
        try:
            found = work(*arguments)
        except BaseException as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(tell, found, failed)

    threading.Thread(target=thread, daemon=True, name=work.__name__).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        unwanted.set()
        with contextlib.suppress(Exception):
            await done
        raise


def go_on() -> None:
    """To be asked by work in a thread whenever it has done a piece.

    Raises:
        Unwanted: its result is not wanted any more.
    """
    unwanted = _unwanted.get()
    if unwanted and unwanted.is_set():
        raise Unwanted


def end_of(program: Program) -> asyncio.Event:
    """An event that is set when the program has ended.

    The wait is a daemon thread's: it costs nothing and does not keep our process alive.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while not program.wait(FOREVER):
            pass
        if not loop.is_closed():
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True, name="end-of-program").start()
    return ended


class Job(Generic[T]):
    """A call that may block without end, in a daemon thread that can be left alone.

    ``undo`` is given the result if nobody takes it, as soon as there is one. ``told`` is called
    in the thread at the end.
    """

    def __init__(
        self,
        work: Callable[[], T],
        undo: Callable[[T], None],
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self._work, self._undo, self._told = work, undo, told
        self._guard = threading.Lock()
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._left = False
        self._ended = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="job").start()

    def ended(self, seconds: float) -> bool:
        """Wait for its end, at most so long; a signal's handler may raise meanwhile."""
        return self._ended.wait(seconds)

    def take(self) -> T:
        """The result of a job that has ended, once; or what it raised."""
        if self._error is not None:
            raise self._error
        return self._results.pop()

    def leave(self) -> None:
        """Nobody waits for it any more."""
        with self._guard:
            self._left = True
            results, self._results = self._results, []
        for result in results:
            self._undo(result)

    def _run(self) -> None:
        try:
            result = self._work()
        except BaseException as error:
            self._error = error
        else:
            with self._guard:
                left = self._left
                if not left:
                    self._results.append(result)
            if left:
                self._undo(result)
        self._ended.set()
        self._told()


async def in_job(work: Callable[[], T], undo: Callable[[T], None]) -> T:
    """The result of a call that may block without end: cancelling this ends the wait at once.

    asyncio's own threads do not allow that: it waits for them before it ends.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(ended.set)

    job = Job(work, undo, told)
    try:
        await ended.wait()
        return job.take()
    except BaseException:
        job.leave()
        raise
