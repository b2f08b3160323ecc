"""Take the screenshots of the README and the guides from a server that runs: `make run`, then `make screenshots`."""

from __future__ import annotations

import argparse
import shutil
import sys

from playwright.sync_api import sync_playwright

from webapp.settings import PROJECT

FOLDER = PROJECT / "docs" / "img"
MESSAGE = (
    "Bonjour, les éboueurs ne sont pas passés ce matin rue des Lilas et ma poubelle jaune déborde.\n"
    "Par ailleurs, comment inscrire ma fille à la cantine ?\nCordialement, Mme Petit"
)
# Chromium looks up its maker's hosts at every start unless it is told not to.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def main(arguments: list[str] | None = None) -> int:
    """Take them all; returns an exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    options = parser.parse_args(arguments)
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed.", file=sys.stderr)
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto(options.url)
        page.fill("#message", MESSAGE)
        page.keyboard.press("Control+Enter")
        page.wait_for_selector(".card")
        page.screenshot(path=FOLDER / "desk.png")
        page.goto(f"{options.url}/articles/carte-identite-demande")
        page.screenshot(path=FOLDER / "article.png")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
