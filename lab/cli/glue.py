"""What Invoke lacks for our tasks: exit statuses, one error printer, one way to print."""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit

from lab.cli.task import About, LabTask
from lab.errors import LabError, UsageError
from lab.util import ci, reading, signals
from lab.util.resources import as_called

#: Exit status of a command that was interrupted by a person, as shells count it.
INTERRUPTED = 128 + 2

#: Exit status of a command whose reader went away, as shells count the signal SIGPIPE.
NOBODY_READS = 128 + 13


def command(
    task: str,
    /,
    *,
    words: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    example: str = "",
    **help_: str,
) -> Callable[[Callable[..., int | None]], LabTask]:
    """A task. ``words`` are its positional arguments, ``optional`` those that may be left out.

    The function takes no Invoke context and returns an exit status (``None``: pass).
    ``task`` is its full name: ``lab.up``. ``help_`` explains each word and option.
    ``example`` is a whole command line, without ``./inv``.
    """

    def decorate(function: Callable[..., int | None]) -> LabTask:
        @functools.wraps(function)
        def body(_: object, **arguments: Any) -> None:
            try:
                raise Exit(code=_guarded(function, arguments))
            finally:
                signals.leaving()

        signature = inspect.signature(function)
        context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = [context, *signature.parameters.values()]
        body.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return LabTask(body, About(task, words, optional, example, help_))

    return decorate


def _guarded(function: Callable[..., int | None], arguments: dict[str, Any]) -> int:
    """Call a task's function; whatever happens, the user reads words and a status."""
    signals.one_way_to_stop()
    try:
        status = int(function(**arguments) or 0)
        sys.stdout.flush()
        return status
    except LabError as error:
        return fail(error, as_json=bool(arguments.get("json")))
    except KeyboardInterrupt as interrupt:
        how = interrupt.args[0] if interrupt.args else "interrupted"
        print(f"{how}; what was started is stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return nobody_reads()
    except reading.Unfit as error:
        return fail(UsageError(str(error), hint=error.hint))
    except OSError as error:
        words = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
        return fail(LabError(words, hint="make room or permissions, then try again"))


def nobody_reads() -> int:
    """The reader of our output went away, as ``head`` does: end quietly. The exit status.

    Python would complain when it flushes at exit, so what is left goes nowhere.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NOBODY_READS


def fail(error: LabError, *, as_json: bool = False) -> int:
    """Print an error; returns its exit status."""
    if as_json:
        layer = error.layer.value if error.layer else None
        print_json({"verdict": "error", "layer": layer, "reason": error.message,
                    "hint": as_called(error.hint), "tail": error.tail.splitlines()})  # fmt: skip
    words = f"error{f' [{error.layer}]' if error.layer else ''}: {error}"
    say(ci.shown(words))
    for line in ci.errors_of(error.message) if ci.in_github() else ():
        print(line, file=sys.stderr)
    return int(error.exit_status)


def print_json(value: Any) -> None:
    """Results for programs: one JSON value on standard output."""
    print(json.dumps(value, indent=1, default=plain))


def plain(value: Any) -> Any:
    """Dataclasses, paths and enums as JSON knows them."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    return list(value)


def say(text: str = "") -> None:
    """Words for people, on standard error."""
    print(as_called(text), file=sys.stderr)
