"""The environment: switches such as ``LAB_COLD=1``, and what the programs that we run get of it."""

from __future__ import annotations

import os
from collections.abc import Mapping

#: The variables of our environment that a program gets; all others must be given.
KEPT_ENVIRONMENT = (
    "HOME", "PATH", "TMPDIR", "USER", "LOGNAME",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
)  # fmt: skip


def switched_on(name: str) -> bool:
    """Whether a variable is set to anything except an empty text or 0."""
    return os.environ.get(name, "0") not in ("", "0")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The small environment of every program: the C locale, some of our variables, and
    ``extra``."""
    env = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return env | {"LC_ALL": "C.UTF-8", "TZ": "UTC"} | dict(extra or {})
