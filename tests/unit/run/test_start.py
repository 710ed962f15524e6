"""The one way to start a lab: who gets it, and what is left if the start fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab import plan as planning
from lab import rundir
from lab.errors import BusyError, Dom0Error, ImageError
from lab.model import Door, HypervisorSpec, Image, Images, Lab, Plan
from lab.packages.lock import MadeUnder
from lab.progress import Progress
from lab.run import live
from lab.run.start import Intent, started
from lab.rundir import RunDir
from lab.workshop.prepare import Prepared


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere")
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(rundir, "runtime_root", lambda: _made(tmp_path / "live"))
    return tmp_path


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def nothing(tmp_path: Path) -> Prepared:
    """Images for an empty lab, whose bytes nobody looks at."""
    info = SimpleNamespace(door=Door.HOST, key="k", versions={})
    toolchain: Any = SimpleNamespace(door=Door.HOST, key="k", info=lambda: info)
    one = Image("x", tmp_path / "image", "", 1, "")
    return Prepared(toolchain, Images(one, one, one, one), {}, MadeUnder(""))


def intent(tmp_path: Path, name: str = "one", *, kept: bool = False) -> Intent:
    plan = planning.plan(Lab(name, HypervisorSpec("stock")))
    runs = tmp_path / "runs"
    return Intent(
        plan, rundir.lab_dir(runs, name), runs, "a test", kept,
        lambda _: nothing(tmp_path), Progress(quiet=True),
    )  # fmt: skip


def test_what_the_block_gets_and_what_is_left(tmp_path: Path) -> None:
    """During the block the lab is claimed and recorded. Afterwards only the run folder is left."""
    wanted = intent(tmp_path)
    with started([wanted]) as start:
        found = live.find(start.lab)
        assert found
        assert not found.kept
        assert found.run.path == start.run.path
        assert start.run.manifest()["life"] == rundir.RUNNING
        with pytest.raises(BusyError, match="in use by process"):
            started([wanted]).__enter__()
    assert live.find(start.lab) is None
    assert start.run.manifest()["life"] == rundir.FINISHED
    with started([wanted]):
        pass


def test_a_lab_that_is_kept_stays_recorded(tmp_path: Path) -> None:
    with started([intent(tmp_path, kept=True)]) as start:
        pass
    assert live.find(start.lab)
    assert start.run.manifest()["life"] == rundir.RUNNING


def test_the_first_free_lab_counts(tmp_path: Path) -> None:
    """No further intent is even created."""

    def intents() -> Iterator[Intent]:
        yield intent(tmp_path, "one-1")
        yield intent(tmp_path, "one-2")
        pytest.fail("one-2 is free")

    taken = live.claimed(rundir.lab_dir(tmp_path / "runs", "one-1"), "one-1", "another")
    with taken, started(intents()) as start:
        assert start.plan.lab.name == "one-2"


def test_a_preparation_that_fails_leaves_no_run(tmp_path: Path) -> None:
    def fails(_: Plan) -> Prepared:
        raise ImageError("it does not compile")

    wanted = intent(tmp_path)
    with pytest.raises(ImageError) as failed, started([_with(wanted, fails)]):
        pytest.fail("nothing is started")
    assert failed.value.run is None
    assert not wanted.runs.exists()
    with started([wanted]):
        pass


@pytest.mark.parametrize(
    ("error", "life", "reason"),
    [
        (Dom0Error("dom0 is lost"), rundir.FINISHED, "dom0 is lost"),
        (KeyboardInterrupt(), rundir.INTERRUPTED, "interrupted"),
    ],
)
def test_a_block_that_fails_is_undone(
    tmp_path: Path, error: BaseException, life: str, reason: str
) -> None:
    """Even if the lab was to be kept. The manifest says why, and the error names the run folder."""
    wanted = intent(tmp_path, kept=True)
    with contextlib.suppress(type(error)), started([wanted]) as start:
        raise error
    manifest = RunDir(start.run.path).manifest()
    assert (manifest["life"], manifest["verdict"]) == (life, "error")
    assert manifest["reason"] == reason
    assert live.find(start.lab) is None
    if isinstance(error, Dom0Error):
        assert manifest["layer"] == "dom0"
        assert error.run == start.run.path


def _with(wanted: Intent, prepare: Any) -> Intent:
    return Intent(**{**vars(wanted), "prepare": prepare})
