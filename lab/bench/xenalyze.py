"""Finds and runs ``xenalyze``, Xen's own reader of traces, from Debian's xen-utils-common.

It is a baseline; labs do not need it. It comes from ``$LAB_XENALYZE``, from PATH, or from the
package, which :mod:`lab.packages.archive` fetches once and checks.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

from lab.errors import LabError
from lab.model import Toolchain
from lab.packages import archive, deb
from lab.store import cache_root
from lab.util import files, process

#: The suite, architecture and name of the package, and the path of the program in it.
SUITE, ARCH, PACKAGE, PROGRAM = "bookworm", "amd64", "xen-utils-common", "/usr/bin/xenalyze"
_SWITCH = re.compile(rb"sched_switch prev d(\d+)v\d+ next d(\d+)v\d+")


def installed() -> Path | None:
    """The xenalyze in ``$LAB_XENALYZE`` or on PATH, if there is one."""
    named = os.environ.get("LAB_XENALYZE") or shutil.which("xenalyze")
    return Path(named) if named else None


def find(toolchain: Toolchain) -> Path:
    """The xenalyze of this machine, or else the one in the package.

    Raises:
        LabError: the package is not available, or its program cannot run on this machine.
    """
    if found := installed():
        return found
    if platform.machine() != "x86_64":
        raise LabError("xenalyze comes from a package for amd64, but this machine is not amd64")
    cache = cache_root()
    question = archive.Question(SUITE, ARCH, (PACKAGE,), keep=(PACKAGE,))
    chosen = archive.resolve(toolchain, cache, question)
    packages = archive.fetch(toolchain, cache, chosen)
    path = cache / "bench" / f"xenalyze-{packages[0].sha256[:16]}"
    if not path.exists():
        data = deb.tree(packages, lambda name: name == PROGRAM).data(PROGRAM)
        if not data:
            raise LabError(f"package {PACKAGE} has no {PROGRAM}")
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(path, data)
        path.chmod(0o755)
    return path


def summary(program: Path, trace: Path, frequency: int) -> float:
    """Seconds that ``xenalyze --summary`` takes for a file.

    ``frequency``: of the trace's clock, in Hz.

    Raises:
        LabError: it failed.
    """
    done = process.run([str(program), "--cpu-hz", str(frequency), "--summary", str(trace)])
    if done.returncode:
        raise LabError("xenalyze failed", tail=done.stderr.decode(errors="replace")[-2000:])
    return done.seconds


def switches(program: Path, trace: Path, frequency: int) -> dict[int, int]:
    """How often Xen switched to a vCPU of each domain, according to ``xenalyze --dump-all``.

    Returns domain → number. ``frequency``: of the trace's clock, in Hz.

    Raises:
        LabError: it failed.
    """
    done = process.run([str(program), "--cpu-hz", str(frequency), "--dump-all", str(trace)])
    if done.returncode:
        raise LabError("xenalyze failed", tail=done.stderr.decode(errors="replace")[-2000:])
    found: dict[int, int] = {}
    for match in _SWITCH.finditer(done.stdout):
        found[int(match[2])] = found.get(int(match[2]), 0) + 1
    return found
