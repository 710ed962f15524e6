"""The Invoke tasks of the lab: ``./inv --list``."""

import signal
import sys

# Until a task begins, Ctrl-C is nothing that needs words.
signal.signal(signal.SIGINT, signal.SIG_DFL)
# Invoke forbids it, and then every command would compile all of us anew: a third of a second.
sys.dont_write_bytecode = False

from lab.cli.namespace import namespace  # noqa: E402

ns = namespace()
