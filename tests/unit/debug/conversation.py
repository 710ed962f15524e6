"""What a debugger's proxy says to the packets of a GDB."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from debug.test_packets import client_of
from lab.debug.monitor import LabMonitor
from lab.debug.packets import INTERRUPT, framed


def answers(made: Awaitable[LabMonitor], on: str, *packets: bytes) -> list[bytes]:
    """The answers to packets and interrupts, one after the other, by who looks at ``on``."""

    async def go() -> bytes:
        monitor = await made
        await monitor.on(on)
        client, written = client_of(*(one if one == INTERRUPT else framed(one) for one in packets))
        await monitor.proxy.serve(client)
        return written.data

    return [one.partition(b"$")[2] for one in asyncio.run(go()).split(b"#")[:-1]]
