"""What ends a wait for a guest: its crash, or a console that prints too much."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

import pytest

from lab.errors import GuestCrashed, GuestError
from lab.machine.guest_health import Health
from lab.rundir import RunDir

#: What lab-fate has dom0's kernel say.
CRASHED = b"[    3.500000] lab: domain %s crashed\r\n"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path)
    run.console_dir.mkdir()
    for name in ("xen", "dom0", "one", "two"):
        run.console(name).write_bytes(b"")
    return run


def say(run: RunDir, console: str, data: bytes) -> None:
    with run.console(console).open("ab") as log:
        log.write(data)


def wait(health: Health, run: RunDir, words: bytes = b"", on: str = "", console: str = "") -> str:
    """Wait for something that never comes while text appears on a console. Returns what ended
    the wait."""

    async def go() -> str:
        step = health.guarded(asyncio.sleep(60, "waited"), on)
        if words:
            asyncio.get_running_loop().call_later(0.05, say, run, console or "dom0", words)
        return await asyncio.wait_for(step, 20)

    return asyncio.run(go())


def soon(health: Health, on: str = "") -> str:
    return asyncio.run(health.guarded(asyncio.sleep(0, "done"), on))


def test_a_crash_ends_a_wait_for_anything(run: RunDir) -> None:
    """With the last lines of the guest that crashed, also if the wait is about another guest."""
    say(run, "one", b"my last words\n")
    with pytest.raises(GuestCrashed, match="guest one: its domain crashed") as failed:
        wait(Health(run, ()), run, CRASHED % b"one", "two")
    assert failed.value.tail == "my last words"
    assert isinstance(failed.value, AssertionError)


def test_it_is_said_once_but_of_the_guest_itself_each_time(run: RunDir) -> None:
    """After that dom0 can be asked. A guest that is created again can be waited for."""
    health = Health(run, ())
    say(run, "dom0", CRASHED % b"one")
    assert not health.well
    with pytest.raises(GuestCrashed):
        soon(health)
    assert soon(health, "dom0") == soon(health, "two") == "done"
    for _ in range(2):
        with pytest.raises(GuestCrashed):
            soon(health, "one")
    health.begin("one", may_crash=False)
    assert soon(health, "one") == "done"
    assert health.well


def test_who_may_crash(run: RunDir) -> None:
    """As labs.yaml says for one guest, for all, and for an injected one."""
    say(run, "dom0", CRASHED % b"one")
    for may in (("one",), None):
        tolerant = Health(run, may)
        assert soon(tolerant, "one") == "done"
        assert tolerant.well
    health = Health(run, ("one",))
    health.begin("one", may_crash=False)
    health.begin("two", may_crash=True)
    say(run, "dom0", CRASHED % b"two")
    assert soon(health, "two") == "done"
    say(run, "dom0", CRASHED % b"one")
    with pytest.raises(GuestCrashed, match="guest one"):
        soon(health)


@pytest.mark.parametrize("on", ["one", "xen"])
def test_only_dom0_can_say_so(run: RunDir, on: str) -> None:
    """A guest that prints the words of dom0 does not end a wait."""
    say(run, on, CRASHED % b"two")
    assert soon(Health(run, ()), "two") == "done"


def test_a_flood_ends_a_wait(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the console and the limit; the layer is that console's."""
    monkeypatch.setenv("LAB_CONSOLE_LIMIT", "1K")
    health = Health(run, ())
    with pytest.raises(GuestError, match="console of two printed more than 1K"):
        wait(health, run, b"flood\n" * 400, console="two")
    assert not health.well


@pytest.mark.parametrize("may", [(), None])
def test_a_lab_that_is_lost_is_not_well(run: RunDir, may: Collection[str] | None) -> None:
    health = Health(run, may)
    say(run, "xen", b"(XEN) Panic on CPU 0:\r\n")
    assert not health.well
    assert health.shaken
