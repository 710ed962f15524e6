"""Paths that labs.yaml names, and what is there: each error has its line and the folder that was
searched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import config
from lab.errors import ConfigError

APP = "app: {freertos: images/apps/hello}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images" / "apps" / "hello").mkdir(parents=True)
    (tmp_path / "vmlinuz").write_bytes(b"x")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    return tmp_path


def refused(folder: Path, guest: str = APP, hypervisor: str = "h: {}") -> str:
    path = folder / "labs.yaml"
    path.write_text(
        f"hypervisors: {{{hypervisor}}}\nguests: {{{guest}}}\nlabs: {{one: {{guests: [app]}}}}\n"
    )
    try:
        (one,) = config.load(path).labs["one"].guests  # only the guest is refused, if at all
    except ConfigError as error:
        return error.message
    return "\n".join(refusal.text for refusal in one.refused)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fifo", "not a file: 'fifo' is a FIFO"),
        ("/dev/zero", "not a file: '/dev/zero' is a device"),
        ("images", "not a file: 'images' is a folder"),
        ("loop", "'loop': Too many levels of symbolic links"),
        ("huge", "'huge' is larger than"),
        ("vmlinuz/x", "no such file: 'vmlinuz/x'"),
    ],
)
def test_what_is_no_file(folder: Path, text: str, words: str) -> None:
    """As a kernel, a ramdisk, or a hypervisor's configuration."""
    for guest, key in ((f"app: {{kernel: {text}}}", "kernel"),
                       (f"app: {{kernel: vmlinuz, ramdisk: {text}}}", "ramdisk")):  # fmt: skip
        assert f"'{key}': {words}" in refused(folder, guest)
    found = refused(folder, hypervisor=f"h: {{from: source, kconfig: [{text}]}}")
    assert f"labs.yaml:1:43: 'kconfig': {words}" in found


def test_the_folder_that_was_looked_in(folder: Path) -> None:
    """A path is relative to the folder of labs.yaml. The error has the nearest name that is
    there."""
    for text, wanted in {
        "vmlinz": f"'vmlinz' in {folder}; did you mean 'vmlinuz'?",
        "nothing-like-it": f"'nothing-like-it' in {folder}",
        "image/apps/k.bin": f"'image/apps/k.bin'; there is no 'image' in {folder}; "
                            "did you mean 'images'?",
        "images/app/k.bin": f"'images/app/k.bin'; there is no 'app' in {folder}/images; "
                            "did you mean 'images/apps'?",
        "/nowhere/k.bin": "'/nowhere/k.bin'; there is no 'nowhere' in /",
    }.items():  # fmt: skip
        assert f"'kernel': no such file: {wanted}" in refused(folder, f"app: {{kernel: {text}}}")
    found = refused(folder, "app: {freertos: images/apps/helo}")
    words = f"'freertos': no such folder: 'images/apps/helo' in {folder}/images/apps"
    assert f"{words}; did you mean 'images/apps/hello'?" in found


def test_what_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:  # who may read everything
        monkeypatch.setattr(os, "access", lambda path, _: Path(path).stat().st_mode & 0o777)
    (folder / "vmlinuz").chmod(0)
    assert "'vmlinuz' may not be read" in refused(folder, "app: {kernel: vmlinuz}")


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 100_000, "x\0y", "\ud800"])
def test_a_file_of_any_depth(folder: Path, text: str) -> None:
    path = folder / "labs.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError, match=r"labs.yaml:\d+:\d+: "):
        config.load(path)
