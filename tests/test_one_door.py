"""Checks that what a user names is opened only through ``lab.util.reading``.

open(2) of a FIFO waits for ever, a device may do anything, and a file may have any size and grow.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

#: What opens files by name, or reads JSON without a bound on its depth.
OPENERS = {
    "open", "os.open", "io.open", "json.load", "json.loads", "np.fromfile", "np.load",
    "shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree", "zipfile.ZipFile",
}  # fmt: skip
METHODS = {"read_text", "read_bytes", "open"}
#: Who opens files all the same, and why that never waits: modules, rooms, or functions.
ALLOWED = {
    "lab.util.reading": "the door itself",
    "lab.util.files": "writes, or copies what it has looked at before",
    "lab.util.proc": "files of /proc",
    "lab.util.turns._open": "a lock beside a socket of ours",
    "lab.debug.core_file._write": "writes a new file in a run folder",
    "lab.doctor.checks": "files of /proc; what is opened otherwise is an address",
    "lab.bench": "reads what it has just made",
    "lab.bundle.download._opened": "a plain file or a new one, as was looked",
    "lab.bundle.file": "a bundle that is open; writes a new file",
    "lab.bundle.loading._place": "a bundle that is open",
    "lab.bundle.loading._place_template": "a bundle that is open",
    "lab.bundle.parts._write": "writes a new file",
    "lab.bundle.saving._pack": "writes a new file",
    "lab.cluster.pool.Crew.start": "a new log in a folder that we made",
    "lab.cluster.worker.bench": "a new log in a worker's folder",
    "lab.util.ci.add_summary": "writes where a write does not wait",
    "lab.api.new_folder.new": "files that ship with the lab, into a new folder",
    "lab.run.templates._freeze": "logs of a machine that QEMU has just written",
    "lab.cli.checks.run_faults": "files that our own tests have just written",
    "lab.cli.completion_scripts": "scripts that ship with the lab",
    "lab.cli.output.nobody_reads": "/dev/null",
    "lab.dom0.domain_list._ask": "FIFOs of QEMU's, without waiting",
    "lab.install": "files of the environment that it makes",
    "lab.machine.qemu_process": "files of /proc and /sys",
    "lab.dom0.window": "memory that QEMU shares with us, in a folder of ours",
    "lab.machine.conversation._type": "FIFOs of QEMU's, without waiting",
    "lab.machine.interactive.attach": "FIFOs of QEMU's, without waiting",
    "lab.machine.device_state": "a state that QEMU has just written",
    "lab.machine.shared_input.opened": "FIFOs of QEMU's, without waiting",
    "lab.machine.launch.qemu": "writes a log in a new run folder",
    "lab.machine.snapshot._make_loadable": "a state that QEMU has just written",
    "lab.machine.sparse_files._made": "writes a new file",
    "lab.machine.template._sync": "folders",
    "lab.machine.template_folder.hold": "folders",
    "lab.packages.deb._members": "of an archive that is open",
    "lab.images.devicetree._dump": "a file that QEMU has just written",
    "lab.images.dom0._assembled": "files that ship with the lab",
    "lab.images.initrd": "files that ship with the lab, and what is compiled of them",
    "lab.images.sysroot._lay": "plain files, as was looked, of packages just unpacked",
    "lab.images.xen._copy": "a plain file, as was looked",
    "lab.toolchain.docker.image_build": "files that ship with the lab, and archives in memory",
    "lab.toolchain.docker.toolchain_image": "archives in memory",
    "lab.toolchain.docker.tree_import": "archives in memory, and files of a tree that we made",
    "lab.toolchain.docker.program._is_of": "files of /proc",
    "lab.toolchain.failures.tail_of": "a log that we write",
    "lab.toolchain.listing._state": "the folder of a tree that we made",
    "lab.toolchain.recipe.package_list": "files that ship with the lab",
    "lab.toolchain.sandbox._child": "what bubblewrap says of itself",
    "lab.trace.guest.load": "a file that is open",
    "lab.trace.report._asset": "files that ship with the lab",
    "lab.trace.export_chrome.write": "writes where lab.api.traces has looked",
    "lab.trace.export_perfetto.write": "writes where lab.api.traces has looked",
    "lab.trace.export_csv.write": "writes where lab.api.traces has looked",
}


def openers(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """Which function opens a file, in which way, at which line."""

    def visit(node: ast.AST, where: str) -> Iterator[tuple[str, str, int]]:
        for below in ast.iter_child_nodes(node):
            inside = where
            if isinstance(below, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inside = below.name if where == "" else f"{where}.{below.name}"
            if isinstance(below, ast.Call) and (how := opener(below)):
                yield where, how, below.lineno
            yield from visit(below, inside)

    return visit(tree, "")


def opener(call: ast.Call) -> str:
    name = ast.unparse(call.func)
    if name in OPENERS:
        return name
    is_method = isinstance(call.func, ast.Attribute) and call.func.attr in METHODS
    return f".{name.rpartition('.')[2]}" if is_method else ""


def found(root: Path) -> Iterator[tuple[str, str]]:
    """Every function of ours that opens files, with where and how."""
    for path in sorted((root / "lab").rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        for where, how, line in openers(ast.parse(path.read_text(encoding="utf-8"))):
            yield f"{module}.{where}", f"{path.relative_to(root)}:{line}: {how}"


def is_in(function: str, place: str) -> bool:
    return function == place or function.startswith(f"{place}.")


def test_files_are_opened_through_one_door(root: Path) -> None:
    wrong = [
        words for name, words in found(root) if not any(is_in(name, place) for place in ALLOWED)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_exception_is_still_one(root: Path) -> None:
    names = [name for name, _ in found(root)]
    assert [place for place in ALLOWED if not any(is_in(name, place) for name in names)] == []


def test_the_checker_sees_what_is_wrong() -> None:
    """A test of the test."""
    tree = ast.parse("class A:\n def f(self):\n  json.loads(self.path.read_text())\n  open('x')")
    assert [how for _, how, _ in openers(tree)] == ["json.loads", ".read_text", "open"]
    assert {where for where, _, _ in openers(tree)} == {"A.f"}
