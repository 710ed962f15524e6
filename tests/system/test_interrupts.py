"""The first Ctrl-C or SIGTERM ends a command, whatever it waits for: soon, with a message and its
exit status, and nothing is left.

Waits inside Python have their own table (tests/unit/util/test_signals.py). These tests use real
commands.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.util import files
from system.test_places import cache_with
from system.world import LONGEST, Running, World, until

#: They share a lab that is up.
pytestmark = pytest.mark.xdist_group("interrupts")

#: Seconds within which a command has ended. Two are promised, on a machine that has a processor
#: for it; what this finds is what hangs.
SOON = 10.0


@dataclass(frozen=True)
class Wait:
    """A command, and when it waits: after this output on standard error, or as soon as it has
    begun.

    ``locked``: a lock that another process holds meanwhile, below the runtime folder or the cache.
    ``fresh``: folders of the cache that are empty.
    """

    words: tuple[str, ...]
    after: str = ""
    locked: str = ""
    fresh: tuple[str, ...] = ()
    up: bool = False


WAITS = {
    "another command that sweeps": Wait(("lab.up", "silent"), locked="xenlab/locks/sweep"),
    "another command that makes the toolchain": Wait(
        ("toolchain.build",), locked="toolchain/.lock", fresh=("toolchain",)
    ),
    "another command that stores a template": Wait(
        ("lab.run", "silent"), locked="locks/templates", fresh=("templates",)
    ),
    "images that are built": Wait(("image.build",), after="packages", fresh=("store",)),
    "a scenario": Wait(("lab.run", "patient", "--clock", "host"), after="guests run"),
    "a matrix": Wait(("lab.matrix", "tiny"), after="one, good: lab beside"),
    "a program in dom0": Wait(("lab.exec", "shared", "sleep 600"), up=True),
    "what consoles will say": Wait(("lab.logs", "shared", "--follow"), up=True),
    "a large trace": Wait(("trace.stats", "large")),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("what", WAITS)
def test_the_first_signal_ends_it(
    request: pytest.FixtureRequest, world: World, tmp_path: Path, what: str, number: signal.Signals
) -> None:
    wait = WAITS[what]
    if wait.up:
        request.getfixturevalue("up")
    if what == "a large trace":
        large_trace(world)
    with contextlib.ExitStack() as stack:
        env = cache(world, tmp_path / "cache", wait)
        if wait.locked:
            stack.enter_context(somebody_has(lock_of(world, env, wait.locked)))
        command = world.start(*wait.words, env=env)
        stack.callback(command.process.kill)
        if wait.after:
            command.when(wait.after)
        until("it has begun", lambda: has_begun(command), 60)
        if wait.locked:
            until("it waits for the lock", lambda: waits_for_a_lock(command), LONGEST)
        elif not wait.after:
            time.sleep(0.5)  # wherever it is then
        before = time.monotonic()
        said = command.signal(number).end().expect(130)
        assert "interrupted" in said.err
        assert time.monotonic() - before < SOON


def cache(world: World, folder: Path, wait: Wait) -> dict[str, str]:
    """A cache like the real one, but with nothing in some of its folders; as environment."""
    if not wait.fresh:
        return {}
    names = ("apt", "packages", "store", "templates", "toolchain")
    return cache_with(world, folder, *(name for name in names if name not in wait.fresh))


def lock_of(world: World, env: dict[str, str], name: str) -> Path:
    top = world.runtime if name.startswith("xenlab/") else Path(env.get("LAB_CACHE", world.cache))
    for folder in reversed((top / name).relative_to(top).parents):
        (top / folder).mkdir(mode=0o700, exist_ok=True)
    return top / name


@contextlib.contextmanager
def somebody_has(lock: Path) -> Iterator[None]:
    handle = files.try_lock(lock)
    assert handle is not None, "somebody else has it"
    try:
        yield
    finally:
        os.close(handle)


def has_begun(command: Running) -> bool:
    """Whether the command itself runs: it catches SIGTERM then (proc_pid_status(5))."""
    status = Path(f"/proc/{command.process.pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)
    return bool(caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def waits_for_a_lock(command: Running) -> bool:
    """Whether it waits for an flock(2) that another process has (proc_locks(5))."""
    waiting = re.compile(rf"-> FLOCK +ADVISORY +WRITE +{command.process.pid} ")
    return bool(waiting.search(Path("/proc/locks").read_text()))


def large_trace(world: World) -> None:
    """A run with a trace that takes seconds to read."""
    run = world.folder / "runs" / "large" / "20260101-000000-aaaa"
    if not run.exists():
        (run / "trace").mkdir(parents=True)
        with (run / "trace" / "hello.records").open("wb") as file:
            file.truncate(1 << 40)
        (run.parent / "latest").symlink_to(run.name)
