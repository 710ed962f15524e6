"""The real tree: its programs work, and nothing that was left out is missing. It is made if need
be."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from system.world import ROOT
from system.world import toolchain as locked_toolchain

from lab.images import sources
from lab.model import Command, Door, Mount, ProgramRecord, StartOptions, Toolchain
from lab.packages import archive
from lab.store import Store, cache_root
from lab.util import process
from lab.util.deadline import Deadline

pytestmark = pytest.mark.system

#: Uses the C library, the compiler's own library (64-bit division) and floating point.
PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <math.h>
int main(int argc, char **argv) {
    double x = argc > 1 ? atof(argv[1]) : 2;
    printf("%f %lld\\n", sqrt(x), (long long)argc * 1000000007 / (argc + 2));
    return 0;
}
"""


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    return locked_toolchain("rootfs")


@pytest.fixture
def work(tmp_path: Path) -> Mount:
    (tmp_path / "p.c").write_text(PROGRAM)
    return Mount(tmp_path, "/work", writable=True)


@pytest.mark.parametrize("state", ["-marm", "-mthumb"])
@pytest.mark.parametrize(
    "floats",
    ["-mfloat-abi=soft", "-mfloat-abi=softfp", "-mfloat-abi=hard", "-mfloat-abi=hard -mfpu=vfpv4",
     "-mfloat-abi=hard -mfpu=neon-vfpv4"],
)  # fmt: skip
@pytest.mark.parametrize("core", ["-mcpu=cortex-a15", "-march=armv7-a", "-mcpu=cortex-a7"])
def test_every_kind_of_bare_metal_program_links(
    toolchain: Toolchain, work: Mount, core: str, state: str, floats: str
) -> None:
    """The libraries that were left out are for cores that no guest has."""
    if core == "-march=armv7-a" and floats == "-mfloat-abi=softfp":
        floats += " -mfpu=vfpv3"
    options = [core, state, *floats.split()]
    if core == "-march=armv7-a" and floats == "-mfloat-abi=hard":
        options.append("-mfpu=vfpv3")
    for specs in (["--specs=nosys.specs"], ["--specs=nano.specs", "--specs=nosys.specs"]):
        line = ["arm-none-eabi-gcc", *options, *specs, "p.c", "-lm", "-o", "p.elf"]
        toolchain.run(Command(line, mounts=[work], cwd="/work"))


def test_programs_for_dom0_link(toolchain: Toolchain, work: Mount) -> None:
    """Statically and dynamically."""
    for link in ("-static", "-pie"):
        line = ["arm-linux-gnueabihf-gcc", link, "p.c", "-lm", "-o", "p"]
        toolchain.run(Command(line, mounts=[work], cwd="/work"))


@pytest.mark.parametrize(
    "line",
    [
        ["gcc", "p.c", "-lm", "-o", "p"],
        ["sh", "-c", "echo 1 2 | awk '{exit $2 != 2}'"],
        ["gdb-multiarch", "--batch", "-ex", "set architecture armv7", "-ex", "python print(1)"],
        ["python3", "-c", "import json, ssl, subprocess"],
        ["dtc", "--version"],
        ["flex", "--version"],
        ["bison", "--version"],
        ["make", "--version"],
        ["dpkg-source", "--version"],
        ["sh", "-c", "echo x | xz | unxz | zstd | unzstd"],
        ["arm-none-eabi-objcopy", "--version"],
    ],
)
def test_the_other_programs_work(toolchain: Toolchain, work: Mount, line: list[str]) -> None:
    """They do, although no maintainer script was run."""
    toolchain.run(Command(line, mounts=[work], cwd="/work"))


def test_qemu_is_ten(toolchain: Toolchain) -> None:
    """Two CPUs under the virtual clock need QEMU 10."""
    assert b"version 10." in toolchain.run(Command(["qemu-system-arm", "--version"])).stdout
    assert toolchain.info().versions["qemu"].startswith("1:10.")


def test_inside_there_is_nobody_else(toolchain: Toolchain) -> None:
    """No network, no capability, no environment, no process of the host, nothing writable."""
    show = "grep -E 'CapEff|NoNewPrivs' /proc/self/status; ls /proc | grep -c '^[0-9]'; env"
    text = toolchain.run(Command(["sh", "-c", show], env={"X": "1"})).stdout.decode()
    assert "CapEff:\t0000000000000000" in text
    assert "NoNewPrivs:\t1" in text
    assert int(text.split("\n")[2]) < 8
    names = {line.partition("=")[0] for line in text.splitlines()[3:]}
    assert names <= {"HOME", "PATH", "LC_ALL", "TZ", "PWD", "X", "OLDPWD", "SHLVL", "_"}
    for path in ("/x", "/usr/x", "/etc/x"):
        assert toolchain.run(Command(["touch", path]), check=False).returncode != 0
    interfaces = toolchain.run(Command(["cat", "/proc/net/dev"])).stdout.decode().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]


def test_files_come_out_as_the_callers(toolchain: Toolchain, work: Mount, tmp_path: Path) -> None:
    """Whoever the caller is."""
    toolchain.run(Command(["touch", "/work/made"], mounts=[work]))
    assert (tmp_path / "made").stat().st_uid == os.getuid()


def test_a_started_program_is_found_again_and_ended_with_all_its_own(
    toolchain: Toolchain, tmp_path: Path
) -> None:
    """By its record alone. Children that left its session are ended too, and the lock is
    released."""
    reader, writer = os.pipe()
    log = tmp_path / "log"
    line = ["sh", "-c", "echo up; setsid sleep 600 & setsid sleep 600 & exec sleep 600"]
    with log.open("wb") as stream:
        started = toolchain.start(Command(line), StartOptions("my-tag", stream, [writer]))
    os.close(writer)
    assert started.record.door is Door.ROOTFS
    command = Path("/proc", started.record.id, "cmdline").read_bytes()
    assert b"my-tag" in command
    again = toolchain.adopt(started.record)
    assert again.alive()
    assert not again.wait(0.1)
    again.kill()
    assert not started.alive()
    assert os.read(reader, 1) == b""  # every holder of the writing end is gone
    os.close(reader)
    assert log.read_text() == "up\n"


def test_a_program_outlives_its_starter(toolchain: Toolchain, tmp_path: Path) -> None:
    """Also if the starter is killed."""
    script = tmp_path / "start.py"
    script.write_text(
        "import dataclasses, json, os, signal, sys\n"
        "from lab.model import Command, StartOptions\n"
        "from system.world import toolchain\n"
        "log = open(sys.argv[1], 'wb')\n"
        "made = toolchain('rootfs').start(Command(['sleep', '600']), StartOptions('t', log))\n"
        "print(json.dumps(dataclasses.asdict(made.record)), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    line = [sys.executable, str(script), str(tmp_path / "log")]
    done = process.run(line, env=_environment())
    assert done.returncode == -9
    record = json.loads(done.stdout)
    again = toolchain.adopt(ProgramRecord(**record | {"door": Door(record["door"])}))
    assert again.alive()
    again.kill()
    assert not again.alive()


def test_what_is_run_to_its_end_dies_with_the_caller(toolchain: Toolchain, tmp_path: Path) -> None:
    """A killed command leaves no compiler behind: every holder of the pipe's end is gone."""
    script = tmp_path / "run.py"
    script.write_text(
        "from lab.model import Command\n"
        "from system.world import toolchain\n"
        "tree = toolchain('rootfs')\n"
        "print('up', flush=True)\n"
        "tree.run(Command(['sh', '-c', 'sleep 987654 & sleep 987654']))\n"
    )
    assert toolchain.key
    child = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, env=_environment()
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    assert _becomes(lambda: _sleepers() >= 2)
    child.kill()
    child.wait()
    assert _becomes(lambda: _sleepers() == 0)


def _sleepers() -> int:
    count = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            count += path.read_bytes() == b"sleep\x00987654\x00"
    return count


def _becomes(state: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = Deadline(seconds)
    while not state():
        if deadline.passed():
            return False
        time.sleep(0.02)
    return True


def _environment() -> dict[str, str]:
    kept = {
        name: os.environ[name] for name in ("LAB_CACHE", "XDG_CACHE_HOME") if name in os.environ
    }
    places = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    return process.environment(kept | {"PYTHONPATH": places})


def test_a_program_that_ends_at_once_tells_why(toolchain: Toolchain, tmp_path: Path) -> None:
    """By its exit status and log."""
    log = tmp_path / "log"
    with log.open("wb") as stream:
        line = ["qemu-system-arm", "-M", "nonesuch"]
        started = toolchain.start(Command(line), StartOptions("t", stream))
    assert started.wait(20)
    assert started.returncode() == 1
    assert "nonesuch" in log.read_text()


def test_the_freertos_kernel_comes_out_of_its_package(toolchain: Toolchain) -> None:
    """It needs the archive once, and then only the cache."""
    packages = archive.source(toolchain, cache_root(), suite="trixie", name="micropython")
    kernel = sources.freertos_kernel(Store(), toolchain, packages).path
    assert (kernel / "portable/MemMang/heap_4.c").is_file()
    assert "V9.0.0" in (kernel / "include/task.h").read_text()
