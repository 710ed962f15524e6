"""Completion for shells: the scripts. :mod:`lab.cli.completion_answers` says what they offer."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from lab.cli.command import command
from lab.errors import UsageError
from lab.util.resources import in_checkout, resource
from lab.util.terminal import quote

#: Each shell's script is here; ``PROGRAMS`` in one is what completion is for.
_ASSETS = Path(__file__).parent / "assets"
SHELLS = ("bash", "zsh", "fish")


#: Not a keyword "shell", which would look like a program that a shell starts.
_HELP: Any = {"shell": "bash, zsh or fish"}


@command("completion", words=("shell",), example="completion bash", **_HELP)
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
