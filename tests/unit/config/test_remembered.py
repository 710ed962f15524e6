"""A labs.yaml that was checked before is not checked again unless something has changed."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from kernel_files import zimage

from lab import config
from lab.config import remembered, resolve, schema
from lab.config.yaml_source import Source
from lab.errors import ConfigError
from lab.images import kernel_tree
from lab.model import Labs

TEXT = """
hypervisors:
  mine: {from: source, kconfig: mine.config}
guests:
  g: {kernel: g.bin}
labs:
  one: {guests: [g], hypervisor: mine, scheduler: {name: "rtds"}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "g.bin").write_bytes(zimage())
    (tmp_path / "mine.config").write_text("CONFIG_SCHED_RTDS=y\n")
    (tmp_path / "labs.yaml").write_text(TEXT)
    return tmp_path / "labs.yaml"


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each time that a file was really checked."""
    seen: list[str] = []
    real = resolve.labs

    def labs(source: Source, shape: schema.File) -> Labs:
        seen.append(source.file.name)
        return real(source, shape)

    monkeypatch.setattr(resolve, "labs", labs)
    return seen


def kept(file: Path) -> Path:
    (found,) = (file.parent / "cache" / "labs").iterdir()
    return found


def test_the_second_time_it_is_remembered(file: Path, checked: list[str]) -> None:
    assert config.load(file) == config.load(file)
    assert len(checked) == 1


def test_a_relative_path_is_the_same_file(
    file: Path, checked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config.load(file)
    monkeypatch.chdir(file.parent)
    config.load(Path("labs.yaml"))
    assert len(checked) == 1


def test_another_text_is_checked(file: Path, checked: list[str]) -> None:
    config.load(file)
    file.write_text(TEXT.replace("one:", "two:"))
    assert list(config.load(file).labs) == ["two"]
    assert len(checked) == 2


def test_a_file_that_is_named_and_gone_is_missed(file: Path) -> None:
    config.load(file)
    (file.parent / "g.bin").unlink()
    assert "no such file" in config.load(file).guests["g"].refused[0].text


def test_a_file_that_is_named_and_changed_is_looked_at_again(file: Path) -> None:
    config.load(file)
    (file.parent / "g.bin").write_bytes(b"")
    assert "is empty" in config.load(file).guests["g"].refused[0].text
    assert remembered.recall(file, file.read_bytes()) is not None
    (file.parent / "g.bin").write_bytes(zimage())
    assert not config.load(file).guests["g"].refused


def test_a_kernel_that_is_none_any_more_is_missed(file: Path) -> None:
    tree = file.parent / "tree"
    for name in kernel_tree.FILES:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    (file.parent / "app").mkdir(exist_ok=True)
    file.write_text("guests: {a: {freertos: app, kernel: tree}}\nlabs: {one: {guests: [a]}}\n")
    config.load(file)
    assert remembered.recall(file, file.read_bytes()) is not None
    (tree / "include/FreeRTOS.h").unlink()
    with pytest.raises(ConfigError, match=r"'tree': no include/FreeRTOS\.h in it"):
        config.find_startable(config.load(file), "one")


def test_what_stands_in_a_file_that_is_named_counts(file: Path) -> None:
    """Without the RTDS scheduler the lab is wrong, although labs.yaml is the same."""
    config.load(file)
    (file.parent / "mine.config").write_text("CONFIG_SCHED_RTDS=n\n")
    with pytest.raises(ConfigError, match="rtds"):
        config.load(file)


def test_a_file_with_a_problem_is_not_remembered(file: Path) -> None:
    file.write_text(TEXT.replace("mine.config", "no.config"))
    for _ in range(2):
        with pytest.raises(ConfigError, match="no such file"):
            config.load(file)
    assert not (file.parent / "cache").exists()


def test_a_damaged_memory_is_not_used(file: Path, checked: list[str]) -> None:
    good = config.load(file)
    whole = kept(file).read_bytes()
    for at in range(0, len(whole), 97):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        kept(file).write_bytes(damaged)
        assert remembered.recall(file, file.read_bytes()) is None
    for size in (0, 10, 32, len(whole) - 1):
        kept(file).write_bytes(whole[:size])
        assert remembered.recall(file, file.read_bytes()) is None
    assert config.load(file) == good
    assert len(checked) == 2


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo loaded",)


@pytest.mark.parametrize("thing", [Evil(), ("x", (), 3), ["x"], None, Path])
def test_only_our_own_data_is_loaded(
    file: Path, thing: object, capfd: pytest.CaptureFixture[str]
) -> None:
    config.load(file)
    data = pickle.dumps(thing)
    kept(file).write_bytes(hashlib.sha256(data).digest() + data)
    assert remembered.recall(file, file.read_bytes()) is None
    assert "loaded" not in capfd.readouterr().out


def test_the_latest_are_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 3)
    for number in range(5):
        other = file.parent / f"labs{number}.yaml"
        other.write_text(TEXT)
        config.load(other)
    assert len(list((file.parent / "cache" / "labs").iterdir())) == 3
    assert remembered.recall(other, other.read_bytes()) is not None


def test_a_cache_that_cannot_be_written_is_done_without(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_CACHE", str(file / "below a file"))
    assert config.load(file) == config.load(file)


def test_every_checker_of_images_counts() -> None:
    """They are named by file, because not loading them is the point."""
    code = "import sys, lab.config.resolve; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    used = {one.removeprefix("lab.").replace(".", "/") + ".py" for one in done.stdout.split()
            if one.startswith("lab.images.")}  # fmt: skip
    assert used <= set(remembered.CHECKERS)
    assert all((remembered._HERE.parent / name).is_file() for name in remembered.CHECKERS)
