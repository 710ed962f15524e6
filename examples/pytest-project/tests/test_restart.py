"""A lab for one test alone, and a guest that is put into it again."""

from __future__ import annotations

import pytest

from lab.api import RunningLab


@pytest.mark.lab("calculator")
def test_starts_anew_when_it_is_injected_again(lab: RunningLab) -> None:
    lab.guest("calculator").expect("calculator: ready")
    again = lab.inject("calculator")
    again.expect("calculator: ready", within=10)
    assert [one.name for one in lab.domains()] == ["Domain-0", "calculator"]
