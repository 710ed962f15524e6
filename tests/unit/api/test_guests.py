"""Guests that are built alone, or for a lab that runs. Nothing is built, and no machine runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from kernel_files import image, zimage

from lab import api
from lab.api import Context, drift, guests
from lab.errors import ConfigError
from lab.model import ARM32, ARM64, Architecture, GuestImage, GuestSpec, Image, Prebuilt, State
from lab.run.live import Live
from lab.rundir import LabDir, RunDir

if TYPE_CHECKING:
    from lab.run.session import Session
    from lab.workshop.prepare import Workshop

TEXT = """\
guests:
  app: {freertos: app}
  wide: {kernel: Image}
  narrow: {kernel: zImage}
labs:
  l: {guests: [app]}
"""


@dataclass(frozen=True)
class Recorded(Context):
    """A context whose workshop only notes for which architecture it works."""

    asked: list[Architecture] = field(default_factory=list)

    def workshop(self, door: str | None = None, arch: Architecture | None = None) -> Workshop:
        del door
        assert arch is not None
        self.asked.append(arch)
        return cast("Workshop", SimpleNamespace(guests=self.made))

    def made(self, wanted: list[GuestSpec], beside: object = None) -> dict[str, GuestImage]:
        del beside
        kernel = Image("kernel", self.file, "0", 1, "0")
        return {one.name: GuestImage(one.name, kernel) for one in wanted}


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(drift, "tell", lambda *_: None)
    (tmp_path / "app").mkdir()
    (tmp_path / "Image").write_bytes(image())
    (tmp_path / "zImage").write_bytes(zimage())
    (tmp_path / "labs.yaml").write_text(TEXT)
    return Recorded(tmp_path / "labs.yaml")


def running(folder: Path, arch: str) -> Live:
    run = RunDir(folder)
    run.guest_dir.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"arch": arch}))
    return Live("l", LabDir(folder), run, State.GUESTS, None, "host", kept=False)


@pytest.mark.parametrize("arch", [ARM32, ARM64])
def test_a_guest_for_a_running_lab_is_made_for_its_architecture(
    context: Recorded, tmp_path: Path, arch: Architecture
) -> None:
    """Which the lab may have from ``--arch``, and not from labs.yaml."""
    spec, _ = guests.ready(context, running(tmp_path, arch.xen), "app")
    assert (spec.name, context.asked) == ("app", [arch])


def test_a_guest_that_is_too_wide_for_a_running_lab_is_refused(
    context: Recorded, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"3:18: 'kernel': 'Image' is an arm64 kernel"):
        guests.ready(context, running(tmp_path, "arm32"), "wide")
    assert context.asked == []
    guests.ready(context, running(tmp_path, "arm64"), "wide")
    assert context.asked == [ARM64]


def test_a_guest_alone_is_built_for_the_first_architecture_that_runs_it(context: Recorded) -> None:
    for name in ("app", "narrow", "wide"):
        api.guest_build(context, name)
    assert context.asked == [ARM32, ARM32, ARM64]


def test_a_new_guests_lines_begin_where_the_old_one_is_gone(tmp_path: Path) -> None:
    """The old one prints until its domain is destroyed, and that may come later still."""
    log = tmp_path / "app.log"
    log.write_text("alive\n")
    steps: list[str] = []

    async def inject(_plan: object, _image: object, seen: Callable[[str], None]) -> None:
        for what in ("destroying the old one", "copying", "xl create"):
            seen(what)
            with log.open("a") as file:
                file.write("hello\n" if what == "xl create" else "still alive\n")

    async def add_console(_name: str) -> None: ...

    session = SimpleNamespace(
        add_console=add_console, inject=inject, run=SimpleNamespace(console=lambda _: log)
    )
    spec = GuestSpec("app", Prebuilt(tmp_path / "kernel"))
    kernel = GuestImage("app", Image("kernel", log, "0", 1, "0"))
    begin = asyncio.run(guests.create(cast("Session", session), spec, kernel, steps.append))
    assert log.read_text()[begin:] == "hello\n"
    assert steps[-1] == "xl create"
