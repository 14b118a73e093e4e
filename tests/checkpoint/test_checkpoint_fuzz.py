"""Damaged files: each ends in one clear line or in the values that were written.

Both formats carry checksums of all that decides about values (``.tar.gz`` too), so
changed values that go unnoticed are a failure here.
"""

import gzip
import os
import pathlib
import random
import tarfile
import tempfile

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.checkpoint import open_checkpoint, restore
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints

tf1 = tf.compat.v1

MUTATIONS = 500
SENTINEL = -7.0

# Format, and the file that is damaged.
TARGETS = {
    "V1": "net.ckpt",
    "V2 index": "net.ckpt.index",
    "V2 data": "net.ckpt.data-00000-of-00001",
    "tar.gz": "net.tar.gz",
}


def small_network(images):
    """Variables enough for several blocks of V1's table; the network does not matter."""
    for i in range(8):
        tf1.get_variable(f"scope/layer_{i}/weights", [3, 3, i + 1, 8])
        tf1.get_variable(f"scope/layer_{i}/biases", [8])
    tf1.get_variable("global_step", [], tf.int64)
    return tf.zeros([]), {}


def mutated(content, rng):
    """Returns bytes with one kind of damage: flips, a cut, noise, an insertion, a hole."""
    content = bytearray(content)
    # A third of the damage goes to the last bytes, where tables say how they are laid out.
    first = max(0, len(content) - 64) if rng.random() < 1 / 3 else 0
    at = rng.randrange(first, len(content))
    noise = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
    kind = rng.choice(["flip", "flips", "cut", "noise", "insert", "hole", "swap"])
    if kind == "flip":
        content[at] ^= 1 << rng.randrange(8)
    elif kind == "flips":
        for _ in range(5):
            content[rng.randrange(first, len(content))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del content[at:]
    elif kind == "noise":
        content[at:at + len(noise)] = noise
    elif kind == "insert":
        content[at:at] = noise
    elif kind == "hole":
        del content[at:at + len(noise)]
    else:
        half = len(content) // 2
        content = content[half:] + content[:half]
    return bytes(content)


@pytest.mark.slow
@pytest.mark.oldest
@pytest.mark.parametrize("target", TARGETS)
def test_mutated_files(tmp_path, monkeypatch, target):
    version = checkpoints.V1 if target == "V1" else checkpoints.V2
    written = checkpoints.write(tmp_path / "files" / "net.ckpt", small_network, version)
    path = pathlib.Path(written.path)
    if target == "tar.gz":
        path = tmp_path / "net.tar.gz"
        def undated(member):
            member.mtime = 0
            return member

        with gzip.GzipFile(path, "wb", mtime=0) as zipped, \
             tarfile.open(fileobj=zipped, mode="w") as archive:
            archive.add(tmp_path / "files", "files", filter=undated)
    damaged = path.parent / TARGETS[target]
    good = damaged.read_bytes()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    with tf.Graph().as_default() as graph:
        small_network(None)
        variables = {v.op.name: v for v in tf1.global_variables()}
    reset = ([v.initializer for v in variables.values()],
             {v.initializer.inputs[1]: np.full(v.shape, SENTINEL) for v in variables.values()})
    refused = 0
    with tf1.Session(graph=graph) as session:
        session.run(*reset)
        for seed in range(MUTATIONS):
            content = mutated(good, random.Random(f"{target} {seed}"))
            damaged.write_bytes(content)
            try:
                with open_checkpoint(path) as checkpoint:
                    values = {name: checkpoint.tensor(name) for name in checkpoint.shapes}
            except SlimResnetError as error:
                assert "\n" not in str(error) and str(tmp_path) in str(error), seed
                refused += content != good
            else:
                assert values.keys() == written.values.keys(), seed
                for name, value in values.items():
                    np.testing.assert_array_equal(value, written.values[name], err_msg=str(seed))
            if seed % 10 == 0:
                try:
                    restore(session, path)
                except SlimResnetError:
                    expected = dict.fromkeys(variables, SENTINEL)
                else:
                    expected = written.values
                for name, value in session.run(variables).items():
                    assert (value == expected[name]).all(), (seed, name)
                session.run(*reset)
    assert refused > 0.8 * MUTATIONS
    assert os.listdir(temporary) == []


def test_a_mutation_changes_something():
    good = random.Random(0).randbytes(1024)
    changed = sum(mutated(good, random.Random(seed)) != good for seed in range(100))
    assert changed >= 98
