"""What dead commands left in an engine, and whether a container of ours lives."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from lab import toolchain
from lab.errors import ToolchainError
from lab.model import Door, ProgramRecord
from lab.rundir import LabDir, runtime_root
from lab.toolchain.docker import container as container
from lab.toolchain.docker import sweep, used
from lab.toolchain.docker.program import DockerProgram
from lab.util import process
from toolchain.engines import FakeEngine

DEAD = "another-boot/1/1/1"


# ---------------------------------------------------------------- whose things are whose


def test_the_maker_of_now_is_alive() -> None:
    assert not sweep.is_dead(sweep.maker())
    assert sweep.is_dead(DEAD)
    boot, namespace, pid, start = sweep.maker().split("/")
    assert sweep.is_dead(f"{boot}/{namespace}/{pid}/{int(start) + 1}")
    # In another pid namespace nobody can tell.
    assert not sweep.is_dead(f"{boot}/{namespace}0/{pid}/{int(start) + 1}")


def of(maker: str, identity: str, **labels: str) -> dict[str, Any]:
    mine = {sweep.MAKER: maker, sweep.USER: str(os.getuid())}
    return {"Id": identity, "Names": [f"/{identity}"], "Labels": mine | labels}


def test_sweep_removes_what_dead_commands_left(engine: FakeEngine) -> None:
    """By label, and nothing that is alive, recorded, or of another runtime folder."""
    lab = LabDir(runtime_root() / "0123456789ab")
    lab.make()
    lab.record(program={"id": "recorded"})
    here = {sweep.LAB: lab.id, sweep.HOME: str(runtime_root())}
    found = [
        of(sweep.maker(), "alive"),
        of(DEAD, "run"),
        of(DEAD, "recorded", **here),
        of(DEAD, "unrecorded", **here),
        of(DEAD, "elsewhere", **here | {sweep.HOME: "/tmp"}),
        of(DEAD, "nowhere", **here | {sweep.HOME: "/no/such/folder"}),
    ]
    asked: list[dict[str, str]] = []

    def listed(query: dict[str, str]) -> tuple[int, Any]:
        asked.append(query)
        return 200, found

    engine.answers["GET /containers/json"] = listed
    engine.answers["GET /images/json"] = (200, [
        {"Id": "sha256:1", "RepoTags": None} | of(DEAD, "sha256:1"),
        {"RepoTags": ["xenlab-base:1"]} | of(DEAD, "sha256:2"),
        {"RepoTags": ["xenlab-toolchain:1"]} | of(DEAD, "sha256:3"),
        {"RepoTags": ["<none>:<none>"]} | of(sweep.maker(), "sha256:4"),
    ])  # fmt: skip
    gone = ("containers/run", "containers/unrecorded", "containers/nowhere",
            "images/sha256:1", "images/xenlab-base:1")  # fmt: skip
    engine.answers |= {f"DELETE /{one}": (200, None) for one in gone}
    assert used.mark(engine.where)
    assert not used.mark(engine.where)
    said = sweep.sweep_engines()
    removed = [one for one in engine.asked if one.startswith("DELETE")]
    assert removed == [f"DELETE /{one}" for one in gone]
    assert len(said) == len(gone)
    assert json.loads(asked[0]["filters"])["label"] == [
        f"{sweep.USER}={os.getuid()}", sweep.MAKER,
    ]  # fmt: skip


def test_nothing_is_asked_where_no_engine_was_used(engine: FakeEngine) -> None:
    assert sweep.sweep_engines() == []
    assert engine.asked == []


def test_an_engine_that_is_gone_is_passed_over(engine: FakeEngine) -> None:
    used.mark(engine.where)
    engine.close()
    assert sweep.sweep_engines() == []


# ---------------------------------------------------------------- a started container


def test_a_machine_lives_as_its_process_does(engine: FakeEngine) -> None:
    """To know whether it lives, no engine is needed. Its exit status needs one, and the error
    says if that is gone."""
    me = os.getpid()
    start = process.start_time(me)
    assert start
    record = ProgramRecord(
        Door.DOCKER, "abc", process.boot_id(), start, "tag", pid=me, engine=engine.where
    )
    assert isinstance(toolchain.adopt(record), DockerProgram)
    assert toolchain.adopt(record).alive()
    ended = DockerProgram(ProgramRecord(Door.DOCKER, "abc", engine=engine.where))
    assert not ended.alive()
    assert ended.wait(0)
    engine.answers["POST /containers/abc/wait"] = (200, {"StatusCode": 7})
    assert ended.returncode() == 7
    del engine.answers["POST /containers/abc/wait"]
    with pytest.raises(ToolchainError, match="somebody removed its container"):
        ended.returncode()
    engine.close()
    with pytest.raises(ToolchainError, match="is not there"):
        ended.returncode()
    ended.kill()
