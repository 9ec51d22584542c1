"""A headless Chromium driven over its devtools pipe, with the standard library alone."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless_shell")
OPTIONS = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--disable-default-apps", "--hide-scrollbars", "--mute-audio",
)  # fmt: skip
SECONDS = 60
LAUNCHER = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(text), fcntl.F_DUPFD, 10) for text in sys.argv[1:3]]
for end, number in zip(ends, (3, 4)):
    os.dup2(end, number)
    os.close(end)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads from descriptor 3 and writes to 4: both pipes are put there before it starts."""


def find_browser():
    """Its path.

    Raises:
        RuntimeError: none on PATH, and CHROMIUM does not name one; says what was looked for.
    """
    wanted = os.environ.get("CHROMIUM")
    for name in [wanted] if wanted else NAMES:
        found = shutil.which(name)
        if found:
            return found
    looked = f"CHROMIUM={wanted}" if wanted else f"{', '.join(NAMES)} on PATH ({os.environ.get('PATH', '')})"
    raise RuntimeError(f"no Chromium: looked for {looked}; install one, or let CHROMIUM name its program")


class Page:
    """One open page; collects what went wrong on it and what it asked for."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session
        self.faults, self.requests = [], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def take(self, event):
        """An event of this page."""
        about = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.faults.append(details.get("exception", {}).get("description") or details["text"])
        elif event["method"] == "Runtime.consoleAPICalled" and about["type"] in (
            "error",
            "warning",
            "assert",
        ):
            self.faults.append(str([one.get("value", one.get("description")) for one in about["args"]]))
        elif event["method"] == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.faults.append(about["entry"]["text"])
        elif event["method"] == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"].partition(",")[0][:200])

    def open(self, url):
        """Navigate and wait for the load event."""
        self.browser.events.clear()
        found = self.call("Page.navigate", url=url)
        assert "errorText" not in found, found
        self.browser.wait(lambda: any(one["method"] == "Page.loadEventFired" for one in self.browser.events))

    def evaluate(self, code):
        """The value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def click(self, selector):
        """A real click on the middle of an element, scrolled into view; whatever lies above it gets it."""
        code = f"""(() => {{ const node = document.querySelector({json.dumps(selector)});
            node.scrollIntoView({{block: "center", inline: "center", behavior: "instant"}});
            const box = node.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()"""
        x, y = self.evaluate(code)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text):
        """Text into the element that has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path):
        """The whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(found["data"]))

    def pdf(self):
        """The bytes of the page printed as its own style sheet says."""
        found = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        return base64.b64decode(found["data"])


class Browser:
    """The process and its pipe: JSON messages that end with a zero byte."""

    def __init__(self, program, profile):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        self.log = open(os.path.join(profile, "log.txt"), "w+b")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, str(theirs_in), str(theirs_out), program, *OPTIONS,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_in, theirs_out), stdout=self.log, stderr=self.log, start_new_session=True,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self.input, self.output, self.rest = ours_in, ours_out, b""
        self.events, self.answers, self.number, self.page = [], {}, 0, None

    def call(self, method, session=None, **params):
        """Send a command and wait for its answer."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        number = self.number
        self.wait(lambda: number in self.answers)
        answer = self.answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait(self, condition):
        """Read messages until the condition holds."""
        end = time.monotonic() + SECONDS
        while not condition():
            ready, _, _ = select.select([self.input], [], [], max(0.0, end - time.monotonic()))
            data = os.read(self.input, 1 << 20) if ready else b""
            if not data:
                self.log.seek(0)
                words = self.log.read()[-2000:].decode(errors="replace")
                raise RuntimeError(f"the browser went silent (status {self.process.poll()}): {words}")
            *messages, self.rest = (self.rest + data).split(b"\0")
            for message in messages:
                self._take(json.loads(message))

    def _take(self, message):
        if "id" in message:
            self.answers[message["id"]] = message
            return
        self.events.append(message)
        if self.page is not None and message.get("sessionId") == self.page.session:
            self.page.take(message)

    def new_page(self, width=1280, height=900):
        """An empty page of this size."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.page = Page(self, session)
        self.page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        return self.page

    def close(self):
        """End the process."""
        with contextlib.suppress(Exception):
            self.call("Browser.close")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        os.close(self.input)
        os.close(self.output)
        self.log.close()


@contextlib.contextmanager
def browser():
    """A running browser with a profile of its own that is removed afterwards."""
    program = find_browser()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        running = Browser(program, profile)
        try:
            yield running
        finally:
            running.close()
