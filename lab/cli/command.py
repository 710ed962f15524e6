"""The decorator of all tasks: it turns results and errors into exit statuses."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from invoke.exceptions import Exit

from lab.cli.lab_task import About, LabTask
from lab.cli.output import fail, nobody_reads
from lab.errors import LabError, UsageError
from lab.util import reading, signals
from lab.util.resources import as_called

#: Exit status of a command that was interrupted by a person, as shells count it.
INTERRUPTED = 128 + 2
_NOTHING = "nothing that this command started is left running"


def command(
    task: str,
    /,
    *,
    words: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    example: str = "",
    several: bool = False,
    **help_: str,
) -> Callable[[Callable[..., int | None]], LabTask]:
    """Make a task. ``words`` are its positional arguments, ``optional`` those that may be left out.

    The function takes no Invoke context and returns an exit status (``None``: pass).
    ``several``: the last word may come more than once; :func:`words_of` says which came.
    ``task`` is its full name: ``lab.up``. ``help_`` explains each word and option.
    ``example`` is a whole command line, without ``./inv``.
    """

    def decorate(function: Callable[..., int | None]) -> LabTask:
        @functools.wraps(function)
        def body(_: object, **arguments: Any) -> None:
            raise Exit(code=_to_its_end(function, arguments))

        signature = inspect.signature(function)
        context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = [context, *signature.parameters.values()]
        body.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return LabTask(body, About(task, words, optional, example, help_, several))

    return decorate


def words_of(text: str) -> list[str]:
    """The words that came for a last word that may come more than once: each is a line."""
    return [word for word in text.split("\n") if word]


@contextlib.contextmanager
def leaves(what: str) -> Iterator[None]:
    """If the block is interrupted, the message says ``what`` goes on, and how to stop it."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted", as_called(what)) from None


def refuse_together(what: str, others: Mapping[str, object]) -> None:
    """Raise a UsageError if an option is given that makes no sense with ``what``."""
    for other in (name for name, given in others.items() if given):
        raise UsageError(
            f"{what} and {other} cannot be used together", hint="leave one of them out"
        )


def _to_its_end(function: Callable[..., int | None], arguments: dict[str, Any]) -> int:
    """Call a task's function. A signal that comes while it says how it ended interrupts it."""
    try:
        try:
            return _guarded(function, arguments)
        finally:
            signals.leaving()
    except KeyboardInterrupt:
        signals.leaving()
        return INTERRUPTED


def _guarded(function: Callable[..., int | None], arguments: dict[str, Any]) -> int:
    """Call a task's function. Whatever happens, the user sees a message and no traceback."""
    signals.one_way_to_stop()
    try:
        status = int(function(**arguments) or 0)
        sys.stdout.flush()
        return status
    except LabError as error:
        return fail(error, as_json=bool(arguments.get("json")))
    except KeyboardInterrupt as interrupt:
        how = interrupt.args[0] if interrupt.args else "interrupted"
        left = interrupt.args[1] if len(interrupt.args) > 1 else _NOTHING
        print(f"{how}; {left}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return nobody_reads()
    except reading.Unfit as error:
        return fail(UsageError(str(error), hint=error.hint))
    except OSError as error:
        words = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
        return fail(LabError(words, hint="free disk space or change permissions, then try again"))
