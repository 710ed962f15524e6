"""Fetches the wheels of xenlab and of the packages that it needs, for a machine without network.

The packages have the versions that are installed here. So the same environment gives the same
wheels, on whatever day.
"""

from __future__ import annotations

import platform
import re
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import ToolchainError, UsageError
from lab.progress import Stage
from lab.util import process
from lab.util.resources import resource
from lab.util.terminal import escape, escape_lines

if TYPE_CHECKING:
    from packaging.requirements import Requirement

#: What pip needs to install a checkout: the build backend of pyproject.toml.
BACKEND = "setuptools"
#: The kinds of wheels that run on Debian 12 and newer (packaging.python.org, platform tags).
_PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
#: The time of files in our own wheel, in seconds since 1970: 1980, the first that a zip knows.
_EPOCH = "315532800"
_SECONDS = 900.0


def fetch(
    versions: Sequence[str], into: Path, stage: Stage, groups: Sequence[str] = ()
) -> list[Path]:
    """The wheels for these versions of Python (``3.13``), in a folder, sorted by name.

    ``groups``: optional groups of pyproject.toml whose packages are fetched too.

    Raises:
        UsageError: that is no version, or this is no checkout, of which our own wheel is made.
        ToolchainError: pip failed.
    """
    for version in versions:
        if not re.fullmatch(r"3\.\d{2}", version):
            raise UsageError(f"--wheels {version}: that is no version of Python, such as 3.13")
    stage.note("xenlab's own wheel")
    _own(into)
    for version in versions:
        stage.note(f"packages for Python {version}")
        _pip("download", "--dest", str(into), *_kinds(version), *_pins(version, groups))
    return sorted(into.glob("*.whl"))


def _own(into: Path) -> None:
    try:
        checkout = resource("pyproject.toml").parent
    except FileNotFoundError:
        raise UsageError(
            "xenlab's own wheel can only be made in a checkout of the project",
            hint="save the bundle there, or without --wheels",
        ) from None
    with tempfile.TemporaryDirectory() as work:
        config = Path(work, "build.cfg")
        config.write_text(f"[build]\nbuild_base = {work}/build\n")
        env = {"DIST_EXTRA_CONFIG": str(config), "SOURCE_DATE_EPOCH": _EPOCH}
        words = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(into))
        _pip(*words, str(checkout), env=env)


def _kinds(version: str) -> list[str]:
    machine = platform.machine()
    kinds = [word for one in _PLATFORMS for word in ("--platform", f"{one}_{machine}")]
    return ["--no-deps", "--only-binary", ":all:", "--implementation", "cp",
            "--python-version", version, *kinds]  # fmt: skip


def _pins(version: str, groups: Sequence[str] = ()) -> list[str]:
    """Every package that xenlab needs under a version of Python, with the version of here."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    left = [("xenlab", ("", *groups))]
    while left:
        name, extras = left.pop()
        for one in map(Requirement, metadata.requires(name) or ()):
            one.name = canonicalize_name(one.name)
            if one.name not in found and any(_holds(one, version, extra) for extra in extras):
                found[one.name] = _installed(one.name)
                left += [(one.name, ("", *one.extras))] if found[one.name] else []
    pins = [f"{name}=={here}" if here else name for name, here in found.items()]
    return sorted(pins if BACKEND in found else [*pins, f"{BACKEND}=={_installed(BACKEND)}"])


def _holds(one: Requirement, version: str, extra: str) -> bool:
    wanted = {"python_version": version, "python_full_version": f"{version}.0", "extra": extra}
    return one.marker is None or one.marker.evaluate(wanted)


def _installed(name: str) -> str:
    """The version that is installed here; empty: another Python needs it, and not this one."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _pip(*words: str, env: Mapping[str, str] | None = None) -> None:
    line = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *words]
    done = process.run(line, env=env, timeout=_SECONDS)
    if done.returncode:
        text = (done.stdout + done.stderr).decode(errors="replace")
        errors = [one for one in text.splitlines() if one.startswith("ERROR")]
        raise ToolchainError(
            f"the wheels cannot be had: {escape(errors[0], limit=160) if errors else 'pip failed'}",
            command=shlex.join(line),
            tail=escape_lines(text, last=8),
            hint="check the network and pip's configuration (pip config list)",
        )
