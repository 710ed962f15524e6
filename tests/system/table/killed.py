"""Our own process is killed with -9, QEMU is killed, and many commands start the same lab."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import rundir
from lab.rundir import RunDir
from system.world import Said, World, processes, until

COLD, WARM = {"LAB_COLD": "1"}, {"LAB_COLD": "0"}


@dataclass(frozen=True)
class Phase:
    """A command, and the output after which it is killed.

    ``fresh``: folders of the cache that are empty. ``up``: the command works on a running lab.
    """

    words: tuple[str, ...]
    after: str
    env: Mapping[str, str]
    fresh: tuple[str, ...] = ()
    up: bool = False


UP, RUN = ("lab.up", "silent"), ("lab.run", "silent", "--clock", "host")
#: The first four are those of CI.
PHASES = (
    Phase(UP, "machine", COLD),
    Phase(RUN, "guests run", WARM),
    Phase(UP, "guest silent", WARM, fresh=("templates",)),
    Phase(UP, "restore", WARM),
    *(Phase(UP, after, COLD) for after in ("images", "Xen", "dom0", "guest silent", "first lines")),
    Phase(("image.build",), "packages", COLD, fresh=("templates", "store")),
    Phase(UP, "guests run", WARM),
    Phase(UP, "dom0", WARM, fresh=("templates",)),
    Phase(("lab.inject", "silent", "hello"), "guests", WARM, up=True),
    Phase(("lab.down", "silent"), "", WARM, up=True),
    Phase(("lab.run", "silent", "--clock", "virtual"), "dom0", WARM, fresh=("templates",)),
    Phase(("lab.run", "silent", "--clock", "virtual"), "guests run", WARM),
)


@contextlib.contextmanager
def cache(world: World, without: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The environment with a cache like the real one, except that some of its folders are empty."""
    if not without:
        yield {}
        return
    folder = Path(tempfile.mkdtemp(prefix="cache-", dir=world.cache.parent))
    try:
        for path in world.cache.iterdir():
            if path.name not in (*without, "ram", "locks"):
                (folder / path.name).symlink_to(path)
        yield {"LAB_CACHE": str(folder)}
    finally:
        shutil.rmtree(folder)


def our_process(world: World, number: int) -> None:
    """After kill -9 the next command cleans up, or finds the lab that came up anyway."""
    phase = PHASES[number % len(PHASES)]
    with cache(world, phase.fresh) as more:
        env = {**phase.env, **more}
        if phase.up:
            world.run("lab.up", "silent", env=env)
        newest = rundir.latest_run(world.folder / "runs", "silent")
        command = world.start(*phase.words, env=env)
        if phase.after:
            command.when(phase.after)
        begun = 0.0 if phase.after else 0.3  # it says nothing: when Python has started
        time.sleep(begun + number * 37 % 50 / 100)  # each time at another moment of the phase
        command.signal(signal.SIGKILL).end()
        said = world.run("lab.status", "silent", "--json", env=env)
        if json.loads(said.out)["state"] == "guests":
            world.run("lab.down", "silent", env=env)
        until("all is gone", lambda: not world.left(), 60)
        _logs_are_kept(world, newest)
        if more:
            _nothing_half_made(Path(more["LAB_CACHE"]), world, env)


def _logs_are_kept(world: World, before: RunDir | None) -> None:
    """The output of the run is kept, and its manifest does not say that it still runs."""
    run = rundir.latest_run(world.folder / "runs", "silent")
    if run is None or (before and run.path == before.path) or not run.manifest():
        return
    life = run.manifest()["life"]
    assert life != rundir.RUNNING, f"{run.path}: {life}"
    if (run.path / "qemu.log").exists():
        assert run.console("xen").exists()


def _work_in(folder: Path) -> list[int]:
    """The programs that still work in a folder. Those of a killed command die after it; on a
    busy machine this takes seconds."""
    return [pid for pid, words in processes() if any(str(folder) in word for word in words)]


def _own(folder: Path) -> bool:
    """Whether a folder of the cache is not a link. A link leads to the cache of all tests, in
    which others may be making something now."""
    return folder.is_dir() and not folder.is_symlink()


def _nothing_half_made(folder: Path, world: World, env: Mapping[str, str]) -> None:
    """Check that the next command that makes something of this kind removes half-made things."""
    until("nobody works in it", lambda: not _work_in(folder), 60)
    world.run("image.build", env=env)
    if _own(folder / "templates"):
        world.run("lab.up", "silent", env={**env, "LAB_COLD": "0"})
        world.run("lab.down", "silent", env=env)
    left = [*folder.glob("ram/*")]
    left += folder.glob("templates/.new-*") if _own(folder / "templates") else ()
    left += folder.glob("store/*/.new-*") if _own(folder / "store") else ()
    assert not left, f"half made, and still there: {left}"


# ---------------------------------------------------------------- QEMU

#: A line of ``lab.run``, the clock, and whether the lab comes out of a template.
STAGES = (
    ("machine", "host", COLD), ("guests run", "host", WARM), ("restore", "virtual", COLD),
    ("Xen", "host", COLD), ("dom0", "virtual", COLD), ("guest selftest", "host", COLD),
    ("guest selftest", "virtual", COLD), ("restore", "host", WARM),
)  # fmt: skip
#: Seconds within which the death of QEMU is known.
SEEN = 1.0


def qemu(world: World, number: int) -> None:
    """The death of QEMU is noticed within a second: exit status 3, layer qemu, its last output."""
    stage, clock, env = STAGES[number % len(STAGES)]
    command = world.start("lab.run", "selftest", "--json", "--clock", clock, env=env)
    command.when(stage)
    killed = time.time()
    for pid in world.strays():
        os.kill(pid, signal.SIGKILL)
    said = command.end().expect(3)
    found = json.loads(said.out)
    assert found["layer"] == "qemu", found
    said_nothing = not Path(found["run"], "console", "xen.log").stat().st_size
    assert found["tail"] or said_nothing, found
    after = _failed_at(Path(found["run"])) - killed
    assert after < SEEN, f"seen after {after:.2f} s"


def _failed_at(run: Path) -> float:
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return float(next(one["time"] for one in events if one["event"] == "failed"))


# ---------------------------------------------------------------- races


def race(world: World, number: int) -> None:
    """Of two to eight `lab.up` of one lab one succeeds; the others name it and end with status
    2."""
    count = 2 + number % 7
    commands = [world.start("lab.up", "hello", env=WARM) for _ in range(count)]
    ends = {command.process.pid: command.end() for command in commands}
    winners = [pid for pid, said in ends.items() if said.status == 0]
    assert len(winners) == 1, _told(ends)
    for pid, said in ends.items():
        if pid != winners[0]:
            said.expect(2)
            named = f"process {winners[0]}" in said.err or "runs already (run /" in said.err
            assert named, _told(ends)
            assert "machine …" not in said.err, "it started one, too"
            assert "restore …" not in said.err, "it started one, too"
    assert len(world.strays()) >= 1
    world.run("lab.down", "hello")


def _told(ends: Mapping[int, Said]) -> str:
    return "\n".join(f"{pid}: {said.status}: {said.err}" for pid, said in ends.items())
