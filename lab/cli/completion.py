"""Completion for shells: the scripts, and what they may offer. See :mod:`lab.cli.completing`."""

from __future__ import annotations

import contextlib
import json
import shlex
from pathlib import Path
from typing import Any

from lab.cli.glue import command
from lab.cli.task import KINDS, SHORT, TASKS
from lab.errors import UsageError
from lab.util import files
from lab.util.resources import in_checkout, resource
from lab.util.terminal import quote

#: Each shell's script is here; ``PROGRAMS`` in one is what completion is for.
_ASSETS = Path(__file__).parent / "assets"
SHELLS = ("bash", "zsh", "fish")


@command("completion", words=("shell",), example="completion bash", shell="bash, zsh or fish")  # noqa: S604
def print_completion(shell: str) -> None:
    """Have a shell complete tasks, labs and guests.

    It prints a script for the shell to read when it starts. Write one of these lines, with the
    whole path of ./inv in it:

      ~/.bashrc                   source <(./inv completion bash)
      ~/.zshrc                    source <(./inv completion zsh)
      ~/.config/fish/config.fish  ./inv completion fish | source
    """
    if shell not in SHELLS:
        raise UsageError(f"no completion for {quote(shell)}", hint=f"one of: {', '.join(SHELLS)}")
    programs = ["xenlab"]
    if in_checkout():
        programs += ["./inv", shlex.quote(str(resource("inv")))]
    script = (_ASSETS / f"completion.{shell}").read_text()
    print(script.replace("PROGRAMS", " ".join(programs)), end="")


def table() -> dict[str, Any]:
    """All tasks, as completion wants them."""
    from lab.cli.namespace import namespace

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
            "options": {
                f"--{one.name}": {
                    "help": about.help.get(str(one.name), ""),
                    "kind": (_kind(name, str(one.name)) or "value") if one.takes_value else "",
                }
                for one in arguments
            }
            | {"--help": {"help": "what all this means", "kind": ""}},
            "short": {
                f"-{SHORT[one.name]}": f"--{one.name}" for one in arguments if one.name in SHORT
            },
        }
    return found


def _kind(task: str, word: str) -> str:
    return KINDS.get(f"{task} {word}", KINDS.get(word, ""))


def keep(file: Path, value: dict[str, Any]) -> None:
    """Write the table down for the next time; where that cannot be done, it is made again."""
    with contextlib.suppress(OSError):
        files.write_atomic(file, json.dumps(value), durable=False)
