"""dom0's tools from a tree: which files count, and when a folder of objects is used again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest

from lab.errors import ImageError
from lab.images import interface, sysroot, tool_objects, tool_sources, tools, toolstack
from lab.images.contents import Contents
from lab.images.interface import Interface
from lab.images.sysroot import Sysroot
from lab.model import ARCHITECTURES, ARM32, Architecture, Completed, Toolchain
from lab.packages import deb
from lab.store import Entry
from lab.util.files import sha256_file

#: The folder of the packaged tools of a release.
PACKAGED = "/usr/lib/xen-4.17/bin"
MAKEFILE = """\
export XEN_VERSION       = 4
export XEN_SUBVERSION    = 20
export XEN_EXTRAVERSION ?= .4$(XEN_VENDORVERSION)
"""
FILES = {
    "Config.mk": "",
    "config/Tools.mk.in": "",
    "tools/configure": "#!/bin/sh\n",
    "tools/xl/xl.c": "int main(void) { return 0; }\n",
    "tools/xl/xl.h": "",
    "tools/xl/Makefile": "all:\n",
    "tools/libs/util/cfg.y": "",
    "xen/Makefile": MAKEFILE,
    "xen/common/sched/core.c": "",
    "xen/include/public/domctl.h": "#define XEN_DOMCTL_INTERFACE_VERSION 0x00000017\n",
    "xen/include/public/sysctl.h": "#define XEN_SYSCTL_INTERFACE_VERSION 0x00000015\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(text)
    return tmp_path / "tree"


def test_the_hypervisor_may_change_as_it_likes(tree: Path) -> None:
    """Its C files do not count for the tools; the public headers do."""
    before = tool_sources.hashes(tree)
    (tree / "xen/common/sched/core.c").write_text("changed")
    assert tool_sources.hashes(tree) == before
    (tree / "xen/include/public/domctl.h").write_text("changed")
    assert tool_sources.hashes(tree) != before


def test_what_a_build_left_in_the_tree_does_not_count(tree: Path) -> None:
    """Objects, what configure made of a ``.in`` file, and what bison made."""
    before = tool_sources.hashes(tree)
    for name in ("tools/xl/xl.o", "tools/xl/.xl.o.d", "tools/libs/util/cfg.c", "config/Tools.mk",
                 "tools/config.log", "tools/libs/libxenctrl.so.4.20.0"):  # fmt: skip
        (tree / name).write_text("made")
    assert tool_sources.hashes(tree) == before


@pytest.mark.parametrize("name", ["Config.mk", "xen/Makefile", "tools/configure"])
def test_a_tree_without_tools_is_refused(tree: Path, name: str) -> None:
    (tree / name).unlink()
    with pytest.raises(ImageError, match=f"no tools of Xen: there is no {name}") as caught:
        tool_sources.hashes(tree)
    assert "tools: package" in caught.value.hint


def test_objects_are_kept_only_for_changed_c_files(tree: Path, tmp_path: Path) -> None:
    """A C file: its objects stay, what was linked goes. Anything else: an empty folder."""
    work = tmp_path / "work"

    def bring() -> bool:
        wanted = tool_sources.hashes(tree)
        fresh = tool_sources.bring(tree, wanted, work)
        tool_sources.keep(work, wanted)
        return fresh

    assert bring()
    made = {"xl.o": b"\x7fELF\x01\x01object", "xl": b"\x7fELF\x01\x01program",
            "libxl.a": b"!<arch>\nobjects"}  # fmt: skip
    for name, data in made.items():
        (work / "tree/tools/xl" / name).write_bytes(data)
    (tree / "tools/xl/xl.c").write_text("int main(void) { return 1; }\n")
    assert not bring()
    assert (work / "tree/tools/xl/xl.c").read_text() == "int main(void) { return 1; }\n"
    left = {path.name for path in (work / "tree/tools/xl").iterdir()}
    assert left == {"xl.c", "xl.h", "Makefile", "xl.o"}
    object_, source = (work / "tree/tools/xl" / name for name in ("xl.o", "xl.c"))
    assert source.stat().st_mtime_ns >= object_.stat().st_mtime_ns
    for change in ("tools/xl/Makefile", "tools/xl/new.c", "xen/include/public/domctl.h"):
        (tree / change).write_text("changed\n")
        assert bring(), change
        assert not (work / "tree/tools/xl/xl.o").exists()


def test_a_killed_build_begins_anew(tree: Path, tmp_path: Path) -> None:
    """An object file may be half of one."""
    wanted = tool_sources.hashes(tree)
    assert tool_sources.bring(tree, wanted, tmp_path / "work")
    assert tool_sources.bring(tree, wanted, tmp_path / "work")


@pytest.mark.parametrize("change", ["edited", "removed"])
def test_a_tree_that_changes_meanwhile_is_not_built(
    tree: Path, tmp_path: Path, change: str
) -> None:
    """The store's key says which sources were built. Other ones never get into such an entry."""
    wanted, file = tool_sources.hashes(tree), tree / "tools/xl/xl.c"
    tool_sources.check(tree, wanted, ["tools/xl/xl.c"])
    if change == "edited":
        file.write_text("int main(void) { return 2; }\n")
    else:
        file.unlink()
    with pytest.raises(ImageError, match=r"xl\.c changed while the tools were being built"):
        tool_sources.bring(tree, wanted, tmp_path / "work")
    with pytest.raises(ImageError, match=r"xl\.c changed while the tools were being built"):
        tool_sources.check(tree, wanted, ["tools/xl/xl.c"])
    assert tool_sources.bring(tree, tool_sources.hashes(tree), tmp_path / "work")


def test_the_objects_used_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that another process uses stays, however old it is."""
    monkeypatch.setattr(tool_objects, "KEPT", 2)
    made = []
    for number, name in enumerate(("first", "second", "third")):
        with tool_objects.folder(tmp_path, name) as work:
            (work / "object.o").write_bytes(b"object")
            made.append(work)
        os.utime(made[-1], (number, number))
    assert [work.exists() for work in made] == [False, True, True]
    with tool_objects.folder(tmp_path, "second") as work:
        assert (work / "object.o").exists()
        os.utime(work, (0, 0))
        for name in ("fourth", "fifth"):
            with tool_objects.folder(tmp_path, name):
                pass
        assert (work / "object.o").exists()
    with tool_objects.folder(tmp_path, "sixth"):
        assert not made[1].exists()


def test_an_error_of_the_compiler_comes_first_with_its_path(tree: Path) -> None:
    """make names the file as its folder knows it; the user knows the tree."""
    sources = tool_sources.hashes(tree)
    base = Sysroot(Entry("sysroot", "key", tree, {}, {}), ARM32)
    maker = tools._Maker(cast(Toolchain, None), "mine", base, sources)

    def words(*lines: str) -> str:
        return maker._words(Completed(("make",), 2, b"", "\n".join(lines).encode(), 1.0))

    assert words(
        "xl.c: In function 'main':", "xl.c:7:3: error: 'nothing' undeclared", "make: *** [xl.o]"
    ).splitlines() == ["tools/xl/xl.c:7:3: error: 'nothing' undeclared", "make: *** [xl.o]"]
    assert words("../../xl/xl.h:1: fatal error: no").startswith("tools/xl/xl.h:1: fatal")
    assert words("other.c:1: error: no") == "other.c:1: error: no"
    assert words("configure: error: no libyajl") == "configure: error: no libyajl"


def test_the_version_and_the_interface_are_the_trees(tree: Path, tmp_path: Path) -> None:
    assert tools.version(tree) == "4.20.4"
    (tree / "xen/Makefile").write_text(MAKEFILE.replace(".4", "-unstable"))
    assert tools.version(tree) == "4.20-unstable"
    assert interface.of_tree(tree) == Interface(0x17, 0x15)
    assert str(interface.of_tree(tree)) == "domctl 0x17, sysctl 0x15"
    with pytest.raises(ImageError, match="no public header of Xen"):
        interface.of_headers(tmp_path / "none")
    (tree / "xen/include/public/sysctl.h").write_text("")
    with pytest.raises(ImageError, match="does not say which version"):
        interface.of_tree(tree)


def built(folder: Path, names: tuple[str, ...]) -> tools.Tools:
    outputs = {}
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        outputs[name] = sha256_file(path)
    entry = Entry(tools.KIND, "key", folder, {}, outputs)
    return tools.Tools(entry, "4.20.4", Interface(0x17, 0x15))


def test_the_tools_take_the_place_of_the_packaged_ones(tmp_path: Path) -> None:
    """Each program is where xl looks for it, and another program is where it was."""
    packaged = f"{PACKAGED}/xenconsole"
    wanted = Contents(
        {"usr/sbin/xl": f"{PACKAGED}/xl", packaged.lstrip("/"): packaged,
         "bin/busybox": "/bin/busybox", "usr/bin/xenstore-ls": "/usr/bin/xenstore-ls"},
        (), (), (), (), {},
    )  # fmt: skip
    found = built(
        tmp_path, ("bin/xl", "bin/xenconsole", "bin/xenstore-ls", "lib/libxenctrl.so.4.20")
    )
    tree = deb.Tree()
    laid = toolstack.lay(tree, wanted, found, PACKAGED)
    assert set(laid.programs) == {
        "usr/sbin/xl", "usr/lib/xen/bin/xenconsole", "bin/busybox", "usr/bin/xenstore-ls",
    }  # fmt: skip
    assert tree.data(laid.programs["usr/sbin/xl"]) == b"bin/xl"
    assert tree.data("/usr/lib/libxenctrl.so.4.20") == b"lib/libxenctrl.so.4.20"
    assert found.library == "libxenctrl.so.4.20"
    assert found.described().interface == "domctl 0x17, sysctl 0x15"
    with pytest.raises(ImageError, match=r"tools of Xen 4\.20\.4 have no xl"):
        toolstack.lay(tree, wanted, built(tmp_path / "less", ("lib/libxenctrl.so.4.20",)), PACKAGED)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_linker_scripts_of_the_sysroot_name_no_folder(arch: Architecture) -> None:
    """The cross compiler looks in the folders that are mounted."""
    triplet = arch.debian.triplet.encode()
    script = (
        b"/* GNU ld script\n*/\nGROUP ( /lib/%b/libc.so.6 "
        b"/usr/lib/%b/libc_nonshared.a AS_NEEDED ( /lib/ld-linux-armhf.so.3 ) )\n"
    ) % (triplet, triplet)
    made = sysroot._relative(script, arch)
    assert b"GROUP ( libc.so.6 libc_nonshared.a AS_NEEDED ( ld-linux-armhf.so.3 ) )" in made
    assert sysroot._relative(b"\x7fELF /lib/x", arch) == b"\x7fELF /lib/x"
