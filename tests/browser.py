"""A browser without a window, for what a page does; driven by WebDriver."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

#: What Chromium is called, and what brings it.
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_BRINGS = "apt-get install chromium chromium-driver"


@contextmanager
def browser() -> Iterator[Browser]:
    """Give a browser, or skip."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip(f"needs Chromium and its driver: {_BRINGS}")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install '.[test]'")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Browser(chrome)
    finally:
        chrome.quit()


class Browser:
    """One window."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def open(self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Show a page in a window of this size."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        scheme = {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        self._driver.get(page.as_uri())
        self.settle()

    def settle(self) -> None:
        """Wait until what is to be drawn has been drawn."""
        self._driver.execute_async_script(
            "const done = arguments[0]; setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 200)"
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a script returns."""
        return self._driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        return str(self._found(selector).text)

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all elements of a kind that are in sight."""
        return [one.text for one in self._driver.find_elements("css selector", selector) if one.is_displayed()]

    def click(self, selector: str) -> None:
        self._found(selector).click()
        self.settle()

    def type(self, selector: str, *keys: str) -> None:
        self._found(selector).send_keys(*keys)
        self.settle()

    def picture(self, selector: str) -> str:
        """Return what is drawn on a canvas."""
        return str(self.run("return document.querySelector(arguments[0]).toDataURL()", selector))

    def complaints(self) -> list[str]:
        """Return what the browser's console has got since the last time."""
        return [entry["message"] for entry in self._driver.get_log("browser")]

    def _found(self, selector: str) -> Any:
        return self._driver.find_element("css selector", selector)
