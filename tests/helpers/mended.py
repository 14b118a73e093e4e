"""Damage that carries right checksums, and a process that opens files with it.

    python -m tests.helpers.mended V1|V2|tar FOLDER FIRST LAST

prints a line before it opens each file, its seed, and one after, as JSON: what came of it.
"""

import faulthandler
import json
import pathlib
import random
import struct
import sys
import tarfile

import numpy as np
import tensorflow as tf

from slim_resnet.checkpoint import open_checkpoint, restore
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints
from tests.helpers.mended_tar import mutated_tar

tf1 = tf.compat.v1

# Name: shape, dtype and how many parts it is written in.
VARIABLES = {
    **{f"scope/layer_{i}/weights": ([3, 3, i + 1, 8], np.float32, 1) for i in range(6)},
    **{f"scope/layer_{i}/biases": ([8], np.float32, 1) for i in range(6)},
    "global_step": ([], np.int64, 1), "flags": ([5], np.bool_, 1), "counts": ([4], np.int32, 1),
    "precise": ([2, 2], np.float64, 1), "parts": ([6, 4], np.float32, 3),
}
TEXT = np.array([b"one", b"three"])
TARGETS = {"V1": "net.ckpt", "V2": "net.ckpt.index", "tar": "net.tar"}

# Numbers that readers trip over.
_NUMBERS = [0, 1, 2, 7, 8, 20, 21, 24, 63, 64, 127, 128, 255, 256, (1 << 31) - 1, 1 << 31, 1 << 32,
            1 << 40, 1 << 61, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 2]
_VARINT, _BYTES = 0, 2


def values():
    """Returns the arrays of all variables but the text, by name."""
    return {name: checkpoints.distinct_value(name, shape, dtype).astype(dtype)
            for name, (shape, dtype, _) in VARIABLES.items()}


def write(folder, target):
    """Writes what is going to be damaged; returns its path."""
    names, specs, data = ["text"], [""], [TEXT]
    for name, array in values().items():
        parts = VARIABLES[name][2]
        for start, part in zip(range(0, 6, 2), np.split(array, parts) if parts > 1 else [array]):
            names.append(name)
            specs.append("" if parts == 1 else f"6 4 {start},2:0,4")
            data.append(part)
    prefix = str(folder / "net.ckpt")
    with tf.Graph().as_default(), tf1.Session() as session:
        tensors = [tf.constant(array) for array in data]
        if target == "V1":
            specs = [spec or "".join(f"{size} " for size in array.shape)
                     + ":".join("-" for _ in array.shape) for spec, array in zip(specs, data)]
            session.run(tf.raw_ops.SaveSlices(filename=prefix, tensor_names=names,
                                              shapes_and_slices=specs, data=tensors))
        else:
            session.run(tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names,
                                          shape_and_slices=specs, tensors=tensors))
    if target == "tar":
        with tarfile.open(folder / "net.tar", "w", format=tarfile.PAX_FORMAT) as archive:
            for path in sorted(folder.glob("net.ckpt*")):
                header = archive.gettarinfo(path, f"resnet/{path.name}")
                header.pax_headers = {"comment": "a comment"}
                with open(path, "rb") as file:
                    archive.addfile(header, file)
                path.unlink()
    return folder / TARGETS[target]


def mutated(content, target, rng):
    """Returns the bytes with one kind of damage, and checksums that fit."""
    return mutated_tar(content, rng) if target == "tar" else mutated_table(content, target, rng)


def masked_crc(data):
    """Returns CRC-32C, bit by bit, as LevelDB stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(number):
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def read_varint(data, at):
    number = shift = 0
    while True:
        number |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return number, at


def read_block(data, start, size):
    """Returns the keys and values of a block."""
    count, = struct.unpack("<I", data[start + size - 4:start + size])
    at, end, key, entries = start, start + size - 4 - 4 * count, b"", []
    while at < end:
        shared, at = read_varint(data, at)
        own, at = read_varint(data, at)
        length, at = read_varint(data, at)
        key = key[:shared] + data[at:at + own]
        entries.append((key, data[at + own:at + own + length]))
        at += own + length
    return entries


def block(entries, rng=None):
    """Returns a block without its checksum; with ``rng``, its restarts or lengths are wrong."""
    wrong = rng.choice(["restart", "count", "length"]) if rng else None
    chosen = rng.randrange(len(entries)) if rng else None
    body = b""
    for i, (key, value) in enumerate(entries):
        numbers = [0, len(key), len(value)]
        if wrong == "length" and i == chosen:
            numbers[rng.randrange(3)] = rng.choice([*_NUMBERS, len(key) + 1, len(value) + 1])
        body += b"".join(map(varint, numbers)) + key + value
    restarts, count = [0], 1
    if wrong == "restart":
        restarts = [rng.choice([0, 1, rng.randrange(len(body)), 0xFFFFFFFF])
                    for _ in range(rng.randrange(1, 4))]
        count = len(restarts)
    if wrong == "count":
        count = rng.choice([0, 2, 100, 0x3FFFFFFF, 0xFFFFFFFF])
    return body + struct.pack(f"<{len(restarts)}I", *restarts) + struct.pack("<I", count)


def table(blocks, last_keys, rng=None):
    """Returns a table of blocks; with ``rng``, a handle is wrong."""
    data, handles = b"", []
    for body in blocks:
        handles.append([len(data), len(body)])
        data += body + b"\0" + struct.pack("<I", masked_crc(body + b"\0"))
    empty = struct.pack("<II", 0, 1)
    index_at = len(data) + len(empty) + 5
    footer = [len(data), len(empty), index_at, 0]
    data += empty + b"\0" + struct.pack("<I", masked_crc(empty + b"\0"))
    if rng and rng.random() < 0.5:
        rng.choice(handles)[rng.randrange(2)] = rng.choice([*_NUMBERS, 100, len(data)])
    body = block([(key, varint(a) + varint(b)) for key, (a, b) in zip(last_keys, handles)])
    footer[3] = len(body)
    if rng and rng.random() < 0.5:
        footer[rng.randrange(4)] = rng.choice([*_NUMBERS, 100, len(data)])
    data += body + b"\0" + struct.pack("<I", masked_crc(body + b"\0"))
    end = b"".join(map(varint, footer)).ljust(40, b"\0")[:40]
    return data + end + bytes.fromhex("57fb808b247547db")


def fields(data):
    """Returns a message as a list of number, wire type and value."""
    at, found = 0, []
    while at < len(data):
        tag, at = read_varint(data, at)
        wire = tag & 7
        if wire == _VARINT:
            value, at = read_varint(data, at)
        else:
            length, at = read_varint(data, at) if wire == _BYTES else ({1: 8, 5: 4}[wire], at)
            value, at = data[at:at + length], at + length
        found.append((tag >> 3, wire, value))
    return found


def encoded(message):
    return b"".join(varint(number << 3 | wire) + (
        varint(value) if wire == _VARINT else
        varint(len(value)) + value if wire == _BYTES else value) for number, wire, value in message)


def mutated_message(data, rng, nested=0.7):
    """Returns a message with one field changed, doubled, dropped, retyped, or noise in it."""
    try:
        message = fields(data)
    except (IndexError, KeyError):
        message = []
    if not message or rng.random() < 0.15:
        noise = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 6)))
        at = rng.randrange(len(data) + 1)
        return data[:at] + noise + data[at + rng.randrange(3):]
    at = rng.randrange(len(message))
    number, wire, value = message[at]
    if wire == _BYTES and rng.random() < nested:
        message[at] = number, wire, mutated_message(value, rng, nested)
        return encoded(message)
    kind = rng.choice(["number", "number", "number", "twice", "drop", "field", "wire", "many"])
    if kind == "number":
        value = rng.choice(_NUMBERS) if wire == _VARINT else bytes(
            rng.randrange(256) for _ in range(len(value)))
        message[at] = number, wire, value
    elif kind == "twice":
        message.insert(at, message[at])
    elif kind == "drop":
        del message[at]
    elif kind == "field":
        message[at] = rng.randrange(1, 20), wire, value
    elif kind == "wire":
        message[at] = number, _VARINT, rng.choice(_NUMBERS)
    else:
        message[at:at] = [message[at]] * rng.choice([30, 254, 255, 300])
    return encoded(message)


def read_table(content):
    """Returns the blocks of a table, lists of keys and values, and their keys in the index."""
    at = len(content) - 48
    numbers = []
    for _ in range(4):
        number, at = read_varint(content, at)
        numbers.append(number)
    blocks, last_keys = [], []
    for key, handle in read_block(content, *numbers[2:]):
        start, at = read_varint(handle, 0)
        blocks.append(read_block(content, start, read_varint(handle, at)[0]))
        last_keys.append(key)
    return blocks, last_keys


def changed(content, key, change):
    """Returns a table in which ``change`` has made another value of that of a key."""
    blocks, last_keys = read_table(content)
    return table([block([(k, change(v) if k == key else v) for k, v in entries])
                  for entries in blocks], last_keys)


def mutated_table(content, target, rng):
    blocks, last_keys = read_table(content)
    chosen = blocks[0] if rng.random() < 0.3 else rng.choice(blocks)
    at = 0 if rng.random() < 0.3 else rng.randrange(len(chosen))
    key, value = chosen[at]
    kind = rng.choice(["value"] * 6 + ["key", "swap", "drop", "twice", "block", "table"])
    if kind == "value":
        if target == "V1" and key:
            # Its last field is the values themselves, and no file tells which are right.
            (number, wire, record), = fields(value)
            *head, (last, _, tensor) = fields(record)
            head = encoded(head)
            if rng.random() < 0.5:
                head = mutated_message(head, rng)
            else:
                (held, held_wire, numbers), = fields(tensor)[:1]
                tensor = rng.choice([
                    tensor[:-1], tensor[:-4], tensor + tensor, b"", tensor[:1],
                    encoded([(held, held_wire, numbers[:-4])]),
                    encoded([(held, held_wire, numbers + numbers)]),
                    encoded([(held + 1, held_wire, numbers)]),
                    varint(held << 3 | held_wire) + varint(rng.choice(_NUMBERS)) + numbers])
            chosen[at] = key, encoded([(number, wire, head + encoded([(last, _BYTES, tensor)]))])
        else:
            chosen[at] = key, mutated_message(value, rng)
    elif kind == "key":
        noise = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 3)))
        cut = rng.randrange(len(key) + 1)
        chosen[at] = key[:cut] + noise + key[cut:], value
    elif kind == "swap":
        other = rng.randrange(len(chosen))
        if target == "V2" and b"biases" in key and b"biases" in chosen[other][0]:
            # Two variables of one shape have changed their names: no file tells.
            other = 0
        chosen[at], chosen[other] = (key, chosen[other][1]), (chosen[other][0], value)
    elif kind == "drop":
        del chosen[at]
    elif kind == "twice":
        chosen.insert(at, chosen[at])
    bodies = [block(entries, rng if kind == "block" and entries is chosen and entries else None)
              for entries in blocks]
    return table(bodies, last_keys, rng if kind == "table" else None)


def outcome(session, reset, variables, path, expected):
    """Returns what comes of opening a file: refused, equal, or what must not be."""
    try:
        with open_checkpoint(path) as checkpoint:
            read = {name: checkpoint.tensor(name) for name in checkpoint.shapes}
        text = read.pop("text", None)
        if text is not None and text.dtype == object and text.ravel().tolist() != TEXT.tolist():
            return "different", "text"
        if {n: (v.shape, v.dtype) for n, v in read.items()} == \
                {n: (v.shape, v.dtype) for n, v in expected.items()}:
            wrong = [name for name in read if not np.array_equal(read[name], expected[name])]
            return ("different", wrong[0]) if wrong else ("equal", "")
        # Another file, and a whole one: a network takes it for another.
        session.run(*reset)
        restore(session, path, exclude="text" if text is not None else ())
    except SlimResnetError as error:
        one_line = "\n" not in str(error) and path.name in str(error)
        return "refused" if one_line else "unclear", str(error)
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {error}"
    wrong = [name for name, value in session.run(variables).items()
             if not np.array_equal(value, expected[name])]
    return ("different", wrong[0]) if wrong else ("equal", "")


def main(target, folder, first, last):
    folder = pathlib.Path(folder)
    path = write(folder, target)
    good, expected = path.read_bytes(), values()
    opened = path.with_name("net.ckpt") if target == "V2" else path
    with tf.Graph().as_default() as graph:
        variables = {name: tf1.get_variable(name, shape, dtype,
                                            tf1.zeros_initializer(), trainable=False)
                     for name, (shape, dtype, _) in VARIABLES.items()}
        reset = (tf1.global_variables_initializer(),)
    with tf1.Session(graph=graph) as session:
        for seed in range(int(first), int(last)):
            content = mutated(good, target, random.Random(f"{target} {seed}"))
            path.write_bytes(content)
            print(seed, flush=True)
            # A reader that hangs says where, and ends.
            faulthandler.dump_traceback_later(60, exit=True)
            result = outcome(session, reset, variables, opened, expected)
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
