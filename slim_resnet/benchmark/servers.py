"""Finding out whether a session's target and a device are there, in bounded time."""

import socket

import tensorflow as tf

from slim_resnet.common.cluster import parse_address
from slim_resnet.errors import SlimResnetError

tf1 = tf.compat.v1

TIMEOUT_S = 10


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
    config = tf1.ConfigProto(operation_timeout_in_ms=1000 * TIMEOUT_S)
    try:
        with tf1.Session(target, tf.Graph(), config) as session:
            names = [d.name for d in session.list_devices()]
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
