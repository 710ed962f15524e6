"""Templates that a command is about to use, while others make room."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from lab import plan as planning
from lab.cli import runs
from lab.machine import template, template_folder
from lab.model import GuestSpec, HypervisorSpec, Lab, Prebuilt
from lab.run import fingerprint, templates

KEYS = ("a" * 64, "b" * 64, "c" * 64)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of templates with room for two."""
    monkeypatch.setattr(templates, "root", lambda: tmp_path / "templates")
    monkeypatch.setattr(template_folder, "KEPT", 2)
    return tmp_path / "templates"


def store(root: Path, key: str, used: int, about: Mapping[str, str] = MappingProxyType({})) -> None:
    """Store a template that was used at this time."""
    (root.parent / "state").write_bytes(b"state")
    template.store(root, key, {"state": root.parent / "state"}, 1, about)
    os.utime(root / key, (used, used))


def test_what_somebody_is_about_to_use_stays(root: Path) -> None:
    """The oldest would be the first to go, but it was found by somebody."""
    for number, key in enumerate(KEYS[:2]):
        store(root, key, number)
    assert templates.usable(KEYS[0], lambda _: None)
    store(root, KEYS[2], 5)
    assert {one.key for one in template.everything(root)} == {KEYS[0], KEYS[2]}


def test_one_that_others_remove_is_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes between the look at its manifest and the hold on it. Afterwards it stays."""
    store(root, KEYS[0], 1)
    said: list[str] = []
    held = template.held

    def others(found: template.Template) -> template.Template:
        template_folder.clean(root)
        return held(found)

    with monkeypatch.context() as patch:
        patch.setattr(template, "held", others)
        assert templates.usable(KEYS[0], said.append) is None
    store(root, KEYS[0], 1)
    root.chmod(0o755)
    monkeypatch.setattr(template, "used", lambda _: template_folder.clean(root))
    assert templates.usable(KEYS[0], said.append)
    assert root.stat().st_mode & 0o777 == 0o700, "older versions let others in"
    assert said == []


def test_one_that_others_make_anew_is_used(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They replace it between the look at its manifest and the comparison."""
    store(root, KEYS[0], 1)
    said: list[str] = []
    again = iter([True])

    def others(_: template.Template) -> None:
        if next(again, False):
            (root.parent / "state").write_bytes(b"the state of another boot")
            parts = {"state": root.parent / "state"}
            template.store(root, KEYS[0], parts, 1, {})

    monkeypatch.setattr(template, "used", others)
    found = templates.usable(KEYS[0], said.append)
    assert found
    template.verify(found)
    assert said == []


def test_labs_that_look_while_others_make_room(root: Path) -> None:
    """What goes away meanwhile is not taken for damaged, and hinders nobody who stores."""
    said: list[str] = []

    def work(number: int) -> None:
        key = f"{number // 2 % 5:x}" * 64
        if number % 2:
            templates.usable(key, said.append)
            return
        parts = {name: root.parent / f"{name}-{number}" for name in ("ram", "state")}
        for path in parts.values():
            path.write_bytes(b"x" * 100)
        template.store(root, key, parts, 1, {})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(600)))
    assert said == []


def test_guests_of_other_names_have_another_template(monkeypatch: pytest.MonkeyPatch) -> None:
    """Xen's guests have logs of their own from the start: a template has their names."""
    monkeypatch.setattr(fingerprint, "of_machine", lambda *_: {"all": "the same"})
    nothing: Any = None

    def key(names: str, *, by_xen: bool) -> str:
        found = tuple(GuestSpec(name, Prebuilt(Path("/k")), by_xen=by_xen) for name in names)
        plan = planning.plan(Lab("one", HypervisorSpec("stock"), guests=found))
        return templates.key_of_dom0(plan, nothing)

    assert key("ab", by_xen=True) == key("ab", by_xen=True)
    assert key("ab", by_xen=True) != key("ac", by_xen=True)
    assert key("ab", by_xen=True) != key("ba", by_xen=True)
    assert key("ab", by_xen=False) == key("c", by_xen=False)


def test_the_list_names_the_architecture(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless it is the first one; templates of older versions do not have it."""
    store(root, KEYS[0], 1, {"lab": "wide", "arch": "arm64", "clock": "host"})
    store(root, KEYS[1], 2, {"lab": "old", "clock": "host"})
    inspect.unwrap(runs.template_list.body)()
    listed = capsys.readouterr().out.splitlines()[1:]
    assert sorted(line.split()[1:3] for line in listed) == [["old", "host"], ["wide", "(arm64)"]]
