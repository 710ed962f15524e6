"""Hypervisors from source: built, booted, and analysed when they crash.

What a test builds stays in the user's store, like everything else.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from lab.api import Context
from lab.images import xen
from lab.model import Command, HypervisorSpec, Mount
from lab.store import Store
from system.world import ROOT, World

FRAGMENT = ROOT / "images/hypervisor/debug.config"
SCHEDULERS = {"emergency-console": "credit2", "rtds": "rtds", "null": "null"}

#: The debug key 0 shows dom0's registers; in our Xen it writes to where nothing is.
KEY = """printk("'%c' pressed -> dumping Dom0's registers\\n", key);"""
CRASH = KEY + "\n    *(volatile int *)4 = key;"


#: A guest that says more, by hypercall, than any buffer on the way holds.
LINES = 3000
FLOOD = f"""\
#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"

static void speak(void *unused)
{{
    (void)unused;
    for (int i = 0; i < {LINES}; i++)
        printk("line %d [    1.000000] of so many that no ring and no pipe can hold them\\n", i);
    printk("flood: end\\n");
    vTaskDelete(NULL);
}}

int main(void)
{{
    xTaskCreate(speak, "speak", configMINIMAL_STACK_SIZE, NULL, 2, NULL);
    vTaskStartScheduler();
    return 0;
}}
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source tree of Xen, as a user may have one: Debian's package, unpacked."""
    workshop = Context().workshop()
    workshop.hypervisor(HypervisorSpec("debug", "source", kconfig=(FRAGMENT,)))
    packages = workshop.xen_source()
    (dsc,) = [package.path.name for package in packages if package.path.suffix == ".dsc"]
    folder = tmp_path_factory.mktemp("source")
    mounts = [Mount(package.path, f"/in/{package.path.name}") for package in packages]
    workshop.toolchain.run(
        Command(
            ["dpkg-source", "--no-check", "--extract", f"/in/{dsc}", "/out/tree"],
            mounts=[*mounts, Mount(folder, "/out", writable=True)],
        )
    )
    return folder / "tree"


@pytest.fixture(scope="module")
def labs(world: World, source: Path) -> Path:
    """A labs.yaml with three trees of the user's own: one is newer and crashes, one is broken,
    and one has another control interface."""
    names = ("newer", "broken", "other")
    newer, broken, other = (source.with_name(name) for name in names)
    for tree in (newer, broken, other):
        for part in xen.PARTS:
            copy = shutil.copytree if (source / part).is_dir() else shutil.copy2
            tree.mkdir(exist_ok=True)
            copy(source / part, tree / part)
    edit(newer / "xen/Makefile", "XEN_SUBVERSION    = 17", "XEN_SUBVERSION    = 18")
    edit(newer / "xen/common/keyhandler.c", KEY, CRASH)
    edit(broken / "xen/common/keyhandler.c", KEY, "nothing_like_this = key;")
    edit(other / "xen/include/public/domctl.h", "_VERSION 0x00000015", "_VERSION 0x00000099")
    own: dict[str, Any] = {
        name: {"from": "source", "source": str(source.with_name(name)), "kconfig": str(FRAGMENT),
               "tools": "package"}
        for name in names
    }  # fmt: skip
    never = [{"on": "hello", "line": "never to be seen", "within": "200s"}]
    text: dict[str, Any] = {
        "hypervisors": own,
        "guests": {"hello": {"freertos": "images/freertos/apps/hello"}},
        "labs": {
            name: {"hypervisor": name, "guests": ["hello"], "expect": never}
            for name in ("newer", "other")
        },
    }
    path = world.folder / "own.yaml"
    path.write_text(json.dumps(text))
    return path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_labs_that_ship_run_under_their_scheduler(world: World, name: str) -> None:
    """`lab.run` passes, Xen's log names the scheduler, Xen's symbols lie in the run folder."""
    said = json.loads(world.run("lab.run", name, "--json").out)
    run = Path(said["run"])
    log = (run / "console/xen.log").read_text(errors="replace")
    assert re.search(rf"Using scheduler: .*\({SCHEDULERS[name]}\)", log)
    assert (run / "xen-syms").read_bytes().startswith(b"\x7fELF")


def test_emergency_lines_are_in_the_guests_own_log(world: World) -> None:
    """What the guest printed by hypercall is there once, in order and without prefix; nothing is
    lost."""
    (world.folder / "apps/flood").mkdir()
    (world.folder / "apps/flood/main.c").write_text(FLOOD)
    text = {
        "hypervisors": {"debug": {"from": "source", "kconfig": str(FRAGMENT)}},
        "guests": {"flood": {"freertos": "apps/flood", "emergency_console": "true"}},
        "labs": {"flood": {"hypervisor": "debug", "guests": ["flood"], "expect": [
            {"on": "flood", "line": "flood: end", "within": "200s"}]}},
    }  # fmt: skip
    path = world.folder / "flood.yaml"
    path.write_text(json.dumps(text))
    said = world.run("lab.run", "flood", "--labs", str(path), "--json")
    run = Path(json.loads(said.out)["run"])
    lines = (run / "console/flood.log").read_text().splitlines()
    rest = "[    1.000000] of so many that no ring and no pipe can hold them"
    assert lines == [*(f"line {i} {rest}" for i in range(LINES)), "flood: end"]
    shown = (run / "console/xen.log").read_text(errors="replace")
    assert len(re.findall(r"^\(d1\) ", shown, re.MULTILINE)) == LINES + 1


def test_shares_are_what_labs_yaml_says(world: World) -> None:
    """The guest's period and budget, and dom0's, as Xen itself reports them (microseconds)."""
    world.run("lab.up", "rtds")
    world.kept.add(world.id_of("rtds"))
    try:
        table = world.run("lab.exec", "rtds", "xl sched-rtds -v all").out
    finally:
        world.kept.clear()
        world.run("lab.down", "rtds")
    rows = {line.split()[0]: line.split()[3:5] for line in table.splitlines()[2:]}
    assert rows == {"Domain-0": ["10000", "5000"], "timed": ["10000", "4000"]}


@pytest.mark.usefixtures("source")
def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    """They are built in different folders at different times. No path of this machine is in
    them."""
    workshop = Context().workshop()
    spec = HypervisorSpec("debug", "source", kconfig=(FRAGMENT,))
    stored = workshop.hypervisor(spec)
    again = xen.build(Store(tmp_path), workshop.toolchain, spec, workshop.xen_source())
    assert {name: image.sha256 for name, image in again.items()} == {
        name: image.sha256 for name, image in stored.items()
    }
    for image in again.values():
        assert str(tmp_path).encode() not in image.path.read_bytes()


def test_compilers_errors_are_shown(world: World, labs: Path) -> None:
    """`image.build --hypervisor` of a tree that does not compile ends with 3 and the words."""
    said = world.run("image.build", "--hypervisor", "broken", "--labs", str(labs), status=3)
    assert "hypervisor broken does not build" in said.err
    assert re.search(r"keyhandler\.c:\d+:\d+: error: .nothing_like_this. undeclared", said.err)


@pytest.mark.usefixtures("labs_boot")
def test_another_version_is_refused_unless_forced_and_its_crash_is_explained(
    world: World, labs: Path, tmp_path: Path
) -> None:
    """The error names both versions. With --force it boots. When it crashes, the verdict's layer
    is Xen, and addresses in the dump have their functions, in the verdict and in `lab.logs`. The
    verdict has a backtrace with names, out of a core file that GDB reads."""
    refused = world.run("lab.run", "newer", "--labs", str(labs), "--json", status=3)
    reason = json.loads(refused.out)["reason"]
    assert "Xen 4.18" in reason
    assert "(xen-utils-4.17) are of Xen 4.17" in reason
    assert reason.count("(domctl 0x15, sysctl 0x15)") == 2
    command = world.start(
        "lab.run", "newer", "--labs", str(labs), "--force", "--clock", "host", "--json"
    )
    command.when("scenario")
    while command.process.poll() is None:  # on a busy machine dom0's agent may be late
        world.start("lab.exec", "newer", "xl debug-keys 0", "--labs", str(labs)).end()
    said = json.loads(command.end().expect(4).out)
    assert (said["verdict"], said["layer"]) == ("fail", "xen")
    named = re.compile(r"HYP: SP: [0-9a-f]{8} LR: ([0-9a-f]{8})   # \1 dump_hwdom_registers\+0x")
    assert any(named.search(line) for line in said["tail"])
    assert named.search(world.run("lab.logs", "newer", "--labs", str(labs)).out)
    told = "\n".join(said["tail"])
    assert re.search(r"#0 +0x\w+ in dump_hwdom_registers \(key=48 '0'\) at common/keyhandler", told)
    assert re.search(r"#1 +0x\w+ in handle_keypress \(.*\) at common/keyhandler\.c:\d+", told)
    script = tmp_path / "core.gdb"
    script.write_text("info threads\nprint key_table['0'].desc\n")
    core = world.run("lab.core", "newer", "--labs", str(labs), "--batch", "--command", str(script))
    assert '"dump Dom0 registers"' in core.out, core


@pytest.mark.usefixtures("labs_boot")
def test_tools_of_another_interface_are_the_toolstacks_failure(world: World, labs: Path) -> None:
    """They are refused before the boot. With --force the exit status is 5; both interfaces are
    named, and the hint tells what to do."""
    refused = world.run("lab.run", "other", "--labs", str(labs), "--json", status=3)
    reason = json.loads(refused.out)["reason"]
    assert "is Xen 4.17 (domctl 0x99, sysctl 0x15), the tools in dom0" in reason
    assert "are of Xen 4.17" in reason
    assert "(domctl 0x15, sysctl 0x15): they may not" in reason
    forced = world.run("lab.run", "other", "--labs", str(labs), "--force", "--json", status=5)
    assert "is Xen 4.17 (domctl 0x99, sysctl 0x15), the tools in dom0" in forced.err
    said = json.loads(forced.out)
    assert said["layer"] == "toolstack"
    assert "tools: source" in said["hint"]
    assert "Permission denied" in "\n".join(said["tail"])
