"""The Invoke tasks of the lab: ``./inv --list``."""

from lab.cli.namespace import namespace

ns = namespace()
