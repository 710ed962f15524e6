"""Sessions and checkouts: to whom a lab belongs, and that nobody else ends it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.world import ROOT, World


@pytest.fixture
def other() -> Iterator[dict[str, str]]:
    """The environment of another session of the same user."""
    folder = tempfile.mkdtemp(prefix="xl-")
    try:
        yield {"XDG_RUNTIME_DIR": folder}
    finally:
        shutil.rmtree(folder)


def test_two_sessions_have_a_lab_each(world: World, other: dict[str, str]) -> None:
    """One user, one labs.yaml, two sessions: each ends its own lab, and sees the other's."""
    run = Path(json.loads(world.run("lab.up", "hello", "--json").out)["run"])
    try:
        there = Path(json.loads(world.run("lab.up", "hello", "--json", env=other).out)["run"])
        try:
            seen = json.loads(world.run("lab.status", "--json").out)
            assert (seen[0]["run"], seen[0]["elsewhere"]) == (str(run), False)
            assert (seen[0]["guests"], bool(seen[0]["description"])) == (["hello"], True)
            found = next(one for one in seen if one["run"] == str(there))
            assert found["elsewhere"]
            assert other["XDG_RUNTIME_DIR"] in found["reach"]
        finally:
            world.run("lab.down", "hello", env=other)
        assert world.run("lab.exec", "hello", "echo well").out == "well\n"
        said = world.run("lab.exec", "hello", "true", status=2, env=other).err
        assert f"XDG_RUNTIME_DIR={world.runtime} ./inv lab.status hello" in said
        said = world.run("lab.down", "hello", env=other).err
        assert f"in another session of yours ({world.runtime}/xenlab)" in said
        world.run("lab.down", "--all", env=other)
        assert world.run("lab.exec", "hello", "echo well").out == "well\n"
    finally:
        world.run("lab.down", "hello")


def test_a_group_is_stopped_and_no_other(world: World, tmp_path: Path) -> None:
    """A pattern stops the labs that match; `--all` leaves the labs of another labs.yaml alone."""
    (tmp_path / "images").symlink_to(ROOT / "images")
    shutil.copyfile(ROOT / "labs.yaml", tmp_path / "labs.yaml")
    world.run("lab.up", "hello", cwd=tmp_path)
    try:
        world.run("lab.up", "hello", "--count", "2")
        world.run("lab.up", "silent")
        said = world.run("lab.down", "hello-*").err
        assert "stopped lab hello-1" in said
        assert "stopped lab hello-2" in said
        assert "silent" not in said
        assert "labs that run: silent" in world.run("lab.down", "hello-*", status=2).err
        assert "stopped lab silent" in world.run("lab.down", "--all").err
        seen = json.loads(world.run("lab.status", "--json").out)
        (mine,) = [one for one in seen if not one["elsewhere"]]
        assert (mine["name"], mine["where"]) == ("hello", str(tmp_path))
        assert mine["reach"].endswith(f"--labs {tmp_path}/labs.yaml")
    finally:
        world.run("lab.down", "hello", cwd=tmp_path)
