"""Which architecture a first start makes a toolchain for, before anything can read YAML."""

from __future__ import annotations

import pytest

from lab.cli import first_start
from lab.model import ARM32, ARM64, Architecture

_OF_BOTH = """\
# arch: arm64 is a comment
labs:
  hello: {guests: [hello]}
  wide: {guests: [hello], arch: arm64}   # the same
  block:
    description: one with arm64
    arch: "arm64"

  alias: {<<: *wide}
  last:
    guests: [hello]
"""


@pytest.mark.parametrize(
    ("words", "labs", "arch"),
    [
        ("lab.up", "labs:\n  hello: {}\n", ARM32),
        ("lab.up hello --arch arm64", "labs:\n  hello: {}\n", ARM64),
        ("lab.up hello --arch=arm64", "", ARM64),
        ("lab.up --arch arm65", "", None),
        ("lab.up --arch", "", None),
        ("lab.up", _OF_BOTH, ARM32),
        ("lab.run wide", _OF_BOTH, ARM64),
        ("lab.run --json block", _OF_BOTH, ARM64),
        ("lab.run wide --arch arm32", _OF_BOTH, ARM32),
        ("lab.run alias", _OF_BOTH, None),
        ("lab.run last", _OF_BOTH, ARM32),
        ("lab.run nosuch", _OF_BOTH, None),
        ("lab.matrix all", _OF_BOTH, None),
        ("lab.matrix all", "labs: {hello: {}}", ARM32),
    ],
)
def test_nothing_of_the_other_architecture_is_made(
    words: str, labs: str, arch: Architecture | None
) -> None:
    """Unless it is clear what the lab needs, the task itself makes it."""
    assert first_start.architecture(words.split(), labs) == arch
