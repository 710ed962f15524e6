"""Which door is opened, and how errors inside the sandbox are reported."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from lab.errors import ToolchainError, UsageError
from lab.model import ARM64, Command, Door, Mount
from lab.toolchain import ToolchainRequest, bwrap, open_toolchain
from lab.toolchain.sandbox import Sandbox
from toolchain.conftest import Fakes


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(Door.ROOTFS, ["--root"], bwrap.ENVIRONMENT)


def test_an_unknown_door_is_a_usage_error(tmp_path: Path) -> None:
    """The error lists the doors."""
    with pytest.raises(UsageError, match="window") as caught:
        open_toolchain("window", cache=tmp_path)
    assert "rootfs" in caught.value.hint


def test_the_environment_chooses_for_auto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``LAB_DOOR`` only counts for ``auto``: a door given explicitly wins."""
    monkeypatch.setenv("LAB_DOOR", "docker")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody")
    with pytest.raises(ToolchainError, match="Docker engine"):
        open_toolchain(cache=tmp_path)
    with pytest.raises(UsageError):
        open_toolchain("window", cache=tmp_path)


def test_the_host_door_names_what_is_missing(
    tmp_path: Path, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program and its package."""
    monkeypatch.delenv("LAB_HOST_PATH", raising=False)
    fakes.add("bwrap")
    with pytest.raises(ToolchainError, match="qemu-system-arm") as caught:
        open_toolchain("host", cache=tmp_path)
    assert "gcc-arm-none-eabi" in caught.value.hint


def test_a_failed_program_is_reported_with_its_last_lines(sandbox: Sandbox, fakes: Fakes) -> None:
    """The error has its own command line, not bubblewrap's."""
    fakes.add("bwrap", 'sys.exit("hello.c:1: error: no")')
    with pytest.raises(ToolchainError) as caught:
        sandbox.run(Command(["gcc", "hello.c"]))
    assert caught.value.command == "gcc hello.c"
    assert "hello.c:1: error: no" in caught.value.tail
    assert sandbox.run(Command(["gcc"]), check=False).returncode == 1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("bwrap: execvp gcc: No such file or directory", "has no program gcc"),
        ("bwrap: No permissions to create new namespace", "could not be entered"),
    ],
)
def test_a_broken_door_is_not_a_failed_program(
    sandbox: Sandbox, fakes: Fakes, said: str, message: str
) -> None:
    """This raises even without ``check``, because the program never ran."""
    fakes.add("bwrap", f"sys.exit({said!r})")
    with pytest.raises(ToolchainError, match=message):
        sandbox.run(Command(["gcc"]), check=False)


def test_network_is_only_there_when_asked_for(
    sandbox: Sandbox, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the proxy's variables are there too, and no others."""
    fakes.add("bwrap")
    monkeypatch.setenv("https_proxy", "http://p")
    monkeypatch.setenv("SECRET", "x")
    sandbox.run(Command(["true"]))
    sandbox.run(Command(["true"], network=True))
    without, with_it = fakes.calls("bwrap")
    assert "--share-net" not in without
    assert "http://p" not in without
    assert "--share-net" in with_it
    assert "http://p" in with_it
    assert "SECRET" not in " ".join(with_it)


def test_a_missing_folder_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    """The error comes before anything is started."""
    with pytest.raises(ToolchainError, match="gone"):
        sandbox.run(Command(["true"], mounts=[Mount(tmp_path / "gone", "/x")]))


def test_a_slow_program_is_ended(sandbox: Sandbox, fakes: Fakes) -> None:
    """When its time is over; its output so far is kept."""
    fakes.add("bwrap", 'print("half", flush=True); import time; time.sleep(60)')
    with pytest.raises(ToolchainError, match="longer than") as caught:
        sandbox.run(Command(["gcc"], timeout=3))
    assert "half" in caught.value.tail


def test_no_bubblewrap_is_said_plainly(sandbox: Sandbox, fakes: Fakes) -> None:
    """With the name of the package."""
    assert fakes.folder.is_dir()
    with pytest.raises(ToolchainError) as caught:
        sandbox.run(Command(["true"]))
    assert "bubblewrap" in caught.value.hint


def test_every_architecture_goes_through_every_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each door is opened for the architecture that is asked for."""
    asked: list[tuple[str, ToolchainRequest]] = []
    for door, home in (("docker", "docker.door"), ("rootfs", "rootfs")):
        opened = partial(lambda door, *given: asked.append((door, given[-1])), door)
        monkeypatch.setattr(f"lab.toolchain.{home}.open_{door}", opened)
    wanted = ToolchainRequest(arch=ARM64)
    for door in ("docker", "rootfs"):
        open_toolchain(door, cache=tmp_path, wanted=wanted)
    assert asked == [("docker", wanted), ("rootfs", wanted)]
