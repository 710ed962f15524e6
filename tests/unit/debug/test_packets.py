"""GDB's remote protocol, as its server: packets as GDB 16 sends them."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.debug.packets import INTERRUPT, Client, escaped, framed, unescaped


class Written:
    """A writer that keeps what it was given."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


def client_of(*parts: bytes) -> tuple[Client, Written]:
    reader, writer = asyncio.StreamReader(), Written()
    for part in parts:
        reader.feed_data(part)
    reader.feed_eof()
    return Client(reader, writer), writer  # type: ignore[arg-type]


def test_a_recorded_beginning_is_understood() -> None:
    """The first packets of GDB 16.3, with acknowledgements until both sides give them up."""

    async def go() -> None:
        client, written = client_of(b"+$qSupported:multiprocess+;swbreak+#11+$QStartNoAckMode#b0")
        wrong = await client.packet()
        assert wrong is None or wrong == b"QStartNoAckMode"
        assert written.data.startswith(b"-")  # 11 is not the sum of the first packet

    asyncio.run(go())


def test_acknowledgements_end_when_both_agree() -> None:
    async def go() -> None:
        client, written = client_of(framed(b"QStartNoAckMode"), framed(b"?"))
        assert await client.packet() == b"QStartNoAckMode"
        client.without_acknowledgements()
        assert await client.packet() == b"?"
        assert written.data == b"+$OK#9a"
        assert await client.packet() is None

    asyncio.run(go())


def test_ctrl_c_is_told_apart_from_packets() -> None:
    async def go() -> None:
        client, _ = client_of(b"\x03", framed(b"g"))
        assert await client.packet() == INTERRUPT
        assert await client.packet() == b"g"

    asyncio.run(go())


@pytest.mark.parametrize("broken", [b"$g", b"$g#", b"$g#6", b"garbage"])
def test_a_cut_off_packet_means_that_gdb_is_gone(broken: bytes) -> None:
    async def go() -> None:
        client, _ = client_of(broken)
        assert await client.packet() is None

    asyncio.run(go())


@given(st.binary())
def test_binary_data_survives(data: bytes) -> None:
    text = escaped(data)
    assert unescaped(text) == data
    assert b"#" not in text
    assert b"$" not in text
