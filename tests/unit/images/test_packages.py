"""Reading packages; finding libraries and modules in them; the list of contents."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest
import samples

from lab.errors import ImageError
from lab.images import contents, modules, own_modules, programs
from lab.model import ARM64
from lab.packages import deb

LOADER = "/lib/ld-linux-armhf.so.3"
MULTIARCH = "/usr/lib/arm-linux-gnueabihf"


def whole(folder: Path, files: dict[str, bytes | str]) -> deb.Tree:
    return deb.tree([samples.package(folder, "p", files)], lambda _: True)


def test_files_are_found_through_links_and_merged_folders(tmp_path: Path) -> None:
    """A link is followed, also if /lib and /usr/lib are the same folder."""
    tree = whole(tmp_path, {"/usr/lib/x/libz.so.1": "libz.so.1.2", "/lib/x/libz.so.1.2": b"z"})
    member = tree.find("/lib/x/libz.so.1")
    assert member is not None
    assert (member.path, member.data) == ("/lib/x/libz.so.1.2", b"z")
    assert tree.find("/lib/x/none") is None


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """Two links that point at each other are no file."""
    assert whole(tmp_path, {"/a": "b", "/b": "a"}).find("/a") is None


def test_only_wanted_files_are_read(tmp_path: Path) -> None:
    """Documentation and the like never reach memory."""
    package = samples.package(tmp_path, "p", {"/usr/share/doc": b"text", "/bin/x": b"x"})
    assert deb.tree([package], lambda path: path.startswith("/bin")).paths() == ["/bin/x"]


@pytest.mark.parametrize("damage", [b"", b"!<arch>\n", b"!<arch>\nrubbish" + b"x" * 100])
def test_a_damaged_package_is_named(tmp_path: Path, damage: bytes) -> None:
    """The message has the file's name and says what to do."""
    package = samples.package(tmp_path, "broken", {"/a": b"1"})
    package.path.write_bytes(damage)
    with pytest.raises(ImageError, match=r"broken\.deb") as caught:
        deb.tree([package], lambda _: True)
    assert caught.value.hint


def test_libraries_are_followed_to_the_end(tmp_path: Path) -> None:
    """Indirect needs, the loader, and what is opened only at run time; each once."""
    tree = whole(tmp_path, {
        f"{MULTIARCH}/liba.so": samples.library(["libb.so", "libc.so.6"]),
        f"{MULTIARCH}/libb.so": samples.library(["liba.so"]),
        f"{MULTIARCH}/libc.so.6": samples.library(["ld-linux-armhf.so.3"]),
        f"{MULTIARCH}/opened.so": samples.library(),
        LOADER: samples.library(),
    })  # fmt: skip
    used = {"usr/sbin/tool": samples.library(["liba.so"], LOADER), "script": b"#!/bin/sh\n"}
    assert list(programs.libraries(tree, used, ["opened.so"])) == [
        "ld-linux-armhf.so.3", "liba.so", "libb.so", "libc.so.6", "opened.so",
    ]  # fmt: skip


def test_a_missing_library_is_named_with_who_needs_it(tmp_path: Path) -> None:
    """The message shows the way from the program to the library."""
    tree = whole(tmp_path, {f"{MULTIARCH}/liba.so": samples.library(["libgone.so.3"])})
    with pytest.raises(ImageError, match=r"libgone\.so\.3, which liba\.so \(for bin/tool\)"):
        programs.libraries(tree, {"bin/tool": samples.library(["liba.so"])})


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    """By its path in the packages."""
    with pytest.raises(ImageError, match="/usr/sbin/xl"):
        programs.take(whole(tmp_path, {}), {"sbin/xl": "/usr/sbin/xl"})


def test_modules_come_after_what_they_need() -> None:
    """Dashes and underscores are the same; nothing comes twice."""
    files = {
        "xenfs": samples.module("xenfs", ["xen_privcmd"]),
        "xen_privcmd": samples.module("xen_privcmd"),
        "xen_gntdev": samples.module("xen_gntdev", ["xen-privcmd"]),
    }
    order = modules.ordered(["xen-gntdev", "xenfs", "xen_gntdev"], files.get)
    assert [name for name, _ in order] == ["xen_privcmd", "xen_gntdev", "xenfs"]


def test_modules_name_what_they_need() -> None:
    """Direct dependencies only, in one spelling."""
    files = {"a": samples.module("a", ["b-c", "d"]), "d": samples.module("d")}
    assert modules.needed(files) == {"b_c", "d"}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a": samples.module("a", ["b"])}, "no module b needed by a"),
        ({"a": b"no module"}, "kernel module a: "),
        ({"a": samples.module("a", ["b"]), "b": samples.module("b", ["a"])}, "need each other"),
    ],
)
def test_modules_that_cannot_go_in(files: dict[str, bytes], words: str) -> None:
    """Missing, damaged or circular: the error has the names."""
    with pytest.raises(ImageError, match=words):
        modules.ordered(["a"], files.get)


def test_packed_modules_and_those_that_are_built_in(tmp_path: Path) -> None:
    """As Debian 13 has them: the kernel's configuration says what is inside it."""
    top = "usr/lib/modules/6.12/kernel"
    kernel = samples.package(tmp_path, "linux-image-6.12-arm64", {
        "boot/config-6.12": b"CONFIG_VIRTIO_CONSOLE=y\nCONFIG_XENFS=m\n",
        f"{top}/xenfs.ko.xz": lzma.compress(samples.module("xenfs", ["xen_privcmd"])),
        f"{top}/xen-privcmd.ko.xz": lzma.compress(samples.module("xen-privcmd")),
    })  # fmt: skip
    wanted = own_modules.outside([kernel], ["virtio_console", "xenfs"])
    assert wanted == ["xenfs"]
    assert modules.taken([kernel], wanted) == [
        ("xen_privcmd", samples.module("xen-privcmd")),
        ("xenfs", samples.module("xenfs", ["xen_privcmd"])),
    ]
    damaged = samples.package(tmp_path, "damaged", {f"{top}/xenfs.ko.xz": b"no stream"})
    with pytest.raises(ImageError, match=r"xenfs\.ko\.xz is damaged"):
        modules.taken([damaged], ["xenfs"])


def test_the_list_names_the_folder_of_the_releases_tools() -> None:
    text = "program TOOLS/xl -> /usr/sbin/xl\nprogram TOOLS/b -> TOOLS/b\n"
    for release in ARM64.releases:
        folder = f"/usr/lib/xen-{release.xen}/bin"
        found = contents.parse(text, ARM64, release).programs
        assert found == {"usr/sbin/xl": f"{folder}/xl", f"{folder[1:]}/b": f"{folder}/b"}


def test_contents_are_read() -> None:
    """One entry a line; applets and modules may share a line."""
    text = "# words\nprogram /a/b -> /c/d\nlibrary l\nmodule m n\napplet x\nfolder f\n"
    assert contents.parse(text + "link k -> /t\n") == contents.Contents(
        {"c/d": "/a/b"}, ("l",), ("m", "n"), ("x",), ("f",), {"k": "/t"}
    )


@pytest.mark.parametrize("line", ["program /a", "link a b c", "module", "thing x", "folder a -> b"])
def test_a_wrong_line_of_contents_is_numbered(line: str) -> None:
    """The message has the line's number."""
    with pytest.raises(ImageError, match="line 2"):
        contents.parse(f"folder a\n{line}\n")
