"""A missing or wrong file or folder of a guest refuses only that guest, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import linux, uimage, zimage

from lab import api, config
from lab.api import Context
from lab.errors import ConfigError, UsageError
from lab.images import guest_check
from lab.model import GuestImage, GuestSpec, Image, Labs, Place, Project

TEXT = """\
guests:
  good: {kernel: good.bin}
  wrapped: {kernel: wrapped.bin, memory: 32M}
  gone:
    kernel: gone.bin
  folder: {kernel: .}
  small: {kernel: good.bin, memory: 2M}
  tiny: {freertos: app, memory: 1M}
  linux: {kernel: linux.bin, ramdisk: empty, cmdline: console=hvc0}
  large: {kernel: linux.bin}
  app: {freertos: nowhere}
  tree: {freertos: app, kernel: app}
  built: {project: nowhere, build: make, kernel: k.bin}
  busybox: {linux: app}
labs:
  one: {guests: [good]}
  two: {guests: [good, wrapped, gone]}
  later: {guests: [good], steps: [{inject: folder}]}
"""
PLACES = {
    "wrapped": "labs.yaml:3:21: 'kernel': 'wrapped.bin' is a U-Boot image (uImage);",
    "gone": "labs.yaml:5:13: 'kernel': no such file: 'gone.bin'",
    "folder": "labs.yaml:6:20: 'kernel': not a file: '.'",
    "small": "labs.yaml:7:37: 'memory': 2M is too little: its kernel takes 1K, for which",
    "tiny": "labs.yaml:8:33: 'memory': 1M is too little: xl reserves 2M for any kernel;",
    "linux": "labs.yaml:9:39: 'ramdisk': 'empty' is empty",
    "app": "labs.yaml:11:19: 'freertos': no such folder: 'nowhere'",
    "tree": "labs.yaml:12:33: 'kernel': not a FreeRTOS kernel: 'app': no tasks.c in it",
    "built": "labs.yaml:13:20: 'project': no such folder: 'nowhere'",
    "busybox": "labs.yaml:14:20: 'linux': no such file: 'app/init'",
    "large": "labs.yaml:10:10: 'memory': 16M is too little: its kernel unpacks itself to 20M,",
}


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Labs:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "app").mkdir()
    for name, data in {
        "good.bin": zimage(), "wrapped.bin": uimage(zimage()), "empty": b"",
        "linux.bin": linux(20 << 20), "labs.yaml": TEXT.encode(),
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
    return config.load(Path("labs.yaml"))


def refused(labs: Labs, guest: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config.find_guest(labs, guest)
    return caught.value.message


@pytest.mark.parametrize(("guest", "words"), PLACES.items())
def test_a_guest_is_refused_at_its_place(labs: Labs, guest: str, words: str) -> None:
    assert refused(labs, guest).startswith(words)


def test_other_labs_go_on(labs: Labs) -> None:
    """All problems of a lab's guests are reported at once, in the order of the file."""
    assert config.find_startable(labs, "one").guests[0].name == "good"
    assert config.find_guest(labs, "good").name == "good"
    with pytest.raises(ConfigError, match=r"^labs\.yaml:3:21: .*\nlabs\.yaml:5:13: [^\n]*$"):
        config.find_startable(labs, "two")
    with pytest.raises(ConfigError, match=r"^labs\.yaml:6:20: "):
        config.find_startable(labs, "later")


def test_all_labs_are_listed(labs: Labs) -> None:
    """The list says why some of them cannot be started."""
    found = {one.name: one.problem for one in api.list_labs(Context(labs.file))}
    assert list(found) == ["one", "two", "later"]
    assert found["one"] == ""
    assert "gone.bin" in found["two"]
    with pytest.raises(ConfigError, match=r"wrapped\.bin"):
        api.plan_json(Context(labs.file), "two")


def test_from_another_folder_the_place_is_one_to_follow(
    labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    (labs.file.parent / "below").mkdir()
    monkeypatch.chdir(labs.file.parent / "below")
    assert refused(labs, "wrapped").startswith("../labs.yaml:3:21: ")


# ---------------------------------------------------------------- what a build left


def image(folder: Path, kind: str, data: bytes) -> Image:
    path = folder / f"{kind}.built"
    path.write_bytes(data)
    return Image(kind, path, "0", len(data), "0")


def spec(folder: Path, *, places: bool = True, memory: int = 16 << 20) -> GuestSpec:
    project = Project(folder, ("make",), folder / "out/k.bin", folder / "out/k.elf")
    found = {key: Place(folder / "labs.yaml", 3, n) for n, key in enumerate(("", "kernel"), 5)}
    return GuestSpec("p", project, memory, places=found if places else {})


def test_a_project_that_builds_something_else(tmp_path: Path) -> None:
    built = GuestImage("p", image(tmp_path, "kernel", b"\x7fELF" + b"\0" * 99))
    words = r"labs\.yaml:3:6: 'kernel': 'k\.bin', which the build made, is an ELF file"
    with pytest.raises(ConfigError, match=words):
        guest_check.check(spec(tmp_path), built)


def test_an_elf_that_is_none(tmp_path: Path) -> None:
    """It has no place of its own here, so the guest's place is used."""
    kernel = image(tmp_path, "kernel", zimage())
    built = GuestImage("p", kernel, elf=image(tmp_path, "elf", zimage()))
    with pytest.raises(ConfigError, match=r":3:5: 'elf': 'k\.elf', which the build made, is no"):
        guest_check.check(spec(tmp_path), built)


def test_a_guest_that_no_file_describes(tmp_path: Path) -> None:
    kernel = image(tmp_path, "kernel", zimage())
    with pytest.raises(UsageError, match="guest p: 'memory': 2M is too little"):
        guest_check.check(spec(tmp_path, places=False, memory=2 << 20), GuestImage("p", kernel))
    guest_check.check(spec(tmp_path), GuestImage("p", kernel))
