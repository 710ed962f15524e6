"""The consoles of a run, merged in time order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.machine.log_lines import LineSplitter
from lab.machine.merged_consoles import Zeros, dom0_began, find_zeros, merge

XEN = b"""\
Xen 4.17
(XEN) [    0.100000] first
(XEN) [    0.200000] *** LOADING DOMAIN 0 ***
(XEN) without a stamp
(XEN) [    0.500000] *** Serial input to DOM0 (type 'CTRL-a' three times)
(XEN) [    0.550000] Freed 328kB init memory.
(XEN) [    0.600000] d0v0: vGICD: unhandled word write 0xffffffff to ICACTIVER4
(XEN) [    0.700000] d0v0: vGICD: unhandled word write 0xffffffff to ICACTIVER8
[    1.500000] dom0 on hvc0
(XEN) [    9.000000] last
"""
DOM0 = b"""\
[    0.000000] Booting Linux
[    1.000000] middle
[    0.900000] back in time
lab: ready
"""
TIMES = b"hz 1000\nhello 0 2000\nother 0 1\nbroken\nhello 6 3000\n"


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    (tmp_path / "xen.log").write_bytes(XEN)
    (tmp_path / "dom0.log").write_bytes(DOM0)
    (tmp_path / "hello.log").write_bytes(b"first\nsecond\nthird")
    (tmp_path / "times").write_bytes(TIMES)
    return tmp_path


def files(folder: Path) -> dict[str, Path]:
    return {name: folder / f"{name}.log" for name in ("xen", "dom0", "hello")}


def test_zeros_are_found_in_the_log_of_xen(run_folder: Path) -> None:
    assert find_zeros(run_folder / "xen.log") == Zeros(counter=0.2, kernel=0.6)
    assert find_zeros(run_folder / "none.log") == Zeros()
    early = XEN.replace(b"vGICD", b"other").replace(b"0.550000", b"0.570000")
    (run_folder / "xen.log").write_bytes(early)
    assert find_zeros(run_folder / "xen.log") == Zeros(counter=0.2, kernel=0.57)


def test_between_which_lines_dom0_was_made(run_folder: Path) -> None:
    log = run_folder / "xen.log"
    assert dom0_began(log) == (0.1, 0.2)
    assert dom0_began(run_folder / "none.log") is None
    log.write_bytes(XEN.replace(b"LOADING", b"loading"))
    assert dom0_began(log) is None
    log.write_bytes(XEN.replace(b"    0.200000", b"9" * 400 + b".0"))
    assert dom0_began(log) is None


def test_consoles_are_merged_in_time_order(run_folder: Path) -> None:
    found = list(merge(files(run_folder), run_folder / "times"))
    times = [item.time for item in found if item.time is not None]
    assert times == sorted(times)
    assert len(times) == 10 + 4 + 3
    by_text = {item.line.text: item.time for item in found}
    assert by_text["(XEN) without a stamp"] == pytest.approx(0.2)
    assert by_text["[    1.000000] middle"] == pytest.approx(1.6)
    assert by_text["lab: ready"] == pytest.approx(1.6)
    assert by_text["[    1.500000] dom0 on hvc0"] == pytest.approx(2.1)
    assert by_text["first"] == pytest.approx(2.2)
    assert by_text["third"] == pytest.approx(3.2)


def test_order_on_one_console_stays(run_folder: Path) -> None:
    found = [item.line.raw for item in merge(files(run_folder)) if item.line.console == "dom0"]
    assert found == DOM0.splitlines()


def test_guest_without_an_index_comes_last(run_folder: Path) -> None:
    found = list(merge(files(run_folder)))
    assert [item.time for item in found[-3:]] == [None] * 3
    assert found[-1].show() == "[            ] hello    | third"
    assert found[0].show() == "[    0.000000] xen      | Xen 4.17"


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_can_be_merged(
    tmp_path_factory: pytest.TempPathFactory, log: bytes, index: bytes
) -> None:
    """Damaged logs and indices lose their times, but never a line."""
    folder = tmp_path_factory.mktemp("merge")
    for name in ("xen", "dom0", "hello"):
        (folder / f"{name}.log").write_bytes(log)
    (folder / "times").write_bytes(index)
    found = list(merge(files(folder), folder / "times"))
    expected = len(LineSplitter("x").feed(log + b"\n")) - (not log.split(b"\n")[-1].strip(b"\r"))
    assert len(found) == 3 * expected
