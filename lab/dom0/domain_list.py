"""Asks dom0's program lab-fate which domains exist. No program is started in dom0 for it.

A question is a line with a number that was never used before. The answer begins and ends with
this number, so the rest of an earlier answer that nobody read is skipped. dom0 is not trusted:
the answer is bounded in size and time.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path

from lab.dom0.agent import ANSWER
from lab.dom0.xl import parse_list
from lab.errors import Dom0Error
from lab.model import DOMAINS_PORT, Domain
from lab.util import turns

#: The largest answer, with the rest of earlier ones, in bytes.
LARGEST = 1 << 20
#: Seconds that a question waits for its turn: others before it may wait for an answer in vain.
TURN = 3 * ANSWER


async def domains(live: Path, within: float = ANSWER) -> list[Domain]:
    """The domains that exist now; Domain-0 is the first.

    Only one command can ask at a time. This waits for its turn for at most :data:`TURN` seconds.

    Raises:
        BusyError: others asked for so long; the error names one of them.
        Dom0Error: no answer within ``within`` seconds, or a malformed one.
    """
    turn = None
    try:
        # Two readers of the same FIFO would get half an answer each.
        turn = await turns.take(turns.of(_end(live, "in")), "dom0's list of domains", TURN)
        async with asyncio.timeout(within):
            return parse_list(await _ask(live, secrets.token_hex(8)))
    except TimeoutError as error:
        raise Dom0Error(
            f"dom0 did not list its domains within {within:g} s",
            hint="look at dom0's console: lab.logs NAME --on dom0",
        ) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise Dom0Error(f"dom0 cannot list its domains: {why}") from error
    finally:
        if turn:
            turn.end()


async def _ask(live: Path, token: str) -> str:
    reader = asyncio.StreamReader(limit=LARGEST)
    loop = asyncio.get_running_loop()
    answers = os.fdopen(os.open(_end(live, "out"), os.O_RDONLY | os.O_NONBLOCK), "rb", 0)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), answers
    )
    try:
        questions = os.open(_end(live, "in"), os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(questions, f"{token}\n".encode())
        finally:
            os.close(questions)
        await reader.readuntil(f"= {token}\n".encode())
        return (await reader.readuntil(f". {token}\n".encode())).decode(errors="replace")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ValueError("the answer is cut off") from error
    finally:
        transport.close()


def _end(live: Path, end: str) -> Path:
    return live / f"{DOMAINS_PORT}.{end}"
