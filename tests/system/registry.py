"""A registry of OCI artifacts on this machine: Debian's docker-registry, from its package."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import brought

from system.world import until

PACKAGE = ("docker-registry",)
#: The program needs nothing but the C library of its own release.
_LOADER, _LIBRARIES = "usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"
_CONFIGURATION = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: "{folder}/data"}}}}
http: {{addr: "{address}"}}
"""


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """The address of a registry that runs while the block does. Its files are in ``folder``."""
    tree = Path(brought.tree(PACKAGE).info().where)
    address = f"127.0.0.1:{_free_port()}"
    config = folder / "config.yml"
    config.write_text(_CONFIGURATION.format(folder=folder, address=address))
    line: list[str | Path] = [tree / _LOADER, "--library-path", tree / _LIBRARIES,
            tree / "usr/bin/docker-registry", "serve", config]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(line, stdout=log, stderr=log)
    try:
        until("the registry answers", lambda: process.poll() is not None or _answers(address), 120)
        assert process.poll() is None, (folder / "log").read_text()
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _answers(address: str) -> bool:
    host, _, port = address.partition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
        return True
    return False
