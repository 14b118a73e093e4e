"""A server that is stopped or dies while it is timed: a bound, one line, and Ctrl-C works."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.helpers.clusters import free_jobs
from tests.helpers.command_line import ROOT

pytestmark = pytest.mark.slow

SERVER = """
import os, sys, time
import tensorflow as tf
server = tf.compat.v1.train.Server({"worker": [sys.argv[1]]}, "worker", 0)
print("ready", flush=True)
server.join()
"""
# A network of a unit a block, and a server that is given up sooner.
CLIENT = """
import sys
from slim_resnet import cli, resnet_v2
from slim_resnet.benchmark import servers
resnet_v2.DEPTHS[50] = (1, 1, 1, 1)
servers.SILENCE_S = int(sys.argv[1])
sys.exit(cli.main(sys.argv[2:]))
"""
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}


@pytest.fixture
def server():
    address = free_jobs(0)["ps"][0]
    process = subprocess.Popen([sys.executable, "-c", SERVER, address], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT)
    assert process.stdout.readline() == "ready\n"
    yield process, address
    process.kill()
    process.wait()


class Client:
    """``slim-resnet benchmark`` on a server, in a process of its own."""

    def __init__(self, address, *options, silence_s=8):
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(silence_s), "benchmark", "--model", "resnet_v2_50",
             "--batch-size", "1", "--image-size", "32", "--burn-in", "0", "--num-batches",
             "1000000", "--target", f"grpc://{address}", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=ENVIRONMENT)
        self.lines = []
        self._reader = threading.Thread(target=lambda: self.lines.extend(
            iter(self.process.stdout.readline, "")))
        self._reader.start()

    def steps(self):
        return [line for line in self.lines if re.search(r": step \d+, duration", line)]

    def wait_for_steps(self, count):
        deadline = time.monotonic() + 120
        while len(self.steps()) < count:
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)

    def ended(self, within_s):
        """Returns the exit status and what the last line on stderr says."""
        try:
            self.process.wait(within_s)
        finally:
            self.process.kill()
            self._reader.join()
        err = self.process.stderr.read()
        assert "Traceback" not in err
        return self.process.returncode, err.splitlines()[-1]


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_a_server_that_stops_or_dies_is_one_line(server, how):
    process, address = server
    client = Client(address)
    client.wait_for_steps(2)
    process.send_signal(how)
    status, line = client.ended(60)
    assert status == 2
    assert line.startswith(f"slim-resnet benchmark: error: --target grpc://{address}: the server ")


@pytest.mark.parametrize("how", [signal.SIGSTOP, None])
def test_ctrl_c_ends_a_step_that_waits(server, how):
    process, address = server
    client = Client(address)
    client.wait_for_steps(2)
    if how:
        process.send_signal(how)
        time.sleep(1)
    client.process.send_signal(signal.SIGINT)
    status, _ = client.ended(15)
    assert status == 130
    assert "(partial: stopped before 1000000 steps)" in client.lines[-1]


def test_a_step_has_a_bound(server):
    process, address = server
    client = Client(address, "--step-timeout", "8", silence_s=20)
    client.wait_for_steps(2)
    process.send_signal(signal.SIGSTOP)
    status, line = client.ended(40)
    assert status == 2 and line.endswith(": a step has taken 8 s; --step-timeout allows more")
