"""A tiny network, data for it, and free ports for the tasks that train it."""

import contextlib
import socket

import numpy as np

NETWORK = dict(model="resnet_v2", blocks=((1, 1), (2, 1)), root_block=False, image_size=8,
               preprocessing="inception",
               augmentation="none", schedule="constant", learning_rate=0.02)


def write_data(folder):
    """Writes 60 images of three classes, grey of three shades; returns the file's path."""
    path = str(folder / "data.npz")
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    np.savez(path, labels=labels, images=(rng.random((60, 8, 8)) * 60
                                          + labels[:, None, None] * 70).astype(np.uint8))
    return path


def free_jobs(num_workers):
    """Returns the jobs of a cluster: a parameter server and workers, on ports free now."""
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                 for _ in range(num_workers + 1)]
    addresses = [f"127.0.0.1:{port}" for port in ports]
    return {"ps": addresses[:1], "worker": addresses[1:]}
