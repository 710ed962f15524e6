"""The lab of a bisection: its files of one tree are taken from a work tree of one commit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.model import Lab, Threshold
from lab.model.relocation import relocate
from lab.progress import Progress
from lab.util import files
from lab.util.git_tree import GitTree


@dataclass(frozen=True)
class TreeVariant:
    """The lab with the files of ``top`` taken from the folder ``work``, and with other limits.

    The objects of Xen and of Linux stay beside the work tree, for the next commit. ``sentence``:
    the other limits, as labs.yaml would have them.
    """

    top: Path
    work: Path
    limits: tuple[Threshold, ...] = ()
    sentence: str = ""

    def __call__(self, lab: Lab) -> Lab:
        moved = relocate(lab, self.place)
        xen, dom0, objects = moved.hypervisor, moved.dom0, objects_of(self.work)
        if xen.source != lab.hypervisor.source:
            moved = replace(moved, hypervisor=replace(xen, work=objects / "xen"))
        if dom0.source != lab.dom0.source:
            moved = replace(moved, dom0=replace(dom0, work=objects / "linux"))
        return replace(moved, thresholds=self.limits) if self.limits else moved

    def place(self, path: Path) -> Path:
        """Where a file of labs.yaml is in the work tree; itself, if it is not in ``top``."""
        place = path.resolve()
        return self.work / place.relative_to(self.top) if place.is_relative_to(self.top) else path


def objects_of(work: Path) -> Path:
    """Where the objects stay that are built from a work tree."""
    return work.with_name(f"{work.name}-objects")


def sweep(tree: GitTree, trees: Sequence[Path]) -> None:
    """Remove the work trees that a killed command left, if it had more than ``trees``."""
    beside = trees[0].parent.glob(f"{trees[0].name.rpartition('-')[0]}-*")
    for old in sorted(set(beside) - {*trees, *map(objects_of, trees)}):
        tree.forget(old)
        files.remove_tree(old)


@contextlib.contextmanager
def work_tree(progress: Progress, tree: GitTree, folder: Path) -> Iterator[None]:
    """A work tree, and the objects built from it. A large one takes minutes to make and remove."""
    with contextlib.ExitStack() as stack:
        with progress.stage("making a work tree"):
            stack.enter_context(tree.work_tree(folder))
        try:
            yield
        finally:
            with progress.stage("removing the work tree"):
                stack.close()
                files.remove_tree(objects_of(folder))
