"""Hypervisors of arm64: Debian's releases, Xen and dom0's tools from source, and guests that Xen
boots."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab.api import Context
from lab.bench import tools_build
from lab.model import ARM64, HypervisorSpec
from lab.workshop import questions
from lab.workshop.prepare import Workshop
from system.test_brought_in import as_files
from system.world import ROOT, World

# They share templates and images: one worker takes them all.
pytestmark = pytest.mark.xdist_group("arm64-xen")

CONFIG = (ROOT / "images/hypervisor/debug.config",)
#: A tree that brings its own tools, under the scheduler that one of our own programs in dom0 sets.
FRAMES = """\
hypervisors:
  mine: {from: source, source: %s, kconfig: images/hypervisor/debug.config}
guests:
  hello: {freertos: images/freertos/apps/hello}
labs:
  frames:
    arch: arm64
    hypervisor: mine
    scheduler:
      name: arinc653
      frame: 10ms
      windows: [{domain: dom0, runtime: 6ms}, {domain: hello, runtime: 4ms}]
    guests: [hello]
    expect:
      - {on: xen, line: "Using scheduler: ARINC 653 Scheduler (arinc653)", within: 20s}
      - {on: hello, line: "alive at tick", within: 60s}
"""
#: Debian's kernel, as if it were somebody's own.
KERNEL = """\
guests:
  hello: {freertos: images/freertos/apps/hello}
labs:
  own:
    arch: arm64
    dom0: {kernel: %s, modules: debian}
    guests: [hello]
    expect: [{on: hello, line: hello from FreeRTOS, within: 60s}]
"""


def summary(world: World, *words: str) -> dict[str, Any]:
    """The result of ``lab.run``, which passes."""
    found: dict[str, Any] = json.loads(world.run("lab.run", *words, "--json").out)
    assert found["verdict"] == "pass"
    return found


def manifest(said: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(said["run"]) / "manifest.json").read_text())
    return found


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    """Builds ahead what takes longer than a command may on a busy machine."""
    return Context(ROOT / "labs.yaml").workshop(arch=ARM64)


def test_xen_from_debians_source(world: World, workshop: Workshop) -> None:
    """Under RTDS, which the packaged Xen does not have; its symbols are kept."""
    workshop.hypervisor(HypervisorSpec("debug", "source", kconfig=CONFIG))
    said = summary(world, "rtds", "--arch", "arm64")
    log = (Path(said["run"]) / "console/xen.log").read_text(errors="replace")
    assert re.search(r"Xen version 4\.17\S* .*debug=y", log)
    symbols = (Path(said["run"]) / "xen-syms").read_bytes()
    assert symbols[:5] == b"\x7fELF\x02"


@pytest.mark.parametrize("name", ["dom0less", "without-dom0"])
def test_guests_that_xen_boots(world: World, name: str) -> None:
    assert manifest(summary(world, name, "--arch", "arm64"))["arch"] == "arm64"


def test_a_later_release_of_debians(world: World) -> None:
    """4.20 with its own tools, kernel and libraries: one digest, and its trace is understood."""
    text = (ROOT / "examples/releases/labs.yaml").read_text().replace("../../images", "images")
    (world.folder / "releases.yaml").write_text(text)
    labs = ("--labs", "releases.yaml")
    said = summary(world, "new", *labs)
    again = summary(world, "new", "--cold", *labs)
    assert said["digest"] == again["digest"]
    tools = manifest(said)["tools"]
    assert tools["origin"] == "package"
    assert tools["version"].startswith("4.20.")
    figures = json.loads(world.run("trace.stats", "new", *labs, "--json").out)
    assert "periodic/fast" in json.dumps(figures)
    assert "Who waited" in world.run("trace.stats", "new", *labs).out  # Xen's part of it
    stored = json.loads(world.run("image.list", "--json").out)
    made = {one["kind"]: set[str]() for one in stored}
    for one in stored:
        made[one["kind"]].add(str(one["made_of"]))
    assert any(of.startswith("xen-utils-4.20 4.20.") for of in made["dom0-initramfs"])
    refused = world.run("lab.run", "new", *labs, "--arch", "arm32", status=2)
    assert "Debian has no Xen 4.20 for arm32: it has 4.17" in refused.err


def test_a_tree_brings_its_own_tools(world: World, workshop: Workshop) -> None:
    """Two boots have one digest, and the manifest says whose tools were in dom0."""
    tree = tools_build.upstream(workshop, world.folder / "upstream")
    spec = HypervisorSpec("mine", "source", tree, CONFIG, tools="source")
    workshop.hypervisor(spec)
    workshop.tools(spec)
    (world.folder / "frames.yaml").write_text(FRAMES % json.dumps(str(tree)))
    said = summary(world, "frames", "--labs", "frames.yaml")
    again = summary(world, "frames", "--labs", "frames.yaml", "--cold")
    assert said["digest"] == again["digest"]
    tools = manifest(said)["tools"]
    assert (tools["origin"], tools["interface"]) == ("source", "domctl 0x15, sysctl 0x15")


def test_a_kernel_of_ones_own(world: World) -> None:
    """Debian's Image and its modules, from files; the other architecture's lab refuses it."""
    kernel = as_files(world.folder / "debian", questions.platform(ARM64), ARM64)
    (world.folder / "own.yaml").write_text(KERNEL % kernel.relative_to(world.folder))
    said = summary(world, "own", "--labs", "own.yaml")
    assert manifest(said)["dom0_kernel"]["release"].startswith("6.1.")
    refused = world.run("lab.run", "own", "--labs", "own.yaml", "--arch", "arm32", status=2)
    assert "own.yaml:6:" in refused.err
    assert "is no zImage of arm32" in refused.err
