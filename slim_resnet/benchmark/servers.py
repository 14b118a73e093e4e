"""A session's target and device: whether they are there, and still are, in bounded time."""

import concurrent.futures
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slim_resnet.common.cluster import parse_address
from slim_resnet.errors import SlimResnetError

tf1 = tf.compat.v1

TIMEOUT_S = 10
# A step that takes longer than this has the server asked for a sign of life; one that has
# given none for so long is given up.
_ASK_S, SILENCE_S = 3, 20
_POLL_S = 0.2
_CLOSE_S = 2


class RemoteSession:
    """A session on a server that may stop or die in the middle of a step.

    TensorFlow's own waits for ever then, and Python hears no Ctrl-C while it does. Here the
    work is on a thread that the caller's watches.

    Args:
      target: ``grpc://HOST:PORT``.
      graph: The session's.
      config: Its ``ConfigProto``.
      step_timeout_s: How long one run may take.
    """

    def __init__(self, target: str, graph: tf.Graph, config: tf1.ConfigProto,
                 step_timeout_s: int) -> None:
        self._target, self._step_timeout_s = target, step_timeout_s
        self._session = tf1.Session(target, graph, config)
        self._work = queue.SimpleQueue()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            future, function = self._work.get()
            _fulfil(future, function)

    def run(self, *arguments: Any) -> Any:
        """Returns what ``tf.compat.v1.Session.run`` does.

        Raises:
          SlimResnetError: The server is gone, silent, or takes longer than the step may.
        """
        future = concurrent.futures.Future()
        self._work.put((future, lambda: self._session.run(*arguments)))
        started = answered = time.monotonic()
        question = None
        while not concurrent.futures.wait([future], _POLL_S).done:
            now = time.monotonic()
            if now - started > self._step_timeout_s:
                raise SlimResnetError(f"--target {self._target}: a step has taken "
                                      f"{self._step_timeout_s} s; --step-timeout allows more")
            if question is None and now - answered > _ASK_S:
                question = _in_thread(lambda: _devices(self._target))
            if question is not None and question.done():
                if question.exception() is None:
                    answered = now
                question = None
            if now - answered > SILENCE_S:
                raise SlimResnetError(f"--target {self._target}: the server has given no sign of "
                                      f"life for {SILENCE_S} s; it was stopped, or its machine "
                                      "is out of reach")
        try:
            return future.result()
        except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
            raise SlimResnetError(f"--target {self._target}: the server is gone; start it "
                                  "again") from error

    def close(self) -> None:
        """Closes the session, unless the server does not answer."""
        concurrent.futures.wait([_in_thread(self._session.close)], _CLOSE_S)


def _in_thread(function: Callable[[], Any]) -> concurrent.futures.Future:
    """Calls a function on a thread that nobody needs to wait for."""
    future = concurrent.futures.Future()
    threading.Thread(target=_fulfil, args=(future, function), daemon=True).start()
    return future


def _fulfil(future, function):
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)


def _devices(target: str) -> list[str]:
    """Returns the names of a target's devices, or raises an ``OpError`` in bounded time."""
    config = tf1.ConfigProto(operation_timeout_in_ms=1000 * TIMEOUT_S)
    with tf1.Session(target, tf.Graph(), config) as session:
        return [device.name for device in session.list_devices()]


def check_device(target, device):
    """Raises `SlimResnetError` unless the target answers and has the device.

    Args:
      target: ``grpc://HOST:PORT``, or empty for this process.
      device: A device like ``/CPU:0`` or ``/job:worker/task:0/CPU:0``, or None.
    """
    if target:
        _check_port(target)
    elif device is None:
        return
    try:
        names = _devices(target)
    except tf.errors.OpError as error:
        raise SlimResnetError(f"--target {target}: no TensorFlow server answers there within "
                              f"{TIMEOUT_S} s; start one with tf.distribute.Server") from error
    if device is None:
        return
    try:
        wanted = tf.DeviceSpec.from_string(device)
    except ValueError as error:
        raise SlimResnetError(f"--device {device}: is not a device name; write /CPU:0 or "
                              "/GPU:0") from error
    if not any(_is_within(tf.DeviceSpec.from_string(name), wanted) for name in names):
        raise SlimResnetError(f"--device {device}: is not there; there are {', '.join(names)}")


def _check_port(target):
    scheme, _, address = target.partition("://")
    server = parse_address(address)
    if scheme != "grpc" or server is None:
        raise SlimResnetError(f"--target {target}: write grpc://HOST:PORT")
    try:
        socket.create_connection(server, timeout=TIMEOUT_S).close()
    except OSError as error:
        raise SlimResnetError(f"--target {target}: no server can be reached there: "
                              f"{error.strerror or error}") from error


def _is_within(device, wanted):
    return all(getattr(wanted, part) in (None, getattr(device, part))
               for part in ("job", "replica", "task", "device_type", "device_index"))
