"""Under arinc653 a domain runs only in its windows: Xen's own trace says when it ran."""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from lab.trace import hypervisor
from lab.trace.events import Runstate
from system.world import ROOT, World

HZ = 62_500_000
#: The length of the labs' frames in milliseconds.
FRAME = 10.0
#: Milliseconds by which Xen may begin or end a window late: it takes timers and other interrupts
#: first, and then changes domains. 0.06 were seen. With two CPUs QEMU executes a piece of one, then
#: a piece of the other: 0.5 were seen.
LATE, ON_TWO_CPUS = 0.2, 1.0


class Run:
    """When the domains of a run had the CPU, in milliseconds."""

    def __init__(self, path: Path) -> None:
        self._trace = hypervisor.load(path / "trace/xen.bin")

    def of(self, domain: int) -> list[tuple[float, float]]:
        found = self._trace.states.spans(hypervisor.vcpu_id(domain, 0), Runstate.RUNNING)
        return [(int(start) * 1e3 / HZ, int(end) * 1e3 / HZ) for start, end in found]

    def in_frames(self, domain: int, busy: int, window: float) -> Iterator[tuple[float, float]]:
        """When it ran, from the last beginning of a whole window of the domain ``busy`` on.

        That one always wants to run, so its windows (of ``window`` ms) show where the frames are.
        """
        begun = [start for start, end in self.of(busy) if abs(end - start - window) < LATE]
        for start, end in self.of(domain):
            at = bisect.bisect_right(begun, start) - 1
            if at >= 0 and start - begun[at] < FRAME:
                yield start - begun[at], end - begun[at]


def check(
    spans: Iterable[tuple[float, float]], *windows: tuple[float, float], late: float = LATE
) -> list[int]:
    """Each span is in one of these windows; how many are in each."""
    counts = [0] * len(windows)
    for start, end in spans:
        inside = [i for i, (low, high) in enumerate(windows)
                  if low - late <= start and end <= high + late]  # fmt: skip
        assert inside, f"it ran from {start:.3f} to {end:.3f} ms after the window that was before"
        counts[inside[0]] += 1
    return counts


def run(world: World, name: str) -> Run:
    said = json.loads(world.run("lab.run", name, "--json").out)
    assert said["verdict"] == "pass"
    return Run(Path(said["run"]))


def test_each_domain_has_its_windows_and_no_more(world: World) -> None:
    """The lab `arinc653`, which ships. Its frame is counted here from the window of `noisy`."""
    found = run(world, "arinc653")
    periodic, noisy = 1, 2
    lengths = [end - start for start, end in found.of(noisy)]
    assert max(lengths) <= 3 + LATE
    assert sorted(lengths)[len(lengths) // 2] >= 3 - LATE
    first, second = check(found.in_frames(periodic, noisy, 3), (3, 5), (8, 10))
    assert min(first, second) > 900, "in each of 1000 frames"
    (dom0,) = check(found.in_frames(0, noisy, 3), (5, 8))
    assert dom0 > 500
    labs = (ROOT / "labs.yaml").read_text()
    assert "frame: 10ms" in labs.partition("\n  arinc653:")[2].partition("guests:")[0]


def test_a_pool_of_the_guests_leaves_dom0_a_cpu(world: World) -> None:
    """On two CPUs the schedule is that of the last one, and dom0 runs whenever it wants to."""
    found = run(world, "windows")
    scheduled, noisy = 1, 2
    (count,) = check(found.in_frames(scheduled, noisy, 5), (5, 8), late=ON_TWO_CPUS)
    assert count > 150, "in each of 200 frames"
    places = {int(start // 1) for start, _ in found.in_frames(0, noisy, 5)}
    assert len(places) > 8, "in nearly every millisecond of the frame"


def test_a_schedule_that_is_wrong_is_refused_at_its_place(world: World) -> None:
    """Exit 2 before anything starts; and dom0's program says what Xen does not take."""
    text = (world.folder / "labs.yaml").read_text()
    assert text.count("runtime: 5ms") == 1
    path = world.folder / "wrong-windows.yaml"
    path.write_text(text.replace("runtime: 5ms", "runtime: 8ms"))
    said = world.run("lab.run", "windows", "--labs", str(path), status=2)
    assert "the windows take 11ms, more than the frame of 10ms" in said.err
    assert f"{path.name}:" in said.err


def test_what_dom0_is_told_wrong(world: World) -> None:
    world.run("lab.up", "hello")
    world.kept.add(world.id_of("hello"))
    try:
        for words, why in (
            ("0", "Xen shows no schedule of CPU pool 0: Invalid argument"),
            ("0 100 0-0-0-0 0 5", "not a UUID: 0-0-0-0"),
            ("0 100", "usage: lab-arinc653 POOL"),
        ):
            said = world.run("lab.exec", "hello", f"lab-arinc653 {words}", status=1)
            assert why in said.err
    finally:
        world.kept.clear()
        world.run("lab.down", "hello")
