"""Damages image files and data, mends their checksums, and tells what reading makes of them.

Run as ``python -m tests.helpers.damage KIND FIRST LAST FOLDER`` it prints a line of JSON for
every batch of seeds; a process of its own, as what is damaged may end it.
"""

import io
import json
import os
import pathlib
import random
import shutil
import struct
import sys
import zipfile
import zlib

import numpy as np

from tests.helpers import documents

BATCH = 25
SIZE = 16


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def masked(data):
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff)


def record_of(payload, length=None):
    """Returns a record with right checksums, whatever length it says that it has."""
    said = struct.pack("<Q", len(payload) if length is None else length)
    return said + masked(said) + payload + masked(payload)


def image_of(seed, height=24, width=20):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3), np.uint8)


def mutated(data, rng):
    """Returns bytes with a few of them changed, cut out, doubled or made extreme."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(data))
        kind = rng.randrange(5)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at:at + rng.choice([1, 2, 4, 8])] = bytes(
                rng.choice([0, 0x7f, 0x80, 0xff]) for _ in range(rng.choice([1, 2, 4, 8])))
        elif kind == 2 and len(data) > 16:
            del data[at:at + rng.randrange(1, 16)]
        elif kind == 3:
            data[at:at] = data[at:at + rng.randrange(1, 64)]
        else:
            data[at] = rng.randrange(256)
        data = data or bytearray(b"\0")
    return bytes(data)


def damaged_png(seed):
    import tensorflow as tf
    rng = random.Random(seed)
    data = tf.io.encode_png(image_of(0)).numpy()
    if rng.random() < 0.3:
        return mutated(data, rng)
    chunks, at = [], 8
    while at < len(data):
        length, = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4:at + 8], data[at + 8:at + 8 + length]))
        at += 12 + length
    k = rng.randrange(len(chunks))
    name, body = chunks[k]
    if name == b"IDAT" and rng.random() < 0.5:
        body = zlib.compress(mutated(zlib.decompress(body), rng))
    else:
        body = mutated(body or b"\0", rng)
    chunks[k] = name, body
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks)


def damaged_jpeg(seed):
    import tensorflow as tf
    rng = random.Random(seed)
    data = tf.io.encode_jpeg(image_of(0), progressive=seed % 2 == 0).numpy()
    # Half of them before the pixels, where the tables and sizes are.
    head = data.index(b"\xff\xda")
    return mutated(data[:head], rng) + data[head:] if seed % 4 < 2 else mutated(data, rng)


def damaged_records(seed):
    import tensorflow as tf

    from tests.helpers import pictures
    rng = random.Random(seed)
    payloads = [pictures.record(tf.io.encode_png(image_of(k)).numpy(), k) for k in range(3)]
    if rng.random() < 0.3:
        return mutated(b"".join(map(record_of, payloads)), rng)
    k = rng.randrange(3)
    if rng.random() < 0.5:
        payloads[k] = mutated(payloads[k], rng)
        return b"".join(map(record_of, payloads))
    length = rng.choice([rng.randrange(1 << 12), 1 << rng.randrange(64), (1 << 64) - 1])
    return b"".join(record_of(payload, length if number == k else None)
                    for number, payload in enumerate(payloads))


NPZ_CLASSES = ["left", "right", "up"]


def damaged_npz(seed):
    rng = random.Random(seed)
    arrays = {"images": np.stack([image_of(k) for k in range(3)]), "labels": np.arange(3),
              "classes": np.array(NPZ_CLASSES)}
    mended = rng.choice([None, *arrays])
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as file:
        for name, array in arrays.items():
            npy = io.BytesIO()
            np.lib.format.write_array(npy, array)
            contents = npy.getvalue()
            if name == mended:
                # Mostly the header, with what the array's shape and type are.
                head = 128 if rng.random() < 0.7 else len(contents)
                contents = mutated(contents[:head], rng) + contents[head:]
            file.writestr(f"{name}.npy", contents)
    return made.getvalue() if mended else mutated(made.getvalue(), rng)


def outcomes_of_images(paths):
    from slim_resnet.images import reading
    batch, = reading.read_images(paths, SIZE, "none", len(paths))
    good = iter(batch.images)
    for cause in batch.causes:
        if cause is None:
            image = next(good)
            yield "valid" if (np.isfinite(image).all() and image.min() >= 0
                              and image.max() <= 255) else "wrong pixels"
        else:
            yield _refused(cause)


def outcomes_of_data(paths):
    from slim_resnet.errors import SlimResnetError
    from slim_resnet.images import find_data, read_source
    for path in paths:
        try:
            source = find_data([path], 3)
            if path.endswith(".npz"):
                names = source.classes
                yield "valid" if names != [None] * 3 and len(names) >= 3 else "names are lost"
                continue
            for batch in read_source(source, SIZE, "none"):
                if any(cause and _refused(cause) != "refused" for cause in batch.causes):
                    yield "more than a line"
                    break
            else:
                yield "valid"
        except SlimResnetError as error:
            yield _refused(str(error))


def outcomes_of_json(paths):
    """Each path is where a document is damaged; what it then comes to is no matter of pixels."""
    from slim_resnet.errors import SlimResnetError
    for path in paths:
        folder = pathlib.Path(path).with_suffix("")
        documents.write_all(folder)
        use, damaged = documents.damage_one(folder, folder.name, mutated)
        try:
            use(damaged)
            yield "valid"
        except SlimResnetError as error:
            yield _refused(str(error))
        shutil.rmtree(folder)


def _refused(text):
    return "refused" if text and "\n" not in text and len(text) < 1000 else "more than a line"


KINDS = {"png": (damaged_png, outcomes_of_images), "jpg": (damaged_jpeg, outcomes_of_images),
         "tfrecord": (damaged_records, outcomes_of_data), "npz": (damaged_npz, outcomes_of_data),
         "json": (lambda seed: b"", outcomes_of_json)}


def main(kind, first, last, folder):
    damaged, outcomes_of = KINDS[kind]
    for start in range(int(first), int(last), BATCH):
        paths = []
        for seed in range(start, start + BATCH):
            paths.append(os.path.join(folder, f"{seed}.{kind}"))
            with open(paths[-1], "wb") as file:
                file.write(damaged(seed))
        print(json.dumps({"first": start, "outcomes": list(outcomes_of(paths))}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
