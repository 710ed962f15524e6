"""The width of a guest comes from labs.yaml, from its kernel, or from the lab."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import at, image, zimage

from lab import api, config
from lab import plan as planning
from lab.api import Context
from lab.errors import ConfigError
from lab.model import ARM32, ARM64, Labs

TEXT = """\
guests:
  app: {freertos: app}
  narrow: {freertos: app, width: 32}
  wide: {freertos: app, width: 64}
  image: {kernel: Image}
  zimage: {kernel: zImage}
  said: {kernel: Image, width: 32}
  riscv: {kernel: riscv}
labs:
  app: {guests: [app]}
  narrow: {guests: [narrow]}
  wide: {guests: [wide]}
  image: {guests: [image]}
  zimage: {guests: [zimage]}
  later: {arch: arm64, guests: [app], steps: [{inject: image}]}
"""


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Labs:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "app").mkdir()
    for name, data in {
        "Image": image(), "zImage": zimage(), "riscv": at(56, b"RSC\x05"),
        "labs.yaml": TEXT.encode(),
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
    return config.load(Path("labs.yaml"))


def test_width_of_the_file_or_of_labs_yaml(labs: Labs) -> None:
    found = {name: labs.guests[name].width for name in ("app", "narrow", "wide", "image", "zimage")}
    assert found == {"app": 0, "narrow": 32, "wide": 64, "image": 64, "zimage": 32}
    assert config.load(labs.file).guests == labs.guests  # as it was remembered


@pytest.mark.parametrize(
    ("lab", "arm32", "arm64"),
    [("app", 32, 64), ("narrow", 32, 32), ("zimage", 32, 32), ("image", 0, 64), ("wide", 0, 64)],
)
def test_a_guest_is_as_wide_as_its_lab_unless_it_says(
    labs: Labs, lab: str, arm32: int, arm64: int
) -> None:
    """``--arch`` decides too, so a lab of labs.yaml is right on one architecture alone."""
    for arch, width in ((ARM32, arm32), (ARM64, arm64)):
        if not width:
            with pytest.raises(ConfigError):
                config.find_startable(labs, lab, arch)
            continue
        made = planning.plan(config.find_startable(labs, lab, arch))
        assert [one.spec.width for one in made.guests] == [width]


@pytest.mark.parametrize(
    ("guest", "words"),
    [
        ("wide", "labs.yaml:4:32: 'width': a lab of arm32 has no guests of 64 bits"),
        ("image", "labs.yaml:5:19: 'kernel': 'Image' is an arm64 kernel (Image); the machine is a "
                  "32-bit ARM: give a kernel that was built for it (or start the lab with --arch"),
        ("said", "labs.yaml:7:32: 'width': this kernel is 64 bits wide; leave 'width' out"),
        ("riscv", "labs.yaml:8:19: 'kernel': 'riscv' is a RISC-V Linux kernel (Image); the "),
    ],
)  # fmt: skip
def test_a_guest_that_does_not_fit_is_refused_at_its_place(
    labs: Labs, guest: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config.find_guest(labs, guest, arch=ARM32)
    assert caught.value.message.startswith(words)


def test_labs_that_cannot_start_are_listed_with_the_reason(labs: Labs) -> None:
    found = {one.name: one.problem for one in api.list_labs(Context(labs.file))}
    assert "no guests of 64 bits" in found["wide"]
    assert "32-bit ARM" in found["image"]
    assert {found["app"], found["narrow"], found["later"]} == {""}
    with pytest.raises(ConfigError, match=r"labs\.yaml:4:32: "):
        api.plan_json(Context(labs.file), "wide")
    assert '"width": 64' in api.plan_json(Context(labs.file, arch=ARM64), "wide")


@pytest.mark.parametrize("value", ["31", "64bit", "0x20"])
def test_other_widths_are_mistakes(labs: Labs, value: str) -> None:
    labs.file.write_text(f"guests:\n  g: {{freertos: app, width: {value}}}\nlabs: {{l: {{}}}}\n")
    with pytest.raises(ConfigError, match=rf":2:\d+: 'width': unknown value '{value}'"):
        config.load(labs.file)
