"""Tasks of the project itself: tests and measurements. They need a checkout."""

from __future__ import annotations

import os
import sys

from lab.cli.glue import command
from lab.errors import UsageError
from lab.util.resources import resource


@command("test", unit="only the tests that need no QEMU", only="only tests that match this")
def run_tests(unit: bool = False, only: str = "") -> int:
    """Run the tests: unit tests, linters, and real labs."""
    try:
        tests = resource("tests")
    except FileNotFoundError:
        raise UsageError("the tests are in the project's checkout, not in the package") from None
    argv = [sys.executable, "-m", "pytest", str(tests), "--rootdir", str(tests.parent)]
    argv += ["-m", "not system"] if unit else []
    argv += ["-k", only] if only else []
    os.chdir(tests.parent)
    os.execv(sys.executable, argv)
