"""Packages whose names are imported only when somebody uses them.

A short command spends most of its time on imports, and uses few of the names that a package offers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


def exports(package: str, homes: Mapping[str, Iterable[str]]) -> Callable[[str], Any]:
    """The ``__getattr__`` (PEP 562) of a package that offers names of its modules.

    ``homes``: each module's names, by the module's name, dotted and complete. No name may be
    that of a module in the package: Python would take the module for it.
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def load(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(home_of[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
