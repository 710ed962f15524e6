"""Asks which domains exist, over FIFOs whose other ends a fake QEMU holds."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.dom0 import domain_list
from lab.errors import Dom0Error

LINES = "Domain-0 0 256 1 r----- 3.3\nhello 1 16 1 -b---- 0.1\n"


@contextmanager
def dom0(live: Path, answer: Callable[[str], str], left: str = "") -> Iterator[None]:
    """Answers one question. ``left``: the rest of an earlier answer in the FIFO."""
    for end in ("in", "out"):
        os.mkfifo(live / f"domains.{end}")
    # As QEMU: both ends open for both, so that nobody waits to open and nothing is lost.
    questions, answers = (os.open(live / f"domains.{end}", os.O_RDWR) for end in ("in", "out"))
    os.write(answers, left.encode())

    def serve() -> None:
        token = os.read(questions, 100).decode().strip()
        os.write(answers, answer(token).encode())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(questions, b"end\n")
        thread.join(10)
        os.close(questions)
        os.close(answers)


def test_the_domains_are_told(tmp_path: Path) -> None:
    """The rest of an abandoned answer is skipped."""
    with dom0(tmp_path, lambda token: f"= {token}\n{LINES}. {token}\n", "= old\nx 9\n. old\n"):
        found = asyncio.run(domain_list.domains(tmp_path))
    assert [(one.name, one.id, one.memory >> 20) for one in found] == [
        ("Domain-0", 0, 256), ("hello", 1, 16),
    ]  # fmt: skip


def test_no_answer_is_an_error(tmp_path: Path) -> None:
    with (
        dom0(tmp_path, lambda token: f"= {token}\n"),
        pytest.raises(Dom0Error, match="did not list its domains within"),
    ):
        asyncio.run(domain_list.domains(tmp_path, within=0.2))


def test_an_endless_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain_list, "LARGEST", 1000)

    def endless(token: str) -> str:
        return f"= {token}\n" + "x" * 5000

    with dom0(tmp_path, endless), pytest.raises(Dom0Error, match="cut off"):
        asyncio.run(domain_list.domains(tmp_path))


def test_a_lab_without_the_port(tmp_path: Path) -> None:
    with pytest.raises(Dom0Error, match="cannot list its domains"):
        asyncio.run(domain_list.domains(tmp_path))
