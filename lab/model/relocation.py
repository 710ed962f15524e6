"""The same lab with other files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.model.spec import Lab


def relocate(lab: Lab, move: Callable[[Path], Path]) -> Lab:
    """``lab`` with ``move(path)`` in place of each path of it.

    The places in labs.yaml stay. The result equals ``lab`` if every path stays.
    """
    moved: Lab = _moved(lab, move)
    return moved


def _moved(value: Any, move: Callable[[Path], Path]) -> Any:
    if isinstance(value, Path):
        return move(value)
    if type(value) is tuple:
        return tuple(_moved(one, move) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        compared = [field.name for field in dataclasses.fields(value) if field.compare]
        changed = {name: _moved(getattr(value, name), move) for name in compared}
        return dataclasses.replace(value, **changed)
    return value
