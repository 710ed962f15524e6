"""The table of tasks, words and options from which a shell completes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from lab.cli.lab_task import KINDS, SHORT, TASKS
from lab.cli.namespace import namespace
from lab.util import files


def table() -> dict[str, Any]:
    """All tasks, as completion needs them."""
    tasks = namespace()
    found = {}
    for name, about in TASKS.items():
        if name not in tasks.task_names:
            continue
        task = tasks[name]
        summary = (task.__doc__ or "").strip().partition("\n")[0]
        arguments = [one for one in task.get_arguments(ignore_unknown_help=True)
                     if not one.positional]  # fmt: skip
        found[about.typed] = {
            "help": summary,
            "words": [_kind(name, word) for word in about.words],
            "several": about.several,
            "options": {
                f"--{one.name}": {
                    "help": about.help.get(str(one.name), ""),
                    "kind": (_kind(name, str(one.name)) or "value") if one.takes_value else "",
                }
                for one in arguments
            }
            | {"--help": {"help": "explain the task", "kind": ""}},
            "short": {
                f"-{SHORT[one.name]}": f"--{one.name}" for one in arguments if one.name in SHORT
            },
        }
    return found


def _kind(task: str, word: str) -> str:
    return KINDS.get(f"{task} {word}", KINDS.get(word, ""))


def keep(file: Path, value: dict[str, Any]) -> None:
    """Store the table for the next time. If that fails, it is made again."""
    with contextlib.suppress(OSError):
        files.write_atomic(file, json.dumps(value), durable=False)
