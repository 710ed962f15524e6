"""A configuration of xl, imported: what becomes a word of labs.yaml, and what is named instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_files import zimage

from lab import api, config
from lab.config.imported import xl_syntax
from lab.config.yaml_source import Source
from lab.errors import ConfigError, LabError, UsageError

#: As people write them: Python-like, with comments, lists over lines, and much that ARM lacks.
WHOLE = """\
# A guest
name = "My.Guest_1"
kernel = "/boot/zImage"
ramdisk='initrd.gz'; memory = 0x80
maxmem = 128
vcpus=2
cpus = ["0", "2"]
extra = 'console=hvc0 ' # no more
extra += "quiet"
cpu_weight = 512
disk = [
  'file:/a.img,xvda,w',   # the root
  [ "nested", 2 ],
]
vif = [ ]
on_crash = "destroy"
usb = 1
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a kernel and a ramdisk in it."""
    (tmp_path / "zImage").write_bytes(zimage())
    (tmp_path / "initrd.gz").write_bytes(b"\x1f\x8b")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(folder: Path, text: str, name: str = "") -> api.Imported:
    (folder / "a.cfg").write_text(text)
    return api.import_config(Path("a.cfg"), name=name)


def test_a_whole_file(folder: Path) -> None:
    found = made(folder, WHOLE)
    assert found.text == (
        "guests:\n"
        "  my-guest-1:\n"
        "    kernel: zImage\n"
        "    ramdisk: initrd.gz\n"
        "    memory: 128M\n"
        "    vcpus: 2\n"
        "    cpus: [0, 2]\n"
        "    scheduler: {weight: 512}\n"
        "    vif: []\n"
        "    on_crash: destroy\n"
        "    cmdline: console=hvc0 quiet\n"
        "labs:\n"
        "  my-guest-1:\n"
        "    description: imported from a.cfg\n"
        "    cpus: 3\n"
        "    guests: [my-guest-1]\n"
    )
    assert (found.kind, found.problem) == ("xl", "")
    starts = [note.partition(": ")[::2] for note in found.notes]
    assert [(place, said[:24]) for place, said in starts] == [
        ("a.cfg:2:1", "'My.Guest_1' is called 'm"[:24]),
        ("a.cfg:3:1", "'kernel': took '" + str(folder)[:8]),
        ("a.cfg:11:1", "'disk': must be text such as root.img"[:24]),
        ("a.cfg:17:1", "'usb' is a key of xl.cfg only"[:24]),
    ]


def test_what_is_printed_loads(folder: Path) -> None:
    """As it is, and the guest in it is the one of the file."""
    (folder / "labs.yaml").write_text(made(folder, WHOLE).text)
    labs = config.load(folder / "labs.yaml")
    guest = labs.guests["my-guest-1"]
    assert (guest.memory, guest.vcpus, guest.cpus) == (128 << 20, 2, (0, 2))
    assert guest.cmdline == "console=hvc0 quiet"
    assert labs.labs["my-guest-1"].cpus == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('kernel = "zImage', ":1:10: '\"zImage' is where xl wants a text in quotation marks"),
        ("kernel = zImage", ":1:10: 'zImage' is where xl wants a text in quotation marks"),
        ('import os\nkernel = "a"', ":1:8: 'os' is where xl wants '=' after 'import'"),
        ('kernel = "a" "b"', ":1:14: '\"b\"' is where xl wants the end of the line"),
        ("kernel = [ 'a'", ":1:15: the file ends where xl wants ',' or ']'"),
        ("vcpus = 2 + 1", ":1:11: '+' is where xl wants the end of the line"),
        ('name = "\\q"\nkernel = "a"', r":1:8: '\q' is no escape that xl knows"),
        ("memory = 16", ":1:1: there is no 'kernel', and a guest needs one"),
        (
            'memory = 16\nbootloader = "pygrub"',
            ":2:1: 'bootloader' is a key of xl.cfg only: no boot lo",
        ),
        ("Hello world", ":1:1: neither an ImageBuilder configuration"),
    ],
)
def test_mistakes_have_places(folder: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(folder, text)
    assert words in str(caught.value)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ('kernel="k"\nmemory="much"', ":2:1: 'memory': 'muchM' is not a size"),
        ('kernel="k"\nvcpus=9', ":2:1: 'vcpus': '9' is not a number from 1 to 8"),
        ('kernel="k"\nfreertos="x"', ":2:1: 'freertos' is no key of xl's"),
        ('kernel="k"\nnonsense=1', ":2:1: 'nonsense' is not known here"),
        ('kernel="k"\nextra="a"\ncmdline="b"', ":2:1: xl ignores 'extra' if there is 'cmdline'"),
        ('kernel="none"', ":1:1: 'kernel': no such file here: 'none'"),
    ],
)
def test_what_is_left_out_is_named(folder: Path, text: str, note: str) -> None:
    """And the rest is imported."""
    found = made(folder, text)
    assert any(note in one for one in found.notes), found.notes
    assert found.problem == ""


def test_files_below_a_root(folder: Path) -> None:
    """`--folder`: a path of dom0 is one in that tree."""
    root = folder / "rootfs"
    (root / "boot").mkdir(parents=True)
    (root / "boot/zImage").write_bytes(zimage())
    (folder / "a.cfg").write_text('kernel = "/boot/zImage"')
    assert "kernel: rootfs/boot/zImage\n" in api.import_config(Path("a.cfg"), folder=root).text


def test_another_name(folder: Path) -> None:
    found = made(folder, 'kernel = "zImage"\nname = "dom0"', name="mine")
    assert (found.guests, found.labs) == (("mine",), ("mine",))
    assert made(folder, 'kernel = "zImage"\nname = "dom0"').guests == ("dom0-guest",)
    with pytest.raises(ConfigError, match="--name: 'A b' is not a usable name"):
        made(folder, 'kernel = "zImage"', name="A b")


def test_a_large_guest_has_a_large_machine(folder: Path) -> None:
    assert "memory: 1536M\n    guests" in made(folder, 'kernel="zImage"\nmemory=900').text


@given(st.text(alphabet="ab1_=+[]'\",;#\n\\ x0\t"))
def test_any_text_is_read_or_refused(text: str) -> None:
    source = Source(Path("a.cfg"))
    for key, one in xl_syntax.read(source, text).items():
        assert key
        assert one.mark.line <= text.count("\n") + 1


def test_files_that_are_none(folder: Path) -> None:
    for name, words in ("none.cfg", "no such file"), (".", "a folder, not a file"):
        with pytest.raises(LabError, match=words):
            api.import_config(Path(name))
    (folder / "b.cfg").write_bytes(b'kernel = "a"\n\xff')
    with pytest.raises(ConfigError, match=r"b\.cfg:2:1: it is not a text in UTF-8"):
        api.import_config(Path("b.cfg"))


def test_a_folder_that_is_not_there(folder: Path) -> None:
    """It would make every path of the configuration a missing file."""
    (folder / "a.cfg").write_text('kernel = "zImage"\n')
    for name in ("nix", "zImage"):
        with pytest.raises(UsageError, match=f"--folder: {name} is not a folder"):
            api.import_config(Path("a.cfg"), folder=Path(name))
