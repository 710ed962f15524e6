"""The folders of runs and of live labs."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path

import pytest

from lab import rundir
from lab.errors import LabError
from lab.rundir import LabDir


class Standing:
    """A clock that stands."""

    @staticmethod
    def now(zone: tzinfo) -> datetime:
        return datetime(2020, 1, 1, tzinfo=zone)


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="xl-", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def test_a_new_run_is_the_latest(tmp_path: Path) -> None:
    """Its folders exist and ``latest`` points to it; an older run stays."""
    first = rundir.new_run(tmp_path, "one")
    second = rundir.new_run(tmp_path, "one")
    assert first.path != second.path
    found = rundir.latest_run(tmp_path, "one")
    assert found is not None
    assert found.path == second.path
    assert first.console_dir.is_dir()
    assert rundir.latest_run(tmp_path, "other") is None


def test_two_runs_never_have_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is taken is not used again, and in the end nothing else is tried."""
    words = itertools.chain(["0000", "0000", "1111"], itertools.repeat("0000"))
    monkeypatch.setattr(secrets, "token_hex", lambda size: next(words) if size == 2 else "x")
    monkeypatch.setattr(rundir, "datetime", Standing)
    runs = [rundir.new_run(tmp_path, "one").id for _ in range(2)]
    assert runs == ["20200101-000000-0000", "20200101-000000-1111"]
    with pytest.raises(LabError, match="all names are taken"):
        rundir.new_folder(tmp_path / "one")


def test_a_run_that_never_began_is_forgotten(tmp_path: Path) -> None:
    """The run before it is the latest again. If there is none, nothing is left."""
    first = rundir.new_run(tmp_path, "one")
    first.path.rename(first.path.with_name("20200101-000000-0000"))
    rundir.forget(rundir.new_run(tmp_path, "one"))
    found = rundir.latest_run(tmp_path, "one")
    assert found is not None
    assert found.path.name == "20200101-000000-0000"
    rundir.forget(rundir.new_run(tmp_path, "other"))
    assert not (tmp_path / "other").exists()


def test_runs_that_cannot_be_made(tmp_path: Path) -> None:
    """If something is in the way, the error says so."""
    (tmp_path / "one").write_text("")
    with pytest.raises(LabError, match="cannot be made"):
        rundir.new_run(tmp_path, "one")


def test_the_manifest_is_merged(tmp_path: Path) -> None:
    """Fields are set one by one; a damaged manifest counts as none."""
    run = rundir.new_run(tmp_path, "one")
    assert run.manifest() == {}
    run.update_manifest(a=1, path=tmp_path)
    run.update_manifest(b=2)
    assert run.manifest() == {"a": 1, "path": str(tmp_path), "b": 2}
    run.manifest_file.write_text("[")
    assert run.manifest() == {}


def test_events_are_lines_of_json(tmp_path: Path) -> None:
    """One line each, with its time, in order."""
    run = rundir.new_run(tmp_path, "one")
    run.event("mark", what="a\nb")
    run.event("failed", layer=None)
    found = [json.loads(line) for line in run.events_file.read_text().splitlines()]
    assert [one["event"] for one in found] == ["mark", "failed"]
    assert found[0]["time"] <= found[1]["time"]


def test_consoles_come_in_order(tmp_path: Path) -> None:
    """Xen, dom0, then the guests by name."""
    run = rundir.new_run(tmp_path, "one")
    for name in ("zebra", "dom0", "ape", "xen"):
        run.console(name).touch()
    (run.console_dir / "times").touch()
    assert list(run.consoles()) == ["xen", "dom0", "ape", "zebra"]


def test_the_folder_of_live_labs_is_private(base: Path) -> None:
    """It is made for this user alone, and refused if others could enter it."""
    root = rundir.runtime_root()
    assert root.stat().st_mode & 0o777 == 0o700
    root.chmod(0o750)
    with pytest.raises(LabError, match="not a private folder"):
        rundir.runtime_root()
    root.rmdir()
    root.symlink_to(base)
    with pytest.raises(LabError, match="not a private folder"):
        rundir.runtime_root()


def test_a_runtime_folder_of_somebody_else_is_left_alone(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sudo -E` keeps the variable, but root makes nothing in a user's runtime folder."""
    stranger = os.getuid() + 12345
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    root = Path(f"/tmp/xenlab-{stranger}")
    try:
        with pytest.raises(LabError, match=f"{root} is not a private folder"):
            rundir.runtime_root()  # as this test made it, and not that user
    finally:
        root.rmdir()
    assert not (base / "xenlab").exists()


def test_another_session_is_another_lab(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same runs and name in another folder of live labs: another id, machine and memory."""
    first = rundir.lab_dir(base / "runs", "one")
    for name in ("a", "b"):
        (base / name).mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base / "a"))
    second = rundir.lab_dir(base / "runs", "one")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base / "b"))
    assert len({first.tag, second.tag, rundir.lab_dir(base / "runs", "one").tag}) == 3


def test_a_lab_has_one_folder(base: Path) -> None:
    """It depends on runs and name only, also through a link, and is short. Other labs have other
    folders."""
    (base / "link").symlink_to(base)
    first = rundir.lab_dir(base / "runs", "one")
    assert first.id == rundir.lab_dir(base / "link" / "runs", "one").id
    assert first.id != rundir.lab_dir(base / "runs", "two").id
    assert first.tag == f"xenlab-{first.id}"
    assert len(f"/tmp/xenlab-4294967295/{first.id}/agent.sock") < 107


def test_any_name_has_a_folder(base: Path) -> None:
    """Names that are not text, or are paths, lead nowhere else."""
    for name in ("\udcff", "../../etc", "a\0b", ""):
        assert rundir.lab_dir(base / "runs", name).path.parent == rundir.runtime_root()


def test_labs_are_listed_without_the_locks(base: Path) -> None:
    """Every lab's folder is listed, and nothing else in that place."""
    lab = rundir.lab_dir(base / "runs", "one")
    lab.make()
    rundir.claim_file(lab).touch()
    assert [one.id for one in rundir.all_lab_dirs()] == [lab.id]


def test_a_lab_folder_is_made_empty_and_private(tmp_path: Path) -> None:
    """What an earlier life left is gone."""
    lab = LabDir(tmp_path / "x")
    lab.make()
    lab.record(a=1)
    lab.record(b=2)
    assert lab.state() == {"a": 1, "b": 2}
    lab.make()
    assert lab.state() is None
    assert lab.path.stat().st_mode & 0o777 == 0o700
    lab.remove()
    lab.remove()
    assert not lab.path.exists()
