"""A connection that breaks: it stands between a client and a server, and cuts what it was told."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Cut:
    """``address``: where to connect. Each answer that is longer than the next of ``after`` bytes
    breaks off there. ``ranges``: the ranges that were asked for; ``sent``: bytes of all answers."""

    server: str
    after: list[int]
    address: str = ""
    ranges: list[str] = field(default_factory=list)
    sent: int = 0

    def answer(self, client: socket.socket) -> None:
        """Pass on one connection until it ends or is cut."""
        host, _, port = self.server.partition(":")
        with client, socket.create_connection((host, int(port)), 10) as server:
            threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
            passed = 0
            with contextlib.suppress(OSError):
                while piece := server.recv(1 << 16):
                    client.sendall(piece)
                    passed += len(piece)
                    self.sent += len(piece)
                    if self.after and passed > self.after[0]:
                        self.after.pop(0)
                        return

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := client.recv(1 << 16):
                lines = piece.decode("latin-1").splitlines()
                self.ranges += [line[7:] for line in lines if line.startswith("Range: ")]
                server.sendall(piece)
            server.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def between(server: str, after: list[int]) -> Iterator[Cut]:
    """A place to connect to instead of a server's address, while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        cut = Cut(server, after, f"127.0.0.1:{listening.getsockname()[1]}")

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client = listening.accept()[0]
                    threading.Thread(target=cut.answer, args=(client,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield cut
        listening.shutdown(socket.SHUT_RDWR)
