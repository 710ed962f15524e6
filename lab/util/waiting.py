"""Waits for events of the host in asyncio: a path appears, a program ends, a thread is done."""

from __future__ import annotations

import asyncio
import contextlib
import os
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

#: The longest wait of poll(2), whose milliseconds have 32 bits, in seconds.
FOREVER = 20 * 86400.0


def open_inotify() -> Inotify:
    """An inotify(7) instance. Give it to :func:`let_go` afterwards: a user can usually have 128.

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
    """Close an inotify instance in another thread, because close(2) waits some milliseconds for the
    kernel's other readers (fsnotify_destroy_group, fs/notify/group.c of Linux)."""
    threading.Thread(target=inotify.close, daemon=True, name="close-inotify").start()


@contextlib.contextmanager
def watching() -> Iterator[Inotify]:
    """An inotify(7) instance for the block.

    Raises:
        MachineError: there are too many.
    """
    inotify = open_inotify()
    try:
        yield inotify
    finally:
        let_go(inotify)


async def appears(path: Path) -> None:
    """Wait until ``path`` exists. Its folder must exist. This has no timeout of its own.

    Raises:
        MachineError: files cannot be watched.
    """
    from asyncinotify import Mask

    with watching() as inotify:
        inotify.add_watch(path.parent, Mask.CREATE | Mask.MOVED_TO)
        while not path.exists():
            await inotify.get()


#: Set when nobody wants the result of this thread's work any more.
_unwanted: ContextVar[threading.Event | None] = ContextVar("unwanted", default=None)


class Unwanted(Exception):
    """Raised in a thread when nobody wants its result any more."""


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Do work in a thread, because it would block the event loop. When this is cancelled,
    :func:`go_on` raises in the thread, and this returns when the work has ended.

    The thread is a daemon, so work that never calls :func:`go_on` does not keep our process alive.
    """
    unwanted, loop = threading.Event(), asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(found: T | None, error: BaseException | None) -> None:
        if done.done():  # cancelled a second time: nobody waits any more
            return
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
    """Work in a thread calls this after each piece.

    Raises:
        Unwanted: nobody wants the result any more.
    """
    unwanted = _unwanted.get()
    if unwanted and unwanted.is_set():
        raise Unwanted


def end_of(program: Program) -> asyncio.Event:
    """An event that is set when the program has ended.

    A daemon thread waits. It costs nothing and does not keep our process alive.
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
    """A call that may block for ever, in a daemon thread that can be abandoned.

    If nobody takes the result, ``undo`` gets it as soon as it exists. ``told`` is called in the
    thread at the end.
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
        """Wait for the end, at most ``seconds``. A signal handler may raise meanwhile."""
        return self._ended.wait(seconds)

    def take(self) -> T:
        """The result of a job that has ended, only once; or its exception is raised."""
        if self._error is not None:
            raise self._error
        return self._results.pop()

    def leave(self) -> None:
        """Abandon the job."""
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
    """The result of a call that may block for ever. Cancelling this ends the wait at once.

    asyncio's own threads do not allow that: asyncio waits for them before it ends.
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


async def ends(pid: int) -> None:
    """Wait until a process has ended (pidfd_open(2))."""
    handle = os.pidfd_open(pid)
    try:
        await readable(handle)
    finally:
        os.close(handle)


async def readable(handle: int) -> None:
    """Wait until a descriptor can be read; a handle of a process, until that has ended."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(handle)
