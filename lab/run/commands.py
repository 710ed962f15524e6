"""Commands about a run, ready to paste."""

from __future__ import annotations

import shlex
from pathlib import Path

from lab.rundir import RunDir
from lab.util.resources import as_called

#: The file that commands read unless ``--labs`` names another.
LABS = "labs.yaml"


def about(verb: str, run: RunDir, labs: Path, *words: str) -> str:
    """A command about a run: ``./inv lab.core hello/20260101-000000-abcd --on hello``.

    ``labs``: the run's labs.yaml, as the command that made the run was told.
    """
    named = [] if str(labs) == LABS else ["--labs", str(labs)]
    line = shlex.join([verb, f"{run.path.parent.name}/{run.id}", *words, *named])
    return as_called(f"./inv {line}")
