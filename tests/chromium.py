"""A headless Chromium, driven over the DevTools protocol: pages as a person sees them, without a driver's package."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

_STARTS_WITHIN_S = 60.0
_ANSWERS_WITHIN_S = 300.0
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


@dataclass
class Page:
    """One tab. Every call waits for its answer; `errors` are those that its scripts raised."""

    _loop: asyncio.AbstractEventLoop
    _socket: aiohttp.ClientWebSocketResponse
    errors: list[str] = field(default_factory=list)
    _last: int = 0

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its result."""
        future = asyncio.run_coroutine_threadsafe(self._ask(method, parameters), self._loop)
        return future.result(_ANSWERS_WITHIN_S)

    async def _ask(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._last += 1
        await self._socket.send_json({"id": self._last, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise ConnectionError(f"the browser closed the connection: {message}")
            answer = json.loads(message.data)
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(answer["params"]["exceptionDetails"])[:500])
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, address: str) -> None:
        """A fresh load, also where only the part behind `#` differs."""
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=address)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def text(self) -> str:
        """All text that the page shows."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def wait_for(self, script: str, timeout_s: float = 60.0) -> Any:
        """Waits until an expression is true, and returns it; AssertionError with the page's text where it never is."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if value := self.evaluate(script):
                return value
            time.sleep(0.2)
        raise AssertionError(f"never true: {script}\n{self.evaluate('location.href')}\n{self.text()[:3000]}")

    def wait_for_text(self, *texts: str, timeout_s: float = 60.0) -> None:
        """Waits until the page shows each of `texts`."""
        for text in texts:
            self.wait_for(f"document.body && document.body.innerText.includes({json.dumps(text)})", timeout_s)

    def click(self, selector: str, text: str = "") -> None:
        """Clicks the first element that a CSS selector finds and that holds `text`."""
        all_of = f"[...document.querySelectorAll({json.dumps(selector)})]"
        found = f"{all_of}.find(e => (e.innerText || '').includes({json.dumps(text)}))"
        self.wait_for(f"!!({found})")
        self.evaluate(f"({found}).scrollIntoView({{block: 'center'}})")
        box = f"({found}).getBoundingClientRect()"
        place = self.evaluate(f"[{box}.x + {box}.width / 2, {box}.y + {box}.height / 2]")
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def screenshot(self, path: Path) -> None:
        """What the window shows, as PNG."""
        answer = self.send("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))


@contextmanager
def chromium(program: Path, width: int = 1600, height: int = 1000) -> Iterator[Page]:
    """A browser with a profile of its own and one empty tab; it is gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        command = [
            str(program),
            *_FLAGS,
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            "about:blank",
        ]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        session: aiohttp.ClientSession | None = None
        try:
            port = _port(Path(profile) / "DevToolsActivePort", process)
            session, socket = asyncio.run_coroutine_threadsafe(_connect(port), loop).result(_STARTS_WITHIN_S)
            page = Page(loop, socket)
            for domain in ("Page", "Runtime"):
                page.send(f"{domain}.enable")
            page.send(
                "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
            )
            yield page
        finally:
            if session is not None:
                asyncio.run_coroutine_threadsafe(session.close(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _port(file: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the browser ended with {process.returncode}")
        if file.exists() and (lines := file.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.1)
    raise TimeoutError("the browser did not come up")


async def _connect(port: int) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
    session = aiohttp.ClientSession()
    while True:
        async with session.get(f"http://127.0.0.1:{port}/json") as answer:
            tabs = [tab for tab in await answer.json() if tab["type"] == "page"]
        if tabs:
            return session, await session.ws_connect(tabs[0]["webSocketDebuggerUrl"], max_msg_size=0)
        await asyncio.sleep(0.1)
