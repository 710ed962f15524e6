"""Fake labs, and what the plugin asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import api
from lab.errors import GuestCrashed, MachineError, NotSeen
from lab.util.waiting import appears

Given = Callable[..., pytest.RunResult]

#: What the tests inside share: the marker, and a test that uses a lab.
USES = """
import pytest
{before}
def test_it(lab):
    {body}
"""


@dataclass
class Seeming:
    """A fake lab. ``log``: what was done to all of them."""

    name: str
    run_dir: Path
    log: list[str]
    alive: bool = True
    crashed: bool = False

    @property
    def sound(self) -> bool:
        return self.alive and not self.crashed

    def crash(self) -> None:
        self.crashed = True

    def check(self) -> None:
        if self.crashed:
            raise GuestCrashed("guest hello: its domain crashed", tail="oops")

    def skip(self) -> None:
        self.log.append(f"skip {self.name}")

    def close(self) -> None:
        self.log.append(f"down {self.name}")
        self.alive = False

    def lose(self) -> None:
        self.alive = False
        raise MachineError("QEMU ended by itself", tail="the last words", hint="look")

    def miss(self) -> None:
        raise NotSeen("'x' was not seen on the console of hello within 1s", tail="a b c")


def _wait(context: api.Context, name: str, path: Path) -> None:
    with context.progress.stage(name) as stage:
        stage.note("a note")
        asyncio.run(appears(path))


@dataclass
class Stage:
    """What the plugin asked of the lab."""

    folder: Path
    log: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    archs: list[str] = field(default_factory=list)
    fails: Exception | None = None
    #: Until this file is there the lab is being made, in a stage of this name.
    until: tuple[str, Path] | None = None

    def start(self, name: str, context: api.Context, **options: Any) -> Seeming:
        self.asked.append(options)
        self.files.append(context.file)
        self.archs.append(context.arch.xen if context.arch else "")
        if self.fails:
            raise self.fails
        if self.until:
            _wait(context, *self.until)
        number = sum(word.startswith("up ") for word in self.log) + 1
        run = self.folder / "runs" / f"{name}-{number}" / "1"
        (run / "console").mkdir(parents=True)
        (run / "console" / "xen.log").write_text("(XEN) words of Xen\n")
        (run / "console" / "hello.log").write_text("words of the guest\n")
        self.log.append(f"up {name}-{number}")
        return Seeming(f"{name}-{number}", run, self.log)
