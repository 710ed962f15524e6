"""Real Chromium, driven by the DevTools protocol (chromedevtools.github.io/devtools-protocol).

The browser is this machine's package ``chromium``. Keys and clicks are those that a person makes:
Chromium gets them as input, not as calls of JavaScript.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from system.world import LONGEST, until

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--remote-debugging-port=0", "--hide-scrollbars",
)  # fmt: skip
#: Seconds that a page has until something is so, on the slowest machine: builds of a class wait for
#: each other.
PATIENCE = LONGEST
#: The codes of keys that are not characters (KeyboardEvent.code, and Windows' virtual keys).
KEYS = {"Enter": 13, "Tab": 9, "ArrowLeft": 37, "ArrowRight": 39, "Escape": 27}
#: The bits of the keys that are held (Input.dispatchKeyEvent).
HELD = {"Alt": 1, "Control": 2, "Shift": 8}


class Tab:
    """A page in the browser. ``errors``: what it wrote to its console as errors."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.ensure_future(self._read())
        self._loaded = asyncio.Event()
        self.errors: list[str] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol."""
        number = next(self._numbers)
        coming = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        answer = await asyncio.wait_for(coming, LONGEST)
        del self._answers[number]
        assert "error" not in answer, (method, answer)
        return dict(answer["result"])

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            data = json.loads(message.data)
            if data.get("id") in self._answers:
                self._answers[data["id"]].set_result(data)
            elif data.get("method") == "Page.loadEventFired":
                self._loaded.set()
            elif data.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(data["params"]["exceptionDetails"]))
            elif data.get("method") == "Log.entryAdded":
                self.errors += [data["params"]["entry"]["text"]]

    async def begin(self) -> None:
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")

    async def value(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        found = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until an expression is true. A page has no event for that: it is looked at often."""
        look = (
            "new Promise((done) => { const look = () => "
            f"({script}) ? done(true) : setTimeout(look, 20); look(); }})"
        )
        try:
            await asyncio.wait_for(self.value(look), PATIENCE)
        except TimeoutError:
            text = await self.value("document.body.innerText")
            raise AssertionError(f"never so: {script}\n{text}\n{self.errors}") from None

    async def go(self, url: str) -> None:
        """Open a link; the page is loaded when this returns."""
        self._loaded.clear()
        done = await self.call("Page.navigate", url=url)
        assert "errorText" not in done, (url, done)
        await asyncio.wait_for(self._loaded.wait(), PATIENCE)

    async def looks(self, width: int, height: int, *, dark: bool = False) -> None:
        """Set the size of the window in pixels, and whether the person likes it dark."""
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                        deviceScaleFactor=1, mobile=False)  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def click(self, selector: str, meanwhile: str = "") -> None:
        """Click into the middle of an element, once it is there and takes clicks. The script
        ``meanwhile`` runs while the button of the mouse is down."""
        place = json.dumps(selector)
        await self.until(f"document.querySelector({place})?.getClientRects().length")
        await self.until(f"!document.querySelector({place}).disabled")
        box = await self.value(
            f"(() => {{ const one = document.querySelector({place}); one.scrollIntoView("
            "{block: 'center'}); const {x, y, width, height} = one.getBoundingClientRect();"
            " return [x + width / 2, y + height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1],
                            button="left", clickCount=1)  # fmt: skip
            await self.value(meanwhile)
            meanwhile = ""

    async def type(self, text: str) -> None:
        """Type characters; a line end is the key Enter."""
        for char in text:
            if char == "\n":
                await self.press("Enter")
            else:
                await self.call("Input.dispatchKeyEvent", type="keyDown", text=char, key=char)
                await self.call("Input.dispatchKeyEvent", type="keyUp", key=char)

    async def press(self, key: str, *held: str) -> None:
        """Press a key, while others are held down."""
        bits = sum(HELD[one] for one in held)
        code = KEYS.get(key, ord(key.upper()[0]))
        text = {"text": "\r"} if key == "Enter" else {}
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": bits}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **about, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    async def picture(self) -> bytes:
        """What the page looks like, as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot"))["data"])

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._socket.close()


class Browser:
    """A browser that runs."""

    def __init__(self, session: ClientSession, base: str, whole: Tab) -> None:
        """``whole``: the connection to the browser itself."""
        self._session = session
        self._base = base
        self._whole = whole
        self._tabs = [whole]

    async def tab(self, url: str) -> Tab:
        """A new page, loaded. It has a window of its own, so Chromium draws it all the time."""
        made = await self._whole.call("Target.createTarget", url="about:blank", newWindow=True)
        where = f"{self._base}/devtools/page/{made['targetId']}"
        tab = Tab(await self._session.ws_connect(where, max_msg_size=64 << 20))
        self._tabs.append(tab)
        await tab.begin()
        await tab.call("Emulation.setFocusEmulationEnabled", enabled=True)
        await tab.looks(1280, 800)
        await tab.go(url)
        return tab

    async def close(self) -> None:
        for tab in self._tabs:
            await tab.close()


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser with a fresh profile. It ends with the block."""
    program = shutil.which("chromium")  # it may have been installed for these tests
    assert program
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [program, *OPTIONS, f"--user-data-dir={folder}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            port = Path(folder, "DevToolsActivePort")
            until("Chromium listens", lambda: port.exists() and "\n" in port.read_text(), 60)
            base = f"http://127.0.0.1:{port.read_text().split()[0]}"
            async with ClientSession() as session:
                async with session.get(f"{base}/json/version") as answer:
                    where = (await answer.json())["webSocketDebuggerUrl"]
                browser = Browser(session, base, Tab(await session.ws_connect(where)))
                try:
                    yield browser
                finally:
                    await browser.close()
        finally:
            process.terminate()
            process.wait(30)
