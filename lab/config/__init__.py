"""labs.yaml → :class:`lab.model.Labs`, checked; errors as ``file:line:column: what``."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from lab.config import arch as architectures
from lab.config import remembered
from lab.errors import ConfigError, UsageError
from lab.model import Architecture, GuestSpec, HypervisorSpec, Lab, Labs, Matrix
from lab.util import reading, refusals
from lab.util.suggest import nearest
from lab.util.terminal import escape, quote

#: The largest labs.yaml in bytes.
MAX_BYTES = 256 << 10


def load(path: Path) -> Labs:
    """Read and check a labs file. The result is kept in the cache. Nothing is built.

    Raises:
        ConfigError: the file has problems; one line for each, with its place in the file.
    """
    raw = _bytes(path)
    if known := remembered.recall(path, raw):
        return known
    from lab.config import resolve, schema, yaml_source  # slow to load, and seldom needed

    read = yaml_source.read(path, raw)
    found = resolve.labs(read, schema.validate(read))
    read.check()
    remembered.remember(path, raw, read.looked, found)
    return found


def _bytes(file: Path) -> bytes:
    name = escape(str(file))
    try:
        return reading.data(file, MAX_BYTES)
    except FileNotFoundError:
        hint = (
            "go to the folder that holds it, name another file (--labs FILE), "
            "or make one with the labs that ship: ./inv lab.new"
        )
        raise ConfigError(f"{name}: no such file{_looked(file)}", hint=hint) from None
    except reading.Unfit as error:
        raise ConfigError(f"{name}:1:1: {error.strerror}; is this a labs.yaml?") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{name}: cannot be read: {why}") from error


def _looked(file: Path) -> str:
    """The folder in which a relative path was looked for; the shell does not show it."""
    try:
        return "" if file.is_absolute() else f" in {escape(str(Path.cwd()))}"
    except OSError:  # somebody removed it
        return ""


#: The end of the name of a copy: ``NAME-1``, ``NAME-2``, …
COUNTED = re.compile(r"[1-9][0-9]{0,3}")


def find_lab(labs: Labs, name: str) -> Lab:
    """The lab of that name. ``NAME-1``, ``NAME-2``, … are copies of ``NAME``.

    Raises:
        UsageError: there is none; the message has the nearest name.
    """
    base, _, number = name.rpartition("-")
    if name not in labs.labs and base in labs.labs and COUNTED.fullmatch(number):
        return replace(labs.labs[base], name=name)
    if name not in labs.labs:
        raise UsageError(f"no lab {quote(name)}{nearest(name, labs.labs)}", hint=_where(labs))
    return labs.labs[name]


def find_startable(labs: Labs, name: str, arch: Architecture | None = None) -> Lab:
    """The same for a lab that is about to be started.

    ``arch``: its architecture, if labs.yaml does not decide.

    Raises:
        UsageError: there is none. ConfigError: a file of one of its guests is missing or wrong,
            or a guest is too wide for the architecture.
    """
    lab = find_lab(labs, name)
    lab = replace(lab, arch=arch) if arch else lab
    guests = (*lab.guests, *lab.later)
    refused = [one for guest in guests for one in guest.refused]
    if refused := refused or architectures.too_wide(guests, lab.arch):
        raise refusals.refusal(refused)
    return lab


def find_guest(
    labs: Labs, name: str, into: str | None = None, arch: Architecture | None = None
) -> GuestSpec:
    """The guest of that name, with the settings that it has in the lab ``into``.

    ``arch``: the architecture of the lab in which it is to run.

    Raises:
        UsageError: there is none (the message has the nearest name), or it does not fit into the
        lab, or Xen itself would have to create it. ConfigError: one of its files is missing or
        wrong, or it is too wide for the architecture.
    """
    if name not in labs.guests:
        raise UsageError(f"no guest {quote(name)}{nearest(name, labs.guests)}", hint=_where(labs))
    guest = labs.guests[name]
    refused = guest.refused or (architectures.too_wide([guest], arch) if arch else ())
    if refused:
        raise refusals.refusal(refused)
    from lab.config import sched

    lab = find_lab(labs, into) if into else None
    if lab and guest.by_xen and not lab.without_dom0:
        raise UsageError(
            f"guest {quote(name)} has 'start: device-tree': Xen creates it at boot, and nobody can "
            "create it later",
            hint="a guest without 'start' is created by xl, also later",
        )
    return sched.for_guest(lab, guest).on(lab.cpus) if lab else guest


def find_hypervisor(labs: Labs, name: str) -> HypervisorSpec:
    """The hypervisor of that name.

    Raises:
        UsageError: there is none; the message has the nearest name.
    """
    if name not in labs.hypervisors:
        near = nearest(name, labs.hypervisors)
        raise UsageError(f"no hypervisor {quote(name)}{near}", hint=_where(labs))
    return labs.hypervisors[name]


def find_matrix(labs: Labs, name: str) -> Matrix:
    """The matrix of that name.

    Raises:
        UsageError: there is none; the message has the nearest name.
    """
    if name not in labs.matrices:
        raise UsageError(
            f"no matrix {quote(name)}{nearest(name, labs.matrices)}", hint=_where(labs)
        )
    return labs.matrices[name]


def _where(labs: Labs) -> str:
    return f"see {labs.file}"
