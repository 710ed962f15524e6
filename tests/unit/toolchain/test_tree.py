"""The tree is complete or absent, whoever makes it and whatever happens."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import ToolchainError
from lab.toolchain import bootstrap, index, recipe, tree, tree_cache
from lab.util import debian
from toolchain.conftest import Fakes

Said = tuple[list[str], Callable[[str], None]]

#: The archive, in small.
DEBS = ("qemu-system-arm_1%3a10.0_amd64.deb", "make_4.4_amd64.deb")


@pytest.fixture(autouse=True)
def no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has no archive and no proxy of its own."""
    monkeypatch.setattr(debian, "archive_of_this_machine", lambda: None)
    monkeypatch.setattr(debian, "proxies_of_this_machine", lambda: ())


def test_a_made_tree_is_found_again(tmp_path: Path, fakes: Fakes, said: Said) -> None:
    """With its packages, pruned, and with the links that maintainer scripts would have made."""
    fakes.archive(*DEBS)
    made = tree.make(tmp_path, said[1])
    assert tree_cache.find(tmp_path) == made
    assert made.packages["qemu-system-arm"]["version"] == "1:10.0"
    assert (made.path / "usr/bin/awk").resolve().name == "mawk"
    assert not (made.path / "usr/share/man").exists()
    assert not (made.path / "var/cache/apt").exists()
    kinds = made.path / "usr/lib/gcc/arm-none-eabi/14/thumb"
    assert [path.name for path in kinds.iterdir()] == ["v7-a"]
    tree.make(tmp_path, said[1])
    assert len(fakes.made()) == 1


def test_the_key_is_of_the_content(tmp_path: Path, fakes: Fakes, said: Said) -> None:
    """The same packages are the same toolchain, through any door and in any place."""
    fakes.archive(*DEBS)
    first, second = tree.make(tmp_path / "a", said[1]), tree.make(tmp_path / "b", said[1])
    assert first.key == second.key


def test_a_failure_leaves_nothing_and_tells_all(tmp_path: Path, fakes: Fakes, said: Said) -> None:
    """The command, the last lines, and a hint that fits apt's message."""
    fakes.add("mmdebstrap", 'sys.exit("E: Failed to fetch Release: Could not connect")')
    with pytest.raises(ToolchainError) as caught:
        tree.make(tmp_path, said[1])
    assert "Could not connect" in caught.value.tail
    assert caught.value.command.startswith("mmdebstrap ")
    assert "network" in caught.value.hint
    assert [path.name for path in (tmp_path / "toolchain").iterdir()] == [".lock"]


def test_a_file_that_cannot_be_downloaded_is_named(
    tmp_path: Path, fakes: Fakes, said: Said
) -> None:
    """In the error itself, not only in apt's output; the hint depends on the cause."""
    fakes.archive(*DEBS)
    place = "http://a.test/pool/m/make_4.4_amd64.deb"
    for why, hint in (("Connection timed out [IP: 127.0.0.1 80]", "network"),
                      ("404  Not Found [IP: 127.0.0.1 80]", "try again")):  # fmt: skip
        failing = f'sys.exit("E: Failed to fetch {place}  {why}")'
        fakes.archive(*DEBS)
        fakes.fail("--download-only", failing)
        with pytest.raises(ToolchainError) as caught:
            tree.make(tmp_path, said[1])
        reason = " ".join(why.partition(" [")[0].split())
        assert caught.value.message.endswith(f"cannot download make_4.4_amd64.deb: {reason}")
        assert hint in caught.value.hint


def test_what_an_interrupted_maker_left_is_swept(tmp_path: Path, fakes: Fakes, said: Said) -> None:
    """Its folder is never taken for a tree."""
    left = tmp_path / "toolchain/.new-dead/tree"
    left.mkdir(parents=True)
    fakes.archive(*DEBS)
    assert tree_cache.find(tmp_path) is None
    tree.make(tmp_path, said[1])
    assert not left.exists()


def test_a_folder_without_its_manifest_is_no_tree(tmp_path: Path) -> None:
    """The manifest is written last."""
    (tmp_path / "toolchain" / recipe.recipe_key() / "tree").mkdir(parents=True)
    assert tree_cache.find(tmp_path) is None


def test_two_at_once_make_one(tmp_path: Path, fakes: Fakes, said: Said) -> None:
    """The second process waits, says so, and takes what the first one made."""
    fakes.archive(*DEBS, seconds=0.5)
    makers = [threading.Thread(target=tree.make, args=(tmp_path, said[1])) for _ in range(2)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(fakes.made()) == 1
    assert any("waiting" in line for line in said[0])


def test_too_little_disk_is_said_before_the_download(
    tmp_path: Path, fakes: Fakes, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after ten minutes."""
    fakes.add("mmdebstrap")
    small = os.statvfs_result((4096, 4096, 10, 10, 10, 10, 10, 10, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: small)
    with pytest.raises(ToolchainError, match="too little disk"):
        tree.make(tmp_path, said[1])
    assert fakes.calls("mmdebstrap") == []


def test_root_may_read_the_index() -> None:
    """mmdebstrap 1.5 (Debian trixie) refuses it to root unless this check is left out."""
    skipped = next(one for one in bootstrap.command(Path("/t"), None) if one.startswith("--skip="))
    assert "check/chrootless" in skipped.removeprefix("--skip=").split(",")


def test_only_the_main_archive_is_asked(
    tmp_path: Path, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of this machine's own archive if it has one, through its proxy, also for the download."""
    default = bootstrap.command(Path("/t"), None)
    assert default[-2:] == [recipe.SUITE, "/t"]
    assert any(part.startswith("--setup-hook=") for part in default)
    proxy = 'Acquire::http::Proxy "http://p";'
    monkeypatch.setattr(debian, "proxies_of_this_machine", lambda: (proxy,))
    own = bootstrap.command(Path("/t"), "http://archive.test/debian")
    assert "--skip=update" not in own
    assert own[-1] == f"deb http://archive.test/debian {recipe.SUITE} main"
    assert f"--aptopt={proxy}" in own
    fakes.archive(*DEBS)
    index.read(tmp_path / "index", None, os.open(tmp_path, os.O_RDONLY)).answer(["make"])
    assert proxy in (tmp_path / "index/lab.conf").read_text().splitlines()


def test_the_list_of_packages_is_names_alone() -> None:
    """Comments and blank lines are only for people."""
    names = recipe.package_list()
    assert "qemu-system-arm" in names
    assert all(name and " " not in name and "#" not in name for name in names)
