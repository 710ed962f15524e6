"""What Invoke lacks for our command line: optional words, exit statuses, one error printer."""

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
from typing import Any, NoReturn

from invoke.exceptions import Exit
from invoke.parser.context import ParserContext
from invoke.parser.parser import ParseMachine
from invoke.tasks import Task

from lab.errors import LabError, UsageError
from lab.model import ExitStatus
from lab.util import ci, reading, signals
from lab.util.resources import as_called

#: Exit status of a command that was interrupted by a person, as shells count it.
INTERRUPTED = 128 + 2

_complete_context = ParseMachine.complete_context
_see_positional = ParseMachine.see_positional_arg


def _complete(machine: ParseMachine) -> None:
    """Words that have a default may be left out: Invoke itself has no optional positionals.

    Invoke asks ``missing_positional_args`` both to take the next word and to complain at the
    end; at the end, the words left out are filled with the empty string.
    """
    context: ParserContext | None = machine.context
    if context is not None:
        wants_help = bool(machine.initial and machine.initial.args.help.value)
        for argument in context.missing_positional_args:
            if wants_help or argument.name in _OPTIONAL.get(context.name or "", ()):
                argument.value = ""
    _complete_context(machine)


def _see(machine: ParseMachine, word: str) -> None:
    """``TASK --help`` asks for help, also where the task's next word is still missing."""
    known = machine.initial.flags if machine.initial else {}
    if word in known and known[word].name == "help":
        known[word].value = machine.context.name
    else:
        _see_positional(machine, word)


def _refuse(_: ParseMachine, message: str) -> NoReturn:
    """A wrong command line ends with the design's status for usage, not Invoke's 1."""
    hint = as_called("./inv --list, or ./inv TASK --help")
    raise Exit(f"{message}\nwhat to do: {hint}", ExitStatus.USAGE)


ParseMachine.complete_context = _complete  # type: ignore[method-assign, assignment]
ParseMachine.see_positional_arg = _see  # type: ignore[method-assign, assignment]
ParseMachine.error = _refuse  # type: ignore[method-assign, assignment]

#: Task name as typed → its words that may be left out.
_OPTIONAL: dict[str, tuple[str, ...]] = {}


def command(
    name: str, *, words: tuple[str, ...] = (), optional: tuple[str, ...] = (), **help_: str
) -> Callable[[Callable[..., int | None]], Task[Any]]:
    """A task. ``words`` are its positional arguments, ``optional`` those that may be left out.

    The function takes no Invoke context and returns an exit status (``None``: pass).
    ``name`` is the full one, as typed: ``lab.up``.
    """

    def decorate(function: Callable[..., int | None]) -> Task[Any]:
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
        _OPTIONAL[name] = optional
        return Task(body, name=name.rpartition(".")[2], positional=words, help=help_)

    return decorate


def _guarded(function: Callable[..., int | None], arguments: dict[str, Any]) -> int:
    """Call a task's function; whatever happens, the user reads words and a status."""
    signals.one_way_to_stop()
    try:
        return int(function(**arguments) or 0)
    except LabError as error:
        return fail(error, as_json=bool(arguments.get("json")))
    except KeyboardInterrupt:
        print("interrupted; what was started is stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads any more. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except reading.Unfit as error:
        return fail(UsageError(str(error), hint=error.hint))
    except OSError as error:
        words = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
        return fail(LabError(words, hint="make room or permissions, then try again"))


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
