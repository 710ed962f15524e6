"""Writes sections of labs.yaml as text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

#: A text that YAML reads as it is, outside and inside of ``[]`` and ``{}``.
_PLAIN = re.compile(r"[A-Za-z0-9./_][A-Za-z0-9./_^@%+~=-]*(?: [A-Za-z0-9./_^@%+~=-]+)*")
INDENT = "  "


def text(sections: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Whole sections, each with its entries."""
    return "".join(
        f"{section}:\n{entries(found, INDENT)}" for section, found in sections.items() if found
    )


def entries(found: Mapping[str, Mapping[str, Any]], indent: str) -> str:
    """The entries of one section, indented by ``indent``; each key on a line of its own."""
    step = indent or INDENT
    lines = []
    for name, keys in found.items():
        lines.append(f"{indent}{name}:")
        lines += [f"{indent}{step}{key}: {value(one)}" for key, one in keys.items()]
    return "".join(f"{line}\n" for line in lines)


def value(one: Any) -> str:
    """A value on one line: a text, a list or a mapping."""
    if isinstance(one, Mapping):
        return f"{{{', '.join(f'{key}: {value(item)}' for key, item in one.items())}}}"
    if isinstance(one, list | tuple):
        return f"[{', '.join(map(value, one))}]"
    shown = str(one)
    # Text in double quotes has the escapes of JSON (YAML 1.2, "Escaped Characters").
    return shown if _PLAIN.fullmatch(shown) else json.dumps(shown, ensure_ascii=False)
