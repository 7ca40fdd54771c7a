"""Headless Chromium, spoken to over a pipe in its DevTools protocol: no port, no driver."""

import base64
import io
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE = 120  # seconds for an answer: a bound, nothing is waited for that has come


def find_program() -> str:
    """Chromium; absent is a failure, never a skip."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert found, f"none of {', '.join(PROGRAMS)} is there; install chromium, or deselect with -m 'not chromium'"
    return found


class Page:
    """One page in a running browser; ``problems`` are console errors and exceptions, ``requests`` what was fetched."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._write, self._read = to_browser, from_browser
        self._buffer, self._number, self._session = b"", 0, None
        self._events, self.problems, self.requests = [], [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer)

    def open(self, address, width=1280, height=900, dark=False):
        """Open a page in a window of that size and wait until it is loaded."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        for url in ("about:blank", address):  # so that another address of the same file is a new page
            self._events, self.problems, self.requests = [], [], []
            self.call("Page.navigate", url=url)
            while "Page.loadEventFired" not in self._events:
                self._note(self._next())

    def run(self, script):
        """The value of a JavaScript expression; a promise is waited for."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def click(self, selector):
        """A real click of the mouse on the middle of an element."""
        box = f"document.querySelector('{selector}').getBoundingClientRect()"
        x, y = self.run(f"((box) => [box.x + box.width / 2, box.y + box.height / 2])({box})")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def screenshot(self) -> np.ndarray:
        """``(height, width, 3)`` of what the window shows."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))

    def _note(self, event):
        name, params = event.get("method"), event.get("params", {})
        self._events.append(name)
        bad = ("error", "warning")
        if name == "Runtime.exceptionThrown" or (name == "Runtime.consoleAPICalled" and params["type"] in bad):
            self.problems.append(params)
        elif name == "Log.entryAdded" and params["entry"]["level"] in bad:
            self.problems.append(params["entry"])
        elif name == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def _next(self):
        deadline = time.monotonic() + _PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(deadline - time.monotonic(), 0))
            assert ready, "Chromium does not answer"
            data = os.read(self._read, 1 << 20)
            assert data, "Chromium has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


@contextmanager
def browser(folder: Path):
    """A ``Page`` in a browser of its own, whose profile is in ``folder``; it ends with the block."""
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    options = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --remote-debugging-pipe "
    options += "--no-first-run --disable-extensions --disable-background-networking --disable-component-update "
    options += "--hide-scrollbars"
    words = [find_program(), *options.split(), f"--user-data-dir={folder / 'profile'}"]
    process = subprocess.Popen(
        ["bash", "-c", f'exec "$@" 3<&{in_read} 4>&{out_write}', "bash", *words],
        pass_fds=(in_read, out_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    os.close(in_read)
    os.close(out_write)
    try:
        yield Page(in_write, out_read)
    finally:
        os.close(in_write)  # the browser ends when nobody speaks to it any more
        os.close(out_read)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
