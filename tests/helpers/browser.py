"""A headless Chromium, spoken to through its own debugging pipe: nothing to install but it."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS = 60

# The browser reads commands on descriptor 3 and writes answers on 4.
_START = ("import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
          "os.execv(sys.argv[3], sys.argv[3:])")


def find_browser():
    """Returns the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class Page:
    """One page of a browser of its own.

    Attributes:
      requests: URLs that the page asked for.
      errors: Exceptions of its scripts, and what its console calls warnings or errors.
    """

    def __init__(self, browser, profile):
        commands, answers = os.pipe(), os.pipe()
        # Descriptors well above 3 and 4, so that neither overwrites the other.
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (commands[0], answers[1])]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, *map(str, theirs), browser, "--headless",
             "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-dev-shm-usage", f"--user-data-dir={profile}", "--remote-debugging-pipe",
             "about:blank"],
            pass_fds=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in (commands[0], answers[1], *theirs):
            os.close(end)
        self._to, self._from, self._received = commands[1], answers[0], b""
        self._number, self._session = 0, None
        self.requests, self.errors, self._loaded = [], [], False
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=page["targetId"],
                                  flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.send(f"{domain}.enable")

    def close(self):
        os.close(self._to)
        os.close(self._from)
        self.process.terminate()
        self.process.wait(_SECONDS)

    def send(self, method, **parameters):
        """Sends a command of the DevTools protocol and returns its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _receive(self):
        until = time.monotonic() + _SECONDS
        while b"\0" not in self._received:
            if not select.select([self._from], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            received = os.read(self._from, 1 << 20)
            if not received:
                raise RuntimeError("the browser has ended")
            self._received += received
        message, self._received = self._received.split(b"\0", 1)
        message = json.loads(message)
        event, parameters = message.get("method"), message.get("params", {})
        if event == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(parameters["exceptionDetails"].get("text"))
        elif event == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.errors.append(str(parameters["args"]))
        elif event == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.errors.append(parameters["entry"]["text"])
        elif event == "Page.loadEventFired":
            self._loaded = True
        return message

    def open(self, path, width=1600, height=900, scheme="light"):
        """Loads a file in a window of that size, for a reader who prefers that scheme."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.send("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._loaded = False
        self.send("Page.navigate", url=path.absolute().as_uri())
        while not self._loaded:
            self._receive()

    def evaluate(self, expression):
        """Returns the value of a JavaScript expression, by way of JSON."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def press(self, key, code, text=""):
        """Presses and releases a key, such as ``("Tab", 9)`` or ``("Enter", 13, "\\r")``."""
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code,
                  text=text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def write(self, text):
        """Types into what has the focus."""
        self.send("Input.insertText", text=text)

    def screenshot(self, path, whole=True):
        """Writes a PNG of the page, or of the window."""
        data = self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))
