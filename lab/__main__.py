"""The tasks as a program of their own: ``xenlab lab.up``, wherever the package is installed."""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Run the task that the command line names; ends the process."""
    # Imported when needed: a shell that completes a word does not wait for all of us.
    from lab.cli import program

    program.main()


if __name__ == "__main__":
    main()
