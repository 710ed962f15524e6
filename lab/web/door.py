"""How many connections the server has, and how much one seat may ask for at a time.

A connection is *known* while it asks for something with the secret of a link. The others may be
anybody's. There are at most :data:`MOST` of them: after that each new one takes the place of the
oldest. So whoever opens many connections and says nothing keeps nobody out.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator

from aiohttp import web

from lab.web.allowance import REQUEST, Allowance

#: The most connections that are not known.
MOST = 256
#: The most pages of a link that are open, and requests of a seat that wait or are answered.
PAGES, AT_ONCE = 16, 16
#: The most connections that wait until the server takes them, and that it takes at a time.
BACKLOG, AT_A_TIME = 1024, 64
#: The largest request, in bytes.
LARGEST = 1 << 20
#: Seconds that a connection has for the headers of its next request, what it sends with it, and
#: what it reads of the answer.
IDLE, BODY, ANSWER = 30.0, 30.0, 60.0
#: Seconds for the rest of a request that nobody wants to read.
LINGERS = 1.0
#: Seconds until the next try when no connection can be taken: there are too many open files.
AGAIN = 0.2


class Door:
    """Takes connections for a server."""

    def __init__(self) -> None:
        #: All connections, the oldest first.
        self._there: dict[web.RequestHandler, asyncio.Transport] = {}
        self._known: Counter[object] = Counter()
        self._pages: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._turns: dict[tuple[str, str, str], asyncio.Lock] = {}

    async def keep(self, listening: socket.socket, server: web.Server) -> None:
        """Take connections until this is cancelled."""
        listening.setblocking(False)
        while True:
            try:
                found = await _waiting(listening)
                await asyncio.gather(*(self._take(one, server) for one in found))
            except OSError:
                self._make_room(MOST // 2)
                await asyncio.sleep(AGAIN)

    async def _take(self, connection: socket.socket, server: web.Server) -> None:
        loop = asyncio.get_running_loop()
        way, handler = await loop.connect_accepted_socket(server, connection)
        self._there[handler] = way
        self._make_room(MOST)

    def _make_room(self, most: int) -> None:
        """Close the oldest connections that are not known, if there are more than ``most``."""
        self._there = {one: way for one, way in self._there.items() if not way.is_closing()}
        strangers = [way for one, way in self._there.items() if not self._known[one]]
        for way in strangers[: max(0, len(strangers) - most)]:
            way.abort()

    @contextlib.contextmanager
    def page(self, request: web.Request) -> Iterator[None]:
        """A page of a link is open while the block runs.

        Raises:
            HTTPTooManyRequests: too many of this link are.
        """
        secret = request.match_info["secret"]
        if self._pages[secret] >= PAGES:
            raise web.HTTPTooManyRequests(text=f"{PAGES} pages of this link are open; close some")
        with _counted(self._pages, secret), self._knows(request):
            yield

    @contextlib.asynccontextmanager
    async def request(self, request: web.Request, pace: Allowance) -> AsyncIterator[None]:
        """A request of a seat is answered while the block runs: one of each kind at a time, so that
        few large files are in memory, and no faster than ``pace``.

        Raises:
            HTTPTooManyRequests: too many of this seat wait.
        """
        secret, resource = request.match_info["secret"], request.match_info.route.resource
        if self._asked[secret] >= AT_ONCE:
            raise web.HTTPTooManyRequests(text="this seat asks for too much at a time")
        kind = secret, request.method, resource.canonical if resource else ""
        with _counted(self._asked, secret), self._knows(request):
            async with self._turns.setdefault(kind, asyncio.Lock()):
                await pace.spend(REQUEST)
                yield

    def _knows(self, request: web.Request) -> contextlib.AbstractContextManager[None]:
        return _counted(self._known, request.protocol)


async def _waiting(listening: socket.socket) -> list[socket.socket]:
    """Wait for connections. Those that are there are taken in one go: a busy server comes here only
    so often.

    Raises:
        OSError: none can be taken.
    """
    found = [(await asyncio.get_running_loop().sock_accept(listening))[0]]
    with contextlib.suppress(OSError):  # there are no more, or no more can be taken
        while len(found) < AT_A_TIME:
            found.append(listening.accept()[0])
    for one in found:
        one.setblocking(False)
    return found


@contextlib.contextmanager
def _counted(counter: Counter[object] | Counter[str], what: object) -> Iterator[None]:
    found: Counter[object] = counter  # type: ignore[assignment]
    found[what] += 1
    try:
        yield
    finally:
        found[what] -= 1
        if not found[what]:
            del found[what]


async def answered(request: web.Request, response: web.StreamResponse) -> None:
    """Send an answer. A connection that does not read it is closed.

    Raises:
        ConnectionError: it is.
    """
    try:
        async with asyncio.timeout(ANSWER):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        if request.transport:
            request.transport.abort()
        raise ConnectionResetError("nobody reads the answer") from None


async def body(request: web.Request) -> bytes:
    """What a request brings.

    Raises:
        HTTPRequestTimeout: it does not come.
        HTTPRequestEntityTooLarge: it is too large.
    """
    if (request.content_length or 0) > LARGEST:
        raise web.HTTPRequestEntityTooLarge(LARGEST, request.content_length or 0)
    try:
        async with asyncio.timeout(BODY):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the rest of this request did not come") from None
