"""The Invoke tasks of the lab: ``./inv --list``."""

import sys

# Invoke forbids it, and then every command would compile all of us anew: a third of a second.
sys.dont_write_bytecode = False

from lab.cli.namespace import namespace  # noqa: E402

ns = namespace()
