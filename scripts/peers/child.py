"""An engine's process, as its parent sees it; `process` is what runs in it."""

import json
import subprocess
import sys
import tempfile
import time

from slim_resnet.common.environment import child_environment
from slim_resnet.errors import SlimResnetError


class EngineProcess:
    """An engine at work in a process of its own.

    Attributes:
      first: What it answered when it was ready.
      startup_s: Seconds from its start to then.
    """

    def __init__(self, engine, arguments, **variables):
        self._name = engine
        self._stderr = tempfile.TemporaryFile()
        started = time.perf_counter()
        # A session of its own: Ctrl-C is for the parent, whose end ends it.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.peers.process", json.dumps([engine, arguments])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, text=True,
            start_new_session=True,
            env=child_environment(TF_CPP_MIN_LOG_LEVEL="3", **variables))
        try:
            self.first = self._answer()
        except BaseException:
            self.close()
            raise
        self.startup_s = time.perf_counter() - started

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, command):
        """Has it do one command of `process.serve`; returns its answer."""
        try:
            print(json.dumps(command), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            pass
        return self._answer()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._stderr.seek(0)
            last = self._stderr.read().decode("utf-8", "replace").strip().splitlines()[-1:]
            raise SlimResnetError(f"the process of {self._name} ended with status {status}: "
                                  f"{''.join(last) or 'it said nothing'}")
        return json.loads(line)

    def close(self):
        self._process.kill()
        self._process.communicate()
        self._stderr.close()
