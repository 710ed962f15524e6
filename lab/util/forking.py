"""Commands that begin at once: each is forked of a process that has loaded our modules before.

One process gives orders over a socket; it is the *server* here. The other one, the *parent*, forks
a child for each order. The child becomes the command only if the server then says so. So the
server can limit the child before, and no command runs without a server that knows of it.

An order comes with two descriptors: the file for the command's output, and a socket of its own.
Over that socket the child says its number, and sends a handle of itself (pidfd_open(2)). Later the
parent says the child's exit status there.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
from collections.abc import Sequence

from lab.util import proc, reading

#: What the parent says when it can take orders, and the server to a child that may go on.
READY, GO = b"ready", b"go"
#: The most bytes of an order.
LONGEST = 64 << 10


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection that keeps messages apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def order(control: socket.socket, words: Sequence[str], log: int, answers: socket.socket) -> None:
    """Ask the parent for a child.

    Raises:
        OSError: it has ended, or it takes no orders now.
    """
    socket.send_fds(control, [json.dumps(list(words)).encode()], [log, answers.fileno()])


class Parent:
    """Forks the commands, and waits for their ends."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._poll = select.poll()  # unlike epoll(7), children do not share it
        self._poll.register(control, select.POLLIN)
        #: The handle of each child, its number, and the socket for its exit status.
        self._children: dict[int, tuple[int, socket.socket]] = {}

    def words(self) -> list[str] | None:
        """Take orders until nobody can give any more. Returns ``None`` then; in each child, the
        words of its command."""
        try:
            self._control.send(READY)
            while True:
                for handle, _ in self._poll.poll():
                    if handle in self._children:
                        self._ended(handle)
                    elif (words := self._forked()) is not None:
                        return words
        except (OSError, EOFError):
            return None

    def _ended(self, handle: int) -> None:
        pid, answers = self._children.pop(handle)
        self._poll.unregister(handle)
        os.close(handle)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with answers, contextlib.suppress(OSError):  # nobody wants to know
            answers.send(str(status).encode())
            # A child that was killed early has not taken the word. While something is not taken,
            # closing resets the connection, and the server would not get the status.
            answers.setblocking(False)
            answers.recv(len(GO))

    def _forked(self) -> list[str] | None:
        """Take an order. In the child, returns the words of the command."""
        data, handles, _, _ = socket.recv_fds(self._control, LONGEST, 2)
        if not data:
            raise EOFError
        log, answers = handles[0], socket.socket(fileno=handles[1])
        try:
            pid = os.fork()
        except OSError:  # there are too many processes; the server sees that nobody answers
            answers.close()
            os.close(log)
            return None
        if pid == 0:
            return self._become([str(word) for word in reading.parse_json(data)], log, answers)
        os.close(log)
        handle = os.pidfd_open(pid)
        self._children[handle] = pid, answers
        self._poll.register(handle, select.POLLIN)
        return None

    def _become(self, words: list[str], log: int, answers: socket.socket) -> list[str]:
        """Make this process what a new one would be, as soon as the server says so."""
        with contextlib.suppress(OSError):
            self._control.close()
            for handle, (_, other) in self._children.items():
                os.close(handle)
                other.close()
            os.setsid()
            for stream in (1, 2):
                os.dup2(log, stream)
            os.close(log)
            handle = os.pidfd_open(os.getpid())
            socket.send_fds(answers, [str(os.getpid()).encode()], [handle])
            os.close(handle)
            if answers.recv(len(GO)) == GO:
                answers.close()
                proc.show_arguments(words)
                return words
        os._exit(1)  # it has not begun: nothing is to be done at its end
