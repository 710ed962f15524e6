"""Several commands at once, labs that are being prepared, and a QEMU that is stopped."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

from lab import api
from lab.machine import qemu_process
from lab.util import process
from system.world import World, until

#: So many at once: more than QEMU's sockets queue, many times over.
CROWD = 20


def test_twenty_commands_at_once(up: World) -> None:
    """All succeed, one after another; none waits longer than it may."""
    context = api.Context(up.folder / "labs.yaml")
    gate = threading.Barrier(CROWD)
    said: dict[int, str] = {}

    def one(number: int) -> None:
        gate.wait(60)
        result = api.execute(context, "shared", f"echo {number}", 120.0)
        said[number] = result.stdout.decode()

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert said == {number: f"{number}\n" for number in range(CROWD)}


def test_who_keeps_the_agent_is_named(up: World) -> None:
    """A command is stopped in the middle of its turn: the next one names it."""
    holder = up.start("lab.exec", "shared", "sleep 600", "--timeout", "900")
    lock = up.runtime / "xenlab" / up.id_of("shared") / "agent.lock"
    pid = holder.process.pid
    until("it has the agent, and is stopped", lambda: _stopped_with(pid, lock), 60)
    try:
        said = up.run("lab.exec", "shared", "true", "--timeout", "1", status=2)
        assert f"process {pid} (lab.exec)" in said.err
        assert f"kill -CONT {pid}" in said.err
    finally:
        holder.signal(signal.SIGCONT).signal(signal.SIGINT)
        began = time.monotonic()
        holder.end().expect(130)
    assert time.monotonic() - began < 10
    assert up.run("lab.exec", "shared", "echo well").out == "well\n"


def _stopped_with(pid: int, lock: Path) -> bool:
    """Stop the process if it has the lock now; otherwise let it continue."""
    os.kill(pid, signal.SIGSTOP)
    until("it stands still", lambda: process.is_stopped(pid))
    if lock.exists() and f'"pid": {pid},' in lock.read_text():
        return True
    os.kill(pid, signal.SIGCONT)
    return False


# ------------------------------------------------------------------ being prepared


def test_a_lab_that_is_prepared_says_so(world: World) -> None:
    """The message says which command prepares it, for how long, and at which stage. Both sides
    say who interrupted it."""
    first = world.start("lab.up", "hello", env={"LAB_COLD": "1"}).when("machine")
    words = f"by process {first.process.pid} (lab.up) for "
    status = world.run("lab.status", "hello").out
    assert f"lab hello: starting {words}" in status
    stage = status.split(words)[1].partition(" s: ")[2].split(";")[0]
    assert stage in ("machine", "Xen", "dom0", "dom0's agent", "guest hello"), status
    for line in (("lab.exec", "hello", "true"), ("lab.console", "hello")):
        assert f"lab hello is being prepared {words}" in world.run(*line, status=2).err
    down = world.start("lab.down", "hello")
    said = first.end().expect(130).err
    assert f"interrupted by lab.down of process {down.process.pid}" in said
    assert f"interrupted process {first.process.pid} (lab.up)" in down.end().expect(0).err
    manifest = json.loads((world.folder / "runs/hello/latest/manifest.json").read_text())
    assert manifest["reason"] == f"interrupted by lab.down of process {down.process.pid}"


# ------------------------------------------------------------------ QEMU stopped


def test_a_stopped_machine_is_named(world: World) -> None:
    """Whichever command waits for it, the error has layer qemu, exit status 3, and what to do."""
    world.run("lab.up", "hello")
    pid = qemu_process.machines()[f"xenlab-{world.id_of('hello')}"]
    os.kill(pid, signal.SIGSTOP)
    try:
        until("it stands still", lambda: process.is_stopped(pid))
        uses = ("lab.exec", "hello", "true"), ("lab.inject", "hello", "hello2")
        for line in (("lab.status", "hello"), ("lab.console", "hello"), *uses):
            said = world.run(*line, status=3).err
            assert f"error [qemu]: QEMU (process {pid}) is stopped" in said, line
            assert f"kill -CONT {pid}" in said
        assert f"QEMU (process {pid}) is stopped" in world.run("lab.status").out
        os.kill(pid, signal.SIGCONT)
        waits = world.start("lab.exec", "hello", "sh -c 'echo on >/dev/console; sleep 60'")
        log = world.folder / "runs/hello/latest/console/dom0.log"
        until("it waits", lambda: b"\non\r\n" in log.read_bytes())
        os.kill(pid, signal.SIGSTOP)
        assert f"error [qemu]: QEMU (process {pid}) is stopped" in waits.end().expect(3).err
        os.kill(pid, signal.SIGCONT)
        assert world.run("lab.exec", "hello", "echo well").out == "well\n"
        os.kill(pid, signal.SIGSTOP)
    finally:
        world.run("lab.down", "hello")


def test_a_machine_that_is_stopped_while_it_boots(world: World) -> None:
    """A stop that lasts ends the wait. It is no failure of Xen or dom0."""
    first = world.start("lab.run", "hello", "--json", env={"LAB_COLD": "1"}).when("machine")
    (ours,) = world.labs() - world.kept
    pid = qemu_process.machines()[f"xenlab-{ours}"]
    os.kill(pid, signal.SIGSTOP)
    said = first.end().expect(3)
    found = json.loads(said.out)
    assert found["layer"] == "qemu"
    assert found["reason"] == f"QEMU (process {pid}) is stopped"
