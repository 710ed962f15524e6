"""Answers of dom0's agent: checked, because the agent is not trusted.

Whatever is wrong with one becomes a :class:`~lab.errors.Dom0Error`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Iterator
from typing import Any

from lab.errors import Dom0Error


@contextlib.contextmanager
def explained(command: str, within: float) -> Iterator[None]:
    """Turn the failures of a command of the agent's into errors.

    Raises:
        Dom0Error: the answer was late (after ``within`` seconds), cut off, or malformed.
    """
    try:
        yield
    except TimeoutError as error:
        raise Dom0Error(
            f"dom0's agent did not answer {command} within {within:g} s",
            hint="look at dom0's console: lab.logs NAME --on dom0",
        ) from error
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise Dom0Error(f"the connection to dom0's agent ended during {command}") from error
    except (ValueError, RecursionError, asyncio.LimitOverrunError) as error:
        raise Dom0Error(f"dom0's agent gave a malformed answer to {command}") from error


def count(said: bytes, most: int) -> int:
    """The number that lab-window printed: at most ``most``, and 0 if it is not a number."""
    digits = said.strip()
    if not digits.isdigit():
        return 0
    return min(int(digits), most) if len(digits) < 20 else most


def number(answer: Any, name: str, largest: int) -> int:
    """The number ``name`` of an answer, from 0 to ``largest``.

    Raises:
        Dom0Error: there is no such number.
    """
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, int) or not 0 <= value <= largest:
        raise Dom0Error(f"the answer of dom0's agent has no usable '{name}'")
    return value


def data(answer: Any, name: str) -> bytes:
    """The bytes that an answer holds in base64 as ``name``; empty if it has none.

    Raises:
        Dom0Error: they are not valid base64.
    """
    try:
        return base64.b64decode(str(answer.get(name) or ""), validate=True)
    except (ValueError, AttributeError) as error:
        raise Dom0Error(f"dom0's agent gave a malformed '{name}'") from error
