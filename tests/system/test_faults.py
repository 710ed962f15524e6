"""Wrong images, and commands and machines that die: the layer is named, and nothing is left."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import api
from lab.images import devicetree
from lab.model import ExitStatus, Image, Images, Layer, Plan
from lab.run import session
from lab.util import files
from lab.workshop.prepare import Workshop
from system.world import LONGEST, World, until

Change = Callable[[Images, Path], Images]


#: What fails while a lab boots; tests/system/test_templates.py has those that are restored.
pytestmark = pytest.mark.usefixtures("labs_boot")


def garbage(name: str) -> Change:
    """Bytes in place of one image."""

    def change(images: Images, folder: Path) -> Images:
        path = folder / name
        path.write_bytes(b"garbage " * 20000)
        bad = Image(name, path, files.sha256_file(path), path.stat().st_size, "")
        changed: dict[str, Any] = {name: bad}
        return replace(images, **changed)

    return change


@pytest.mark.parametrize(
    ("name", "layer", "words"),
    [
        ("hypervisor", Layer.XEN, "Xen did not begin to start dom0"),
        ("kernel", Layer.XEN, "Xen panicked"),
        ("initramfs", Layer.DOM0, "dom0's kernel panicked"),
        ("devicetree", Layer.QEMU, "QEMU ended by itself"),
    ],
)
def test_a_wrong_image(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    name: str, layer: Layer, words: str,
) -> None:  # fmt: skip
    """An image has the wrong content: the layer that fails is named, with its last lines."""
    whole = Workshop._images

    def images_of(workshop: Workshop, plan: Plan, *rest: Any) -> Images:
        images = garbage(name)(whole(workshop, plan, *rest), tmp_path)
        if name == "devicetree":
            return images
        boot = devicetree.Boot(plan.xen_args, plan.dom0_args, images.kernel, images.initramfs)
        tree = devicetree.build(workshop.store, workshop.toolchain, plan.machine, boot)
        return replace(images, devicetree=tree)

    monkeypatch.setattr(Workshop, "_images", images_of)
    if name == "hypervisor":  # nothing says that it is none: its time must pass
        monkeypatch.setattr(session, "XEN", 5.0)
    said = api.run(api.Context(world.folder / "labs.yaml"), "hello", cold=True)
    verdict = said.report.verdict
    assert (verdict.layer, verdict.passed) == (layer, False)
    assert words in verdict.reason
    assert verdict.tail or name == "hypervisor"
    wanted = ExitStatus.INFRASTRUCTURE if layer is Layer.QEMU else ExitStatus.PLATFORM
    assert verdict.exit_status == wanted


def test_dom0_that_never_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """If dom0 takes too long, the error says so and shows the last lines of its console."""
    monkeypatch.setattr(session, "DOM0", 0.5)
    context = api.Context(world.folder / "labs.yaml")
    verdict = api.run(context, "hello", cold=True).report.verdict
    assert verdict.layer is Layer.DOM0
    assert "within 0.5 s" in verdict.reason


def test_qemu_is_killed_while_the_lab_is_up(world: World) -> None:
    """The next command says that QEMU ended, and the lab is off."""
    world.run("lab.up")
    world.kill_strays()
    said = world.run("lab.status")
    assert "QEMU ended by itself" in said.err + said.out, said


@pytest.mark.parametrize(
    ("task", "stage", "number"),
    [
        ("lab.up", "packages", signal.SIGINT),
        ("lab.up", "guests", signal.SIGTERM),
        ("lab.up", "machine", signal.SIGINT),
        ("lab.up", "Xen", signal.SIGTERM),
        ("lab.run", "Xen", signal.SIGHUP),
        ("lab.run", "dom0", signal.SIGINT),
    ],
)
def test_a_command_is_interrupted(
    world: World, task: str, stage: str, number: signal.Signals
) -> None:
    """Ctrl-C, SIGTERM and SIGHUP after any stage: exit status 130, and everything it started is
    gone."""
    said = world.start(task).when(stage).signal(number).end().expect(130)
    assert "interrupted" in said.err


@pytest.mark.quick
def test_a_scenario_is_interrupted(world: World) -> None:
    """Ctrl-C while `lab.run` waits for a guest's line."""
    command = world.start("lab.run", "patient").when("guests run")
    command.signal(signal.SIGINT).end().expect(130)


#: Dies in the moment in which QEMU was started and is not recorded yet.
DIES = """
import os, signal
from lab import api
from lab.rundir import LabDir

whole = LabDir.record

def record(self, **changes):
    if "program" in changes:
        os.kill(os.getpid(), signal.SIGKILL)
    whole(self, **changes)

LabDir.record = record
api.up(api.Context(), "hello")
"""


def test_a_machine_that_could_not_be_recorded(world: World) -> None:
    """kill -9 between starting QEMU and recording it: QEMU is found by its tag and ended."""
    done = subprocess.run(
        [sys.executable, "-c", DIES], cwd=world.folder, timeout=LONGEST, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert world.strays(), "QEMU goes on without its maker"
    world.run("lab.status")


def test_twice_at_once(world: World) -> None:
    """If two `lab.up` run at once, one succeeds; the other one names it and ends with status 2."""
    first = world.start("lab.up").when("packages")
    second = world.run("lab.up", status=2)
    assert f"process {first.process.pid}" in second.err
    first.end().expect(0)
    world.run("lab.down")


def test_down_while_up_boots(world: World) -> None:
    """`lab.down` interrupts a `lab.up` that is still booting, as Ctrl-C would."""
    first = world.start("lab.up").when("Xen")
    world.run("lab.down")
    first.end().expect(130)


def test_using_a_lab_that_still_boots(world: World) -> None:
    """`lab.exec` on a lab that is booting is refused with the reason."""
    first = world.start("lab.up").when("machine")
    assert "is being prepared by process" in world.run("lab.exec", "hello", "xl list", status=2).err
    first.signal(signal.SIGINT).end().expect(130)


def test_a_damaged_record(world: World) -> None:
    """The next command ends a lab whose record cannot be read."""
    world.run("lab.up")
    lab = world.runtime / "xenlab" / world.id_of("hello")
    (lab / "state.json").write_text(json.dumps({"name": "hello", "state": "nonsense"}))
    world.run("lab.down")
    until("its machine is gone", lambda: not world.strays())


def test_a_folder_that_was_cleaned_away(world: World) -> None:
    """Somebody removes the folder of a running lab, as cleaners of /tmp do. Nobody can reach its
    machine any more. The next command ends it, and the lab can be started again."""
    world.run("lab.up")
    shutil.rmtree(world.runtime / "xenlab" / world.id_of("hello"))
    assert "was removed while it ran" in world.run("lab.up").err
    world.run("lab.down")


def test_a_run_folder_that_was_removed(world: World) -> None:
    """If somebody removes the run folder of a running lab, its logs are lost, and nothing else."""
    run = json.loads(world.run("lab.up", "--json").out)["run"]
    shutil.rmtree(run)
    assert "hello" in world.run("lab.exec", "hello", "xl list").out
    assert "running" in world.run("lab.status", "hello").out
    world.run("lab.down")
