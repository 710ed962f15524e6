"""Guests and dom0s that hang, halt, reset or crash, or print what they should not."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from watched import harm

from lab.util.screen import ScreenFilter
from system import wild
from system.conftest import write_labs
from system.world import LONGEST, World, until

#: A verdict and an orderly end take no longer than this on a busy machine, in seconds.
SLACK = 60.0


def stops(world: World, number: int) -> None:
    """The guest that stopped is named, with what happened to its domain: exit status 1, in time.

    It leaves a core file. If it crashed, the verdict has a backtrace with names.
    """
    way = list(wild.WAYS)[number % len(wild.WAYS)]
    virtual = number // len(wild.WAYS) % 2 == 1  # a second of it may take many of ours
    clock = ("--clock", "virtual" if virtual else "host")
    command = world.start("lab.run", f"wild-{way}", *clock, "--json").when("guests run")
    began = time.monotonic()
    said = json.loads(command.end().expect(1).out)
    assert said["layer"] == "guest", said
    assert f"wild-{way}" in said["reason"], said
    assert wild.WAYS[way] in said["reason"], said
    assert any(f"wild: {way}" in line for line in said["tail"]), said
    assert time.monotonic() - began < (5 * SLACK if virtual else SLACK)
    assert Path(said["run"], "core", f"wild-{way}.core").is_file()
    if way == "crash":
        frames = [line for line in said["tail"] if re.match(r"#\d+ ", line)]
        assert any(re.search(r" go \(.*\) at app/main\.c:\d+", line) for line in frames), said


#: GDB writes an instruction that is none (A32: UDF) to where Xen goes on after it has waited (mode
#: Hyp, after WFI). If the machine stands elsewhere, it does nothing: Xen may need that code to
#: handle the trap or to print, and would then trap for ever and print nothing.
DAMAGE = """\
if ($cpsr & 0x1f) == 0x1a && {int}($pc - 4) == 0xe320f003
set {int}$pc = 0xe7f000f0
echo damaged\\n
end
"""


def xen_crashes(world: World, number: int) -> None:
    """Debian's Xen executes something damaged: exit status 4, the panic, a core file, in time.

    The machine stands. `lab.status` says why, and the lab can be stopped as usual.
    """
    del number
    script = world.folder / "damage.gdb"
    script.write_text(DAMAGE)
    command = world.start("lab.up", "hello", "--pause-on-failure").when("waiting for a guest")
    try:
        debug = ("lab.debug", "hello", "--on", "xen", "--batch", "--command", str(script))

        def damaged() -> bool:
            """Where the machine stands is chance; it is tried again."""
            return command.process.poll() is not None or "damaged" in world.start(*debug).end().out

        until("the machine waits in Xen", damaged, LONGEST)
        began = time.monotonic()
        said = command.end().expect(4)
        assert "lab hello stands: Xen panicked" in said.out, said
        assert re.search(r"^ +#0 +0x[0-9a-f]{8} in ", said.out, re.M), said
        assert "lab hello: stands: Xen panicked" in world.run("lab.status", "hello").out
        assert (world.folder / "runs/hello/latest/core/xen.core").is_file()
        assert time.monotonic() - began < SLACK
    finally:
        world.run("lab.down", "hello")


#: What is done to dom0 from inside.
ENDS = (
    "kill -STOP -1",
    "echo c >/proc/sysrq-trigger",
    "kill -9 $(cat /run/xenconsoled.pid); sleep 60",
)


def dom0_hangs(world: World, number: int) -> None:
    """A dom0 that hangs or panics is named in time, and the lab can be stopped as usual."""
    line = ENDS[number % len(ENDS)]
    world.run("lab.up", "hello")
    try:
        began = time.monotonic()
        said = world.start("lab.exec", "hello", f"sh -c '{line}'", "--timeout", "5").end()
        assert "Traceback" not in said.err
        assert said.status in (3, 4), said  # QEMU ends when dom0 panics
        assert re.search(r"\[(dom0|qemu)\]", said.err), said.err
        status = world.start("lab.status").end()
        assert "Traceback" not in status.err
        assert "hello" in status.out + status.err
        assert time.monotonic() - began < SLACK
    finally:
        began = time.monotonic()
        world.run("lab.down", "hello")
    assert time.monotonic() - began < SLACK


def hostile_output(world: World, number: int) -> None:
    """Whatever a guest prints is kept raw in its log, shown escaped, and decides only its own
    verdict.

    It prints ``wild: PASS`` and lines as of Xen and dom0; the lab expects something else.
    """
    name = "wild-hostile"
    file = world.folder / "hostile.yaml"
    _write(file, **{name: wild.guest(f"hostile{number}")})
    said = world.run("lab.run", name, "--labs", str(file), "--json", status=1)
    found = json.loads(said.out)
    assert found["layer"] == "guest", found
    assert "'never to be seen' was not seen" in found["reason"]
    raw = Path(found["run"], "console", f"{name}.log").read_bytes()
    assert raw.endswith(b"the end of it\r\n") or b"the end of it" in raw
    assert any(byte in raw for byte in (0x1B, 0x9B, 0xFF)), "it was hostile, raw"
    shown = world.run("lab.logs", name).out + world.run("lab.logs", name, "--on", name).out
    for text in (shown, said.out, said.err):
        _harmless(text)
    assert harm(ScreenFilter().feed(raw)) == [], "lab.console shows it"


def _write(file: Path, **guests: Any) -> None:
    write_labs(file, **guests)
    text = file.read_text()
    for name in guests:
        lab = json.dumps(wild.lab(name, within="6s"))
        text = text.replace("\nlabs:\n", f"\nlabs:\n  {name}: {lab}\n", 1)
    file.write_text(text)


def _harmless(text: str) -> None:
    bad = {char for char in text if not (char.isprintable() or char in "\n\t")}
    assert not bad, f"these reach a terminal: {bad!r}"
