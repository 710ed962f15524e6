"""dom0's tools out of a tree: the upstream tarball in Debian's source package of Xen.

The packaged source itself has no ``configure``: Debian's patches remove it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lab.api import Context
from lab.images import sysroot, tools
from lab.model import Command, HypervisorSpec, Mount
from lab.store import Store
from lab.workshop import provision
from lab.workshop.prepare import Workshop
from system.test_hypervisors import FRAGMENT, edit
from system.world import World


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return Context().workshop()


@pytest.fixture(scope="module")
def tree(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workshop.hypervisor(HypervisorSpec("debug", "source", kconfig=(FRAGMENT,)))
    (tarball,) = [one.path for one in workshop.xen_source() if ".orig.tar" in one.path.name]
    folder = tmp_path_factory.mktemp("upstream") / "tree"
    folder.mkdir()
    argv = ["tar", "--extract", "--file=/in/source", "--directory=/out", "--strip-components=1",
            "--no-same-owner"]  # fmt: skip
    mounts = [Mount(tarball, "/in/source"), Mount(folder, "/out", writable=True)]
    workshop.toolchain.run(Command(argv, mounts))
    return folder


def build(workshop: Workshop, tree: Path, folder: Path) -> tools.Tools:
    """Built in a store and with objects of its own."""
    base = workshop.supplies.packages(provision.SYSROOT)
    against = sysroot.build(workshop.store, workshop.toolchain, base)
    spec = HypervisorSpec("mine", "source", source=tree, tools="source")
    return tools.build(Store(folder), workshop.toolchain, spec, against, folder)


def test_a_tree_brings_its_own_tools(world: World, tree: Path) -> None:
    """`hello` passes twice with one digest, and the manifest says which tools were in dom0."""
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
    assert "tools" in made["fingerprint"]


def test_a_small_change_gives_the_bytes_of_a_clean_build(
    workshop: Workshop, tree: Path, tmp_path: Path
) -> None:
    """A C file of libxl and a header change: objects are used again, and the outcome is the same.
    A change of the hypervisor alone builds nothing."""
    changed = tmp_path / "changed"
    shutil.copytree(tree, changed)
    before = build(workshop, changed, tmp_path / "kept").entry
    edit(changed / "xen/common/keyhandler.c", "pressed -> dumping", "pressed: dumping")
    assert build(workshop, changed, tmp_path / "kept").entry.key == before.key
    edit(changed / "tools/libs/light/libxl_utils.c", "{", "{ /* changed */")
    edit(changed / "tools/xl/xl_utils.c", '"asprintf failed', '"no: asprintf failed')
    after = build(workshop, changed, tmp_path / "kept").entry
    clean = build(workshop, changed, tmp_path / "clean").entry
    assert dict(after.outputs) == dict(clean.outputs)
    assert dict(after.outputs) != dict(before.outputs)
