"""Write the pictures of the labeling page, ``docs/images/label*.jpg``, from the running page.

Needs the extra `web`, Playwright, Chromium and the data set `grocery`:
``python docs/make_tour.py``.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from fewlabel.data import load_images

OUT = Path(__file__).parent / "images"
CLASSES = ("Apple", "Banana", "Carrots", "Lemon", "Onion", "Pear", "Pepper", "Tomato")
N_EACH = 70


def main() -> None:
    """Label photos as a person would, and take pictures on the way."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.chdir(folder)
        truth = _photos(Path("photos"))
        process, url = _start()
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(url)
            page.wait_for_selector("body[data-ready]")
            while not _is_learned(page):
                _answer(page, truth)
                # About as fast as a person: the model needs its time, too.
                page.wait_for_timeout(1_500)
            # The first picture of all shows a suggestion, and no mistake.
            while page.inner_text("#confirm-text") != truth[page.inner_text("#name")]:
                _answer(page, truth)
                page.wait_for_timeout(1_500)
            # Nothing is on its way any more.
            page.wait_for_timeout(4_500)
            _shoot(page, "label")
            page.keyboard.press("g")
            page.wait_for_selector(".tile")
            page.emulate_media(color_scheme="dark")
            page.wait_for_timeout(1_000)
            _shoot(page, "label-look-alikes")
            page.emulate_media(color_scheme="light")
            page.goto(f"{url}review")
            page.wait_for_selector(".card img, .tile img")
            page.wait_for_timeout(2_000)
            _shoot(page, "label-review")
            phone = browser.new_page(viewport={"width": 390, "height": 844}, has_touch=True)
            phone.goto(url)
            phone.wait_for_selector("#picture img")
            phone.wait_for_timeout(1_000)
            _shoot(phone, "label-phone")
        finally:
            browser.close()
            process.send_signal(signal.SIGINT)
            process.wait(20)


def _photos(folder: Path) -> dict[str, str]:
    """Copy some photos in random order under names that say nothing; return their labels."""
    images = load_images("grocery")
    rng = np.random.default_rng(0)
    rows = [
        row
        for name in CLASSES
        for row in rng.permutation(np.flatnonzero(images.truth == name))[:N_EACH]
    ]
    folder.mkdir()
    truth = {}
    for number, row in enumerate(rng.permutation(rows)):
        name = f"IMG_{number + 1:04}.jpg"
        shutil.copy(images.path(int(row)), folder / name)
        truth[name] = str(images.truth[row])
    return truth


def _start() -> tuple[subprocess.Popen[str], str]:
    words = ["label", "photos", "--classes", ",".join(CLASSES), "--target", "90%"]
    process = subprocess.Popen(
        [sys.executable, "-m", "fewlabel", *words, "--port", "0", "--no-browser"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return process, found[0]
    raise RuntimeError("the page did not start")


def _answer(page: Page, truth: dict[str, str]) -> None:
    """Give the true label of the image that is shown, by its key."""
    page.wait_for_selector("#picture img")
    name = page.inner_text("#name")
    page.keyboard.press(str(CLASSES.index(truth[name]) + 1))
    _until(lambda: page.inner_text("#name") != name)
    page.wait_for_timeout(200)


def _is_learned(page: Page) -> bool:
    return page.locator("#curve .line").count() > 0


def _until(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError("it did not come about")
        time.sleep(0.05)


def _shoot(page: Page, name: str) -> None:
    """Keep what is seen; as JPEG, photos take a fifth of a PNG."""
    seen = Image.open(io.BytesIO(page.screenshot()))
    seen.convert("RGB").save(OUT / f"{name}.jpg", quality=86, optimize=True)


if __name__ == "__main__":
    main()
