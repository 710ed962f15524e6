"""GDB's remote protocol as a server speaks it (gdb's documentation, appendix "Remote Protocol").

Only what GDB itself sends is understood. A packet is ``$data#checksum``; in the data, ``}``
stands before a byte that is XORed with 0x20.
"""

from __future__ import annotations

import asyncio
import re

#: What :meth:`Client.packet` returns if GDB wants the machine to stop.
INTERRUPT = b"\x03"
#: The largest packet that is taken from GDB, in bytes.
LARGEST = 1 << 20
ESCAPE = 0x7D
_SPECIAL = re.compile(rb"[#$}*]")


def framed(data: bytes) -> bytes:
    """A packet as it goes over the wire.

    >>> framed(b"OK")
    b'$OK#9a'
    """
    return b"$%s#%02x" % (data, sum(data) & 0xFF)


def escaped(data: bytes) -> bytes:
    """Binary data for a packet.

    >>> escaped(b"a}b")
    b'a}]b'
    """
    return _SPECIAL.sub(lambda found: bytes((ESCAPE, found[0][0] ^ 0x20)), data)


def unescaped(data: bytes) -> bytes:
    """Binary data out of a packet."""
    return re.sub(rb"}(.)", lambda found: bytes((found[1][0] ^ 0x20,)), data, flags=re.S)


class Client:
    """The connection to GDB."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._acknowledges = True

    async def packet(self) -> bytes | None:
        """The next packet, or :data:`INTERRUPT`; ``None`` if GDB is gone."""
        try:
            while True:
                start = await self._reader.readexactly(1)
                if start == INTERRUPT:
                    return INTERRUPT
                if start != b"$":  # an acknowledgement
                    continue
                data = (await self._reader.readuntil(b"#"))[:-1]
                told = await self._reader.readexactly(2)
                if not self._acknowledges:
                    return data
                good = b"%02x" % (sum(data) & 0xFF) == told.lower()
                self._writer.write(b"+" if good else b"-")
                if good:
                    return data
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            return None

    def say(self, data: bytes) -> None:
        """Send a packet."""
        self._writer.write(framed(data))

    def print(self, text: str) -> None:
        """Have GDB show a text. Only while GDB waits for a stop or for a monitor command."""
        self.say(b"O" + text.encode().hex().encode())

    def without_acknowledgements(self) -> None:
        """From now on neither side acknowledges packets."""
        self.say(b"OK")
        self._acknowledges = False

    async def close(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)
