"""labs.yaml is read, or refused with a place; nothing else ever happens."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_files import zimage

from lab import config
from lab.config import MAX_BYTES, units
from lab.errors import ConfigError, UsageError
from lab.images import kernel_tree
from lab.model import Clock, FreeRtosApp, Labs, Prebuilt, Project

HEAD = "guests:\n  g: {kernel: g.bin}\n"
GOOD = HEAD + "labs:\n  one: {guests: [g]}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "g.bin").write_bytes(zimage())
    (tmp_path / "app").mkdir()
    for name in kernel_tree.FILES:
        file = tmp_path / "all/FreeRTOS/Source" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


def load(folder: Path, text: str | bytes) -> Labs:
    file = folder / "labs.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return config.load(file)


def refused(folder: Path, text: str | bytes) -> str:
    """The error's message, without the folder: about the whole file, or about the lab ``x``."""
    with pytest.raises(ConfigError) as caught:
        config.find_startable(load(folder, text), "x")
    message = caught.value.message.replace(f"{folder}/", "")
    return message.replace(f"{os.path.relpath(folder)}/", "")


def test_shipped_labs_are_good(root: Path, tmp_path: Path) -> None:
    """The labs.yaml of the checkout loads, whether or not the applications are there."""
    shutil.copy(root / "labs.yaml", tmp_path)
    for name in ("hypervisor", "linux"):
        shutil.copytree(root / "images" / name, tmp_path / "images" / name)
    for app in ("hello", "selftest", "periodic", "noisy", "trace-cost"):
        (tmp_path / "images/freertos/apps" / app).mkdir(parents=True)
    labs = config.load(tmp_path / "labs.yaml")
    shipped = {"hello", "selftest", "two-guests", "pinned", "emergency-console", "rtds", "null",
               "linux"}  # fmt: skip
    assert shipped <= set(labs.labs)
    assert labs.labs["pinned"].guests[0].cpus == (1,)
    assert len({guest.name for guest in labs.labs["two-guests"].guests}) == 2
    found = re.search(labs.labs["selftest"].expect[0].text, "selftest: PASS (23 checks)")
    assert found


def test_everything_arrives_in_the_model(folder: Path) -> None:
    text = """
hypervisors:
  debug: {from: source, kconfig: d.config, args: sched=rtds}
guests:
  a: {freertos: app, kernel: all/FreeRTOS/Source, memory: 32M, cpus: 0, emergency_console: true}
  p: {project: app, build: "make -C 'a b'", kernel: out/x.bin, elf: out/x.elf}
  k: {kernel: g.bin, ramdisk: g.bin, vcpus: 2, cmdline: 'console=hvc0 x="y"'}
labs:
  all:
    description: all of it
    hypervisor: debug
    cpus: 2
    memory: 2G
    clock: virtual
    dom0: {memory: 128M, vcpus: 1, cpus: [0]}
    guests: [a, p, k]
    expect:
      - {on: xen, line: no, within: 1.5s}
      - {on: k, regex: 'a+'}
"""
    (folder / "d.config").write_text("CONFIG_DEBUG=y\n")
    lab = load(folder, text).labs["all"]
    assert (lab.memory, lab.cpus, lab.clock) == (2 << 30, 2, Clock.VIRTUAL)
    assert lab.hypervisor.kconfig == (folder / "d.config",)
    a, p, k = lab.guests
    assert a.program == FreeRtosApp(folder / "app", folder / "all/FreeRTOS/Source", True)
    build = ("make", "-C", "a b")
    root = folder / "app"
    assert p.program == Project(root, build, root / "out/x.bin", root / "out/x.elf")
    assert k.program == Prebuilt(folder / "g.bin", folder / "g.bin")
    assert [item.text for item in lab.expect] == ["no", "a+"]
    assert [item.within for item in lab.expect] == [1.5, 30.0]


LAB = HEAD + "labs:\n  one:\n    guests: [g]\n"

WRONG = {
    "unknown key": (LAB + "    guest: [g]\n", "6:5: unknown key 'guest'; did you mean 'guests'?"),
    "duplicate key": (
        LAB + "    cpus: 1\n    cpus: 2\n",
        "7:5: key 'cpus' is there twice; the first is on line 6",
    ),
    "bare size": (LAB + "    memory: 512\n", "6:13: 'memory': '512' is not a size; write 512M"),
    "nothing": (LAB + "    memory: 0\n", "'0' is not a size; write 512K, 16M or 1G"),
    "long unit": (LAB + "    memory: 512 MiB\n", "'512 MiB' is not a size; write 512M"),
    "sexagesimal": (LAB + "    memory: 12:30\n", "'12:30' is not a size; write 512K, 16M or 1G"),
    "octal": (LAB + "    cpus: 010\n", "6:11: 'cpus': '010' is not a number from 1 to 8"),
    "unknown guest": (HEAD + "labs:\n  one: {guests: [gg]}\n", "4:18: no guest 'gg'; did you mean"),
    "unknown hypervisor": (LAB + "    hypervisor: stack\n", "did you mean 'stock'?"),
    "twice the same guest": (HEAD + "labs:\n  one: {guests: [g, g]}\n", "4:21: 'g' is in the list"),
    "slash": ("guests:\n  a/b: {kernel: g.bin}\nlabs: {}\n", "2:3: 'a/b' is not a usable name"),
    "comma": ('guests:\n  "a,b": {kernel: g.bin}\nlabs: {}\n', "2:3: 'a,b' is not a usable name"),
    "dots": ("labs:\n  ..: {}\n", "2:3: '..' is not a usable name"),
    "dash": ("labs:\n  -x: {}\n", "2:3: '-x' is not a usable name"),
    "capital": ("labs:\n  Hello: {}\n", "'hello' would do"),
    "reserved": ("guests:\n  dom0: {kernel: g.bin}\nlabs: {}\n", "2:3: 'dom0' is reserved"),
    "no program": ("guests:\n  a: {memory: 16M}\nlabs: {}\n", "2:6: a guest needs one of"),
    "two programs": ("guests:\n  a: {freertos: app, project: app}\nlabs: {}\n", "has either"),
    "file, not folder": (
        "guests:\n  a: {freertos: g.bin}\nlabs: {x: {guests: [a]}}\n",
        "labs.yaml:2:17: 'freertos': not a folder: 'g.bin'",
    ),
    "no kernel": (
        "guests:\n  a: {freertos: app, kernel: app}\nlabs: {x: {guests: [a]}}\n",
        "labs.yaml:2:30: 'kernel': not a FreeRTOS kernel: 'app': no tasks.c in it",
    ),
    "kernel further down": (
        "guests:\n  a: {freertos: app, kernel: all}\nlabs: {x: {guests: [a]}}\n",
        "'all': no tasks.c in it; its folder FreeRTOS/Source is one",
    ),
    "project without build": ("guests:\n  a: {project: app}\nlabs: {}\n", "'build' is missing"),
    "kernel outside": (
        "guests:\n  a: {project: app, build: make, kernel: ../x}\nlabs: {}\n",
        "'kernel' must be inside the project",
    ),
    "open quote": ("guests:\n  a: {project: app, build: \"a 'b\"}\nlabs: {}\n", "no closing quot"),
    "FreeRTOS on two": ("guests:\n  a: {freertos: app, vcpus: 2}\nlabs: {}\n", "has one vCPU"),
    "too much memory": (LAB + "    memory: 100000M\n", "must be from 448M to 3056M"),
    "guest too big": (
        "guests:\n  a: {kernel: g.bin, memory: 100000M}\nlabs:\n  one: {guests: [a]}\n",
        "2:30: lab 'one' has 1G, but needs 100725M: dom0 256M + a 100000M + Xen 469M",
    ),
    "odd size": ("guests:\n  a: {kernel: g.bin, memory: 1500K}\nlabs: {}\n", "whole number of meb"),
    "no such CPU": (
        "guests:\n  a: {kernel: g.bin, cpus: [1]}\nlabs:\n  one: {guests: [a]}\n",
        "2:29: lab 'one' has no CPU 1: it has 1",
    ),
    "dom0 elsewhere": (LAB + "    cpus: 2\n    dom0: {cpus: [1]}\n", "Xen pins vCPU n of dom0"),
    "dom0 too many": (LAB + "    dom0: {vcpus: 2}\n", "6:19: dom0 has 2 vCPUs"),
    "console": (LAB + "    expect: [{on: h, line: x}]\n", "6:19: no console of this lab 'h'"),
    "regex": (LAB + "    expect: [{on: g, regex: '('}]\n", "6:29: '(' is not a regular expr"),
    "line and regex": (LAB + "    expect: [{on: g, line: a, regex: b}]\n", "either 'line' or"),
    "bare time": (LAB + "    expect: [{on: g, line: a, within: 10}]\n", "not a time; write 10s"),
    "no time": (LAB + "    expect: [{on: g, line: a, within: 0s}]\n", "more than 0s"),
    "clock": (LAB + "    clock: virtal\n", "6:12: 'clock': unknown value 'virtal'; did you mean"),
    "empty value": (LAB + "    clock:\n", "6:11: 'clock' is empty"),
    "text for mapping": (LAB + "    steps: [{exec: x}, y]\n", "6:24: entry 2 must be a mapping"),
    "list for mapping": (LAB + "    dom0: [1]\n", "6:11: 'dom0' must be a mapping"),
    "mapping for text": (LAB + "    memory: {a: b}\n", "must be a size such as 16M, not a mapping"),
    "package with source": (
        "hypervisors:\n  x: {from: package, source: app}\nlabs: {}\n",
        "2:22: 'source' is not allowed here",
    ),
    "tools from no tree": (
        "hypervisors:\n  x: {from: source, tools: source}\nlabs: {}\n",
        "2:21: 'tools' is not allowed here: dom0's tools are built from a tree of yours",
    ),
    "unknown release": (
        "hypervisors:\n  x: {release: 4.18}\nlabs: {}\n",
        "2:16: 'release': Debian has no Xen '4.18'; it has 4.17, 4.20",
    ),
    "unknown tools": (
        "hypervisors:\n  x: {from: source, tools: debian}\nlabs: {}\n",
        "2:28: 'tools': unknown value 'debian'; choose from",
    ),
    "no labs": (HEAD, "1:1: 'labs' is missing"),
    "empty labs": (HEAD + "labs:\n", "no lab in it"),
    "empty": ("", "1:1: the file is empty"),
    "only a comment": ("# nothing\n", "the file is empty"),
    "list": ("- a\n", "1:1: the file must be a mapping"),
    "two documents": ("a: b\n---\nc: d\n", "expected a single document"),
    "syntax": ("labs: [\n", "2:1: while parsing"),
    "tab": ("labs:\n\tone: {}\n", "2:1: "),
    "not UTF-8": (b"labs:\n  \xff: {}\n", "2:3: byte 0xff is not UTF-8"),
    "binary": (b"\x7fELF\x00\x01", "1:1: character U+007F"),
    "huge": (b"#" * (MAX_BYTES + 1), "1:1: larger than 256 KiB"),
    "tag": ("labs: !!python/object:os.system {}\n", "1:7: YAML tags (!…) are not supported"),
    "deep": ("labs: " + "[" * 5000, "nested deeper than 16"),
    "recursive": ("labs: &a {x: *a}\n", "nested deeper than 16"),
    "merge": (HEAD + "labs:\n  one: {<<: {}}\n", "unknown key '<<'"),
    "key that is a list": ("? [a]\n: b\n", "1:3: a key must be a single word"),
    "character out of range": ('labs: "\\U7fffffff"\n', "out of range"),
    "surrogate": (LAB + '    description: "\\ud800"\n', "must be 1 to 1000 visible characters"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_files_are_refused_with_a_place(
    folder: Path, text: str | bytes, message: str
) -> None:
    """The message names file, line and column, and says what would be right."""
    found = refused(folder, text)
    assert message in found
    assert re.match(r"labs\.yaml:\d+:\d+: ", found)
    assert found.replace("\n", "").isprintable()


def test_alias_bomb_is_bounded(folder: Path) -> None:
    levels = "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(9))
    assert "more than 10000 values" in refused(folder, "a0: &a0 [x]\n" + levels)


def test_all_problems_are_listed_in_order_of_the_file(folder: Path) -> None:
    found = refused(folder, LAB + "    cpus: 0\n    memory: 1\n    clocks: host\n").splitlines()
    assert [line.split(":")[1] for line in found] == ["6", "7", "8"]


def test_long_lists_of_problems_are_cut(folder: Path) -> None:
    text = LAB + "".join(f"    x{i}: 1\n" for i in range(30))
    assert refused(folder, text).splitlines()[-1] == "… and 20 more"


def test_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "labs.yaml")
    assert "no such file" in caught.value.message
    assert "--labs FILE" in caught.value.hint


def test_a_folder_is_no_labs_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a file"):
        config.load(tmp_path)


def test_aliases_and_byte_order_mark_are_read(folder: Path) -> None:
    text = "\ufeff" + HEAD + "labs:\n  one: &x {guests: [g]}\n  two: *x\n"
    assert set(load(folder, text).labs) == {"one", "two"}


def test_unknown_names_are_usage_errors_with_the_nearest(folder: Path) -> None:
    labs = load(folder, GOOD)
    assert config.find_lab(labs, "one").name == "one"
    assert config.find_guest(labs, "g").name == "g"
    with pytest.raises(UsageError, match="did you mean 'one'"):
        config.find_lab(labs, "onne")
    with pytest.raises(UsageError, match="no guest"):
        config.find_guest(labs, "\x1b[2J")


@given(st.text(max_size=40))
def test_accepted_names_are_safe_everywhere(text: str) -> None:
    """Every accepted name is a file name, a name for xl, and no option of QEMU."""
    try:
        name = units.guest_name(text)
    except ValueError:
        return
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name)
