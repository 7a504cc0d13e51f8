"""The report in headless Chromium: on a phone and a desk, light and dark, and on paper."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnport import verify
from rnnport.parity.writing import write_report
from tests.parity import reports
from tests.parity.browser import Browser, BrowserError, browsing, find_chromium

NAMES = ("passed", "failed", "lacking", "partial", "small", "hostile", "verified")
SIZES = ((360, 800), (1280, 900))
OPEN_ALL = "for (const d of document.querySelectorAll('details')) d.open = true;"
PAPER = "return getComputedStyle(document.body).backgroundColor"

pytestmark = pytest.mark.skipif(
    find_chromium() is None, reason="needs Chromium: apt-get install chromium chromium-driver"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, lstm_folder: Path) -> Path:
    made = tmp_path_factory.mktemp("pages")
    for name in NAMES[:-1]:
        write_report(getattr(reports, name)(), made / f"{name}.html")
    verify(lstm_folder, report=made / "verified.html")
    return made


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits(
    name: str, size: tuple[int, int], scheme: str, folder: Path, browser: Browser
) -> None:
    browser.open(folder / f"{name}.html", *size, scheme)
    for script in ("", OPEN_ALL):
        browser.run(script)
        found = browser.overflow()
        assert found["wide"] == []
        assert found["inner"] == size[0]
        assert found["scroll"] <= size[0]
    dark = browser.run(PAPER) == "rgb(16, 19, 23)"
    assert dark == (scheme == "dark")
    picture = browser.screenshot()
    (folder / f"{name}-{size[0]}-{scheme}.png").write_bytes(picture)
    assert struct.unpack(">II", picture[16:24]) == size
    assert len(picture) > 10_000, "an empty page"
    assert browser.console() == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_prints(name: str, folder: Path, browser: Browser) -> None:
    browser.open(folder / f"{name}.html", 1280, 900, "dark")
    printed = browser.print()
    assert printed.startswith(b"%PDF-")
    pages = printed.count(b"/Type /Page\n")
    assert pages >= (3 if name in ("passed", "failed", "hostile") else 1)
    assert browser.console() == []


def test_what_does_not_fit_is_found(tmp_path: Path, browser: Browser) -> None:
    page = tmp_path / "wide.html"
    wide = '<!doctype html><body><p class="w" style="width:500px">x</p><script>nothing()</script>'
    page.write_text(wide, encoding="utf-8")
    browser.open(page, 360, 800)
    found = browser.overflow()
    assert found["wide"] == ["P.w: x"]
    assert found["scroll"] > 360
    (message,) = browser.console()
    assert "nothing is not defined" in message


def test_a_refused_command_says_why(browser: Browser) -> None:
    with pytest.raises(BrowserError, match="javascript error"):
        browser.run("throw new Error('no')")
