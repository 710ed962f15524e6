"""Servers of classes, for tests."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass

from system.world import Running, World


@dataclass
class Class:
    """A server that runs, and its links."""

    server: Running
    teacher: str
    seats: list[str]

    @property
    def port(self) -> str:
        return self.teacher.split(":")[2].partition("/")[0]


def begin(world: World, name: str, *words: str) -> Class:
    """Start a server, and return when its pages can be opened."""
    server = world.start("lab.serve", name, "--json", *words).when("serving")
    out = server.process.stdout
    assert out
    text = ""
    while not text.endswith("}\n"):
        text += out.readline()
    return Class(server, **json.loads(text))


def stop(one: Class) -> None:
    """Stop it with Ctrl-C, and with it the labs of its class."""
    said = one.server.signal(signal.SIGINT).end()
    assert said.status == 130, said.err
