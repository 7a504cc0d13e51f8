"""Headless Chromium through chromedriver's WebDriver protocol, with the standard library alone."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["Browser", "BrowserError", "browsing", "find_chromium"]

_HOST = "127.0.0.1"
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
)

# Elements that reach past the right edge, those inside a scroll container of their own left out,
# and elements whose own text does not fit where nothing lets it scroll.
_OVERFLOWING = """
const wide = [];
const scrolls = e => ['auto', 'scroll', 'hidden'].includes(getComputedStyle(e).overflowX);
const held = e => { for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
  if (scrolls(p)) return true; return false; };
for (const e of document.body.querySelectorAll('*')) {
  if (!e.checkVisibility() || held(e)) continue;
  const box = e.getBoundingClientRect();
  if (box.right > innerWidth + 0.5 || box.left < -0.5)
    wide.push(`${e.tagName}.${e.className.baseVal ?? e.className}: ${e.textContent.slice(0, 60)}`);
}
return {wide, scroll: document.scrollingElement.scrollWidth, inner: innerWidth};
"""


def find_chromium() -> tuple[str, str] | None:
    """Chromium and chromedriver, where both are installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((path for name in names if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class BrowserError(RuntimeError):
    """chromedriver refused a command; the message holds its answer."""


class Browser:
    """One page in one window.

    Args:
        session: the session's address at chromedriver.
    """

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, page: Path, width: int, height: int, scheme: str = "light") -> None:
        """Show a file at a size, in a colour scheme; earlier console messages are dropped."""
        self.console()
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._devtools("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._devtools("Emulation.setEmulatedMedia", {"features": features})
        self._post("/url", {"url": page.resolve().as_uri()})

    def run(self, script: str) -> Any:
        """What a script returns."""
        return self._post("/execute/sync", {"script": script, "args": []})

    def console(self) -> list[str]:
        """Messages since the last call, warnings and network errors among them."""
        return [entry["message"] for entry in self._post("/se/log", {"type": "browser"})]

    def overflow(self) -> dict[str, Any]:
        """Elements beyond the viewport, the page's own width, and the viewport's."""
        found: dict[str, Any] = self.run(_OVERFLOWING)
        return found

    def screenshot(self, *, whole: bool = False) -> bytes:
        """A PNG of the window, or of the whole page."""
        options = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.run(
                "const e = document.documentElement; return [innerWidth, e.scrollHeight]"
            )
            clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
            options["clip"] = clip
        return base64.b64decode(self._devtools("Page.captureScreenshot", options)["data"])

    def print(self) -> bytes:
        """A PDF."""
        try:
            return self._printed()
        except BrowserError:
            # Chromium has once refused to print, on a loaded machine, a page that it prints
            # every other time. A page that cannot be printed is refused again.
            self._post("/refresh", {})
            return self._printed()

    def _printed(self) -> bytes:
        return base64.b64decode(self._post("/print", {"background": True}))

    def _devtools(self, command: str, params: dict[str, Any]) -> Any:
        return self._post("/goog/cdp/execute", {"cmd": command, "params": params})

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return _post(f"{self._session}{path}", body)


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """A browser of its own, with a new profile; ended and removed afterwards."""
    found = find_chromium()
    assert found is not None
    browser, driver = found
    with tempfile.TemporaryDirectory() as profile, _driver(driver) as address:
        options = {"binary": browser, "args": [*_FLAGS, f"--user-data-dir={profile}/chromium"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        started = _post(f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})
        session = f"{address}/session/{started['sessionId']}"
        try:
            yield Browser(session)
        finally:
            _send(urllib.request.Request(session, method="DELETE"))


@contextlib.contextmanager
def _driver(driver: str) -> Iterator[str]:
    """A running chromedriver's address; it picks a free port and says which."""
    with subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield _address(process.stdout)
        finally:
            process.terminate()


def _address(said: Iterable[str]) -> str:
    lines = []
    for line in said:
        lines.append(line)
        if port := re.search(r"successfully on port (\d+)", line):
            return f"http://{_HOST}:{port[1]}"
    raise AssertionError("".join(lines))


def _post(address: str, body: dict[str, Any]) -> Any:
    headers = {"Content-Type": "application/json"}
    return _send(urllib.request.Request(address, json.dumps(body).encode(), headers))


def _send(request: urllib.request.Request) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=120) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as refused:
        said = refused.read().decode(errors="replace")
        raise BrowserError(f"{request.full_url}: {refused.code}: {said}") from refused
