"""The rootfs door: a Debian tree of our own, entered with bubblewrap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.errors import ToolchainError
from lab.model import ARM32, Architecture, Command, Completed, Door, ToolchainInfo
from lab.toolchain import bwrap, provide, recipe, tree, tree_check
from lab.toolchain.request import ANYTHING, ToolchainRequest
from lab.toolchain.sandbox import Sandbox
from lab.toolchain.tree import Progress
from lab.toolchain.tree_cache import CachedTree

#: What the host needs to make the tree, and to enter it: program or file, and its package.
TO_MAKE = {"mmdebstrap": "mmdebstrap", provide.KEYRING: "debian-archive-keyring"}
TO_ENTER = {"bwrap": "bubblewrap"}

#: The links of a merged /usr. Programs do not see the rest of the tree (/var, /root, /boot).
LINKS = ("bin", "sbin", "lib", "lib64")


def notable(arch: Architecture = ARM32) -> dict[str, str]:
    """The programs whose versions `inv toolchain.info` prints, each with its package."""
    return {
        "qemu" if name.startswith("qemu-") else name: package
        for name, package in recipe.programs(arch).items()
    }


NOTABLE = notable()


class RootfsToolchain(Sandbox):
    """Programs run in a tree of the cache, which they see read-only."""

    def __init__(self, made: CachedTree, arch: Architecture = ARM32) -> None:
        super().__init__(Door.ROOTFS, _root(made.path), bwrap.ENVIRONMENT)
        self._tree = made
        self._arch = arch
        self._looked_at = False

    def run(self, command: Command, *, check: bool = True) -> Completed:
        """As in :class:`Sandbox`. Before the first one, all files of the tree are looked at.

        Raises:
            ToolchainError: as there, or the tree was altered.
        """
        if not self._looked_at and self._tree.listed:
            self._check_whole()
        self._looked_at = True
        self._check_program(command)
        return super().run(command, check=check)

    def terminal_line(self, command: Command, *, others: bool = False) -> list[str]:
        self._check_program(command)
        return super().terminal_line(command, others=others)

    def _check_program(self, command: Command) -> None:
        """Say what to do if a program is missing because the tree came out of a bundle."""
        name = command.argv[0]
        programs = {path.name for path in self._tree.path.glob("usr/*bin/*")}
        if self._tree.partial and "/" not in name and name not in programs:
            raise ToolchainError(
                f"the toolchain has no {name}: it came out of a bundle that only runs labs",
                hint="load a bundle that was saved for this lab, or with --whole; or remove "
                f"{self._tree.path.parent}: then the next command makes the whole toolchain",
            )

    def _check_whole(self) -> None:
        found: list[str] = []
        if not tree_check.fits(self._tree, found.append, whole=True):
            words = found[0] if found else "toolchain: another command found that it was altered"
            raise ToolchainError(words, hint="run the command again: it makes the toolchain again")

    @property
    def key(self) -> str:
        return self._tree.key

    def info(self) -> ToolchainInfo:
        versions = {name: pin["version"] for name, pin in self._tree.packages.items()}
        return ToolchainInfo(
            door=Door.ROOTFS,
            key=self.key,
            where=str(self._tree.path),
            origin=self._tree.origin,
            size=self._tree.size,
            versions={
                name: versions.get(package, "") for name, package in notable(self._arch).items()
            },
            packages=versions,
        )


def open_rootfs(
    cache: Path, progress: Progress, wanted: ToolchainRequest = ANYTHING
) -> RootfsToolchain:
    """The rootfs door. Its tree is made on first use.

    Raises:
        ToolchainError: the host lacks a program that could not be installed, or the tree could
            not be made.
    """
    made = _found(cache, progress, wanted)
    if made is None:
        wanted.refill()
        made = _found(cache, progress, wanted)
    provide.ensure(TO_ENTER if made else TO_ENTER | TO_MAKE, progress)

    def older(newest: CachedTree) -> Sequence[Path] | None:
        return wanted.older(RootfsToolchain(newest, wanted.arch))

    more = tree.Wanted(wanted.arch, wanted.strict, older)
    return RootfsToolchain(made or tree.make(cache, progress, wanted.locked, more), wanted.arch)


def _found(cache: Path, progress: Progress, wanted: ToolchainRequest) -> CachedTree | None:
    return tree_check.find(cache, progress, wanted.locked, wanted.arch, strict=wanted.strict)


def _root(path: Path) -> list[str]:
    bound = ["--ro-bind", str(path / "usr"), "/usr", "--ro-bind", str(path / "etc"), "/etc"]
    return [*bound, *(part for name in LINKS for part in ("--symlink", f"usr/{name}", f"/{name}"))]
