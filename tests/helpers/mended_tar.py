"""Damage to tar files whose headers' sums are right all the same."""

# Where fields of a tar header begin and end, and where its checksum is.
_TAR_FIELDS = [(0, 100), (100, 108), (108, 116), (116, 124), (124, 136), (136, 148), (156, 157),
               (157, 257), (257, 263), (263, 265), (329, 337), (345, 500)]
_TAR_SUM = 148, 156


def mutated_tar(content, rng):
    content = bytearray(content)
    headers = [at for at in range(0, len(content), 512) if content[at + 257:at + 262] == b"ustar"]
    start = rng.choice(headers)
    where, end = rng.choice([*_TAR_FIELDS, (0, 100), (124, 136), (124, 136), (156, 157),
                             (156, 157)])
    size = end - where
    kind = rng.choice(["noise", "number", "byte", "extended", "chain"])
    if kind == "extended":
        record = rng.choice([b"30 GNU.sparse.major=1\n", b"19 size=99999999999\n", b"9 size=-1\n",
                             b"20 GNU.sparse.map=0\n", b"99999999 path=x\n", b"0 path=x\n",
                             b"18 path=../escape\n", b"noise", b"12 hdrcharset=BINARY\n",
                             b"24 GNU.sparse.size=1e9\n", b"16 path=\xff\xfe\xfd\n"])
        content[start + 512:start + 512 + len(record)] = record
    elif kind == "chain":
        header = bytes(content[start:start + 512])
        content[start:start] = header * rng.choice([1, 2, 20, 1200])
    elif kind == "number":
        text = rng.choice([b"0", b"77777777777", b"-1", b"\x80" + bytes(10) + b"\x01",
                           b"\x80" + b"\xff" * 11, b"\xff" * 12, b"1000", b"9", b" 12 "])
        content[start + where:start + end] = text[:size].ljust(size, b"\0")
    elif kind == "byte" or size == 1:
        content[start + where + rng.randrange(size)] = rng.choice(
            [*b"0123456789SLKxgAVXNDM\0\n /.", rng.randrange(256)])
    else:
        content[start + where:start + end] = bytes(rng.randrange(256) for _ in range(size))
    first, last = _TAR_SUM
    for at in range(start, len(content) - 511, 512):
        if content[at + 257:at + 262] == b"ustar" or at == start:
            content[at + first:at + last] = b" " * 8
            content[at + first:at + last] = b"%06o\0 " % sum(content[at:at + 512])
    return bytes(content)
