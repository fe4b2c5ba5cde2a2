"""A real browser in a host of the street: this file runs there, takes orders on its standard input, and answers as JSON.

Chromium is Debian's. It runs in the namespace of ``pc``, so that what it reaches and does not reach is the street's doing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")
_AXE = Path(__file__).parent / "vendor" / "axe.min.js"
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_INJECT = """(from) => {
  const script = document.createElement("script");
  if (from) script.src = from; else script.textContent = "document.title = 'broken'";
  document.body.append(script);
}"""


def main() -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_ARGUMENTS)
        context = browser.new_context(ignore_https_errors=True, locale="zh-CN")
        page = context.new_page()
        page.set_default_timeout(20_000)
        seen: list[str] = []
        page.on("console", lambda message: seen.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda wrong: seen.append(f"script {wrong}"))
        page.on("request", lambda asked: seen.append(f"request {asked.url}"))
        for line in sys.stdin:
            order = json.loads(line)
            try:
                answer: Any = _do(page, context, order, seen)
            except Exception as wrong:  # noqa: BLE001 - whatever it is, the test that asked must hear it
                answer = {"error": f"{type(wrong).__name__}: {wrong}"}
            print(json.dumps({"answer": answer}), flush=True)
        browser.close()


def _do(page: Any, context: Any, order: dict[str, Any], seen: list[str]) -> Any:
    what = order["do"]
    if what == "goto":
        page.goto(order["url"])
    elif what == "fill":
        page.fill(order["selector"], order["text"])
    elif what == "click":
        page.click(order["selector"])
    elif what == "wait":
        page.wait_for_selector(order["selector"], timeout=order.get("seconds", 20) * 1000)
    elif what == "text":
        return page.inner_text(order["selector"])
    elif what == "count":
        return page.locator(order["selector"]).count()
    elif what == "url":
        return page.url
    elif what == "size":
        page.set_viewport_size({"width": order["width"], "height": order["height"]})
    elif what == "inject":
        # What a hole in the page would do: a script of an address, or one that stands in the page itself.
        page.evaluate(_INJECT, order["text"])
        page.wait_for_timeout(300)
    elif what == "colours":
        page.emulate_media(color_scheme=order["scheme"])
    elif what == "shot":
        page.screenshot(path=order["path"], full_page=True)
    elif what == "axe":
        page.evaluate(_AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run(document)")
        return [
            {"id": one["id"], "impact": one["impact"], "nodes": [node["html"][:200] for node in one["nodes"]]}
            for one in found["violations"]
        ]
    elif what == "wide":
        return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    elif what == "cookies":
        return context.cookies()
    elif what == "seen":
        told = list(seen)
        seen.clear()
        return told
    else:
        raise ValueError(what)
    return None


if __name__ == "__main__":
    main()
