"""A world for the system tests: labs.yaml with the labs that ship and some that go wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.errors import ToolchainError
from lab.store import cache_root
from lab.toolchain import provide
from system import guests, wild
from system.cache_copies import DOWNLOADS, copy_finished, link
from system.world import ALONE, LONGEST, ROOT, World

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder boots something. Each gets a time limit."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.system)
            item.add_marker(pytest.mark.timeout(2 * LONGEST))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A folder with a labs.yaml and a private place for live labs; the cache is the user's.

    A unix socket's path is short, so the place for live labs is not below pytest's folder.
    """
    folder = tmp_path_factory.mktemp("labs with spaces, é")
    runtime = Path(tempfile.mkdtemp(prefix="xl-"))
    (folder / "images").symlink_to(ROOT / "images")
    guests.write(folder)
    write_labs(folder / "labs.yaml")
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        yield World(folder, runtime, cache_root())
    finally:
        shutil.rmtree(runtime)
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before


@pytest.fixture(scope="session")
def built_again(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A separate cache in which only tests of this session build, always through ``rootfs``.

    It shares the toolchain and the packages with the real cache.
    """
    folder = tmp_path_factory.mktemp("again")
    copy_finished(world.cache, folder, *DOWNLOADS, copy=link)
    (folder / "toolchain").symlink_to(world.cache / "toolchain")
    return folder


@pytest.fixture
def alone() -> tuple[str, ...]:
    """A command prefix that runs a program without network."""
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody have a network namespace")
    return ALONE


@pytest.fixture(scope="session")
def chromium_is_there() -> None:
    """Have Chromium on this machine. If none can be had, the tests are skipped."""
    try:
        provide.ensure({"chromium": "chromium"}, lambda _: None)
    except ToolchainError as error:
        pytest.skip(f"there is no Chromium, and none can be had: {error.message}")


@pytest.fixture
def labs_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labs really boot, stage by stage; none is restored from a template."""
    monkeypatch.setenv("LAB_COLD", "1")


@pytest.fixture(autouse=True)
def nothing_is_left(world: World) -> Iterator[None]:
    """Check after every test that no process, lab folder, memory file or mount is left."""
    yield
    if left := world.left():
        world.clear()
        pytest.fail(f"left behind: {', '.join(left)}")


@pytest.fixture(scope="module")
def up(world: World) -> Iterator[World]:
    """The world with the lab ``shared`` running, for a whole module."""
    world.run("lab.up", "shared")
    world.kept.add(world.id_of("shared"))
    try:
        yield world
    finally:
        world.kept.clear()
        world.run("lab.down", "shared")


def write_labs(path: Path, **more: Any) -> None:
    """Write a labs.yaml with the labs that ship, those of these tests, and ``more`` guests.

    Everything is read as text, ``on`` too.
    """
    data: dict[str, Any] = yaml.load((ROOT / "labs.yaml").read_text(), yaml.BaseLoader)
    data["guests"] |= guests.GUESTS | wild.GUESTS | more
    data["labs"] |= guests.LABS | wild.LABS
    data["matrices"] |= guests.MATRICES
    path.write_text(yaml.safe_dump(data, allow_unicode=True))
