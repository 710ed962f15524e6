"""Fixtures of all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

#: The checkout.
ROOT = Path(__file__).resolve().parent.parent

# The machines that run this are shared and slow at times: no limit on one example's time.
settings.register_profile("lab", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("lab")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT
