"""Labs of arm64: guests of both widths under one 64-bit Xen. The traces have their own tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from system.world import World

# They share templates, and CI has few processors: one worker takes them all.
pytestmark = pytest.mark.xdist_group("arm64")

WIDTHS = """\
guests:
  hello: {freertos: images/freertos/apps/hello}
  narrow: {freertos: images/freertos/apps/hello, width: 32}
  selftest: {freertos: images/freertos/apps/selftest, width: 32}
  tux: {linux: images/linux/hello, memory: 96M}
labs:
  widths:
    arch: arm64
    guests: [hello, narrow, selftest, tux]
    steps:
      - {wait: "hello from FreeRTOS", on: hello, within: 20s}
      - {wait: "hello from FreeRTOS", on: narrow, within: 20s}
      - {wait: "hello from Linux", on: tux, within: 60s}
      - {regex: 'selftest: PASS \\(\\d+ checks\\)', on: selftest, within: 60s}
      - {type: "echo I am $(uname -m)", on: tux}
      - {wait: "I am aarch64", on: tux, within: 10s}
      - {type: "how are you", on: hello}
      - {wait: "you typed: how are you", on: hello, within: 10s}
"""


def summary(world: World, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(world.run("lab.run", *words, "--json").out)
    return found


def elf_class(path: Path) -> int:
    """1: 32 bits, 2: 64 bits (elf.h, EI_CLASS)."""
    return path.read_bytes()[4]


def test_one_lab_has_guests_of_both_widths(world: World) -> None:
    """FreeRTOS as wide as the lab and narrower, and Linux; each does what it does on arm32."""
    (world.folder / "widths.yaml").write_text(WIDTHS)
    said = summary(world, "widths", "--labs", "widths.yaml")
    assert said["verdict"] == "pass"
    kept = Path(said["run"]) / "guest"
    classes = {path.stem: elf_class(path) for path in kept.glob("*.elf")}
    assert classes == {"hello": 2, "narrow": 1, "selftest": 1}


@pytest.mark.parametrize("name", ["scenario", "two-guests"])
def test_labs_that_ship_pass_with_guests_of_64_bits(world: World, name: str) -> None:
    """Among the steps: type, pause, inject another guest, destroy, collect a file of dom0."""
    said = summary(world, name, "--arch", "arm64")
    assert said["verdict"] == "pass"
    kept = Path(said["run"]) / "guest"
    assert {path.stem: elf_class(path) for path in kept.glob("*.elf")} == {"hello": 2, "hello2": 2}


def test_selftest_is_the_same_every_time(world: World) -> None:
    """The port checks itself at 64 bits, and two runs have one digest."""
    found = summary(world, "selftest", "--arch", "arm64", "--repeat", "2")
    assert found["same"]
    assert [one["verdict"] for one in found["runs"]] == ["pass", "pass"]
    assert elf_class(Path(found["runs"][0]["run"]) / "guest/selftest.elf") == 2


def test_a_kernel_of_64_bits_is_refused_by_a_lab_of_arm32(world: World) -> None:
    """Before anything is made. The same lab starts with ``--arch arm64``, as the error says."""
    built = json.loads(world.run("guest.build", "hello", "--arch", "arm64", "--json").out)
    (world.folder / "Image").write_bytes(Path(built["kernel"]["path"]).read_bytes())
    text = "guests: {g: {kernel: Image}}\nlabs: {l: {guests: [g]}}\n"
    (world.folder / "image.yaml").write_text(text)
    said = world.run("lab.run", "l", "--labs", "image.yaml", status=2)
    assert "image.yaml:1:22: 'kernel': 'Image' is an arm64 kernel (Image); the" in said.err
    assert "--arch arm64" in said.err
    assert "toolchain" not in said.err
    plan = json.loads(world.run("lab.up", "l", "--labs", "image.yaml", "--arch", "arm64",
                                "--plan").out)  # fmt: skip
    assert plan["guests"][0]["spec"]["width"] == 64
