"""The task that serves the page of a workshop."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lab import api
from lab.cli import optional
from lab.cli.command import command, refuse_together, words_of
from lab.cli.lab_task import ARCH, DOOR, JSON, LAB_OR_HELLO, LABS
from lab.cli.labs import DEFAULT, context_of
from lab.cli.output import print_json, say
from lab.errors import UsageError
from lab.util.terminal import table

if TYPE_CHECKING:
    from lab.api import Links

#: The address that only this machine reaches.
HERE = "127.0.0.1"
_OPEN = f"""\
The page listens on all addresses that you chose, without encryption. Who can read the network
can read the links. Put TLS in front of it: let a proxy (Caddy, nginx) listen for others and pass
requests, WebSocket too, on to it at {HERE}."""


@command("lab.serve", words=("name",), optional=("name",), several=True,
         example="lab.serve hello --seats 8",
         name=f"{LAB_OR_HELLO}; with --export, runs: each latest, an id, a folder, or a lab's name",
         export="write the pages of finished runs into this folder, as a site without a server",
         labs=LABS, door=DOOR, json=JSON, arch=ARCH,
         seats="how many seats (default: as many as the last time, else 1)",
         lesson="a file of Markdown with steps, or a lesson that ships: first-guest, deadlines or "
                "crash",
         address=f"the address to listen on (default: {HERE}, which only this machine reaches)",
         port="the port to listen on (default: any free one)",
         idle="seconds without a page after which a lab sleeps; 0: never (default: 600)",
         keep="let the labs go on when the server ends")  # fmt: skip
def lab_serve(name: str, seats: int = 0, lesson: str = "", labs: str = "labs.yaml", door: str = "",
              address: str = HERE, port: int = 0, keep: bool = False, idle: float = 600.0,
              json: bool = False, export: str = "", arch: str = "") -> None:  # fmt: skip
    """Serve a web page: a lab for each participant.

    It prints the teacher's link and a link for each seat. A seat's page has its consoles, and
    buttons to start, stop and reset its lab. It serves until Ctrl-C.

    With --export it serves nothing, and writes the consoles, verdicts and timelines of runs as
    plain files, for a talk or as an artifact of CI.
    """
    context, words = context_of(labs, door, arch=arch), words_of(name)
    if export:
        given = {
            "--seats": seats,
            "--lesson": lesson,
            "--port": port,
            "--keep": keep,
            "--json": json,
        }
        refuse_together("--export", given)
        with context.progress.stage("site"):
            print(api.export_site(context, Path(export), words or ["latest"]))
        return
    if len(words) > 1:
        raise UsageError("a class has one lab", hint="lab.serve NAME; --export takes several runs")
    optional.have("aiohttp", "serve", context.progress)
    how = api.Serving(seats, address, port, keep, lesson, idle)
    api.serve(context, words[0] if words else DEFAULT, how, partial(_show, address, as_json=json))


def _show(address: str, links: Links, *, as_json: bool) -> None:
    if as_json:
        print_json(links)
    else:
        rows = [("teacher", links.teacher)]
        rows += [(f"seat {number}", link) for number, link in enumerate(links.seats, 1)]
        print(table(rows), flush=True)
    if not address.startswith("127."):
        say(_OPEN)
    say("serving; Ctrl-C ends it")
