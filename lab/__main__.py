"""The tasks as a program of their own: ``xenlab lab.up``, wherever the package is installed."""

from __future__ import annotations

from invoke.program import Program

from lab import __version__
from lab.cli.namespace import namespace


def main() -> None:
    """Run the tasks that the command line names; ends the process."""
    Program(version=__version__, namespace=namespace(), name="xenlab", binary="xenlab").run()


if __name__ == "__main__":
    main()
