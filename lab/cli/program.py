"""The program behind ``./inv`` and ``xenlab``: Invoke's, with help pages and errors of our own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import NoReturn

from invoke.collection import Collection
from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext
from invoke.parser.parser import Parser
from invoke.program import Program

from lab import __version__
from lab.cli import pages, parsing
from lab.cli.bisection import stopping_git
from lab.cli.namespace import namespace
from lab.cli.output import nobody_reads
from lab.util.resources import as_called

#: The options that may stand before a task, with their short forms. Invoke's other options
#: concern shell commands in tasks, and our tasks have none.
_OPTIONS = {"help": "h", "version": "V", "list": "", "bundle": ""}

_BUNDLE = "take what the cache lacks from this bundle (LAB_BUNDLE=FILE: the same)"


class LabProgram(Program):
    """Parses the command line and calls a task."""

    def __init__(self, tasks: Collection | None = None) -> None:
        parsing.improve()
        tasks = tasks or namespace()
        super().__init__(version=__version__, namespace=tasks, name="xenlab", binary="xenlab")

    @property
    def initial_context(self) -> ParserContext:
        """Invoke reads the values of all its options, but only ours can be given."""
        ours = []
        others: list[Argument] = []
        for argument in self.core_args():
            if argument.names[0] in _OPTIONS:
                short = _OPTIONS[argument.names[0]]
                argument.names = (argument.names[0], *filter(None, [short]))
                ours.append(argument)
            else:
                others.append(argument)
        context = ParserContext(args=ours)
        for argument in others:
            context.args[argument.names[0]] = argument
        return context

    def core_args(self) -> list[Argument]:
        """Invoke's options, and ours."""
        return [*super().core_args(), Argument(name="bundle", help=_BUNDLE)]

    def print_help(self) -> None:
        """The page of all tasks: also what ``./inv`` alone shows."""
        _show(pages.all_tasks(self.collection))

    def list_tasks(self) -> None:
        _show(pages.all_tasks(self.collection, self.list_root or ""))

    def print_task_help(self, name: str) -> None:
        context = self.parser.contexts[name]
        _show(pages.one_task(context.name, context, self.collection[name].__doc__ or ""))

    def parse_core(self, argv: list[str] | None) -> None:
        super().parse_core(argv)
        if named := self.args.bundle.value:
            os.environ["LAB_BUNDLE"] = os.path.abspath(named)  # noqa: PTH100
        # Invoke forbids it. Then every command would compile all our modules again.
        sys.dont_write_bytecode = False

    def _make_parser(self) -> Parser:
        """A parser that knows the tasks which the command line names, and no others.

        Invoke copies everything that its parser knows, twice, which takes longer than ``lab.list``.
        """
        named = {*self.core.unparsed, self.args.help.value}
        contexts = [
            ParserContext(name=name, aliases=aliases, args=self.collection[name].get_arguments())
            for name, aliases in self.collection.task_names.items()
            if not named.isdisjoint((name, *aliases))
        ]
        return Parser(initial=self.initial_context, contexts=contexts)

    def parse_tasks(self) -> None:
        words = self.core.unparsed
        names = self.collection.task_names
        known = {*names, *(alias for some in names.values() for alias in some)}
        if words and words[0].startswith("-"):
            parsing.unknown_option(words[0], None)
        if words and words[0] not in known:
            parsing.unknown_task(words[0], known, after=words[1] if len(words) > 1 else "")
        wanted = self.args.help.value
        if isinstance(wanted, str) and wanted not in known:
            parsing.unknown_task(wanted, known)
        listed = self.args.list.value
        if isinstance(listed, str) and listed not in self.collection.collections:
            groups = ", ".join(sorted(self.collection.collections))
            parsing.refuse(f"there is no group of tasks {listed!r}", f"one of: {groups}")
        super().parse_tasks()
        if len(self.tasks) > 1:
            first, second = (one.name for one in self.tasks[:2])
            parsing.refuse(f"only one task at a time, not {first} and {second}",
                           f"./inv {first} … && ./inv {second} …")  # fmt: skip


def main() -> NoReturn:
    """Run the task that the command line names; ends the process."""
    with stopping_git() if "--bisect" in sys.argv else contextlib.nullcontext():
        _main()


def _main() -> NoReturn:
    try:
        LabProgram().run()
    except BrokenPipeError:
        sys.exit(nobody_reads())
    finally:
        _flush()
    sys.exit(0)


def _flush() -> None:
    """Flush now: at exit, Python would complain about a closed pipe."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        sys.exit(nobody_reads())


def _show(lines: Iterable[str]) -> None:
    print(as_called("\n".join(lines)))
