"""Labs of programs: the options with which a program asks for a lab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import api
from lab.api import scoped


def test_every_option_has_a_default() -> None:
    assert set(api.LabOptions.__annotations__) == set(vars(scoped._Wanted()))


def test_a_wrong_option_is_named_before_anything_is_done(tmp_path: Path) -> None:
    wrong: dict[str, Any] = {"cool": True}
    with pytest.raises(TypeError, match="cool"):
        api.start_lab("hello", api.Context(tmp_path / "labs.yaml"), **wrong)
