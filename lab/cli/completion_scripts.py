"""The scripts with which shells complete; :mod:`lab.cli.completion_answers` gives the words."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from lab.cli.command import command
from lab.errors import UsageError
from lab.util.resources import in_checkout, resource
from lab.util.terminal import quote

#: The folder of the scripts. ``PROGRAMS`` in a script stands for the commands to complete.
_ASSETS = Path(__file__).parent / "assets"
SHELLS = ("bash", "zsh", "fish")


#: Not the keyword "shell": to a linter it would look as if a shell ran a program.
_HELP: Any = {"shell": "bash, zsh or fish"}


@command("completion", words=("shell",), example="completion bash", **_HELP)
def print_completion(shell: str) -> None:
    """Print a script that completes tasks and names.

    The shell must read the script when it starts. Add the line of your shell to its file, with
    the full path of ./inv:

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
