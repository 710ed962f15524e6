"""Measures how long dom0's tools take to build from a tree, and a small change of the hypervisor.

The tree is the upstream tarball in Debian's source package of Xen. Everything is built in a store
of its own, without objects of an earlier build.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from lab.bench.figure import Figure, at_most
from lab.errors import LabError
from lab.images import sysroot, tools, xen
from lab.model import Command, HypervisorSpec, Mount
from lab.packages import deb
from lab.store import Store
from lab.util.deadline import Deadline
from lab.workshop import questions
from lab.workshop.prepare import Workshop

#: Seconds that a build of the tools may take, and everything after a change of the hypervisor. For
#: two processors that do nothing else.
BUILD, CHANGE = 180.0, 30.0
#: The file of the hypervisor that is changed.
CHANGED = "xen/common/keyhandler.c"


def measure(workshop: Workshop, say: Callable[[str], None]) -> list[Figure]:
    """Build the tools and Xen from a tree, then again after a change in one file of Xen.

    Raises:
        LabError: something does not build.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", dir=workshop.store.root.parent) as name:
        folder = Path(name)
        tree = upstream(workshop, folder / "tree")
        spec = HypervisorSpec("bench", "source", source=tree, tools="source")
        packages = workshop.supplies.packages(questions.SYSROOT)
        base = sysroot.build(workshop.store, workshop.toolchain, packages)
        store = Store(folder)
        say("dom0's tools from a tree")
        clock = Deadline(0)
        first = tools.build(store, workshop.toolchain, spec, base, folder)
        built = clock.elapsed()
        xen.build(store, workshop.toolchain, spec, [])
        say("a change in one file of Xen")
        with (tree / CHANGED).open("a") as source:
            source.write('\nconst char changed_by_bench[] = "changed";\n')
        clock = Deadline(0)
        xen.build(store, workshop.toolchain, spec, [])
        again = tools.build(store, workshop.toolchain, spec, base, folder)
        changed = clock.elapsed()
        if again.entry.key != first.entry.key:
            raise LabError("a change of the hypervisor changed the tools")
    return [
        at_most("dom0's tools from a tree", built, "s", BUILD),
        at_most("Xen and tools after a change in Xen", changed, "s", CHANGE),
    ]


def upstream(workshop: Workshop, tree: Path) -> Path:
    """Unpack Xen's upstream tarball into the new folder ``tree``. Returns this folder.

    Debian's patches are not applied. They remove ``tools/configure``.
    """
    tools = workshop.arch.releases[0].tools
    question = questions.xen(deb.named(workshop.packages(), tools).version)
    workshop.supplies.fetch(question)
    files = [one.path for one in workshop.supplies.packages(question)]
    (tarball,) = [path for path in files if ".orig.tar" in path.name]
    tree.mkdir(parents=True)
    argv = ["tar", "--extract", "--file=/in/source", "--directory=/out", "--strip-components=1",
            "--no-same-owner"]  # fmt: skip
    mounts = [Mount(tarball, "/in/source"), Mount(tree, "/out", writable=True)]
    workshop.toolchain.run(Command(argv, mounts))
    return tree
