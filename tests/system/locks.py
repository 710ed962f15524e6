"""Changed locks, for the system tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from lab.packages import lock
from system.world import ROOT, Said, World

Change = Callable[[dict[str, Any]], None]


def place(parent: Path) -> Path:
    """A folder with the labs that ship, in which a lock can be put beside them."""
    folder = parent / "locked"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "images").symlink_to(ROOT / "images")
    shutil.copy(ROOT / "labs.yaml", folder)
    return folder


def save_bundle(world: World, folder: Path, *words: str) -> Said:
    """Save a bundle for the labs in a folder. It has the locked packages or is not made at all."""
    said = world.start("bundle.save", *words, cwd=folder).end()
    if said.status == 2 and "the archive has other versions than the lock" in said.err:
        why = next(line for line in said.err.splitlines() if "other versions than" in line)
        pytest.skip(f"no bundle can be saved here: {why.strip()}")
    return said.expect(0)


def relock(folder: Path, name: str, change: Change) -> None:
    """The lock that ships, with a change to the first file of one package of ARM32."""
    data = json.loads((ROOT / lock.NAME).read_text())
    archives = (pins for part, pins in data["archives"].items() if "arm64" not in part)
    parts = (data["toolchain"], *archives)
    change(next(pin for part in parts for pin in part if pin["name"] == name))
    (folder / lock.NAME).write_text(json.dumps(data))


def steady(part: str, gone: Collection[str]) -> str:
    """The first package of a part of the lock whose locked version the archive still has today."""
    data = json.loads((ROOT / lock.NAME).read_text())
    pins = data["toolchain"] if part == "toolchain" else data["archives"][part]
    names = [pin["name"] for pin in pins if pin["name"] not in gone]
    if not names:
        pytest.skip(f"the archive has no package of {part} in the locked version any more")
    return str(names[0])


def other_hash(pin: dict[str, Any]) -> None:
    pin["sha256"] = pin["sha256"][1:] + ("1" if pin["sha256"][0] == "0" else "0")


def never_there(pin: dict[str, Any]) -> None:
    """A version, with bytes, that no archive ever had."""
    pin["file"] = pin["file"].replace(pin["version"].replace(":", "%3a"), "0.1-1")
    pin["version"] = "0.1-1"
    other_hash(pin)
