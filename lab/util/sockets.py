"""Connections to unix sockets whose server may be slow to accept them."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from lab.util import waiting


async def connect(path: Path, within: float) -> socket.socket:
    """A connection to the socket at ``path``. If its backlog is full, this waits for a place.

    Then connect(2) of a unix socket says EAGAIN. asyncio takes that for a connection in progress,
    and calls an unconnected socket connected.

    Raises:
        TimeoutError: the backlog was full for ``within`` seconds.
        OSError: nobody listens there.
    """
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        found.setblocking(False)
        found.connect(str(path))
    except BlockingIOError:
        return await waiting.in_job(lambda: _patient(found, path, within), socket.socket.close)
    except BaseException:
        found.close()
        raise
    return found


def _patient(found: socket.socket, path: Path, within: float) -> socket.socket:
    """This blocks: connect(2) of a unix socket waits for SO_SNDTIMEO (unix(7), socket(7))."""
    try:
        found.setblocking(True)
        seconds = max(within, 0.001)
        limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        found.connect(str(path))
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bytes(len(limit)))
        found.setblocking(False)
    except BlockingIOError as error:
        found.close()
        raise TimeoutError(f"nothing accepts connections on {path}") from error
    except BaseException:
        found.close()
        raise
    return found
