"""A configuration of ImageBuilder, imported: guests that Xen boots, and what is named instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_files import zimage

from lab import api, config
from lab.config.imported import assignments, xen_command_line
from lab.config.imported.imagebuilder_keys import NOT_HERE, OF_BOARD, OF_GUEST
from lab.config.yaml_source import Source
from lab.errors import ConfigError

WHOLE = """\
# For a board
MEMORY_START="0x0"
MEMORY_END="0x80000000"      # 2 GiB
DEVICE_TREE='mpsoc.dtb'
XEN_CMD="console=dtuart dom0_mem=512M dom0_max_vcpus=2 \\
  bootscrub=0 vwfi=native"
DOM0_KERNEL=Image-dom0; DOM0_MEM=1024

NUM_DOMUS=2
DOMU_KERNEL[0]="zImage"
DOMU_CMD[0]="console=ttyAMA0 root=/dev/ram0"
DOMU_RAMDISK[0]="initrd.gz"
DOMU_VCPUS[0]=2
DOMU_KERNEL[1]="zImage"
DOMU_MEM[1]=256
DOMU_NOBOOT[1]=1
DOMU_COLORS[1]="6-14"
DOMU_KERNEL[2]="zImage"
UBOOT_SOURCE="$OUT/boot.source"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "zImage").write_bytes(zimage())
    (tmp_path / "initrd.gz").write_bytes(b"\x1f\x8b")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(folder: Path, text: str) -> api.Imported:
    (folder / "board.config").write_text(text)
    return api.import_config(Path("board.config"))


def test_a_whole_file(folder: Path) -> None:
    found = made(folder, WHOLE)
    assert found.text == (
        "hypervisors:\n"
        "  board-xen:\n"
        "    from: package\n"
        "    args: vwfi=native\n"
        "guests:\n"
        "  board-domu0:\n"
        "    kernel: zImage\n"
        "    ramdisk: initrd.gz\n"
        "    cmdline: console=ttyAMA0 root=/dev/ram0\n"
        "    memory: 512M\n"
        "    vcpus: 2\n"
        "    start: device-tree\n"
        "  board-domu1:\n"
        "    kernel: zImage\n"
        "    memory: 256M\n"
        "labs:\n"
        "  board:\n"
        "    description: imported from board.config\n"
        "    cpus: 2\n"
        "    hypervisor: board-xen\n"
        "    memory: 2G\n"
        "    dom0: {memory: 512M, vcpus: 2}\n"
        "    guests: [board-domu0]\n"
    )
    assert found.kind == "ImageBuilder"
    assert [note.partition("'")[2].partition("'")[0] for note in found.notes] == [
        "DEVICE_TREE",
        "DOM0_KERNEL",
        "DOM0_MEM",
        "DOMU_COLORS[1]",
        "DOMU_KERNEL[2]",
        "UBOOT_SOURCE",
    ]
    assert found.notes[1].startswith("board.config:7:1: ")
    assert found.notes[2].startswith("board.config:7:25: ")


def test_what_is_printed_loads(folder: Path) -> None:
    found = made(folder, WHOLE)
    assert found.problem == ""
    (folder / "labs.yaml").write_text(found.text)
    labs = config.load(folder / "labs.yaml")
    assert [guest.name for guest in labs.labs["board"].guests] == ["board-domu0"]
    assert labs.labs["board"].dom0.vcpus == 2


def test_without_dom0(folder: Path) -> None:
    text = made(folder, "NUM_DOMUS=1\nDOMU_KERNEL=zImage\nDOMU_VPL011[0]=0\n").text
    assert "    dom0: false\n    guests: [board-domu0]\n" in text
    assert "cmdline" not in text


@pytest.mark.parametrize(
    ("number", "wrong"),
    [
        ("-1", "'NUM_DOMUS': -1 is not a number from 0 to 100"),
        ("999999999", "'NUM_DOMUS': 999999999 is not a number from 0 to 100"),
        ("x", "'NUM_DOMUS': 'x' is no number"),
        ("1", "'DOMU_KERNEL[0]' is missing: a guest needs a kernel"),
    ],
)
def test_a_wrong_number_of_guests_is_one_error(folder: Path, number: str, wrong: str) -> None:
    """Nobody is told that `NUM_DOMUS` is missing, or of a million guests without a kernel."""
    with pytest.raises(ConfigError) as caught:
        made(folder, f"NUM_DOMUS={number}\n")
    assert str(caught.value).splitlines()[0].endswith(wrong)
    assert str(caught.value).count("board.config:") == 1


def test_static_memory(folder: Path) -> None:
    """In one piece it keeps its place; and the hypervisor is one that can do it."""
    base = 'NUM_DOMUS=1\nDOM0_KERNEL=a\nDOMU_KERNEL[0]=zImage\nDOMU_STATIC_MEM[0]="%s"\n'
    text = made(folder, base % "0x50000000 0x20000000").text
    assert "memory: 512M\n    start: device-tree\n    static_memory: 0x50000000\n" in text
    assert "    direct_map: true\n" in text
    assert "DOM0" in base  # beside a dom0 it is a note, because no dom0 of Xen 4.17 takes it over
    notes = made(folder, base % "0x50000000 0x20000000").notes
    assert any("'DOMU_STATIC_MEM[0]': Xen 4.17's init-dom0less" in note for note in notes)
    assert "debug.config, " in text
    text = made(folder, f"{base % '0x50000000 0x100000'}DOMU_DIRECT_MAP[0]=0\n").text
    assert "memory: 1M\n" in text
    assert "direct_map" not in text
    found = made(folder, base % "0x50000000 0x100000 0x60000000 0x100000")
    assert "memory: 2M\n" in found.text
    assert "static_memory" not in found.text
    assert any("DOMU_STATIC_MEM[0]': static memory is one piece" in note for note in found.notes)


def test_a_scheduler(folder: Path) -> None:
    """Under null each vCPU has a CPU; Debian's Xen does not have it, one from source has."""
    text = made(
        folder, "NUM_DOMUS=1\nDOM0_KERNEL=a\nDOMU_KERNEL=zImage\nXEN_CMD='sched=null'\n"
    ).text
    assert "  board-xen:\n    from: source\n    kconfig: [" in text
    assert "    scheduler: null\n    cpus: 2\n    hypervisor: board-xen\n" in text
    assert "    dom0: {vcpus: 1}\n" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("NUM_DOMUS=1\n", ":1:1: 'DOMU_KERNEL[0]' is missing: a guest needs a kernel"),
        ("NUM_DOMUS=x\nDOM0_KERNEL=a", ":1:1: 'NUM_DOMUS': 'x' is no number"),
        ("NUM_DOMUS=0\n", ":1:1: there is neither 'DOM0_KERNEL' nor 'NUM_DOMUS'"),
        ("NUM_DOMUS=1\nif true; then", ":2:1: 'if' is no assignment, and the file is read, not r"),
        ("NUM_DOMUS=$(rm -rf .)", ":1:12: '(' needs a shell"),
        ("NUM_DOMUS=1\nDOMU_KERNEL[$i]=a", ":2:1: 'DOMU_KERNEL[$i]=a': only NAME=value and NA"),
        ("NUM_DOMUS+=1", ":1:1: 'NUM_DOMUS+=1': only NAME=value"),
        ('NUM_DOMUS="1', ':1:11: the " is never closed'),
        ('NUM_DOMUS=1\nDOMU_KERNEL[0]="$D/Image"', ":2:1: 'DOMU_KERNEL[0]' has '$D' in it"),
        ("NUM_DOMUS=1\nDOMU_KERNEL[0]=a\nDOMU_MEM[0]=`id`", ":3:1: 'DOMU_MEM[0]' has '`id`'"),
        (
            "NUM_DOMUS=1\nDOMU_KERNEL=a\nDOMU_STATIC_MEM=7",
            ":3:1: 'DOMU_STATIC_MEM[0]': wants",
        ),
    ],
)
def test_mistakes_have_places(folder: Path, text: str, words: str) -> None:
    """Nothing of the file is run, whatever is in it."""
    with pytest.raises(ConfigError) as caught:
        made(folder, text)
    assert words in str(caught.value)
    assert (folder / "zImage").is_file()


def test_quotes_are_those_of_a_shell(folder: Path) -> None:
    source = Source(folder / "a")
    text = 'A=\'$x "y\'\nexport B[3]=a\\ "b \\"c\\$d"\'e\' C= # D=1\nE="two\nlines"\nF=a#b;A=last'
    found = assignments.read(source, text)
    source.check()
    assert {key: one.value for key, one in found.items()} == {
        ("B", 3): 'a b "c$de',
        ("C", None): "",
        ("E", None): "two\nlines",
        ("F", None): "a#b",
        ("A", None): "last",
    }
    assert not any(one.expansion for one in found.values())


def test_every_key_has_one_place() -> None:
    """A key is a word of labs.yaml, or it has a reason; never both."""
    assert not set(NOT_HERE) & (OF_BOARD | OF_GUEST)


@pytest.mark.parametrize(
    ("words", "memory"),
    [("dom0_mem=1G", 1 << 30), ("dom0_mem=524288", 512 << 20), ("dom0_mem=max:64M", 64 << 20),
     ("dom0_mem=min:1M,max:3M,2m", 2 << 20), ("dom0_mem=", 0), ("dom0_mem=50%", 0)],
)  # fmt: skip
def test_dom0_memory(words: str, memory: int) -> None:
    assert xen_command_line.read(words).dom0_memory == memory


@given(st.text(alphabet="AB1_=+[]'\"$`;#\n\\ (){}"))
def test_any_text_is_read_or_refused(text: str) -> None:
    for _, one in assignments.read(Source(Path("a")), text).items():
        assert one.mark.line <= text.count("\n") + 1
