"""Test files that the plugin runs, with fake labs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab import api
from plugin.seeming import Stage


@pytest.fixture
def stage(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(pytester.path)
    monkeypatch.setattr(api, "start_lab", stage.start)
    monkeypatch.delenv("LAB_COLD", raising=False)
    return stage


@pytest.fixture
def given(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run a test file with these contents."""

    def go(text: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(text)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)

    return go
