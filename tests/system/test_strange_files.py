"""FIFOs, devices, endless and deep files in every place that a command reads. It never waits for
them, and names the file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.cache_copies import STORE, TEMPLATES, copy_finished
from system.test_places import cache_with
from system.world import ROOT, World

LABS = """
guests:
  hello: {freertos: images/freertos/apps/hello}
  fifo: {freertos: fifo}
  made: {project: made, build: make, kernel: kernel}
  root: {project: /, build: make, kernel: kernel}
labs:
  hello: {guests: [hello], expect: [{on: hello, line: hello}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a labs.yaml whose guests' sources cannot be used."""
    (tmp_path / "labs.yaml").write_text(LABS)
    (tmp_path / "images").symlink_to(ROOT / "images")
    shutil.copytree(ROOT / "images/freertos/apps/hello", tmp_path / "fifo")
    os.mkfifo(tmp_path / "fifo" / "more.c")
    (tmp_path / "made").mkdir()
    os.mkfifo(tmp_path / "made" / "Makefile")
    return tmp_path


def test_the_labs_file_itself(world: World, folder: Path) -> None:
    os.mkfifo(folder / "labs")
    for name, words in (("labs", "a FIFO, not a file"), ("/dev/zero", "a device, not a file")):
        assert words in world.run("lab.list", "--labs", name, cwd=folder, status=2).err
    assert f"in {folder}" in world.run("lab.list", "--labs", "x", cwd=folder, status=2).err


@pytest.mark.parametrize("guest", ["fifo", "made", "root"])
def test_sources_that_are_none(world: World, folder: Path, guest: str) -> None:
    """A compiler would wait for a FIFO for ever; the error names it, and the guest."""
    said = world.run("guest.build", guest, cwd=folder, status=2)
    assert f"guest {guest}: /" in said.err
    assert "not a file" in said.err or "too many" in said.err


@pytest.mark.parametrize("what", ["fifo", "deep", "huge"])
def test_a_lock_that_is_none(world: World, folder: Path, what: str) -> None:
    lock = folder / "labs.lock"
    if what == "fifo":
        os.mkfifo(lock)
    else:
        lock.write_text("[" * 100_000)
        os.truncate(lock, 1 << 40 if what == "huge" else 100_000)
    assert f"{lock} cannot be read" in world.run("lab.up", "hello", cwd=folder, status=3).err


def strange_run(folder: Path) -> Path:
    """A run's folder whose files are all FIFOs."""
    run = folder / "runs" / "hello" / "20260101-000000-aaaa"
    names = ("console/xen.log", "console/hello.log", "console/times", "trace/xen.bin", "trace/log",
             "trace/hello.records", "trace/hello.json", "trace/clock.json", "qemu.log", "xen-syms",
             "events.jsonl")  # fmt: skip
    for name in names:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(run / name)
    about = {"lab": "hello", "digest": "x", "digest_over": {"console/xen.log": "x"}}
    (run / "manifest.json").write_text(json.dumps(about))
    (run.parent / "latest").symlink_to(run.name)
    return run


def test_a_run_of_fifos(world: World, folder: Path) -> None:
    """Each command that reads a run names the file that it cannot read, and starts nothing."""
    run = str(strange_run(folder))
    for words in (
        ("lab.logs", "hello"), ("lab.run", "--verify", run), ("trace.stats", run),
        ("trace.report", run), ("trace.diff", run, run),
    ):  # fmt: skip
        said = world.run(*words, cwd=folder, status=2)
        assert "a FIFO, not a file" in said.err, words
        assert run in said.err


@pytest.fixture
def cache(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A cache in which every file that describes something is a FIFO."""
    folder = tmp_path_factory.mktemp("strange") / "cache"
    env = cache_with(world, folder, "toolchain", "packages", "apt")
    memory = ("ram", "state")  # of machines: no copy is needed
    copy_finished(world.cache, folder, "labs/*", STORE, TEMPLATES, "told/*", but=memory)
    for path in folder.rglob("*"):
        links = any(one.is_symlink() for one in (path, *path.parents))
        if path.is_file() and not links:
            path.unlink()
            os.mkfifo(path)
    yield env
    shutil.rmtree(folder)


def test_a_cache_of_fifos(world: World, folder: Path, cache: dict[str, str]) -> None:
    """It counts as damaged: its contents are made again."""
    for words in (("lab.list",), ("image.list",), ("template.list",), ("guest.build", "hello")):
        world.run(*words, cwd=folder, env=cache)
    assert "hello.bin" in world.run("guest.build", "hello", cwd=folder, env=cache).out


def test_results_are_written_to_files(world: World, folder: Path) -> None:
    """A report never replaces a device, and never waits for the reader of a FIFO."""
    os.mkfifo(folder / "fifo.xml")
    for name in ("fifo.xml", "/dev/null"):
        said = world.run("lab.run", "hello", "--junit", name, cwd=folder, status=2)
        assert "cannot be written" in said.err
    assert Path("/dev/null").is_char_device()
