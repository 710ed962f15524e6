"""Finds the Docker engine of this machine, and sends requests to it.

This module speaks the Engine API itself: HTTP with JSON over a unix socket, and a handful of
fields that have not changed since 2016. Importing the ``docker`` package takes a third of a second,
and every command would pay for it. Only the code that makes images uses that package (client.py).

The engine must listen on a unix socket: a lab's sockets, FIFOs and claims are files in folders
that the engine must see too.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from lab.errors import ToolchainError
from lab.util import reading

#: Seconds in which an engine must answer to count as being there.
PROBE_SECONDS = 2.0
#: Seconds for one request. Some storage drivers copy the whole image to make a container.
REQUEST_SECONDS = 120.0

DEFAULT = "unix:///var/run/docker.sock"
OTHER_DOOR = "or use the other door (--door rootfs)"

LOG = f"read the engine's own log (journalctl -u docker), {OTHER_DOOR}"

#: Patterns in the engine's messages, and what to do about them.
_HINTS = (
    ("no space left|disk quota", "the engine's disk is full: free space there "
     f"(docker system df; docker image prune), {OTHER_DOOR}"),
    ("bind source path does not exist|not a shared mount|mounts denied",
     f"the engine does not see this machine's folders: {OTHER_DOOR}"),
    ("no such image", "the image was removed: run the command again, which makes it again"),
    ("unauthorized|permission denied", f"the engine denies this user access: {OTHER_DOOR}"),
)  # fmt: skip


class RefusedError(ToolchainError):
    """The engine answered with an error. ``status`` is the HTTP status."""

    def __init__(self, what: str, status: int, words: str) -> None:
        super().__init__(
            f"the Docker engine refused to {what}: {words}", hint=hint_for(words) or LOG
        )
        self.status = status


def hint_for(words: str) -> str:
    """What to do about an engine's error message; empty if that is not known."""
    found = (hint for pattern, hint in _HINTS if re.search(pattern, words, re.IGNORECASE))
    return next(found, "")


def address() -> str:
    """Where this user's engine listens.

    That is ``$DOCKER_HOST``, else the address of the Docker CLI's current context, else
    :data:`DEFAULT`.
    """
    if named := os.environ.get("DOCKER_HOST"):
        return named
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        config = reading.json_file(folder / "config.json")
        context = os.environ.get("DOCKER_CONTEXT") or config.get("currentContext") or "default"
        if context != "default":
            identity = hashlib.sha256(context.encode()).hexdigest()
            meta = reading.json_file(folder / "contexts/meta" / identity / "meta.json")
            return str(meta["Endpoints"]["docker"]["Host"])
    return DEFAULT


class Engine:
    """The engine that listens at ``where`` (``unix://…``)."""

    def __init__(self, where: str) -> None:
        self.where = where

    def answers(self) -> bool:
        """Whether it answers and this user may use it. This takes two seconds at most."""
        try:
            self.ping()
        except ToolchainError:
            return False
        return True

    def ping(self) -> None:
        """Check that it answers and that this user may use it.

        Raises:
            ToolchainError: it does not answer, or this user may not use it.
        """
        self.call("GET /_ping", what="answer", timeout=PROBE_SECONDS)

    def call(
        self,
        request: str,
        *,
        what: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        timeout: float = REQUEST_SECONDS,
    ) -> Any:
        """Send one request, such as ``GET /info``. Returns the parsed JSON of the answer.

        ``what`` completes the message "refused to …". ``timeout`` is in seconds.

        Raises:
            RefusedError: the engine answered with an error.
            ToolchainError: the engine is not there, this user may not use it, or it did not
                answer in time.
            TimeoutError: a ``/wait`` took longer than ``timeout``. Other requests do not raise it.
        """
        method, _, path = request.partition(" ")
        target = f"{path}?{_query(query)}" if query else path
        data = None if body is None else json.dumps(body).encode()
        with self._translated(path, timeout):
            connection = _Connection(self._socket(), timeout)
            try:
                headers = {"Content-Type": "application/json"} if data else {}
                connection.request(method, target, body=data, headers=headers)
                answer = connection.getresponse()
                text = answer.read()
            finally:
                connection.close()
        if answer.status >= 400:
            raise RefusedError(what, answer.status, _words(text))
        return _json(text)

    def stream(
        self, method: str, path: str, *, query: Mapping[str, Any], timeout: float
    ) -> Iterator[dict[str, Any]]:
        """Send one request whose answer is a stream of JSON objects, one a line.

        Each must arrive within ``timeout`` seconds.

        Raises:
            ToolchainError: as for :meth:`call`.
        """
        with self._translated(path, timeout):
            connection = _Connection(self._socket(), timeout)
            try:
                connection.request(method, f"{path}?{_query(query)}")
                answer = connection.getresponse()
                if answer.status >= 400:
                    raise RefusedError("do this", answer.status, _words(answer.read()))
                for line in answer:
                    if isinstance(value := _json(line), dict):
                        yield value
            finally:
                connection.close()

    def _socket(self) -> str:
        kind, _, path = self.where.partition("://")
        if kind != "unix":
            raise ToolchainError(
                f"the Docker engine at {self.where} cannot be used",
                hint=f"it must listen on a unix socket of this machine, {OTHER_DOOR}",
            )
        return path

    @contextlib.contextmanager
    def _translated(self, path: str, timeout: float) -> Iterator[None]:
        try:
            yield
        except PermissionError:
            raise ToolchainError(
                f"this user may not use the Docker engine at {self.where}",
                hint=f"sudo usermod -aG docker $USER, then log in again, {OTHER_DOOR}",
            ) from None
        except TimeoutError:
            if path.endswith("/wait"):
                raise
            raise ToolchainError(
                f"the Docker engine at {self.where} did not answer within {timeout:g} s",
                hint=f"if it is stuck, restart it (systemctl restart docker), {OTHER_DOOR}",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise ToolchainError(
                f"the Docker engine at {self.where} is not there ({_why(error)})",
                hint=f"start it (systemctl start docker), {OTHER_DOOR}",
            ) from None


def _why(error: Exception) -> str:
    """The reason of an error, without the error number that Python puts before it."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _query(values: Mapping[str, Any]) -> str:
    plain = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
    return urlencode(plain)


def _json(text: bytes) -> Any:
    try:
        return reading.parse_json(text)
    except ValueError:
        return None


def _words(text: bytes) -> str:
    found = _json(text)
    if isinstance(found, dict) and "message" in found:
        return str(found["message"]).strip()
    return text.decode(errors="replace").strip()[:500]
