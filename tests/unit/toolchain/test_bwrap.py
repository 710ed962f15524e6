"""The command line of bubblewrap decides exactly what is visible inside."""

from __future__ import annotations

from pathlib import Path

from lab.model import Command, Mount
from lab.toolchain import bwrap


def line(*mounts: Mount, cwd: str = "/") -> list[str]:
    root = ["--ro-bind", "/tree/usr", "/usr"]
    return bwrap.command_line(root, Command(["true"], mounts=mounts, cwd=cwd), {})


def test_everything_is_unshared_and_no_capability_is_kept() -> None:
    """The caller cannot turn isolation off."""
    made = line()
    assert made[: 1 + len(bwrap.ISOLATION)] == ["bwrap", *bwrap.ISOLATION]
    assert "--unshare-all" in made
    assert "--share-net" not in made
    assert made[made.index("--cap-drop") + 1] == "ALL"
    assert "--clearenv" in made


def test_temporary_folders_can_have_a_bound() -> None:
    """All that a program can write is in memory, so that bounds its memory, too."""
    root = ["--ro-bind", "/tree/usr", "/usr"]
    made = bwrap.command_line(root, Command(["true"], scratch=4096), {})
    for folder in bwrap.TEMPORARY:
        at = made.index(folder)
        assert made[at - 3 : at] == ["--size", "4096", "--tmpfs"]
    assert made.index("--remount-ro") > made.index("/dev")
    assert made[made.index("--remount-ro") + 1] == "/dev"
    assert "--size" not in line()


def test_a_mount_is_read_only_unless_it_says_otherwise() -> None:
    """Only what is declared writable can be written."""
    made = line(Mount(Path("/a"), "/x"), Mount(Path("/b"), "/y", writable=True))
    assert made[made.index("/a") - 1] == "--ro-bind"
    assert made[made.index("/b") - 1] == "--bind"


def test_outer_mounts_come_before_inner_ones() -> None:
    """A folder that is bound later would hide what was bound below it."""
    made = line(Mount(Path("/in"), "/work/sub"), Mount(Path("/out"), "/work"))
    assert made.index("/out") < made.index("/in")


def test_the_root_is_sealed_after_the_last_mount() -> None:
    """The tmpfs root takes mount points, and nothing else."""
    made = line(Mount(Path("/a"), "/x"))
    assert made.index("--remount-ro") > made.index("/x")


def test_strange_names_are_arguments_not_options() -> None:
    """No part of a path or variable is read as an option: each is the value of one."""
    made = line(Mount(Path("/a b,--bind"), "/x y"), cwd="/x y")
    assert made[made.index("/a b,--bind") - 1 : made.index("/a b,--bind") + 2] == [
        "--ro-bind", "/a b,--bind", "/x y",
    ]  # fmt: skip
    assert made[-2:] == ["--", "true"]
