"""A seat's folder: one lab, sources of its own, and the same images as the original."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab import config
from lab.errors import LabError, UsageError
from lab.model.architecture import ARM64
from lab.web import excerpt

LABS = """\
hypervisors:
  mine: {from: source, source: xen, kconfig: some.config}
  other: {from: package}
guests:
  one: {freertos: apps/hello, memory: 16M}
  two: {freertos: apps/hello}
  same-name: {freertos: more/hello}
  made: {project: tree, build: make, kernel: out.bin}
  ready: {kernel: kernel.bin, disk: ["format=raw, vdev=xvda, access=rw, target=disk.img", "disk.img,raw,xvdb,r"]}
  unused: {freertos: apps/hello}
labs:
  class:
    hypervisor: mine
    dom0: {memory: 256M}
    guests: [one, two, same-name, ready]
    steps: [{inject: made}]
  other: {guests: [unused]}
"""  # noqa: E501


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    base = tmp_path / "base"
    for folder in ("xen/xen", "apps/hello", "more/hello", "tree"):
        (base / folder).mkdir(parents=True)
    for app in ("apps/hello", "more/hello"):
        (base / app / "main.c").write_text(f"/* {app} */\n")
    (base / "xen/xen/Makefile").write_text("export XEN_VERSION = 4\n")
    (base / "some.config").write_text("")
    (base / "kernel.bin").write_bytes(b"\0" * 64)
    (base / "disk.img").write_bytes(b"\0" * 512)
    (base / "labs.yaml").write_text(LABS)
    return base / "labs.yaml"


def seat_of(labs: Path) -> Path:
    """A seat's folder of the lab ``class``."""
    seat = labs.parent.parent / "seat"
    excerpt.lay(labs, config.find_lab(config.load(labs), "class"), seat)
    return seat


def test_it_has_one_lab_and_what_belongs_to_it(labs: Path) -> None:
    data = yaml.safe_load((seat_of(labs) / "labs.yaml").read_text())
    assert list(data["labs"]) == ["class"]
    assert set(data["guests"]) == {"one", "two", "same-name", "ready", "made"}
    assert list(data["hypervisors"]) == ["mine"]


def test_the_lab_is_the_same(labs: Path) -> None:
    """But for the places of what was copied."""
    before = config.find_lab(config.load(labs), "class")
    after = config.find_lab(config.load(seat_of(labs) / "labs.yaml"), "class-7")
    assert after.hypervisor == before.hypervisor
    assert (after.dom0, after.steps) == (before.dom0, before.steps)
    assert after.guests[3].disks == before.guests[3].disks
    assert after.guests[3].program == before.guests[3].program


def test_sources_are_copied_once_and_keep_their_name(labs: Path) -> None:
    """A FreeRTOS guest's image depends on the name of its folder."""
    seat = seat_of(labs)
    guests = yaml.safe_load((seat / "labs.yaml").read_text())["guests"]
    assert guests["one"]["freertos"] == guests["two"]["freertos"] == "guests/hello"
    assert guests["same-name"]["freertos"] == "guests/1/hello"
    assert (seat / "guests/hello/main.c").read_text() == "/* apps/hello */\n"
    assert (seat / "guests/1/hello/main.c").read_text() == "/* more/hello */\n"
    assert (seat / guests["made"]["project"]).is_dir()


def test_what_a_participant_wrote_stays(labs: Path) -> None:
    seat = seat_of(labs)
    (seat / "guests/hello/main.c").write_text("mine")
    assert (seat_of(labs) / "guests/hello/main.c").read_text() == "mine"
    excerpt.renew(labs, config.find_lab(config.load(labs), "class"), seat)
    assert (seat / "guests/hello/main.c").read_text() == "/* apps/hello */\n"


def test_a_folder_that_cannot_be_made(labs: Path) -> None:
    (labs.parent.parent / "seat").write_text("a file")
    with pytest.raises(LabError, match="seat"):
        seat_of(labs)


def test_an_option_decides_about_the_architecture(labs: Path) -> None:
    """The seat's labs.yaml says it. A class that has other seats is refused, in words."""
    seat = labs.parent / "seat"
    lab = config.find_startable(config.load(labs), "other", ARM64)
    excerpt.lay(labs, lab, seat)
    assert config.load(seat / "labs.yaml").labs["other"].arch == ARM64
    excerpt.lay(labs, lab, seat)
    with pytest.raises(UsageError, match=r"the seats of this class are arm64, .* is arm32 now"):
        excerpt.lay(labs, config.find_lab(config.load(labs), "other"), seat)
