"""Files of results as a stop in the middle leaves them."""

import hashlib
import json


def unfinish(path, num_bytes, batch_size):
    """Makes of a finished file one that was stopped when it had so many bytes."""
    content = path.read_bytes()
    lines, digest, sums = content.splitlines(keepends=True), hashlib.sha256(), ""
    for start in range(0, len(lines), batch_size):
        digest.update(b"".join(lines[start:start + batch_size]))
        sums += digest.hexdigest()[:32] + "\n"
    path.with_name(f"{path.name}.run.sums").write_text(sums)
    record = path.with_name(f"{path.name}.run.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "lines": None,
                                  "sha256": None}))
    path.write_bytes(content[:num_bytes])
