"""The consoles that Xen's own carries, each as a file of its own.

Xen prints what a guest says on its emulated PL011 (xen/arch/arm/vpl011.c), a line at a time, as
``(XEN) [    0.123456] DOM1: text``. QEMU logs that UART as usual. Whoever reads a guest's log
brings it up to date first (:func:`bring`), out of that log; so nothing is lost if nobody reads.
How far that went is in a file beside the logs, :data:`STATE`. Without it nothing happens here.

Without dom0 Xen's log itself is made in the same way, out of :data:`RAW`: a run under the virtual
clock shows of the machine only what it said up to a moment (:func:`limit`).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab.util import files, reading

#: Beside the logs: which guest each domain is, and how far their logs are made.
STATE = ".shared"
#: What Xen's UART says, where Xen's log is not written by QEMU itself.
RAW = "xen.raw"
#: The times of a guest's lines, in the format of ``console/times``: Xen's, in microseconds.
TIMES = ".times"
TICKS = 1_000_000
#: The bytes of a line without an end after which Xen prints it (SBSA_UART_OUT_BUF_SIZE - 2).
PIECE = 126
#: The most bytes of the log that are read at a time.
CHUNK = 1 << 20
#: The state has less, in bytes.
MOST_STATE = 1 << 16
#: The bytes of the end of Xen's log that are looked at, to find what it says last.
LAST = 8192
_STAMP = re.compile(rb"^\((?:XEN|d\d+)\) \[ *(\d+\.\d+)\]")
_NAME = re.compile(r"[a-z0-9_-]{1,64}\.(log|times)")
_LINE = re.compile(rb"^\(XEN\) (?:\[[^\]]*\] )?DOM(\d{1,5}): (.*)$", re.DOTALL)


@dataclass
class _State:
    source: str
    guests: dict[str, str]
    limit: float | None = None
    at: int = 0
    now: float = 0.0
    over: bool = False
    sizes: dict[str, int] = field(default_factory=dict)


def lay(consoles: Path, guests: Mapping[int, str], *, alone: bool) -> None:
    """Begin: these guests, by the number of their domain. ``alone``: there is no dom0."""
    source = RAW if alone else "xen.log"
    state = _State(source, {str(number): name for number, name in guests.items()})
    for name in ("xen", *guests.values()) if alone else guests.values():
        (consoles / f"{name}.log").touch()
        state.sizes[f"{name}.log"] = 0
    for name in guests.values():
        (consoles / f"{name}{TIMES}").write_text(f"{TICKS}\n")
        state.sizes[f"{name}{TIMES}"] = len(f"{TICKS}\n")
    (consoles / STATE).write_text(json.dumps(asdict(state)))


def limit(consoles: Path, seconds: float | None) -> None:
    """Show what was said up to this time of Xen's clock; ``None``: all of it."""
    with _held(consoles) as handle:
        if handle is not None and (state := _read(handle)):
            state.limit = seconds
            state.over = False
            _write(handle, state)
    bring(consoles)


def bring(consoles: Path) -> None:
    """Bring the logs in this folder up to date. A folder that cannot be written stays as it is."""
    with _held(consoles) as handle:
        if handle is None or (state := _read(handle)) is None or not _is_there(consoles, state):
            return
        for name, size in state.sizes.items():  # somebody may have been killed half way
            with contextlib.suppress(OSError):
                if (consoles / name).stat().st_size > size:
                    os.truncate(consoles / name, size)
        before = (state.at, state.over)
        while not state.over and _some(consoles, state):
            pass
        if (state.at, state.over) != before:  # whoever follows this folder is woken by a write
            _write(handle, state)


def carries(log: Path) -> bool:
    """Whether this is the log of a guest whose console Xen's own carries."""
    return log.with_suffix(TIMES).exists()


def place_of(consoles: Path, guest: str) -> tuple[int, int]:
    """The number of a guest's domain, and how many guests Xen boots; (0, 0): it is none of them."""
    with _held(consoles) as handle:
        state = None if handle is None else _read(handle)
    guests = state.guests if state else {}
    return next((int(one) for one, name in guests.items() if name == guest), 0), len(guests)


def loudest(consoles: Path) -> str:
    """The guest that said most of the last lines of Xen's log; empty if none did."""
    with _held(consoles) as handle:
        state = None if handle is None else _read(handle)
    with contextlib.suppress(OSError), reading.binary(consoles / "xen.log") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - LAST))
        lines = file.read().split(b"\n")[1:]
        found = Counter(match[1].decode() for line in lines if (match := _LINE.match(line)))
        for number, count in found.most_common(1):
            return state.guests.get(number, "") if state and 2 * count > len(lines) else ""
    return ""


def source_of(consoles: Path) -> Path:
    """The log that QEMU itself writes of Xen's UART."""
    raw = consoles / RAW
    return raw if raw.exists() else consoles / "xen.log"


def last_stamp(consoles: Path) -> float:
    """Xen's time of the last line that it has said, shown or not."""
    with contextlib.suppress(OSError), reading.binary(consoles / RAW) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - LAST))
        found = [float(m[1]) for line in file.read().split(b"\n")[:-1] if (m := _STAMP.match(line))]
        return max(found, default=0.0)
    return 0.0


def _is_there(consoles: Path, state: _State) -> bool:
    """Whether the source is there, and all that is written lies in this very folder.

    A run's folder may come from somebody else, and is read all the same.
    """
    names = [*state.sizes, *(f"{guest}.log" for guest in state.guests.values())]
    inside = all(_NAME.fullmatch(name) and not (consoles / name).is_symlink() for name in names)
    known = state.source in (RAW, "xen.log")
    return inside and known and (consoles / state.source).is_file()


def _some(consoles: Path, state: _State) -> bool:
    """Pass on a chunk of whole lines; whether there was one."""
    with reading.binary(consoles / state.source) as source:
        source.seek(state.at)
        data = source.read(CHUNK)
    whole = data[: data.rfind(b"\n") + 1] or (data if len(data) == CHUNK else b"")
    found: dict[str, bytearray] = {}
    for line in _lines(whole):
        if stamp := _STAMP.match(line):
            now = float(stamp[1])
            if state.limit is not None and now > state.limit:
                state.over = True
                break
            state.now = max(state.now, now)
        state.at += len(line)
        if state.source == RAW:
            found.setdefault("xen.log", bytearray()).extend(line)
        _pass_on(line, state, found)
    for name, text in found.items():
        files.append(consoles / name, bytes(text))
        state.sizes[name] = state.sizes.get(name, 0) + len(text)
    return bool(whole) and not state.over


def _lines(data: bytes) -> Iterator[bytes]:
    """Only a line feed ends a line here."""
    at = 0
    while at < len(data):
        end = data.find(b"\n", at) + 1 or len(data)
        yield data[at:end]
        at = end


def _pass_on(line: bytes, state: _State, found: dict[str, bytearray]) -> None:
    match = _LINE.match(line.removesuffix(b"\n").removesuffix(b"\r"))
    name = state.guests.get(match[1].decode()) if match else None
    if not match or name is None:
        return
    text = match[2] + (b"" if len(match[2]) == PIECE else b"\n")
    log = f"{name}.log"
    offset = state.sizes.get(log, 0) + len(found.get(log, b""))
    entry = f"{name} {offset} {round(state.now * TICKS)}\n".encode()
    found.setdefault(log, bytearray()).extend(text)
    found.setdefault(f"{name}{TIMES}", bytearray()).extend(entry)


@contextlib.contextmanager
def _held(consoles: Path) -> Iterator[int | None]:
    """The state's file, locked; ``None`` where there is none, or nothing can be written."""
    with contextlib.ExitStack() as stack:
        handle = None
        if (consoles / STATE).is_file() and not (consoles / STATE).is_symlink():
            with contextlib.suppress(OSError):
                handle = stack.enter_context(files.locked(consoles / STATE))
        yield handle


def _read(handle: int) -> _State | None:
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        text = os.pread(handle, MOST_STATE, 0).decode()
        return _State(**json.JSONDecoder().raw_decode(text)[0])
    return None


def _write(handle: int, state: _State) -> None:
    """One write, so that who is killed leaves the old state or the new one; what may be left of a
    longer one behind it is not read."""
    data = json.dumps(asdict(state)).encode()
    os.pwrite(handle, data, 0)
    os.ftruncate(handle, len(data))
