"""What a compilation may use, and what of its words is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from lab.errors import GuestError
from lab.images import compiling
from lab.model import Command, Completed, Toolchain

MAKE = Command(["make"], timeout=600.0)


@dataclass
class Failing:
    """A toolchain in which every program fails with these words."""

    said: str
    asked: list[Command] = field(default_factory=list)

    def run(self, command: Command, *, check: bool = True) -> Completed:
        assert not check
        self.asked.append(command)
        return Completed(("make",), 2, b"", self.said.encode(), 1.0)


def last_two(done: Completed) -> str:
    return "\n".join(done.stderr.decode().splitlines()[-2:])


def failure(toolchain: Failing, words: Callable[[Completed], str] = last_two) -> GuestError:

    with pytest.raises(GuestError) as error:
        compiling.run(
            cast(Toolchain, toolchain), "guest g", MAKE, refused=GuestError, words=words
        )  # fmt: skip
    return error.value


def test_the_first_errors_come_before_the_last_lines() -> None:
    """Each once, at most so many, and none that the last lines have."""
    errors = [f"a.c:{line}:1: error: wrong" for line in range(1, 99)]
    found = failure(Failing("\n".join(["CC a.c", errors[0], *errors, "make: Error 1"])))
    assert found.tail.splitlines() == [
        *errors[: compiling.FIRST], "…", errors[-1], "make: Error 1"
    ]  # fmt: skip
    few = failure(Failing(f"{errors[0]}\nmake: Error 1"))
    assert few.tail == f"{errors[0]}\nmake: Error 1"


def test_an_error_whose_folder_was_found_out_is_no_other_one() -> None:
    """Makefiles that go into folders name files without them."""

    def words(done: Completed) -> str:
        return last_two(done).replace("../xl.c", "tools/xl/xl.c")

    found = failure(Failing("../xl.c:54:9: error: wrong\nmake: Error 1"), words)
    assert found.tail == "tools/xl/xl.c:54:9: error: wrong\nmake: Error 1"


def test_what_is_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    toolchain = Failing("cc1: out of memory allocating 7 bytes\nmake: Error 1")
    assert not failure(toolchain).hint
    monkeypatch.setenv(compiling.CONFINED, "1")
    found: Any = failure(toolchain)
    assert "4 GiB" in found.hint
    assert found.command == "make"
    free, confined = toolchain.asked
    assert (free.argv, free.timeout, free.scratch) == (["make"], 600.0, 0)
    assert list(confined.argv) == [*compiling.LIMITS, "make"]
    assert confined.timeout == compiling.SECONDS
    assert confined.scratch
