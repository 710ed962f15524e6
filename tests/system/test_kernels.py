"""Kernels of the user's own: `kernel:` and `FREERTOS_KERNEL=`; and kernels of any size."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lab import api
from lab.api import Context
from lab.errors import ToolstackError
from lab.util.files import sha256_file
from system.kernels import VERSION, as_later
from system.world import ROOT, World

LABS = f"""\
guests:
  check: {{freertos: {ROOT}/images/freertos/apps/selftest, kernel: my kernel, trace: true}}
labs:
  check:
    guests: [check]
    expect: [{{on: check, regex: 'selftest: PASS', within: 60s}}]
"""


@pytest.fixture
def later(world: World, tmp_path: Path) -> Path:
    """A kernel in the layout of FreeRTOS-Kernel, in a folder with a space in its name."""
    world.run("guest.build", "hello")
    entries = json.loads(world.run("image.list", "--json").out)
    packaged = next(one["path"] for one in entries if one["kind"] == "freertos-kernel")
    return as_later(next(Path(packaged).rglob("tasks.c")).parent, tmp_path / "my kernel")


def test_the_port_keeps_to_what_later_kernels_declare(world: World, later: Path) -> None:
    """`kernel:`: the self-test builds with it and passes, traced."""
    later.with_name("labs.yaml").write_text(LABS)
    said = json.loads(world.run("lab.run", "check", "--json", cwd=later.parent).out)
    assert said["verdict"] == "pass"
    assert b"xTaskDelayUntil" in Path(said["run"], "guest/check.elf").read_bytes()
    trace = json.loads(Path(said["run"], "trace/check.json").read_text())
    assert trace["complete"]
    assert {"selftest", "IDLE", "Tmr Svc"} <= {task["name"] for task in trace["tasks"].values()}


def test_a_kernel_in_the_environment(world: World, later: Path) -> None:
    """`FREERTOS_KERNEL=` builds a guest with it, or says at once that it is no kernel."""
    env = {"FREERTOS_KERNEL": str(later)}
    guest = json.loads(world.run("guest.build", "hello", "--json", env=env).out)
    assert VERSION.encode() in Path(guest["kernel"]["path"]).read_bytes()
    (later / "tasks.c").unlink()
    said = world.run("guest.build", "hello", env=env, status=2).err
    assert "not a FreeRTOS kernel: no tasks.c in it" in said


#: A guest to begin with, one that is injected, and one that dom0 cannot hold.
GROWN = """\
guests:
  some: {kernel: some.bin}
  more: {kernel: more.bin, memory: 64M}
  capped: {kernel: more.bin, memory: 64M, scheduler: {cap: 800}}
  most: {kernel: most.bin, memory: 256M}
labs:
  grown:
    guests: [some]
    steps:
      - {wait: "hello from FreeRTOS", on: some}
      - {inject: more}
      - {wait: "hello from FreeRTOS", on: more}
  most: {guests: [most]}
  enough:
    guests: [most]
    dom0: {memory: 384M}
    expect: [{on: most, line: "hello from FreeRTOS", within: 10s}]
"""
SIZES = {"some": 300 << 10, "more": (33 << 20) + 5, "most": 120 << 20}


@pytest.fixture(scope="module")
def grown(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with labs whose kernels are `hello` with much padding."""
    folder = tmp_path_factory.mktemp("grown")
    built = json.loads(world.run("guest.build", "hello", "--json").out)
    good = Path(built["kernel"]["path"]).read_bytes()
    for name, size in SIZES.items():
        with (folder / f"{name}.bin").open("wb") as file:
            file.write(good)
            file.truncate(size)
            file.seek(size - 4)
            file.write(b"end.")
    (folder / "labs.yaml").write_text(GROWN)
    return folder


def test_kernels_of_any_size(world: World, grown: Path) -> None:
    """Under the virtual clock, at stops of the machine; one is larger than the window."""
    said = json.loads(world.run("lab.run", "grown", "--json", cwd=grown).out)
    assert said["verdict"] == "pass"


def test_kernels_of_any_size_in_a_running_lab(grown: Path) -> None:
    """On the host's clock, through dom0's agent; every byte of the file is in dom0. The file
    stays there if xl refuses the guest (one vCPU has 100 percent), else its room is free again."""
    with api.lab("grown", Context(grown / "labs.yaml"), cold=True) as lab:
        lab.guest("some").expect("hello from FreeRTOS")
        with pytest.raises(ToolstackError):
            lab.inject("capped")
        there = lab.dom0.run("busybox sha256sum /lab/guests/capped.bin").output.split()[0]
        assert there == sha256_file(grown / "more.bin")
        lab.inject("more").expect("hello from FreeRTOS")
        for name in ("some", "more"):
            size = lab.dom0.run(f"busybox stat -c %s /lab/guests/{name}.bin").output
            assert size.strip() == "0"


def test_a_kernel_that_dom0_cannot_hold(world: World, grown: Path) -> None:
    """The error comes before the boot and says how much memory dom0 needs. That much is enough."""
    said = world.run("lab.run", "most", status=2, cwd=grown).err
    assert "dom0 has 256M, too little for its guests' files of 120M" in said
    assert "dom0: {memory: 384M}" in said
    world.run("lab.run", "enough", cwd=grown)


def test_a_tree_with_a_makefile_of_its_own(world: World, tmp_path: Path) -> None:
    """The example: the lab's compiler and Xen headers win over what its Makefile assigns."""
    shutil.copytree(ROOT / "examples/own-build", tmp_path / "own", ignore=lambda *_: ["runs"])
    said = json.loads(world.run("lab.run", "own", "--json", cwd=tmp_path / "own").out)
    assert said["verdict"] == "pass"
    assert b"\x7fELF" in Path(said["run"], "guest/own.elf").read_bytes()
