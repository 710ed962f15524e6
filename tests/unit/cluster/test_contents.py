"""What is sent to a worker: the same lab, by content."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lab import config
from lab.cluster import contents, placed_yaml
from lab.cluster.contents import Contents
from lab.errors import LabError, UsageError

LABS = """\
# A comment.
hypervisors:
  mine: {from: source, source: ../xen, kconfig: some.config}

guests:
  one:
    freertos: apps/hello
    memory: 16M
  two: {freertos: apps/hello}
  ready: {kernel: kernel.bin, disk: ["format=raw, vdev=xvda, access=rw, target=disk.img"]}
  unused: {freertos: apps/hello}

labs:
  other: {guests: [unused]}
  many:
    hypervisor: mine
    dom0: {memory: 256M}
    guests:
      - one
      - two
      - ready
    expect:
      - {on: one, line: "a: b"}
    steps:
      - {inject: two}
"""


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    base = tmp_path / "base"
    for folder in ("xen/xen", "base/apps/hello"):
        (base.parent / folder).mkdir(parents=True)
    (base.parent / "xen/xen/Makefile").write_text("export XEN_VERSION = 4\n")
    (base / "apps/hello/main.c").write_text("/* hello */\n")
    (base / "apps/hello/same.c").symlink_to("main.c")
    (base / "some.config").write_text("")
    (base / "kernel.bin").write_bytes(b"\0" * 64)
    (base / "disk.img").write_bytes(b"\0" * 512)
    (base / "labs.yaml").write_text(LABS)
    return base / "labs.yaml"


def gathered(labs: Path) -> Contents:
    return contents.gather(labs, config.find_lab(config.load(labs), "many"))


def laid(found: Contents, worker: Path) -> Path:
    """The labs.yaml of a run on a worker."""
    for part in found.parts.values():
        contents.lay(part, worker / "parts")
    folder = worker / "tasks" / "key"
    folder.mkdir(parents=True)
    (folder / "labs.yaml").write_text(found.labs)
    return folder / "labs.yaml"


def test_a_worker_has_the_same_lab(labs: Path, tmp_path: Path) -> None:
    """Its lines are those of the user's file, so messages name the right ones."""
    (tmp_path / "w/parts").mkdir(parents=True)
    there = laid(gathered(labs), tmp_path / "w")
    before = config.find_lab(config.load(labs), "many")
    after = config.find_lab(config.load(there), "many")
    assert list(config.load(there).labs) == ["many"]
    assert (after.steps, after.expect, after.dom0) == (before.steps, before.expect, before.dom0)
    assert [one.line for one in after.steps] == [one.line for one in before.steps]
    assert after.hypervisor.source != before.hypervisor.source
    assert [one.name for one in after.guests] == ["one", "two", "ready"]


def test_folders_come_with_their_names_links_and_modes(labs: Path, tmp_path: Path) -> None:
    """The image of a FreeRTOS guest depends on the name of its folder."""
    (tmp_path / "w/parts").mkdir(parents=True)
    (labs.parent / "apps/hello/main.c").chmod(0o755)
    found = gathered(labs)
    laid(found, tmp_path / "w")
    (app,) = (tmp_path / "w/parts").glob("*/hello")
    assert (app / "main.c").read_text() == "/* hello */\n"
    assert (app / "same.c").readlink() == Path("main.c")
    assert os.access(app / "main.c", os.X_OK)
    assert {part.name for part in found.parts.values()} == {
        "hello", "xen", "some.config", "kernel.bin", "disk.img", "labs.lock"
    }  # fmt: skip


def test_equal_content_is_one_part_whatever_its_times(labs: Path) -> None:
    before = gathered(labs)
    os.utime(labs.parent / "kernel.bin", (1, 1))
    assert gathered(labs).parts.keys() == before.parts.keys()
    (labs.parent / "kernel.bin").write_bytes(b"\1" * 64)
    assert len(gathered(labs).parts.keys() - before.parts.keys()) == 1


def test_a_file_that_is_gone_has_its_name_in_the_error(labs: Path) -> None:
    lab = config.find_lab(config.load(labs), "many")
    (labs.parent / "disk.img").unlink()
    with pytest.raises(UsageError, match=r"disk\.img cannot be sent"):
        contents.gather(labs, lab)


def test_texts_stay_on_their_lines() -> None:
    text = 'a:\n\n  - x: "1: 2"\n    y: é\nb: [p,\n  q]\n'
    data = placed_yaml.load(text.encode())
    again = placed_yaml.load(placed_yaml.dump(data).encode())
    assert again == data == {"a": [{"x": "1: 2", "y": "é"}], "b": ["p", "q"]}
    assert [again["b"][1].line, again["a"][0]["y"].line] == [5, 3]


def test_nothing_is_unpacked_outside(tmp_path: Path) -> None:
    """Not even from an archive that says so."""
    (tmp_path / "file").write_text("x")
    data = contents.pack(tmp_path / "file", "../outside")
    with pytest.raises(LabError, match="outside"):
        contents.unpack(data, tmp_path / "in")
    assert not (tmp_path / "outside").exists()


def test_a_commit_is_read_from_its_work_tree(labs: Path, tmp_path: Path) -> None:
    """Under the names of labs.yaml, and with another limit."""
    lab = config.find_lab(config.load(labs), "many")
    tree = tmp_path / "commit"
    shutil.copytree(labs.parent, tree, symlinks=True)
    plain = gathered(labs)

    def place(path: Path) -> Path:
        return tree / path.relative_to(labs.parent)

    same = contents.gather(labs, lab, place)
    assert (same.labs, same.parts.keys()) == (plain.labs, plain.parts.keys())
    limited = contents.gather(labs, lab, place, "misses of fast < 3")
    assert '"thresholds": ["misses of fast < 3"]' in limited.labs
