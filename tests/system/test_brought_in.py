"""What users bring: configurations of xl and ImageBuilder, and a kernel for dom0."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lab.api import Context
from lab.images import contents, dom0, modules, recipes
from lab.model import ARM32, Architecture
from lab.packages import deb
from lab.packages.archive import Question
from lab.workshop import questions
from system.world import ROOT, World

XL = '# somebody\'s\nname = "Brought.In"\nkernel = "/boot/hello"\nmemory = 16\nvif = ["bridge=b"]\n'
IMAGEBUILDER = 'NUM_DOMUS=1\nDOMU_KERNEL[0]="hello"\nDOMU_MEM[0]=16\nUBOOT_SOURCE="$OUT"\n'
EXPECT = "\n    expect: [{on: %s, line: hello from FreeRTOS, within: 30s}]"


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    """A folder with a guest's kernel."""
    built = json.loads(world.run("guest.build", "hello", "--json").out)
    shutil.copy(built["kernel"]["path"], tmp_path / "hello")
    return tmp_path


def test_an_imported_board_boots(world: World, folder: Path) -> None:
    """A guest of an ImageBuilder configuration without a dom0, started by Xen."""
    (folder / "board.config").write_text(IMAGEBUILDER)
    said = world.run("lab.import", "board.config", cwd=folder)
    assert "board.config:4:1: 'UBOOT_SOURCE'" in said.err
    text = said.out.replace("[board-domu0]", f"[board-domu0]{EXPECT % 'board-domu0'}")
    (folder / "labs.yaml").write_text(text)
    assert json.loads(world.run("lab.run", "board", "--json", cwd=folder).out)["verdict"] == "pass"


def test_an_imported_guest_under_a_kernel_of_ones_own(world: World, folder: Path) -> None:
    """A guest of xl's, in a dom0 with a kernel and modules from files: those of Debian's package,
    so the images must have the bytes of the lab's own."""
    (folder / "labs.yaml").write_text("# mine\nlabs:\n  other:\n    guests: []\n")
    (folder / "guest.cfg").write_text(XL)
    world.run("lab.import", "guest.cfg", "--into", "labs.yaml", cwd=folder)
    kernel = as_files(folder / "debian")
    keys = f"dom0: {{kernel: {kernel.relative_to(folder)}, modules: debian}}"
    labs = (folder / "labs.yaml").read_text()
    assert labs.startswith("# mine\nlabs:\n  other:\n")
    guests = "guests: [brought-in]"
    labs = labs.replace(guests, f"{keys}\n    {guests}{EXPECT % 'brought-in'}")
    (folder / "labs.yaml").write_text(labs)
    said = json.loads(world.run("lab.run", "brought-in", "--json", cwd=folder).out)
    assert said["verdict"] == "pass"
    manifest = json.loads(Path(said["run"], "manifest.json").read_text())
    assert manifest["dom0_kernel"]["release"].startswith("6.1.")
    own = json.loads(world.run("image.build", "--json").out)
    shas = {one["kind"].removeprefix("dom0-"): one["sha256"] for one in own}
    for part in ("kernel", "initramfs"):
        assert manifest["images"][part]["sha256"] == shas[part]

    next(folder.rglob("xenfs.ko")).unlink()
    said_of = world.run("lab.run", "brought-in", cwd=folder, status=2).err
    assert "labs.yaml:7:" in said_of
    assert "'modules': kernel 6.1." in said_of
    assert ": xenfs" in said_of


def as_files(
    folder: Path, platform: Question = questions.PLATFORM, arch: Architecture = ARM32
) -> Path:
    """Debian's kernel package, that of the labs, as files: its kernel, and dom0's modules."""
    supplies = Context(ROOT / "labs.yaml").workshop(arch=arch).supplies
    supplies.fetch(platform)
    package = dom0.kernel_package(supplies.packages(platform), arch)
    names = set(contents.parse((recipes.folder("dom0") / "contents").read_text()).modules)
    wanted = {modules.canonical(name) for name in names} | {"virtio", "virtio_ring"}

    def is_wanted(path: str) -> bool:
        file = path.rpartition("/")[2]
        module = modules.canonical(file.partition(".ko")[0])
        return "/vmlinuz-" in path or file == "modules.builtin" or module in wanted

    tree = deb.tree([package], is_wanted)
    for path in tree.paths():
        place = folder / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(tree.data(path))
    return next(folder.glob("boot/vmlinuz-*"))
