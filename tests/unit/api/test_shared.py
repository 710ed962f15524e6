"""What the runs of one command have in common."""

from __future__ import annotations

import functools
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import config
from lab import plan as planning
from lab.api.context import Context
from lab.api.shared import Shared
from lab.model import Door, Image, Images, Plan
from lab.util import files, together

LABS = "labs:\n  one: {guests: []}\n  two: {guests: []}\n"


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    file = tmp_path / "labs.yaml"
    file.write_text(LABS)
    return file


class Making:
    """Stands for a workshop: makes one image, and counts how often."""

    def __init__(self, folder: Path) -> None:
        self.times = 0
        self.file = folder / "image"

    def __call__(self) -> Any:
        from lab.packages.lock import MadeUnder
        from lab.workshop.prepare import Prepared

        self.times += 1
        self.file.write_text("image")
        image = Image("xen", self.file, files.sha256_file(self.file), 5, "key")
        images = Images(image, None, None, image)
        return Prepared(Door.HOST, images, {}, MadeUnder("", ()))  # type: ignore[arg-type]


def of(labs: Path, name: str) -> Plan:
    return planning.plan(config.find_lab(config.load(labs), name))


def test_labs_are_read_once(labs: Path) -> None:
    """A change in the middle of a command is for the next command."""
    context = Context(labs, shared=Shared())
    assert set(context.labs().labs) == {"one", "two"}
    labs.write_text("labs:\n  three: {guests: []}\n")
    assert set(context.labs().labs) == {"one", "two"}
    assert set(replace(context, shared=None).labs().labs) == {"three"}


def test_a_plan_is_prepared_once(labs: Path, tmp_path: Path) -> None:
    """Also for many runs at once; seeds do not matter, another plan does."""
    shared, making, plan = Shared(), Making(tmp_path), of(labs, "one")
    at_once = threading.Barrier(4)

    def prepared(seed: int) -> Any:
        at_once.wait()
        return shared.prepared(replace(plan, seed=seed), making)

    found = together.all_of([functools.partial(prepared, seed) for seed in range(4)])
    assert all(one is found[0] for one in found)
    assert making.times == 1
    shared.prepared(of(labs, "two"), making)
    shared.prepared(replace(plan, xen_args="other"), making)
    assert making.times == 3


@pytest.mark.parametrize("how", ["altered", "removed"])
def test_files_that_changed_are_made_again(labs: Path, tmp_path: Path, how: str) -> None:
    """A run never starts from a damaged file."""
    shared, making, plan = Shared(), Making(tmp_path), of(labs, "one")
    shared.prepared(plan, making)
    making.file.unlink()
    if how == "altered":
        making.file.write_text("EVIL!")
    shared.prepared(plan, making)
    assert making.times == 2
    assert making.file.read_text() == "image"


def test_a_failure_is_not_kept(labs: Path, tmp_path: Path) -> None:
    """The next run tries again."""
    shared, making, plan = Shared(), Making(tmp_path), of(labs, "one")

    def fails() -> Any:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        shared.prepared(plan, fails)
    shared.prepared(plan, making)
    assert making.times == 1
