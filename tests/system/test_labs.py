"""Whole labs from the command line: what "done" means, and guests that fail."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from system.world import World


def summary(world: World, name: str, status: int = 0) -> dict[str, object]:
    """What ``lab.run --json`` prints."""
    found: dict[str, object] = json.loads(world.run("lab.run", name, "--json", status=status).out)
    return found


@pytest.mark.quick
@pytest.mark.parametrize("name", ["selftest", "two-guests"])
def test_the_labs_that_ship_pass(world: World, name: str) -> None:
    """`lab.run` of the labs that ship: verdict pass, and a run folder that says all."""
    said = summary(world, name)
    assert said["verdict"] == "pass"
    manifest = json.loads(Path(str(said["run"]), "manifest.json").read_text())
    assert manifest["verdict"] == "pass"
    assert manifest["life"] == "finished"
    assert all(len(image["sha256"]) == 64 for image in manifest["images"].values())
    kept = {path.stem for path in Path(str(said["run"]), "guest").glob("*.elf")}
    assert kept == set(manifest["guests"]), "what a debugger needs"


def test_linux_is_a_guest_too(world: World) -> None:
    """The lab `linux`: Debian's kernel boots, and its shell runs what is typed."""
    said = summary(world, "linux")
    assert said["verdict"] == "pass"
    log = Path(str(said["run"]), "console/linux.log").read_bytes()
    assert b"hello from Linux 6." in log
    assert b"Kernel panic" not in log


@pytest.mark.quick
def test_up_and_down_again(world: World) -> None:
    """`lab.up` prints the domains, the guest's first lines and what to try next. `lab.down`
    leaves nothing. A second `lab.down` says that the lab does not run."""
    said = world.run("lab.up")
    assert re.search(r"^Domain-0 +0 ", said.out, re.MULTILINE)
    assert "hello says:" in said.out
    assert "FreeRTOS V" in said.out, "on a busy machine the second line comes too late for this"
    assert "try next" in said.err
    world.kept.add(world.id_of("hello"))
    try:
        assert json.loads(world.run("lab.status", "--json").out)[0]["name"] == "hello"
    finally:
        world.kept.clear()
        world.run("lab.down")
    assert "does not run" in world.run("lab.down").err
    assert json.loads(world.run("lab.status", "hello", "--json").out)["state"] == "off"


def test_a_pinned_guest_has_its_cpu_alone(world: World) -> None:
    """In the lab `pinned` dom0 may run only on CPU 0 and the guest only on CPU 1."""
    world.run("lab.up", "pinned")
    world.kept.add(world.id_of("pinned"))
    try:
        table = world.run("lab.exec", "pinned", "xl vcpu-list").out
    finally:
        world.kept.clear()
        world.run("lab.down", "pinned")
    rows = {line.split()[0]: line.split() for line in table.splitlines()[1:]}
    affinity = {name: (row[3], row[6]) for name, row in rows.items()}
    assert affinity == {"Domain-0": ("0", "0"), "alone": ("1", "1")}


def test_a_guest_that_never_speaks(world: World) -> None:
    """Exit status 1, layer guest: what was expected, where and how long. The domain still runs."""
    report = world.folder / "report.xml"
    said = world.run("lab.run", "silent", "--junit", str(report), status=1)
    assert "[guest]" in said.out
    assert "'never to be seen' was not seen on the console of silent within 2s" in said.out
    assert "its domain still runs and has printed nothing after " in said.out
    assert "hypervisor: debug" in said.out
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    assert suite.get("failures") == "1"


@pytest.mark.quick
def test_a_guest_that_crashes(world: World) -> None:
    """Exit status 1, layer guest: the reason says that its domain crashed, and the tail says
    why."""
    said = summary(world, "crash", status=1)
    assert said["layer"] == "guest"
    assert re.search(r"its domain crashed after [\d.]+ m?s", str(said["reason"]))
    assert "'crash': 'crashed after " in str(said["notes"])
    assert "data" in str(said["tail"])


def test_a_guest_that_xl_refuses(world: World) -> None:
    """Exit status 5, layer toolstack; nothing of the machine stays. (One vCPU has 100 percent.)"""
    said = summary(world, "capped", status=5)
    assert (said["verdict"], said["layer"]) == ("fail", "toolstack")


def test_a_guest_that_is_no_kernel(world: World) -> None:
    """Exit status 2 before anything is built or booted. Other labs are listed, and this one with
    the reason."""
    for task in ("lab.up", "lab.run"):
        said = world.run(task, "junk", status=2)
        assert re.search(r"labs\.yaml:\d+:\d+: 'kernel': 'junk\.bin' is a text file", said.err)
        assert "toolchain" not in said.err
    said = world.run("lab.list")
    assert "junk.bin" in said.err
    assert "hello" in said.out


def test_a_project_that_builds_no_kernel(world: World) -> None:
    """Exit status 2 once it is built, at its line, with the kind of file that it is."""
    text = "guests: {elf: {project: project, build: make, kernel: out/off.elf}}\nlabs: {x: {}}\n"
    (world.folder / "elf.yaml").write_text(text)
    said = world.run("guest.build", "elf", "--labs", "elf.yaml", status=2)
    assert re.search(r"'kernel': 'off\.elf', which the build made, is an ELF program", said.err)


def test_a_guest_that_does_not_compile(world: World) -> None:
    """Exit status 1 before any machine is started, with the compiler's messages."""
    said = world.run("lab.up", "broken", status=1)
    assert "oops" in said.err
    assert "machine" not in said.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("guests: {g: {kernle: junk.bin}}", "labs.yaml:1:14: unknown key 'kernle'"),
        ("guests: {g: {kernel: junk.bin}, g: {kernel: x}}", "labs.yaml:1:33"),
        ("guests: {g: {kernel: junk.bin, memory: 10Q}}", "labs.yaml:1:40"),
        ("guests: {g: {kernel: nosuch.bin}}", "no such file: 'nosuch.bin'"),
        ("guests: {a/b: {kernel: junk.bin}}", "labs.yaml:1:10"),
        ("guests: {'a,b': {kernel: junk.bin}}", "labs.yaml:1:10"),
        ("guests: {g: {kernel: junk.bin, memory: 100000M}}", "100000M"),
        (
            "guests: {g: {kernel: junk.bin}}",
            "labs.yaml:1:22: 'kernel': 'junk.bin' is not a known kind",
        ),
        (
            "guests: {g: {project: ., build: make && true, kernel: x}}",
            "labs.yaml:1:33: 'build': '&&' needs a shell, but none runs this command; "
            "write \"sh -c 'make && true'\"",
        ),
        ("guests: [", "labs.yaml:"),
    ],
)
def test_a_wrong_labs_yaml(world: World, text: str, words: str) -> None:
    """Exit status 2, and the exact place in the file."""
    folder = world.folder / "wrong"
    folder.mkdir(exist_ok=True)
    (folder / "junk.bin").write_bytes(b"x")
    (folder / "labs.yaml").write_text(f"{text}\nlabs: {{hello: {{guests: [g]}}}}\n")
    for task in ("lab.up", "lab.run"):
        assert words in world.run(task, cwd=folder, status=2).err


def test_without_labs_yaml(world: World, tmp_path: Path) -> None:
    """In a folder without labs.yaml: exit status 2, and what to do."""
    assert "labs.yaml" in world.run("lab.up", cwd=tmp_path, status=2).err


@pytest.mark.parametrize(
    "words",
    [
        ("lab.up", "nosuch"),
        ("lab.status", "nosuch"),
        ("lab.down", "nosuch"),
        ("lab.up", "../../etc"),
        ("lab.logs", "../../etc"),
        ("lab.exec", "hello", "xl list"),
        ("lab.exec", "hello", ""),
        ("lab.console", "hello"),
        ("lab.inject", "hello", "hello"),
        ("lab.exec", "hello"),
        ("lab.nosuch",),
        ("lab.up", "--nosuch"),
        ("lab.up", "\udcff"),
        ("lab.status", "\udcff"),
        ("lab.up", "--door", "nosuch"),
        ("lab.run", "hello", "--verify", "latest", "--junit", "x.xml"),
        ("lab.run", "hello", "hello-2", "--repeat", "2", "--clock", "host"),
        ("lab.run", "hello", "hello-2", "--publish"),
        ("lab.run", "nosuch-*"),
        ("lab.run", "hello", "--all"),
        ("lab.run", "hello", "hello-2", "--jobs", "1000"),
        ("lab.run", "hello", "--shard", "3/2"),
        ("lab.merge", "/usr"),
        ("lab.run", "hello", "--repeat", "2", "--clock", "host"),
        ("lab.run", "hello", "--junit", "."),
    ],
)
def test_what_cannot_be_asked(world: World, words: tuple[str, ...]) -> None:
    """Unknown names, labs that do not run, wrong command lines: exit status 2 and an
    explanation."""
    assert world.run(*words, status=2).err.strip()
