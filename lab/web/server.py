"""The server: which link leads to what, and what a page may do in a browser.

A link has a secret. Whoever has a seat's link can use this seat, and nothing else. Nothing on a
page comes from another server, and no other server's page can use ours.
"""

from __future__ import annotations

import asyncio
import hmac
import io
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict

import segno
from aiohttp import web

from lab.errors import LabError, UsageError
from lab.util import reading
from lab.util.terminal import escape
from lab.web import door, editing, problems, sockets
from lab.web.assets import Assets
from lab.web.discretion import discreet
from lab.web.door import Door, answered, body
from lab.web.reports import POLICY, Reports
from lab.web.room import AT_ONCE, Room
from lab.web.seat_hub import SeatHub

#: What a browser may do with our pages. xterm sets styles from its script.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
#: The answers after which the connection ends: who asked for too much is not to ask again at once.
CLOSING = (408, 413, 429)
NOWHERE = "This link is not one of this class. Ask your teacher for yours.\n"

log = logging.getLogger("lab.web")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(room: Room, assets: Assets, taken_by: Door) -> web.Application:
    """The server of a class, ready to be run. ``taken_by``: what takes its
    connections."""
    pages = _Pages(room, assets, taken_by)
    app = web.Application(client_max_size=door.LARGEST, middlewares=[pages.guarded])
    app.router.add_get("/s/{secret}", pages.seat)
    app.router.add_get("/s/{secret}/socket", pages.seat_socket)
    app.router.add_get("/s/{secret}/lesson", pages.lesson)
    app.router.add_get("/s/{secret}/files", pages.files)
    app.router.add_put("/s/{secret}/files", pages.save)
    app.router.add_delete("/s/{secret}/files", pages.renew)
    app.router.add_get("/s/{secret}/report", pages.report)
    app.router.add_get("/t/{secret}", pages.teacher)
    app.router.add_get("/t/{secret}/socket", pages.teacher_socket)
    app.router.add_get("/t/{secret}/links", pages.links)
    app.router.add_get("/t/{secret}/seats", pages.seats)
    app.router.add_get("/t/{secret}/code", pages.code)
    app.router.add_get("/assets/{name}", pages.asset)
    app.on_shutdown.append(pages.close)
    return app


def _with_headers(response: web.StreamResponse) -> web.StreamResponse:
    if not response.prepared:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
    return response


class _Pages:
    """What each link leads to."""

    def __init__(self, room: Room, assets: Assets, door: Door) -> None:
        self._room = room
        self._door = door
        self._assets = assets
        self._open: set[web.WebSocketResponse] = set()
        self._reports = Reports(asyncio.Semaphore(AT_ONCE), room.commands)

    @web.middleware
    async def guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every answer has our headers. An unknown link says what to do."""
        try:
            return await self._handled(request, handler)
        except web.HTTPNotFound:
            response = web.Response(status=404, text=NOWHERE)
        except web.HTTPException as error:
            response = web.Response(status=error.status, text=f"{error.text}\n")
            if error.status in CLOSING:
                response.force_close()
        except ConnectionError:  # nobody waits for an answer
            raise
        except (LabError, OSError) as error:
            hub = self._room.seat(request.match_info.get("secret", ""))
            folder = hub.seat.folder if hub else self._room.classroom.folder
            response = web.Response(status=500, text=f"{discreet(str(error), folder)}\n")
        except Exception as error:  # a mistake of ours, which ends nothing but this request
            log.error("a request failed: %s", escape(repr(error)))
            response = web.Response(status=500, text="this failed; please tell your teacher\n")
        return _with_headers(response)

    async def _handled(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What a seat asks for takes its turn, until it has its answer."""
        hub = self._room.seat(request.match_info.get("secret", ""))
        if hub is None or request.path.endswith("/socket"):
            return _with_headers(await handler(request))
        async with self._door.request(request, hub.messages):
            response = _with_headers(await handler(request))
            await answered(request, response)
            return response

    async def seat(self, request: web.Request) -> web.Response:
        self._seat_of(request)
        return self._page("seat.html")

    async def teacher(self, request: web.Request) -> web.Response:
        self._check_teacher(request)
        return self._page("teacher.html")

    async def seat_socket(self, request: web.Request) -> web.WebSocketResponse:
        hub = self._seat_of(request)
        with self._door.page(request):
            socket = await sockets.opened(request)
            return await self._serve(socket, sockets.SeatSocket(self._room, hub, socket).serve())

    async def teacher_socket(self, request: web.Request) -> web.WebSocketResponse:
        self._check_teacher(request)
        with self._door.page(request):
            socket = await sockets.opened(request)
            return await self._serve(socket, sockets.RoomSocket(self._room, socket).serve())

    async def lesson(self, request: web.Request) -> web.Response:
        """The lesson; ``null`` if there is none."""
        self._seat_of(request)
        lesson = self._room.lesson
        if lesson is None:
            return web.json_response(None)
        steps = [
            {"id": step.id, "title": step.title, "html": step.html, "check": bool(step.check)}
            for step in lesson.steps
        ]
        return web.json_response({"title": lesson.title, "html": lesson.html, "steps": steps})

    async def files(self, request: web.Request) -> web.Response:
        """The files that the participant can change."""
        hub = self._seat_of(request)
        return web.json_response([asdict(file) for file in editing.listed(hub.seat)])

    async def save(self, request: web.Request) -> web.Response:
        """Keep a file: ``{"name": …, "text": …}``. The answer has the mistakes in it, if any."""
        hub = self._own_seat(request)
        try:
            data = reading.parse_json(await body(request))
            name, text = str(data["name"]), str(data["text"])
            editing.save(hub.seat, name, text)
        except (ValueError, TypeError, KeyError) as error:
            raise web.HTTPBadRequest(text=f"this is no file: {error}") from error
        except LabError as error:
            found = problems.found(error.message, [])
            about = {"reason": error.message, "problems": [asdict(one) for one in found]}
            return web.json_response(about, status=409)
        return web.json_response({})

    async def renew(self, request: web.Request) -> web.Response:
        """Take the teacher's files again; what the participant changed is lost."""
        hub = self._own_seat(request)
        self._room.renew(hub.seat)
        return web.json_response({})

    async def report(self, request: web.Request) -> web.Response:
        """The timeline and the figures of the seat's run, or of its last check (``?of=check``)."""
        hub = self._seat_of(request)
        of_check = request.query.get("of") == "check"
        run = hub.checked_run() if of_check else hub.run_dir()
        try:
            text = await self._reports.of(hub.seat, run)
        except UsageError as error:
            return web.Response(status=409, text=f"{error}\n")
        response = web.Response(text=text, content_type="text/html")
        response.headers["Content-Security-Policy"] = POLICY
        return response

    async def links(self, request: web.Request) -> web.Response:
        """The page to hand out."""
        self._check_teacher(request)
        return self._page("links.html")

    async def seats(self, request: web.Request) -> web.Response:
        """The names of the seats and their links, without the server's address."""
        self._check_teacher(request)
        seats = self._room.classroom.seats
        found = [{"name": seat.name, "link": f"/s/{seat.secret}"} for seat in seats]
        return web.json_response(found)

    async def code(self, request: web.Request) -> web.Response:
        """A QR code of a text (ISO/IEC 18004), as SVG."""
        self._check_teacher(request)
        try:
            code = segno.make_qr(request.query.get("text", ""))
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"this is no text for a code: {error}") from error
        picture = io.BytesIO()
        code.save(picture, kind="svg", scale=4)
        return web.Response(body=picture.getvalue(), content_type="image/svg+xml")

    async def asset(self, request: web.Request) -> web.Response:
        found = self._assets.find(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        return web.Response(body=found[0], content_type=found[1], charset="utf-8")

    async def close(self, _: web.Application) -> None:
        """The server ends: pages try to connect again until it is back."""
        for socket in list(self._open):
            await socket.close(code=1001)

    async def _serve(
        self, socket: web.WebSocketResponse, work: Awaitable[None]
    ) -> web.WebSocketResponse:
        self._open.add(socket)
        try:
            with suppress(ConnectionError):
                await work
        finally:
            self._open.discard(socket)
            await socket.close()
        return socket

    def _page(self, name: str) -> web.Response:
        return web.Response(text=self._assets.page(name), content_type="text/html")

    def _seat_of(self, request: web.Request) -> SeatHub:
        hub = self._room.seat(request.match_info["secret"])
        if hub is None:
            raise web.HTTPNotFound
        return hub

    def _own_seat(self, request: web.Request) -> SeatHub:
        """The seat whose files a page of ours changes."""
        hub = self._seat_of(request)
        sockets.check_origin(request)
        if hub.closed:
            raise web.HTTPForbidden(text="your teacher has closed this seat")
        return hub

    def _check_teacher(self, request: web.Request) -> None:
        given = request.match_info["secret"].encode()
        if not hmac.compare_digest(given, self._room.classroom.teacher.encode()):
            raise web.HTTPNotFound
