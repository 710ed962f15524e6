"""dom0's tools out of a tree: the upstream tarball in Debian's source package of Xen.

The packaged source itself has no ``configure``: Debian's patches remove it. Each test builds at
most once anew, because a busy machine needs minutes for that.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.api import Context
from lab.bench import tools_build
from lab.errors import ImageError
from lab.images import sysroot, tools
from lab.model import HypervisorSpec
from lab.store import Entry, Store
from lab.workshop import questions
from lab.workshop.prepare import Workshop
from system.test_hypervisors import FRAGMENT, edit
from system.world import World


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return Context().workshop()


@pytest.fixture(scope="module")
def tree(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source tree of a user, which no test changes."""
    return tools_build.upstream(workshop, tmp_path_factory.mktemp("upstream") / "tree")


@dataclass(frozen=True)
class Kept:
    """A tree that tests may change, and the first build of it, with its store and objects."""

    folder: Path
    tree: Path
    first: Entry


@pytest.fixture(scope="module")
def kept(workshop: Workshop, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A copy of the tree, and the tools built from it, with object files to go on from."""
    folder = tmp_path_factory.mktemp("kept")
    shutil.copytree(tree, folder / "tree", symlinks=True)
    return Kept(folder, folder / "tree", build(workshop, folder / "tree", folder))


def build(workshop: Workshop, tree: Path, folder: Path) -> Entry:
    """Build with a store and object files in ``folder``."""
    base = workshop.supplies.packages(questions.SYSROOT)
    against = sysroot.build(workshop.store, workshop.toolchain, base)
    spec = HypervisorSpec("mine", "source", source=tree, tools="source")
    return tools.build(Store(folder), workshop.toolchain, spec, against, folder).entry


def give(workshop: Workshop, entry: Entry) -> None:
    """Put an entry into the user's store: the same bytes need not be built twice."""
    target = workshop.store.root / entry.kind / entry.key
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f"given-{entry.key}")
        shutil.copytree(entry.path.parent, new, symlinks=True)
        new.rename(target)


def test_the_compilers_error_names_the_file_in_the_tree(workshop: Workshop, kept: Kept) -> None:
    """First of all. After the mistake is mended, the next build succeeds."""
    source = kept.tree / "tools/xl/xl_utils.c"
    before = source.read_text()
    call = 'perror("asprintf failed")'
    line = before[: before.index(call)].count("\n") + 1
    try:
        edit(source, call, "nothing_like_this()")
        with pytest.raises(ImageError, match="toolstack of hypervisor mine") as caught:
            build(workshop, kept.tree, kept.folder)
        first = caught.value.tail.splitlines()[0]
        assert first.startswith(f"tools/xl/xl_utils.c:{line}:9: error: implicit declaration")
        source.write_text(f"{before}/* mended */\n")
        build(workshop, kept.tree, kept.folder)
    finally:
        source.write_text(before)


def test_a_small_change_gives_the_bytes_of_a_clean_build(
    workshop: Workshop, kept: Kept, tmp_path: Path
) -> None:
    """Object files are used again after a change of C files and a header. The clean build is in
    another folder. A change of the hypervisor alone builds nothing."""
    edit(kept.tree / "xen/common/keyhandler.c", "pressed -> dumping", "pressed: dumping")
    assert build(workshop, kept.tree, kept.folder).key == kept.first.key
    edit(kept.tree / "tools/libs/light/libxl_utils.c", "{", "{ /* changed */")
    edit(kept.tree / "tools/xl/xl_utils.c", '"asprintf failed', '"no: asprintf failed')
    edit(kept.tree / "tools/xl/xl.h", 'XEN_LOCK_DIR "/xl"', 'XEN_LOCK_DIR "/other"')
    after = build(workshop, kept.tree, kept.folder)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(kept.tree, elsewhere, symlinks=True)
    clean = build(workshop, elsewhere, tmp_path)
    assert dict(after.outputs) == dict(clean.outputs)
    assert dict(after.outputs) != dict(kept.first.outputs)


def test_a_tree_brings_its_own_tools(
    world: World, workshop: Workshop, tree: Path, kept: Kept
) -> None:
    """`hello` passes twice with one digest, and the manifest says which tools were in dom0."""
    give(workshop, kept.first)
    workshop.hypervisor(HypervisorSpec("mine", "source", source=tree, kconfig=(FRAGMENT,)))
    text = {
        "hypervisors": {"mine": {"from": "source", "source": str(tree), "kconfig": str(FRAGMENT)}},
        "guests": {"hello": {"freertos": "images/freertos/apps/hello"}},
        "labs": {"own": {"hypervisor": "mine", "guests": ["hello"], "expect": [
            {"on": "hello", "line": "hello", "within": "60s"}]}},
    }  # fmt: skip
    path = world.folder / "tools.yaml"
    path.write_text(json.dumps(text))
    said = json.loads(world.run("lab.run", "own", "--labs", str(path), "--json").out)
    again = json.loads(world.run("lab.run", "own", "--labs", str(path), "--cold", "--json").out)
    assert said["digest"] == again["digest"]
    made = json.loads((Path(said["run"]) / "manifest.json").read_text())
    assert made["tools"]["origin"] == "source"
    assert made["tools"]["version"].startswith("4.17")
    assert made["tools"]["interface"] == "domctl 0x15, sysctl 0x15"
    assert made["fingerprint"]["tools"] == made["tools"]["sha256"]
