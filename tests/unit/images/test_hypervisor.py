"""A hypervisor's version is read from its image; one from source has all its inputs in its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import samples

from lab.errors import ImageError
from lab.images import hypervisor, xen
from lab.model import ARM64, Command, Completed, HypervisorSpec, Image, Package
from lab.store import Store
from lab.util import files, kconfig
from lab.util.files import sha256_file

TOOLS = Package("xen-utils-4.17", "4.17.5+72-g01-1", "armhf", "0", 0, Path("/none"))


def image(path: Path, version: str) -> Image:
    path.write_bytes(b"\0code\0xen,xen-" + version.encode() + b"\0xen,xen\0more")
    return Image("xen", path, sha256_file(path), path.stat().st_size, "key")


def test_version_is_what_xen_tells_dom0(tmp_path: Path) -> None:
    assert hypervisor.version(image(tmp_path / "xen", "4.17")) == "4.17"
    assert hypervisor.version(image(tmp_path / "xen", "")) == ""


def test_tools_and_hypervisor_go_together(tmp_path: Path) -> None:
    hypervisor.check_tools("mine", image(tmp_path / "xen", "4.17"), TOOLS)
    for other in ("4.1", "4.18", "5.17"):
        with pytest.raises(ImageError) as caught:
            hypervisor.check_tools("mine", image(tmp_path / "xen", other), TOOLS)
        assert f"mine is Xen {other}," in caught.value.message
        assert "4.17.5+72-g01-1" in caught.value.message
        assert "--force" in caught.value.hint


def test_the_packaged_one_of_a_release(tmp_path: Path) -> None:
    """Each release has a package of its own, in which the Image is."""
    xen = b"\0" * 0x38 + b"ARMd" + b"xen,xen-4.20\0"
    name = "xen-hypervisor-4.20-arm64"
    package = samples.package(tmp_path, name, {"boot/xen-4.20-arm64": xen, "boot/xen.config": "x"})
    old, new = ARM64.releases
    found = hypervisor.packaged(Store(tmp_path), [package], ARM64, new)
    assert (hypervisor.version(found), found.inputs["version"]) == ("4.20", package.version)
    with pytest.raises(ImageError, match=r"xen-hypervisor-4\.17-arm64 is missing"):
        hypervisor.packaged(Store(tmp_path), [package], ARM64, old)


def test_something_else_is_not_taken_for_a_xen(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="an unknown version"):
        hypervisor.check_tools("mine", image(tmp_path / "xen", "x"), TOOLS)


class Make:
    """A toolchain whose make answers ``olddefconfig`` with ``config`` and builds ``fails``."""

    key = "gcc"

    def __init__(self, config: str = "CONFIG_DEBUG=y\n", fails: str = "") -> None:
        self.config = config
        self.fails = fails
        self.calls: list[list[str]] = []

    def run(self, command: Command, *, check: bool = True) -> Completed:
        del check
        argv = command.argv
        self.calls.append([*argv])
        tree = command.mounts[0].source / "tree/xen"
        if argv[0] == "dpkg-source":
            tree.mkdir(parents=True)
        elif argv[-1] == "olddefconfig":
            (tree / ".config").write_text(self.config)
        elif argv[-1] == "build" and not self.fails:
            (tree / "xen").write_bytes(b"xen")
            (tree / "xen-syms").write_bytes(b"symbols")
        status = 2 if argv[-1] == "build" and self.fails else 0
        return Completed(tuple(argv), status, b"", self.fails.encode(), 0.0)


@pytest.fixture
def packages(tmp_path: Path) -> list[Package]:
    found = []
    for name in ("xen_4.17.dsc", "xen_4.17.orig.tar.xz"):
        (tmp_path / name).write_bytes(b"")
        found.append(Package("xen", "4.17-1", "source", name, 0, tmp_path / name))
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "mine/xen").mkdir(parents=True)
    (tmp_path / "mine/Config.mk").write_text("")
    (tmp_path / "mine/xen/Makefile").write_text("")
    (tmp_path / "mine/tools").mkdir()
    return tmp_path / "mine"


def spec(tmp_path: Path, fragment: str = "CONFIG_DEBUG=y\n", **more: Any) -> HypervisorSpec:
    path = tmp_path / "some.config"
    path.write_text(fragment)
    return HypervisorSpec("mine", "source", kconfig=(path,), **more)


def test_source_package_is_built_once(tmp_path: Path, packages: list[Package]) -> None:
    make: Any = Make()
    store = Store(tmp_path / "cache")
    first = xen.build(store, make, spec(tmp_path), packages)
    assert set(first) == {"xen", "xen-syms", "config"}
    assert first["xen"].inputs["version"] == "4.17-1"
    calls = len(make.calls)
    assert xen.build(store, make, spec(tmp_path), packages) == first
    assert len(make.calls) == calls


def test_make_is_told_who_and_when(tmp_path: Path, packages: list[Package]) -> None:
    """Otherwise Xen's makefiles would ask the machine, and no two builds would be the same."""
    make: Any = Make()
    xen.build(Store(tmp_path / "cache"), make, spec(tmp_path), packages)
    build = make.calls[-1]
    for name in ("XEN_BUILD_DATE", "XEN_BUILD_TIME", "XEN_BUILD_HOST", "XEN_WHOAMI", "XEN_DOMAIN"):
        assert any(word.startswith(f"{name}=") for word in build)
    assert not any(str(tmp_path) in word for call in make.calls for word in call)


def test_another_fragment_is_another_xen(tmp_path: Path, packages: list[Package]) -> None:
    make: Any = Make("CONFIG_DEBUG=y\nCONFIG_EXPERT=y\n")
    store = Store(tmp_path / "cache")
    one = xen.build(store, make, spec(tmp_path), packages)["xen"].key
    other = xen.build(store, make, spec(tmp_path, "CONFIG_EXPERT=y\n"), packages)["xen"].key
    assert one != other


def test_option_that_xen_does_not_take(tmp_path: Path, packages: list[Package]) -> None:
    """kconfig silently drops an option whose dependencies are not met."""
    make: Any = Make("CONFIG_DEBUG=y\n")
    wanted = spec(tmp_path, "CONFIG_DEBUG=y\nCONFIG_SCHED_RTDS=y\n# CONFIG_X is not set\n")
    with pytest.raises(ImageError, match=r"does not accept CONFIG_SCHED_RTDS=y\s"):
        xen.build(Store(tmp_path / "cache"), make, wanted, packages)


def test_compilers_words_are_shown_from_the_first_error_on(
    tmp_path: Path, packages: list[Package]
) -> None:
    noise = [f"noise {i}" for i in range(50)]
    make: Any = Make(fails="\n".join([*noise, "In function x:", "a.c:1: error: \x1b[1mno", *noise]))
    store = Store(tmp_path / "cache")
    with pytest.raises(ImageError) as caught:
        xen.build(store, make, spec(tmp_path), packages)
    lines = caught.value.tail.splitlines()
    assert lines[1:4] == ["In function x:", "a.c:1: error: \\x1b[1mno", "noise 0"]
    assert "make" in caught.value.command
    assert not list(store.root.glob("xen/*"))


def test_own_tree_is_only_read(tmp_path: Path, tree: Path) -> None:
    make: Any = Make()
    store = Store(tmp_path / "cache")
    before = sorted(tree.rglob("*"))
    first = xen.build(store, make, spec(tmp_path, source=tree), [])
    assert sorted(tree.rglob("*")) == before
    assert [call[-1] for call in make.calls] == ["distclean", "olddefconfig", "build"]
    (tree / "tools/x.c").write_text("not part of the hypervisor")
    assert xen.build(store, make, spec(tmp_path, source=tree), []) == first
    (tree / "xen/x.c").write_text("part of it")
    assert xen.build(store, make, spec(tmp_path, source=tree), [])["xen"].key != first["xen"].key


def test_a_tree_that_changes_while_it_is_copied_is_not_built(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key says which sources were built. Nothing else gets into the store under it."""
    make: Any = Make()
    copy = files.copy_tree

    def edited_meanwhile(source: Path, target: Path) -> None:
        copy(source, target)
        (target / "Makefile").write_text("saved by an editor")

    monkeypatch.setattr("lab.images.xen.copy_tree", edited_meanwhile)
    store = Store(tmp_path / "cache")
    with pytest.raises(ImageError, match="changed while hypervisor mine was being built"):
        xen.build(store, make, spec(tmp_path, source=tree), [])
    assert make.calls == []
    assert not list(store.root.glob("xen/*"))


def test_some_folder_is_no_tree(tmp_path: Path) -> None:
    make: Any = Make()
    with pytest.raises(ImageError, match="is not a Xen source tree"):
        xen.build(Store(tmp_path / "c"), make, spec(tmp_path, source=tmp_path), [])


def test_fragments() -> None:
    text = 'CONFIG_A=y\n CONFIG_B=0x10 \n# CONFIG_A is not set\n# words\nCONFIG_C="x=y"\n'
    assert kconfig.parse(text) == {"CONFIG_A": "n", "CONFIG_B": "0x10", "CONFIG_C": '"x=y"'}
