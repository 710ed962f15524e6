"""Timing traces: in labs.yaml, and the JSON files about them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_files import zimage

from lab import config, rundir
from lab.dom0 import trace_daemons as said
from lab.errors import ConfigError
from lab.model import Lab
from lab.run import traces

ESCAPE = b"\x1b[31m".hex()
NAME = b"fast".ljust(16, b"\0").hex()
LOG = f"""\
clock 1000 1010 32 62500000
guest g domain 3 frequency 62500000 tick 1000 capacity 256
task g 1 5 {NAME}
task g 2 4 {ESCAPE}
ring g 0 777
ring g 1 888
end g records 2 lost 7 complete
xen bytes 40 complete
"""


@pytest.fixture
def run(tmp_path: Path) -> rundir.RunDir:
    found = rundir.new_run(tmp_path, "one")
    (found.trace_dir / "log").write_text(LOG)
    (found.trace_dir / "g.records").write_bytes(bytes(32))
    lost = struct.pack("<I2Q2I", 1 << 31 | 4 << 28 | 0x1F001, 99, 5, 0, 0)
    (found.trace_dir / "xen.bin").write_bytes(struct.pack("<3I", 0x2001F003, 0, 28) + lost)
    return found


def concluded(run: rundir.RunDir, name: str) -> dict[str, Any]:
    traces.conclude(run)
    found: dict[str, Any] = json.loads((run.trace_dir / f"{name}.json").read_text())
    return found


def test_a_whole_trace(run: rundir.RunDir) -> None:
    """Names, counts and clocks are beside the raw files. A name is harmless to print."""
    guest = concluded(run, "g")
    assert guest["complete"] is True
    assert (guest["records"], guest["lost"], guest["domain"]) == (2, 7, 3)
    assert guest["tasks"]["1"] == {"name": "fast", "priority": 5}
    assert "\x1b" not in guest["tasks"]["2"]["name"]
    assert concluded(run, "clock")["counter_offset_dom0"] == 1005
    assert concluded(run, "xen") == {
        "complete": True, "ended": "complete", "frequency": 62500000, "lost": 5,
    }  # fmt: skip
    assert concluded(run, "g.rings")["counter_dom0"] == [777, 888]


def test_what_was_cut_off_says_so(run: rundir.RunDir) -> None:
    """If the last lines are missing, the traces are there but not complete."""
    log = run.trace_dir / "log"
    log.write_text("".join(line for line in LOG.splitlines(True) if line[:3] not in ("end", "xen")))
    assert concluded(run, "g")["complete"] is False
    assert concluded(run, "g")["ended"] == "cut off"
    assert concluded(run, "xen")["complete"] is False
    (run.trace_dir / "g.records").write_bytes(bytes(33))
    assert concluded(run, "g")["records"] == 2


def test_records_that_did_not_arrive(run: rundir.RunDir) -> None:
    """dom0 says how many records it sent. With fewer the trace is not complete."""
    (run.trace_dir / "g.records").write_bytes(bytes(16))
    assert concluded(run, "g")["complete"] is False


def test_a_guest_that_never_wrote(run: rundir.RunDir) -> None:
    (run.trace_dir / "log").write_text("")
    assert concluded(run, "g") == {"tasks": {}, "lost": 0, "records": 2, "complete": False}


def test_clocks_that_do_not_agree(run: rundir.RunDir) -> None:
    """Bounds that contradict each other give no offset."""
    (run.trace_dir / "log").write_text("clock 1010 1000 32 62500000\n")
    assert concluded(run, "clock")["counter_offset_dom0"] is None


def test_when_xen_s_clock_was_zero(run: rundir.RunDir) -> None:
    """Xen's log says when dom0 was made, which is when dom0's counter began."""
    assert "xen_zero" not in concluded(run, "clock")
    (run.trace_dir / "log").write_text("clock 6250000 6250100 32 62500000\n")
    run.console("xen").write_text(
        "(XEN) [    0.058000] I/O virtualisation disabled\n"
        "(XEN) [    0.060000] *** LOADING DOMAIN 0 ***\n"
    )
    clock = concluded(run, "clock")
    assert clock["xen_zero"] == 6250050 - 3750000
    assert clock["xen_zero_within"] == [6250000 - 3750000, 6250100 - 3625000]


def test_a_guest_that_was_replaced(run: rundir.RunDir) -> None:
    """The records of all its lives count. The tasks are those of the last life."""
    (run.trace_dir / "g.records").write_bytes(bytes(48))
    more = LOG.replace("domain 3", "domain 4").replace("records 2", "records 1")
    (run.trace_dir / "log").write_text(LOG + more)
    guest = concluded(run, "g")
    assert (guest["complete"], guest["records"], guest["lost"], guest["domain"]) == (True, 3, 14, 4)


@given(st.text(alphabet="guestaskringendclockx 0123456789-\n\x1b\u0661", max_size=300))
def test_any_log_is_read(text: str) -> None:
    """Guests decide some of the text there. None of it causes an error."""
    said.parse(text)


@given(st.binary(max_size=200))
def test_any_xen_trace_is_counted(data: bytes) -> None:
    assert traces.count_lost(data) >= 0


def test_without_traces_nothing_is_written(tmp_path: Path) -> None:
    found = rundir.new_run(tmp_path, "one")
    traces.conclude(found)
    assert list(found.trace_dir.iterdir()) == []


# ---------------------------------------------------------------- labs.yaml

GUESTS = """\
guests:
  t: {freertos: app, trace: true}
  u: {freertos: app, trace: 4M}
  p: {project: app, build: make, kernel: a, elf: b, trace: true}
labs:
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "g.bin").write_bytes(zimage())
    return tmp_path


def load(folder: Path, lab: str, guests: str = GUESTS) -> Lab:
    (folder / "labs.yaml").write_text(f"{guests}  one: {lab}\n")
    return config.load(folder / "labs.yaml").labs["one"]


def test_traces_are_asked_for(folder: Path) -> None:
    """``trace`` is true (1M) or a size. Xen's groups become one mask; masks stay as they are."""
    lab = load(folder, "{guests: [t, u, p], trace: {xen: [sched, mem, 0x1001]}}")
    assert [guest.trace for guest in lab.guests] == [1 << 20, 4 << 20, 1 << 20]
    assert lab.trace is not None
    assert lab.trace.mask == 0x2F000 | 0x10F000 | 0x1001
    assert lab.traced == ("t", "u", "p")


@pytest.mark.parametrize(
    ("lab", "guest", "words"),
    [
        ("{trace: {xen: [shed]}}", "", "did you mean 'sched'?"),
        ("{trace: {xen: []}}", "", "names no event"),
        ("{trace: {xen: 0x123456789}}", "", "no group of Xen events"),
        ("{trace: {xan: sched}}", "", "did you mean 'xen'?"),
        ("{guests: g}", "g: {freertos: app, trace: 3M}", "4K, 8K, 16K"),
        ("{guests: g}", "g: {freertos: app, trace: 64M}", "4K, 8K, 16K"),
        ("{guests: g}", "g: {freertos: app, trace: 16M}", "more than half"),
        ("{guests: g}", "g: {kernel: g.bin, trace: true}", "is not allowed here"),
        ("{guests: g}", "g: {freertos: app, trace: yes}", "not a size"),
    ],
)
def test_mistakes_are_named(folder: Path, lab: str, guest: str, words: str) -> None:
    guests = f"guests:\n  {guest}\nlabs:\n" if guest else "labs:\n"
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        load(folder, lab, guests)


def test_no_more_ports_than_there_are(folder: Path) -> None:
    names = [f"g{n}" for n in range(14)]
    lines = "".join(f"  {name}: {{freertos: app, trace: true, memory: 4M}}\n" for name in names)
    with pytest.raises(ConfigError, match="needs 32 ports"):
        load(folder, f"{{guests: [{', '.join(names)}]}}", f"guests:\n{lines}labs:\n")
