"""``xenlab --forks HANDLE``: loads what commands need, and then forks commands.

The page of a workshop starts it (:mod:`lab.web.forked`). A participant who clicks on Start does not
wait until Python has loaded hundreds of modules.
"""

from __future__ import annotations

import contextlib
import gc
import socket
import sys

from lab.api import ahead
from lab.util import forking


def main() -> None:
    """Fork commands until nobody can ask for one any more, and end then. Returns in each command:
    its words are the command line."""
    with contextlib.suppress(OSError, ValueError, IndexError):  # nobody is there
        control = socket.socket(fileno=int(sys.argv[2]))
        ahead.load()
        gc.freeze()  # so that children share what they do not change
        words = forking.Parent(control).words()
        if words is not None:
            sys.argv[1:] = words
            return
    sys.exit(0)
