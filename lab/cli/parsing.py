"""Adds to Invoke's parser: words that may be left out, and errors that help.

Invoke makes its parse machine itself and takes no other. So the few methods that must behave
differently are replaced here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, NoReturn

from invoke.exceptions import Exit
from invoke.parser.context import ParserContext
from invoke.parser.parser import ParseMachine

from lab.cli.lab_task import TASKS, VALUES
from lab.model import ExitStatus
from lab.util.resources import as_called
from lab.util.terminal import quote

_handle_word = ParseMachine.handle
_complete_context = ParseMachine.complete_context
_see_positional = ParseMachine.see_positional_arg
_see_value = ParseMachine.see_value


def refuse(words: str, hint: str) -> NoReturn:
    """End with the exit status for a wrong command line; Invoke's is 1."""
    raise Exit(as_called(f"error: {words}\n  what to do: {hint}"), ExitStatus.USAGE)


def unknown_task(word: str, names: Iterable[str], after: str = "") -> NoReturn:
    """Refuse a task that does not exist. ``after`` is the word behind it, as in ``lab up``."""
    known = sorted(names)
    group = [name for name in known if name.startswith(f"{word}.")]
    near = _near(f"{word}.{after}" if group else word, known)
    ends = [name for name in known if name.endswith(f".{word}")]
    near = near or min(ends, key=lambda name: not name.startswith("lab."), default=None)
    if group and not (after and near):
        refuse(f"{word} is a group of tasks: {', '.join(group)}", "./inv shows all tasks")
    meant = f"; did you mean {near}?" if near else ""
    refuse(f"there is no task {quote(word)}{meant}", "./inv shows all tasks")


def unknown_option(option: str, context: ParserContext | None) -> NoReturn:
    """Refuse an option that the task does not have, or that stands before the task."""
    flag = option.partition("=")[0]
    known = [name for name in (context.flags if context else {}) if name.startswith("--")]
    if context is None or context.name is None:
        refuse(f"{quote(flag)} stands before a task, where only --help, --list and --version may",
               "write it behind the task, as in: ./inv lab.list --json")  # fmt: skip
    near = _near(flag, known) if flag.startswith("--") else None
    meant = f"; did you mean {near}?" if near else ""
    words = f"{context.name} has no option {quote(flag)}{meant}"
    refuse(words, f"./inv {context.name} --help shows its options")


def usage_of(name: str) -> str:
    """How to call a task: ``./inv lab.exec NAME LINE``."""
    return f"./inv {TASKS[name].usage}" if name in TASKS else f"./inv {name}"


def _near(word: str, known: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.65)
    return near[0] if near else None


def _handle(machine: ParseMachine, word: str) -> None:
    """A further word of a task whose last word may come more than once is added to the first."""
    context: ParserContext | None = machine.context
    about = TASKS.get(context.name or "") if context else None
    if context is None or about is None or not about.several:
        _handle_word(machine, word)
        return
    last = context.args[about.words[-1]]
    if last.value is None or word.startswith("-") or machine.waiting_for_flag_value:
        _handle_word(machine, word)
        return
    last.value = f"{last.value}\n{word}"


def _complete(machine: ParseMachine) -> None:
    """Words that have a default may be left out: Invoke itself has no optional positionals.

    Invoke asks ``missing_positional_args`` both to take the next word and to complain at the
    end; at the end, the words left out are filled with the empty string.
    """
    context: ParserContext | None = machine.context
    if context is not None and context.name is not None:
        wants_help = bool(machine.initial and machine.initial.args.help.value)
        optional = TASKS[context.name].optional if context.name in TASKS else ()
        for argument in context.missing_positional_args:
            if wants_help or argument.name in optional:
                argument.value = ""
        if missing := context.missing_positional_args:
            names = " and ".join(str(one.name).upper() for one in missing)
            refuse(f"{context.name} needs {names}", f"write: {usage_of(context.name)}")
    _complete_context(machine)


def _see(machine: ParseMachine, word: str) -> None:
    """``TASK --help`` asks for help even if a word of the task is still missing. Any other word
    that looks like an option is not taken for a word of the task."""
    known = machine.initial.flags if machine.initial else {}
    if word in known and known[word].name == "help":
        known[word].value = machine.context.name
    elif re.match(r"--?[A-Za-z]", word):
        unknown_option(word, machine.context)
    else:
        _see_positional(machine, word)


def _value(machine: ParseMachine, value: Any) -> None:
    try:
        _see_value(machine, value)
    except ValueError:
        flag = machine.flag
        kind = "a whole number" if flag and flag.kind is int else "a number"
        name = f"--{flag.name}" if flag else "the option"
        refuse(f"{name} needs {kind}, not {quote(str(value))}", _hint(machine))


def _error(machine: ParseMachine, message: str) -> NoReturn:
    """All other errors of Invoke's parser, in our words."""
    context: ParserContext | None = machine.context
    if unknown := re.fullmatch(r"No idea what '(.*)' is!", message, re.DOTALL):
        word = unknown[1]
        if word.startswith("-"):
            unknown_option(word, context)
        if context is None or context.name is None:
            unknown_task(word, machine.contexts)
        refuse(f"{context.name} takes no argument {quote(word)}",
               f"write: {usage_of(context.name)}")  # fmt: skip
    if message.startswith("Flag ") and machine.flag:
        name = machine.flag.name
        refuse(f"--{name} needs a value: --{name}={VALUES.get(name, 'VALUE')}", _hint(machine))
    refuse(message, _hint(machine))


def _hint(machine: ParseMachine) -> str:
    name = machine.context.name if machine.context else None
    return f"./inv {name} --help shows its options" if name else "./inv shows all tasks"


def improve() -> None:
    """Replace the methods, also for ``invoke`` itself, which can run our tasks, too."""
    ParseMachine.handle = _handle  # type: ignore[method-assign, assignment]
    ParseMachine.complete_context = _complete  # type: ignore[method-assign, assignment]
    ParseMachine.see_positional_arg = _see  # type: ignore[method-assign, assignment]
    ParseMachine.see_value = _value  # type: ignore[method-assign, assignment]
    ParseMachine.error = _error  # type: ignore[method-assign, assignment]
