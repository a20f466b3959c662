"""A headless Chromium, driven over a pipe by its DevTools protocol; nothing but the standard library.

with Browser() as browser:
    page = browser.open(path, width=390)
    page.value("document.title"); page.key("ArrowRight"); page.errors
"""

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

PROGRAM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
REQUIRED = os.environ.get("SHIFTPROOF_REQUIRE_CHROMIUM") == "1"
AS_THREE_AND_FOUR = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3])
os.dup2(read, 3), os.dup2(write, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""The browser reads from descriptor 3 and writes to 4."""
PATIENCE = 180.0
"""Seconds after which a silent browser is ended, so that a test fails instead of waiting for ever."""

needs_chromium = pytest.mark.skipif(
    PROGRAM is None and not REQUIRED, reason="no chromium: apt-get install chromium"
)
OUTSIDE = """
(() => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
  const width = document.documentElement.clientWidth, found = [];
  const scrolls = (e) => e && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  for (const e of document.body.querySelectorAll("*")) {
    const { left, right } = e.getBoundingClientRect();
    const outside = e.getClientRects().length && (left < -0.5 || right > width + 0.5);
    if (outside && !scrolls(e.parentElement))
      found.push(`${e.tagName} ${e.className} ${Math.round(left)}..${Math.round(right)}`);
  }
  for (const table of document.querySelectorAll("table"))
    for (let e = table.parentElement; e; e = e.parentElement)
      if (e.scrollWidth > e.clientWidth + 1 && scrolls(e))
        found.push(`a table is cut off at ${e.clientWidth} of ${e.scrollWidth}`);
  const page = document.documentElement.scrollWidth;
  return page > width ? [...found, `the page is ${page} wide`] : found;
})()
"""
"""What runs out of the window. Figures may stand in a box that scrolls by itself, tables may not. All that is folded is
opened."""
UNREADABLE = """
(() => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
  const found = [], style = (e) => getComputedStyle(e);
  const seen = (box, e) => {
    let { left, right, top, bottom } = box;
    for (; e && e !== document.body; e = e.parentElement)
      if (style(e).overflowX !== "visible" || style(e).overflowY !== "visible") {
        const clip = e.getBoundingClientRect();
        left = Math.max(left, clip.left); right = Math.min(right, clip.right);
        top = Math.max(top, clip.top); bottom = Math.min(bottom, clip.bottom);
      }
    return right - left > 1 && bottom - top > 1 ? { left, right, top, bottom } : null;
  };
  const texts = (root) => {
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), boxes = [];
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      if (!node.data.trim() || node.parentElement.closest("script, style, noscript")) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const box of range.getClientRects()) {
        const part = seen(box, node.parentElement);
        if (part) boxes.push({ ...part, node });
      }
    }
    return boxes;
  };
  for (const figure of document.querySelectorAll("figure")) {
    const boxes = texts(figure);
    boxes.forEach((a, i) => boxes.slice(0, i).forEach((b) => {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      // lines of one paragraph may touch: their boxes are higher than their letters
      if (a.node !== b.node && across > 1 && down > 4)
        found.push(`"${a.node.data.trim().slice(0, 30)}" lies on "${b.node.data.trim().slice(0, 30)}"`);
    }));
  }
  for (const row of document.querySelectorAll("tr")) {
    const drawn = [...row.querySelectorAll("svg, img, canvas")].map((e) => seen(e.getBoundingClientRect(), e));
    const parts = [...texts(row), ...drawn].filter(Boolean), box = row.getBoundingClientRect();
    const used = Math.max(...parts.map((p) => p.bottom)) - Math.min(...parts.map((p) => p.top));
    if (parts.length && box.height > used + 40)
      found.push(`a row of ${Math.round(box.height)} shows ${Math.round(used)}`);
  }
  for (const e of document.querySelectorAll("*")) {
    const slides = /auto|scroll/.test(style(e).overflowX) && e.scrollWidth > e.clientWidth + 1;
    const hint = e.previousElementSibling;
    if (slides && !(hint && hint.matches(".sideways") && hint.getClientRects().length))
      found.push(`${e.tagName} ${e.className} scrolls sideways without a word`);
  }
  for (const img of document.querySelectorAll("img.wide")) {
    const drawn = parseFloat(img.style.width), shown = img.getBoundingClientRect().width;
    if (shown && shown < 0.9 * drawn) found.push(`a figure of ${drawn} is shown at ${Math.round(shown)}`);
  }
  return found;
})()
"""
"""What cannot be read: texts of a figure that lie on each other, rows that hidden text makes tall, what scrolls
sideways and does not say so, and figures whose letters are smaller than they were drawn. All that is folded is
opened."""
KEYS = {
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Home": 36,
    "PageDown": 34,
    "Tab": 9,
}


class Browser:
    """One process; pages are opened one after the other."""

    def __init__(self) -> None:
        if PROGRAM is None:
            raise RuntimeError("SHIFTPROOF_REQUIRE_CHROMIUM is set, and there is no chromium")
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        arguments = (
            "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
            f"--hide-scrollbars --user-data-dir={self._home.name} --remote-debugging-pipe about:blank"
        )
        command = [PROGRAM, *arguments.split()]
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-S",
                "-c",
                AS_THREE_AND_FOUR,
                str(theirs_in),
                str(theirs_out),
                *command,
            ],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._numbers, self._rest = itertools.count(1), b""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._home.cleanup()

    def call(self, method: str, *, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """A method of the protocol; what else comes meanwhile is kept in `events`."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters} | (
            {"sessionId": session} if session else {}
        )
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") != number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def read(self) -> dict[str, Any]:
        """The next message."""
        watch = threading.Timer(PATIENCE, self._process.kill)
        watch.start()
        try:
            while b"\0" not in self._rest:
                more = os.read(self._in, 2**20)
                if not more:
                    raise RuntimeError("chromium has gone away")
                self._rest += more
        finally:
            watch.cancel()
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(
        self,
        path: Path,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        scale: float = 1,
        touch: bool = False,
    ) -> "Page":
        """A page of that size, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.resize(width, height, scale=scale, mobile=touch)
        page.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        page.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        begin = len(self.events)
        page.call("Page.navigate", url=path.resolve().as_uri())
        while not any(
            e.get("method") == "Page.loadEventFired" and e.get("sessionId") == session
            for e in self.events[begin:]
        ):
            self.events.append(self.read())
        page.settle()
        return page


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A method of the protocol for this tab."""
        return self._browser.call(method, session=self._session, **parameters)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is, as data."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(
                result["exceptionDetails"].get("exception", result["exceptionDetails"])
            )
        return result["result"].get("value")

    def outside(self) -> list[str]:
        """The elements that run out of the window at its left or right, in words."""
        return self.value(OUTSIDE)

    def unreadable(self) -> list[str]:
        """What cannot be read, in words."""
        return self.value(UNREADABLE)

    def settle(self) -> None:
        """Wait until what was asked for is drawn; only the tab in front draws."""
        self.call("Page.bringToFront")
        self.value(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 30))))"
        )

    def resize(
        self, width: int, height: int = 900, *, scale: float = 1, mobile: bool = False
    ) -> None:
        """Change the window."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=mobile,
        )

    def key(self, name: str, *, shift: bool = False) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=name,
                code=name,
                windowsVirtualKeyCode=KEYS[name],
                modifiers=8 if shift else 0,
            )
        self.settle()

    def mouse(self, x: float, y: float, *kinds: str) -> None:
        """Mouse events at a place of the window, such as `mouseMoved`, `mousePressed`, `mouseReleased`."""
        for kind in kinds:
            button = "none" if kind == "mouseMoved" else "left"
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                button=button,
                clickCount=0 if button == "none" else 1,
            )
        self.settle()

    def tap(self, x: float, y: float) -> None:
        """Touch a place of the window."""
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        self.settle()

    def screenshot(self, *, full: bool = True) -> bytes:
        """A PNG of the page."""
        return base64.b64decode(
            self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full)["data"]
        )

    def pdf(self) -> bytes:
        """The page as printed."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])

    @property
    def errors(self) -> list[str]:
        """Errors and warnings of the console, and exceptions that nobody caught."""
        mine = [e for e in self._browser.events if e.get("sessionId") == self._session]
        found = [
            e["params"]["exceptionDetails"].get("exception", {}).get("description", "exception")
            for e in mine
            if e.get("method") == "Runtime.exceptionThrown"
        ]
        found += [e["params"]["entry"]["text"] for e in mine if e.get("method") == "Log.entryAdded"]
        return found + [
            str(e["params"]["args"]) for e in mine if e.get("method") == "Runtime.consoleAPICalled"
        ]

    @property
    def requests(self) -> list[str]:
        """Addresses that were asked for, but the page's own and data within it."""
        mine = [
            e["params"]["request"]["url"]
            for e in self._browser.events
            if e.get("sessionId") == self._session
            and e.get("method") == "Network.requestWillBeSent"
        ]
        return [url for url in mine[1:] if not url.startswith("data:")]
