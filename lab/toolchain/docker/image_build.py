"""Lets the engine build the toolchain's image: Debian's image from a registry, plus packages.

This is for machines that cannot make a tree to import. See dockerfiles/toolchain.Dockerfile.
"""

from __future__ import annotations

import contextlib
import io
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lab.errors import ToolchainError
from lab.progress import current
from lab.toolchain import recipe
from lab.toolchain.docker import sweep
from lab.toolchain.docker.client import SILENT_SECONDS, engine_errors, not_built
from lab.toolchain.docker.engine import OTHER_DOOR, Engine
from lab.toolchain.request import ToolchainRequest
from lab.util import debian
from lab.util.deadline import Deadline
from lab.util.resources import resource
from lab.util.terminal import escape

if TYPE_CHECKING:
    import docker

Progress = Callable[[str], None]

#: The base image: Debian's trixie-slim of August 2026. The digest covers all architectures.
BASE = "debian"
DIGEST = "sha256:3a39a0592364683e6bab97937b72cad5a8fa6dcbbee90edb3bb48c7f8e94f258"
#: The origin of an image that is built here, in words.
ORIGIN = f"{BASE} {recipe.SUITE} slim from a registry, {DIGEST}"
#: How long a registry may be silent before the pull fails.
PULL_SECONDS = 30.0
#: How long the whole build may take.
BUILD_SECONDS = 1800.0
#: The engine colours what a step writes to standard error.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STEP = re.compile(r"^Step (\d+)/(\d+) : (.*)")


@contextlib.contextmanager
def base(engine: Engine, progress: Progress) -> Iterator[None]:
    """Have the base image at the engine while the block runs.

    When the block ends, images that a build left unfinished are removed.

    Raises:
        ToolchainError: the base image could not be pulled from a registry.
    """
    try:
        progress(f"docker: pulling {BASE} {recipe.SUITE} by its digest")
        _pull(engine)
        yield
    finally:
        with contextlib.suppress(ToolchainError):
            sweep.remove_images(engine, sweep.maker())


def _pull(engine: Engine) -> None:
    query = {"fromImage": BASE, "tag": DIGEST, "platform": f"linux/{recipe.ARCHITECTURE}"}
    stage = current()
    try:
        for event in engine.stream("POST", "/images/create", query=query, timeout=PULL_SECONDS):
            if "error" in event:
                raise ToolchainError(str(event["error"]))
            words = (str(event.get(key) or "") for key in ("status", "progress"))
            stage.note(escape(" ".join(words).strip(), limit=60))
    except ToolchainError as error:
        raise ToolchainError(
            f"{BASE} {recipe.SUITE}, the base of the toolchain's image, could not be pulled",
            tail=escape(error.message, limit=300),
            hint="apt-get install mmdebstrap debian-archive-keyring: with them the image is made "
            f"on this machine; {OTHER_DOOR}",
        ) from error
    stage.note("")


def image(
    api: docker.APIClient,
    name: str,
    labels: Mapping[str, str],
    wanted: ToolchainRequest,
    progress: Progress,
) -> None:
    """Build the image on its base.

    Raises:
        ToolchainError: a step failed. Nothing is left of it when the block of :func:`base` ends.
    """
    clock = Deadline(BUILD_SECONDS)
    with engine_errors():
        events = api.build(
            fileobj=_context(wanted),
            custom_context=True,
            tag=name,
            buildargs={
                "BASE": f"{BASE}@{DIGEST}",
                "MAKER": labels[sweep.MAKER],
                "OWNER": labels[sweep.USER],
            },
            labels=dict(labels),
            network_mode="host",
            nocache=True,
            rm=True,
            forcerm=True,
            timeout=SILENT_SECONDS,
            decode=True,
        )
        _follow(events, clock, progress)


def _follow(events: Iterator[dict[str, Any]], clock: Deadline, progress: Progress) -> None:
    """Report every step to ``progress``. If one fails, raise an error with its last lines."""
    step, tail = "docker build", [""]
    stage = current()
    for event in events:
        for line in _COLOUR.sub("", str(event.get("stream", ""))).splitlines():
            tail = [*tail[-30:], line]
            if match := _STEP.match(line):
                step, tail = re.sub(r"\s+", " ", match[3]), []
                words = step if len(step) < 70 else f"{step[:66]} …"
                progress(f"docker: step {match[1]} of {match[2]}: {escape(words)}")
            elif line.startswith("lab: "):
                progress(f"docker: {escape(line[5:], limit=90)}")
            elif line.strip():
                stage.note(escape(line.strip(), limit=60))
        if "error" in event:
            code = (event.get("errorDetail") or {}).get("code")
            words = f"exit status {code}" if code else str(event["error"])
            raise not_built(step, [*tail, words])
        if clock.passed():
            raise not_built(step, [*tail, f"took longer than {clock.seconds:g} s"])
    stage.note("")


def _context(wanted: ToolchainRequest) -> io.BytesIO:
    """The build context: a tar with the Dockerfile and the files that it copies."""
    address = debian.archive_of_this_machine()
    contents = {
        "Dockerfile": dockerfile().decode(),
        "packages": "".join(f"{name}\n" for name in recipe.package_list(wanted.arch)),
        "pinned": "".join(f"{pin.name}={pin.version}\n" for pin in wanted.locked),
        "snapshot": wanted.snapshot,
        "sources": f"deb {address} {recipe.SUITE} main\n" if address else "",
        "proxies": "".join(f"{line}\n" for line in debian.proxies_of_this_machine()),
        "pruned": "".join(
            f"{one}\n" for one in recipe.pruned(wanted.arch) if one.startswith("usr/")
        ),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    buffer.seek(0)
    return buffer


def dockerfile() -> bytes:
    """The Dockerfile of the image."""
    return resource("dockerfiles", "toolchain.Dockerfile").read_bytes()
