"""Verdicts: passed, or which layer failed and why, with the last lines that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError
from lab.machine import log_lines
from lab.model import Domain, ExitStatus, Layer, Verdict

#: The exit status for a failure of each layer.
STATUS = {
    Layer.TOOLCHAIN: ExitStatus.INFRASTRUCTURE,
    Layer.IMAGE: ExitStatus.INFRASTRUCTURE,
    Layer.QEMU: ExitStatus.INFRASTRUCTURE,
    Layer.XEN: ExitStatus.PLATFORM,
    Layer.DOM0: ExitStatus.PLATFORM,
    Layer.TOOLSTACK: ExitStatus.TOOLSTACK,
    Layer.GUEST: ExitStatus.GUEST,
}


def failed(layer: Layer, reason: str, tail: str = "") -> Verdict:
    """A verdict of failure. Its exit status is that of its layer."""
    return Verdict(False, layer, reason, STATUS[layer], tail)


def from_error(error: LabError) -> Verdict:
    """The verdict of a run that an error ended."""
    status, tail = error.exit_status, error.tail
    return Verdict(False, error.layer, error.message, status, tail, error.hint, error.unbuilt)


def last_lines(files: Mapping[str, Path], console: str) -> str:
    """The last lines of a console, escaped; empty if there is no such console."""
    return log_lines.tail(files[console]) if console in files else ""


#: The hint if a guest runs and prints nothing.
SILENCE = (
    "does it use the right console (console=hvc0 in Linux's 'cmdline')? A hypervisor with an "
    "emergency console (hypervisor: debug) shows what a guest prints there; to see Xen's log: "
    "lab.logs NAME --on xen"
)


def fate(domains: Sequence[Domain], name: str) -> str:
    """What happened to a guest's domain, in words, with the state letters of xl list (xl(1))."""
    domain = next((one for one in domains if one.name == name), None)
    if domain is None:
        return "its domain is gone"
    if domain.note:
        runs = "" if _has_ended(domain) else "still runs and "
        return f"its domain {runs}{domain.note} (xl list: {domain.state})"
    ends = {"c": "its domain crashed", "s": "its domain shut down",
            "d": "its domain is being destroyed", "p": "its domain is paused"}  # fmt: skip
    words = next((words for letter, words in ends.items() if letter in domain.state), None)
    return f"{words or 'its domain still runs'} (xl list: {domain.state})"


def is_silent(domains: Sequence[Domain], name: str) -> bool:
    """Whether a guest runs and has printed nothing."""
    return any(one.name == name and one.note and not _has_ended(one) for one in domains)


def _has_ended(domain: Domain) -> bool:
    return "s" in domain.state or "c" in domain.state
