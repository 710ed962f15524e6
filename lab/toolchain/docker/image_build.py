"""The toolchain's image, built by the engine: Debian's own from a registry, and packages on it.

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

#: Debian's trixie-slim of August 2026, for all architectures.
BASE = "debian"
DIGEST = "sha256:3a39a0592364683e6bab97937b72cad5a8fa6dcbbee90edb3bb48c7f8e94f258"
#: Where an image comes from that is built here.
ORIGIN = f"{BASE} {recipe.SUITE} slim from a registry, {DIGEST}"
#: A registry that says nothing for so many seconds does not count as answering.
PULL_SECONDS = 30.0
#: How long the whole build may take.
BUILD_SECONDS = 1800.0
#: The engine paints what a step writes to standard error.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STEP = re.compile(r"^Step (\d+)/(\d+) : (.*)")


@contextlib.contextmanager
def base(engine: Engine, progress: Progress) -> Iterator[None]:
    """While the block runs, the engine has the base image.

    When the block ends, what a build on it left unfinished is removed.

    Raises:
        ToolchainError: no registry has it for us.
    """
    try:
        progress(f"docker: asking for {BASE} {recipe.SUITE} by digest")
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
            f"no registry has {BASE} {recipe.SUITE} for the toolchain's image",
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
        ToolchainError: a step failed; nothing is left of it.
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
    """Tell every step; raise with its last lines if one fails."""
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
    """What the Dockerfile copies, as a tar."""
    address = debian.archive_of_this_machine()
    contents = {
        "Dockerfile": dockerfile().decode(),
        "packages": "".join(f"{name}\n" for name in recipe.package_list()),
        "pinned": "".join(f"{pin.name}={pin.version}\n" for pin in wanted.locked),
        "snapshot": wanted.snapshot,
        "sources": f"deb {address} {recipe.SUITE} main\n" if address else "",
        "proxies": "".join(f"{line}\n" for line in debian.proxies_of_this_machine()),
        "pruned": "".join(f"{one}\n" for one in recipe.PRUNED if one.startswith("usr/")),
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
    """What the engine is told to build."""
    return resource("dockerfiles", "toolchain.Dockerfile").read_bytes()
