"""Everything that a run left, on one clock.

The clock is CNTPCT, the physical counter, which Xen and our FreeRTOS guests put into their
records. Seconds count from Xen's zero, as they do on Xen's console. These files of the run's
``trace/`` are read:

- ``xen.bin`` and ``xen.json`` (``frequency`` in Hz, ``lost``, ``complete``);
- ``<guest>.records`` and ``<guest>.json``, see :mod:`lab.trace.guest`;
- ``clock.json``: ``counter_offset_dom0`` (CNTPCT minus dom0's CNTVCT), ``xen_zero`` (CNTPCT at
  Xen's zero; taken as 0 if absent, which is wrong by some tens of milliseconds),
  ``host_at_counter_0`` (the host's seconds since the epoch when CNTPCT was 0: earliest and
  latest possible).

Any file may be missing, cut off or damaged. The timeline then has the rest, and ``notes`` say
what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.errors import UsageError
from lab.model import ARM32, Clock
from lab.rundir import RunDir
from lab.trace import guest as guests
from lab.trace import hypervisor as hypervisors
from lab.trace.events import MAX_COUNTER
from lab.trace.guest import TracedGuest
from lab.trace.hypervisor import IDLE, SchedulerTrace
from lab.util import reading
from lab.util.terminal import escape

MAX_JSON = 8 << 20
MAX_EVENTS = 100_000
#: A console line or an event has at most so many characters.
LINE = 400
#: The session's mark for a created guest begins like this; the guest's name follows.
_CREATED = "what=created "


@dataclass(frozen=True)
class CounterClock:
    """Turns counters into seconds since Xen's zero, and back.

    ``host_zero``: Xen's zero in the host's seconds since the epoch, if known.
    """

    frequency: int = ARM32.counter_hz
    zero: int = 0
    host_zero: float | None = None

    def seconds(self, counter: float) -> float:
        return (counter - self.zero) / self.frequency

    def counter(self, seconds: float) -> int:
        return round(seconds * self.frequency) + self.zero


@dataclass(frozen=True)
class ConsoleLine:
    """A line of a console, escaped. ``time`` is in seconds; ``None``: unknown."""

    time: float | None
    console: str
    text: str


@dataclass(frozen=True)
class SessionEvent:
    """An event of the session or of QEMU. ``time`` is in seconds, exact to some hundredths."""

    time: float | None
    name: str
    detail: str


@dataclass(frozen=True)
class Timeline:
    """Everything of a run. ``notes``: what is missing or damaged."""

    clock: CounterClock
    hypervisor: SchedulerTrace | None = None
    guests: Mapping[str, TracedGuest] = field(default_factory=dict)
    lines: tuple[ConsoleLine, ...] = ()
    happenings: tuple[SessionEvent, ...] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    run: str = ""

    @cached_property
    def names(self) -> dict[int, str]:
        """Names of domains, by number.

        A guest's own trace says its number. The numbers of other guests follow from the order
        in which the session created them, if the known numbers agree with that order.
        """
        sure = {g.domain: g.name for g in self.guests.values() if 0 < g.domain < IDLE}
        created = (one.detail for one in self.happenings if one.name == "mark")
        order = [words.removeprefix(_CREATED) for words in created if words.startswith(_CREATED)]
        likely = dict(enumerate(order, start=1))
        agree = all(likely.get(domain) == name for domain, name in sure.items())
        found = {0: "dom0", IDLE: "idle"}
        return found | (likely if agree and len(set(order)) == len(order) else {}) | sure

    def vcpu_name(self, vcpu: int) -> str:
        """``hello`` for a domain's only vCPU, ``dom0 v1`` if it has several."""
        domain, number = vcpu >> 16, vcpu & 0xFFFF
        name = self.names.get(domain, f"domain {domain}")
        known = self.hypervisor.vcpus if self.hypervisor else []
        alone = sum(1 for one in known if one >> 16 == domain) < 2
        return name if alone or domain == IDLE else f"{name} v{number}"

    @property
    def bounds(self) -> tuple[int, int]:
        """First and last counter of anything that was traced; (0, 0) without a trace."""
        ends = [(g_first, guests.last(g)) for g in self.guests.values()
                if (g_first := guests.first(g))]  # fmt: skip
        if self.hypervisor and len(self.hypervisor.events):
            ends = [(self.hypervisor.first, self.hypervisor.last)]
        return (min(e[0] for e in ends), max(e[1] for e in ends)) if ends else (0, 0)


def _why_none(manifest: Mapping[str, Any]) -> str:
    """Why a run has no trace. The images of a lab without dom0 have no kernel of dom0."""
    images = manifest.get("images")
    if isinstance(images, dict) and images and "kernel" not in images:
        return "a trace needs dom0, which reads it, and this lab has none (`dom0: false`)"
    return "a lab whose labs.yaml says `trace:` leaves one"


def load(run: RunDir, lines: Iterable[ConsoleLine] = ()) -> Timeline:
    """Read all that a run left. ``lines``: its consoles, with times where they are known.

    Raises:
        UsageError: there is no trace in the run's folder.
    """
    folder = run.trace_dir
    notes: list[str] = []
    found = _guests(folder, notes)
    xen = _hypervisor(folder / "xen.bin", notes)
    manifest = run.manifest()
    if xen is None and not found:
        raise UsageError(f"run {run.path} has no trace", hint=_why_none(manifest))
    clock = _clock(folder, found)
    if manifest.get("clock") == Clock.VIRTUAL:
        clock = replace(clock, host_zero=None)
    happenings = tuple(_happenings(run.events_file, clock))
    shown = tuple(ConsoleLine(e.time, e.console, escape(e.text, limit=LINE)) for e in lines)
    return Timeline(
        clock, xen, found, shown, happenings, manifest, tuple(notes),
        f"{run.path.parent.name}/{run.id}",
    )  # fmt: skip


def describe(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if there is none or it is damaged."""
    try:
        data = reading.json_file(path, MAX_JSON)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _guests(folder: Path, notes: list[str]) -> dict[str, TracedGuest]:
    found = {}
    for path in sorted(folder.glob("*.records")):
        name = escape(path.stem, limit=64)
        guest = guests.load(path, path.with_suffix(".json"), name)
        found[name] = guest
        _note(notes, not len(guest.records), f"{name}: there is no record that can be read")
        _note(notes, guest.damage, f"{name}: its records end early ({guest.damage})")
        _note(notes, guest.lost, f"{name}: {guest.lost} records were overrun")
        _note(notes, guest.dropped, f"{name}: {guest.dropped} records cannot be right")
    return found


def _hypervisor(path: Path, notes: list[str]) -> SchedulerTrace | None:
    if not path.exists():
        notes.append("there is no trace of Xen: guests count as running all the time")
        return None
    found = hypervisors.load(path)
    seen = found.reading
    _note(notes, not seen.records, "Xen's trace is empty")
    _note(notes, seen.damage, f"Xen's trace ends at byte {seen.end}: {seen.damage}")
    _note(notes, seen.lost, f"Xen lost {seen.lost} records")
    _note(notes, seen.disordered, f"{seen.disordered} records of Xen came out of order")
    return found


def _note(notes: list[str], when: object, words: str) -> None:
    if when:
        notes.append(words)


def _clock(folder: Path, found: Mapping[str, TracedGuest]) -> CounterClock:
    about, xen = describe(folder / "clock.json"), describe(folder / "xen.json")
    given = _number(xen.get("frequency"), 0)
    frequency = int(given) or next((g.frequency for g in found.values()), ARM32.counter_hz)
    zero = int(_number(about.get("xen_zero"), 0))
    host = about.get("host_at_counter_0")
    ends = [_number(each, -1) for each in host] if isinstance(host, list) and host else [-1.0]
    middle = sum(ends) / len(ends) + zero / frequency
    return CounterClock(frequency, zero, middle if min(ends) >= 0 else None)


def _number(value: Any, default: float) -> float:
    right = isinstance(value, int | float) and not isinstance(value, bool)
    return value if right and 0 <= value < MAX_COUNTER else default


def _happenings(path: Path, clock: CounterClock) -> Iterable[SessionEvent]:
    """Events of the session, with times of the host's clock.

    Under the virtual clock they have no time: nothing relates the host's time to the counter.
    """
    try:
        with reading.binary(path) as file:
            raw = file.read(MAX_JSON)
    except OSError:
        return
    for text in raw.splitlines()[:MAX_EVENTS]:
        try:
            data = reading.parse_json(text)
        except ValueError:
            continue
        if isinstance(data, dict):
            yield _happening(data, clock)


def _happening(data: dict[str, Any], clock: CounterClock) -> SessionEvent:
    host = _number(data.pop("time", None), -1)
    name = escape(str(data.pop("event", "event")), limit=LINE)
    time = host - clock.host_zero if host >= 0 and clock.host_zero is not None else None
    detail = " ".join(f"{key}={value}" for key, value in data.items() if key != "after")
    return SessionEvent(time, name, escape(detail, limit=LINE))
