"""Many commands at once on one lab."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator

from system.table.rows import full
from system.world import Running, World

#: How many of each at once, at CI size and in full.
EXECS, INJECTS = (4, 12), (2, 6)
#: Seconds that it goes on, in full.
LONG = 3600.0


def hands(world: World, _: int) -> None:
    """`lab.exec`, `lab.inject`, status, logs and console at once: all succeed. The full size
    takes an hour."""
    world.run("lab.up", "hello")
    try:
        end, rounds = time.monotonic() + (LONG if full() else 0.0), 0
        while not rounds or time.monotonic() < end:
            _at_once(world)
            rounds += 1
    finally:
        world.run("lab.down", "hello")


def _at_once(world: World) -> None:
    with _console(world) as console:
        execs = [_exec(world, number) for number in range(EXECS[full()])]
        injects = [_inject(world, number) for number in range(INJECTS[full()])]
        others = [
            world.start("lab.status", "hello", "--json"), world.start("lab.logs", "hello"),
            world.start("lab.status", "--json"),
        ]  # fmt: skip
        for number, command in enumerate(execs):
            assert command.end().expect(0).out == f"said {number}\n"
        for command in injects:
            names = {one["name"] for one in json.loads(command.end().expect(0).out)["domains"]}
            assert names >= {"Domain-0"}
        status, logs, _ = [command.end().expect(0) for command in others]
        assert json.loads(status.out)["running"]
        assert "hello from FreeRTOS" in logs.out
    console.end().expect(0)


def _exec(world: World, number: int) -> Running:
    """Run commands in dom0. Some end at once, some take longer than a turn."""
    line = f"sh -c 'sleep {number % 3}; echo said {number}'"
    return world.start("lab.exec", "hello", line, "--timeout", "300")


def _inject(world: World, number: int) -> Running:
    """Inject guests. Half of the commands inject the same guest, so they replace each other."""
    return world.start("lab.inject", "hello", ("hello", "hello2")[number % 2], "--json")


@contextlib.contextmanager
def _console(world: World) -> Iterator[Running]:
    """Keep a person's console open until the block ends."""
    reader, writer = os.pipe()
    try:
        yield world.start("lab.console", "hello", "--on", "dom0", stdin=reader)
        os.write(writer, b"\r")
    finally:
        os.close(reader)
        os.close(writer)
