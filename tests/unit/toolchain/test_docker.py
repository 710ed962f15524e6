"""The docker door against a fake engine."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from lab import toolchain
from lab.errors import ToolchainError
from lab.model import Command, Mount
from lab.toolchain import rootfs
from lab.toolchain.docker import container as container
from lab.toolchain.docker import door, toolchain_image
from lab.toolchain.docker.door import DockerToolchain
from lab.toolchain.docker.engine import Engine, RefusedError, address
from lab.util import files, process
from toolchain.engines import FakeEngine

# ---------------------------------------------------------------- which door


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The doors that were opened; there is nothing behind them."""
    doors: list[str] = []
    for home, name in ((door, "docker"), (rootfs, "rootfs")):
        monkeypatch.setattr(home, f"open_{name}", lambda *_, name=name: doors.append(name))
    return doors


def test_auto_is_docker_when_an_engine_answers(engine: FakeEngine, opened: list[str]) -> None:
    toolchain.open_toolchain()
    assert opened == ["docker"]
    assert engine.asked == ["GET /_ping"]


def test_auto_is_rootfs_without_an_engine(
    place: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{place}/nobody")
    toolchain.open_toolchain()
    assert opened == ["rootfs"]


def test_auto_does_not_wait_for_an_engine_that_hangs(engine: FakeEngine, opened: list[str]) -> None:
    """The engine has two seconds and no more."""
    engine.delay = 30
    began = time.monotonic()
    toolchain.open_toolchain()
    assert opened == ["rootfs"]
    assert 1.5 < time.monotonic() - began < 4


def test_auto_is_rootfs_for_who_may_not_use_the_engine(
    engine: FakeEngine, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the user chose Docker explicitly, the error says what to do."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("lab.toolchain.docker.engine._Connection.connect", refuse)
    toolchain.open_toolchain()
    assert opened == ["rootfs"]
    with pytest.raises(ToolchainError) as error:
        Engine(engine.where).ping()
    assert "may not use the Docker engine" in error.value.message
    assert "usermod -aG docker" in error.value.hint


def test_an_engine_elsewhere_is_none() -> None:
    """Sockets and FIFOs in mounted folders do not work across machines."""
    with pytest.raises(ToolchainError) as error:
        Engine("tcp://elsewhere:2375").ping()
    assert "unix socket" in error.value.hint


def test_address_follows_the_context_of_the_command_line(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert address() == "unix:///var/run/docker.sock"
    folder = place / "config"
    meta = folder / "contexts/meta" / hashlib.sha256(b"mine").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Endpoints": {"docker": {"Host": "unix:///mine"}}}))
    (folder / "config.json").write_text(json.dumps({"currentContext": "mine"}))
    assert address() == "unix:///mine"
    (folder / "config.json").write_text("[damaged")
    assert address() == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "unix:///named")
    assert address() == "unix:///named"


# ---------------------------------------------------------------- the engine's words


def test_errors_say_what_to_do(engine: FakeEngine) -> None:
    engine.answers["POST /containers/create"] = (
        500, {"message": "write /data: no space left on device"},
    )  # fmt: skip
    with pytest.raises(RefusedError) as error:
        Engine(engine.where).call("POST /containers/create", what="make a container")
    assert error.value.status == 500
    assert "disk is full" in error.value.hint
    assert error.value.exit_status == 3


def test_an_engine_that_went_away(engine: FakeEngine) -> None:
    engine.close()
    with pytest.raises(ToolchainError, match="is not there") as error:
        Engine(engine.where).ping()
    assert "--door rootfs" in error.value.hint


# ---------------------------------------------------------------- what a container is


def test_a_container_has_nothing_but_what_it_needs(tmp_path: Path) -> None:
    """No network, capabilities or privileges; a read-only root; only the named folders."""
    mounts = [Mount(tmp_path, "/in"), Mount(tmp_path, "/out", writable=True)]
    program = container.to_the_end(Command(["make", "all"], mounts), tmp_path)
    body = container.spec(container.Who("image", "1000:1000"), program, {"a": "b"})
    host = body["HostConfig"]
    assert body["User"] == "1000:1000"
    assert body["Cmd"] == ["make", "all"]
    assert (host["NetworkMode"], host["ReadonlyRootfs"], host["Privileged"]) == (
        "none",
        True,
        False,
    )
    assert host["CapDrop"] == ["ALL"]
    assert "CapAdd" not in host
    assert "no-new-privileges" in host["SecurityOpt"]
    assert [(one["Target"], one["ReadOnly"]) for one in host["Mounts"]] == [
        ("/in", True), ("/out", False), (container.IO, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("way", "user", "namespace"),
    [
        ("name=seccomp,profile=default", f"{os.getuid()}:{os.getgid()}", ""),
        ("name=rootless", "0:0", ""),
        ("name=userns", f"{os.getuid()}:{os.getgid()}", "host"),
    ],
)
def test_files_are_the_users_with_every_kind_of_engine(
    tmp_path: Path, way: str, user: str, namespace: str
) -> None:
    """As root, rootless, and with remapped user ids."""
    image = toolchain_image.DockerImage("id", "name", "key", "base", 1, {}, (way,))
    door = DockerToolchain(Engine("unix:///none"), image, tmp_path)
    body = door._spec(container.to_the_end(Command(["true"]), tmp_path), labels={})
    assert (body["User"], body["HostConfig"]["UsernsMode"]) == (user, namespace)


def test_network_is_asked_for(tmp_path: Path) -> None:
    program = container.to_the_end(Command(["apt-get"], network=True), tmp_path)
    body = container.spec(container.Who("image", "0:0"), program, {})
    assert body["HostConfig"]["NetworkMode"] == "host"


def test_files_of_a_container_have_a_largest_size() -> None:
    """As in setrlimit(2), in bytes. Without a limit there is none."""
    who, program = container.Who("image", "0:0"), container.Confined(Command([]), [], [])
    body = container.spec(who, program, {}, largest_file=12345)
    wanted = [{"Name": "fsize", "Soft": 12345, "Hard": 12345}]
    assert body["HostConfig"]["Ulimits"] == wanted
    body = container.spec(who, program, {})
    assert body["HostConfig"]["Ulimits"] == []


def test_a_started_program_takes_its_lock_itself(tmp_path: Path) -> None:
    """The shell line of a container, run here: it locks, logs, and becomes the program."""
    log, lock = tmp_path / "log", tmp_path / "lock"
    log.touch()
    lock.touch()
    program = container.on_its_own(Command(["sh", "-c", "echo ran; exit 3"]), log, [lock])
    places = {one.target: str(one.source) for one in program.files}
    line = list(program.entry)
    for inside, outside in places.items():
        line = [word.replace(inside, outside) for word in line]
    assert process.run([*line, *program.command.argv]).returncode == 3
    assert log.read_text() == "ran\n"
    with files.locked(lock):
        taken = process.run([*line, *program.command.argv]).returncode
    assert taken == container.LOCK_IS_TAKEN
