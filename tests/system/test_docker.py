"""The docker door, through a real engine: it does all that the rootfs door does, and cleans up."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.errors import ToolchainError
from lab.model import Command
from lab.toolchain.docker import sweep
from lab.toolchain.docker.door import DockerToolchain
from lab.toolchain.docker.engine import Engine, address
from system import engine as engines
from system import locks
from system.cache_copies import DOWNLOADS, copy_finished, link
from system.engine import OwnEngine, check_confinement, containers, stored
from system.world import LONGEST, ROOT, World, toolchain, until

pytestmark = pytest.mark.xdist_group("docker")

#: Moments of a lab's start, by what the command says when one is over.
MOMENTS = ("guests", "machine", "Xen", "dom0")


@pytest.fixture(scope="module")
def engine(world: World) -> Iterator[OwnEngine | None]:
    """A real engine with the toolchain's image; every command here goes through its door."""
    with engines.engine() as own, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_DOOR", "docker")
        world.run("toolchain.build")
        yield own


@pytest.fixture
def own(engine: OwnEngine | None) -> OwnEngine:
    """An engine that may be stopped by the test."""
    if engine is None:
        pytest.skip("the engine that runs here is not ours to end")
    return engine


@pytest.fixture(autouse=True)
def no_container_is_left(engine: OwnEngine | None) -> Iterator[None]:
    """After every test: no container of ours, dead or alive."""
    del engine  # only so that there is one
    yield
    left = containers()
    for one in left:
        sweep.remove_container(Engine(address()), one["Id"])
    assert [one["Names"] for one in left] == []


def manifest(said: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(json.loads(said)["run"], "manifest.json").read_text())
    return found


# ---------------------------------------------------------------- the same through both doors


def test_info_names_door_base_and_versions(world: World) -> None:
    """The key and the versions are those of the rootfs door."""
    docker = json.loads(world.run("toolchain.info", "--json").out)
    rootfs = json.loads(world.run("toolchain.info", "--door", "rootfs", "--json").out)
    assert (docker["door"], rootfs["door"]) == ("docker", "rootfs")
    assert "registry" in docker["origin"] or "mmdebstrap" in docker["origin"]
    assert docker["versions"]["qemu"]
    assert docker["versions"] == rootfs["versions"]
    assert docker["packages"] == rootfs["packages"]
    assert docker["key"] == rootfs["key"]


def test_selftest_passes_through_both_doors(world: World) -> None:
    """The manifests have the same image digests."""
    runs = {
        door: manifest(world.run("lab.run", "selftest", "--json", env={"LAB_DOOR": door}).out)
        for door in ("docker", "rootfs")
    }
    assert [run["toolchain"]["door"] for run in runs.values()] == ["docker", "rootfs"]
    assert [run["verdict"] for run in runs.values()] == ["pass", "pass"]
    assert runs["docker"]["images"] == runs["rootfs"]["images"]
    assert runs["docker"]["guests"] == runs["rootfs"]["guests"]


def test_both_doors_build_the_same_bytes(world: World, built_again: Path, tmp_path: Path) -> None:
    """Everything is built twice, in caches that share only the downloaded packages. Other tests may
    have built more in one of them."""
    caches = {"docker": tmp_path, "rootfs": built_again}
    copy_finished(world.cache, tmp_path, *DOWNLOADS, copy=link)
    built = {}
    for door, cache in caches.items():
        env = {"LAB_DOOR": door, "LAB_CACHE": str(cache)}
        world.run("image.build", env=env)
        for guest in ("hello", "selftest"):
            world.run("guest.build", guest, env=env)
        built[door] = stored(cache)
    assert len(built["docker"]) > 10
    assert built["docker"].items() <= built["rootfs"].items()


# ---------------------------------------------------------------- a lab that runs

#: A test that somebody has; then its lab dies.
SUITE = """
import pytest

@pytest.mark.lab("hello")
def test_it(lab):
    lab.guest("hello").expect("hello from FreeRTOS")
    assert lab.dom0.run("xl list hello").status == 0
    lab.dom0.run("sh -c 'echo c >/proc/sysrq-trigger'")
"""


def test_the_pytest_plugin(world: World, tmp_path: Path) -> None:
    """The same labs as fixtures; a failure below the guest is an error; no container is left."""
    (tmp_path / "test_it.py").write_text(SUITE)
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    argv += ["--lab-file", str(world.folder / "labs.yaml"), "--lab-door", "docker", "test_it.py"]
    said = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 error" in said.stdout, said.stdout + said.stderr
    assert "Dom0Error: dom0's kernel panicked" in said.stdout
    runs = list((world.folder / "runs").glob("hello-1/*/manifest.json"))
    assert json.loads(max(runs).read_text())["toolchain"]["door"] == "docker"


def test_a_lab_in_its_container(world: World) -> None:
    """The lab outlives its command, has only what it needs, and does all that a lab does."""
    world.run("lab.up", "hello")
    (seen,) = containers()
    assert seen["Labels"][sweep.LAB] == world.id_of("hello")
    look = Engine(address()).call(f"GET /containers/{seen['Id']}/json", what="look")
    check_confinement(look)
    assert "hello" in world.run("lab.exec", "hello", "xl list").out
    world.run("lab.inject", "hello", "selftest")
    until(
        "the selftest passed",
        lambda: "PASS" in world.run("lab.logs", "hello", "--on", "selftest").out,
        LONGEST,
    )
    for door in ("docker", "rootfs"):
        again = world.run("lab.up", "hello", status=2, env={"LAB_DOOR": door})
        assert "runs already" in again.err
    assert [one["Id"] for one in containers()] == [seen["Id"]]
    world.run("lab.down", "hello")
    run = world.folder / "runs/hello/latest/console"
    assert {path.stat().st_uid for path in run.iterdir()} == {os.getuid()}


# ---------------------------------------------------------------- commands that end


@pytest.mark.usefixtures("labs_boot")
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_command_leaves_nothing_for_long(world: World, moment: str) -> None:
    """kill -9 at any moment; the next command, whatever it is, cleans up."""
    world.start("lab.up", "hello").when(moment).signal(signal.SIGKILL).end()
    world.run("lab.list")
    assert containers() == []


@pytest.mark.usefixtures("labs_boot")
@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_leaves_nothing(world: World, moment: str) -> None:
    """Nothing is left, not even until the next command."""
    world.start("lab.up", "hello").when(moment).signal(signal.SIGINT).end()
    assert containers() == []


def test_a_machine_that_was_never_recorded_is_swept(world: World, tmp_path: Path) -> None:
    """Its command was killed between starting it and recording it."""
    script = """
import os, signal, sys; from pathlib import Path
from lab.model import Command, StartOptions; from system.world import toolchain
with Path(sys.argv[2], "log").open("ab") as log:
    toolchain("docker").start(Command(["sleep", "1000"]), StartOptions(sys.argv[1], log))
os.kill(os.getpid(), signal.SIGKILL)
"""
    tag = f"xenlab-{world.id_of('hello')}"
    line = [sys.executable, "-c", script, tag, str(tmp_path)]
    died = subprocess.run(line, env={**os.environ, "PYTHONPATH": str(ROOT / "tests")}, check=False)
    assert died.returncode == -signal.SIGKILL
    assert [one["State"] for one in containers()] == ["running"]
    assert "was left over; removed" in world.run("lab.status").err


def test_a_program_that_is_late_is_ended() -> None:
    """Its output so far is shown."""
    with pytest.raises(ToolchainError, match="took longer than 1 s") as error:
        toolchain("docker").run(Command(["sh", "-c", "echo begun; sleep 100"], timeout=1))
    assert error.value.tail == "begun"
    assert containers() == []


def test_what_others_have_is_not_touched(world: World) -> None:
    """A container of another owner or another user of ours survives every sweep."""
    asked, image = Engine(address()), toolchain("docker")
    assert isinstance(image, DockerToolchain)
    dead = {sweep.MAKER: "another-boot/1/1/1", sweep.USER: str(os.getuid() + 1)}
    made = []
    try:
        for labels in ({}, dead):
            body = {"Image": image.image.id, "Cmd": ["true"], "Labels": labels}
            # Labels of the image are the container's too: these are nobody's.
            body["Labels"] = {sweep.MAKER: "", sweep.USER: "", **labels}
            made.append(asked.call("POST /containers/create", what="make", body=body)["Id"])
        world.run("lab.down", "--all")
        for one in made:
            asked.call(f"GET /containers/{one}/json", what="look")
    finally:
        for one in made:
            sweep.remove_container(asked, one)


# ---------------------------------------------------------------- engines that end


def test_an_image_that_was_removed() -> None:
    """It is removed in the middle of a command, after it was found."""
    whole = toolchain("docker")
    assert isinstance(whole, DockerToolchain)
    whole.image = dataclasses.replace(whole.image, id=f"sha256:{'0' * 64}")
    with pytest.raises(ToolchainError) as error:
        whole.run(Command(["true"]))
    assert "the image was removed" in error.value.hint


def test_a_lab_survives_an_engine_that_crashes(world: World, own: OwnEngine) -> None:
    """A running lab needs no engine. What the engine leaves is removed when it is back."""
    world.run("lab.up", "hello")
    own.stop(hard=True)
    try:
        assert "hello" in world.run("lab.exec", "hello", "xl list").out
        assert "runs already" in world.run("lab.up", "hello", status=2).err
        world.run("lab.down", "hello")
        gone = world.run("lab.up", "hello", "--json", status=3)
        assert json.loads(gone.out)["layer"] == "toolchain"
        assert "--door rootfs" in gone.err
    finally:
        own.start()
    assert "was left over; removed" in world.run("lab.list").err


@pytest.mark.usefixtures("labs_boot")
def test_an_engine_that_stops_takes_its_labs_and_no_others(world: World, own: OwnEngine) -> None:
    """The verdict names the toolchain; a lab of the other door continues."""
    world.run("lab.up", "hello", env={"LAB_DOOR": "rootfs"})
    running = world.start("lab.run", "selftest", "--json").when("Xen")
    own.stop()
    try:
        said = running.end().expect(3)
        assert json.loads(said.out)["layer"] == "toolchain"
        assert "hello" in world.run("lab.exec", "hello", "xl list").out
        assert world.run("toolchain.info", "--door", "auto", "--json", env={"LAB_DOOR": "auto"})
        world.run("lab.down", "hello")
    finally:
        own.start()
    world.run("lab.status")


def test_an_engine_that_is_full(world: World, own: OwnEngine, tmp_path: Path) -> None:
    """The image cannot be built: the error has the step, its last lines and a hint."""
    folder = own.folder / "full"
    (folder / "data-root").mkdir(parents=True)
    small = ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(folder / "data-root")]
    if subprocess.run(small, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    full = OwnEngine(folder)
    try:
        full.start()
        env = {"DOCKER_HOST": full.where, "LAB_CACHE": str(tmp_path)}
        said = world.run("toolchain.build", "--door", "docker", status=3, env=env)
        assert "the engine's disk is full" in said.err
        images = Engine(full.where).call("GET /images/json", what="list")
        assert images == []
    finally:
        full.remove()


# ---------------------------------------------------------------- the lock


def test_one_changed_hash_names_its_package(world: World) -> None:
    """The error comes before any build, although there is an image of another lock."""
    folder = locks.place(world.folder)
    drift = json.loads(world.run("toolchain.info", "--json").out)["drift"]
    name = locks.steady("toolchain", [one.split()[0] for one in drift])
    locks.relock(folder, name, locks.other_hash)
    said = world.run("lab.up", cwd=folder, status=2)
    assert f"package {name} " in said.err
    assert "Step" not in said.err
