"""Reads the arrays of an HDF5 file; run in a process of its own, which a bad file may end.

It needs h5py and numpy only. `hdf5.read` starts it.
"""

import json
import sys

# No file of Keras' has as many, or as deep a tree.
_MOST_OBJECTS, _MOST_DEPTH = 50_000, 40
# gzip, shuffle, checksum: those that HDF5 itself has. Others are code to be found and loaded.
_FILTERS = (1, 2, 3)
_FREE_ADDRESSES = 8 << 30


class Refused(Exception):
    """Says why a file is not read."""


def main(path: str, output: str, most_bytes: str) -> None:
    """Writes all arrays to ``output``, one behind the other; prints what they are as JSON.

    Args:
      path: The HDF5 file.
      output: File to make.
      most_bytes: What the arrays may take together.
    """
    try:
        _bound_memory(int(most_bytes))
        found = _read(path, output, int(most_bytes))
    except Refused as error:
        found = {"error": str(error)}
    except OSError as error:
        found = {"error": f"no readable HDF5 file: {_first_line(error)}"}
    # Whatever h5py makes of foreign bytes.
    except Exception as error:
        found = {"error": f"damaged: {_first_line(error)}"}
    json.dump(found, sys.stdout)


def _first_line(error):
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def _bound_memory(most_bytes):
    try:
        import resource
    except ImportError:  # Windows
        return
    limit = _FREE_ADDRESSES + 2 * most_bytes
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _read(path, output, most_bytes):
    import h5py

    found = {"datasets": [], "names": {}, "layers": [], "mentions_pool1_pad": False}
    taken = objects = 0
    with h5py.File(path, "r") as file, open(output, "wb") as out:
        config = file.attrs.get("model_config", "")
        config = config.decode("utf-8", "replace") if isinstance(config, bytes) else config
        found["mentions_pool1_pad"] = isinstance(config, str) and '"pool1_pad"' in config
        left = [("", file, 0)]
        while left:
            where, group, depth = left.pop()
            if depth > _MOST_DEPTH:
                raise Refused("groups within groups without end")
            _note_attributes(found, where, group)
            for name in group:
                objects += 1
                if objects > _MOST_OBJECTS:
                    raise Refused(f"more than {_MOST_OBJECTS:,} groups and arrays")
                inner = f"{where}/{name}".lstrip("/")
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise Refused(f"{inner[:200]} is a link to somewhere else")
                one = group[name]
                if isinstance(one, h5py.Group):
                    left.append((inner, one, depth + 1))
                elif isinstance(one, h5py.Dataset):
                    taken += _check(inner, one)
                    if taken > most_bytes:
                        raise Refused(f"its arrays say that they take more than {most_bytes:,} "
                                      "bytes, far more than the file")
                    value = one[()]
                    out.write(value.tobytes())
                    found["datasets"].append([inner, list(value.shape), value.dtype.str])
                else:
                    raise Refused(f"{inner[:200]} is no group and no array")
    return found


def _note_attributes(found, where, group):
    """Keeps the names of layers that Keras puts into attributes."""
    found["names"][where] = str(group.attrs.get("name", ""))[:1000]
    # Beyond 64 kB they are in several.
    for key in ["layer_names", *(f"layer_names{number}" for number in range(100))]:
        if key in group.attrs:
            found["layers"] += [name.decode("utf-8", "replace") if isinstance(name, bytes)
                                else str(name) for name in group.attrs[key]]


def _check(name, dataset):
    """Returns the bytes of an array, or refuses one that is not read for what it is."""
    if dataset.dtype.kind not in "fiub":
        raise Refused(f"{name[:200]} is of dtype {dataset.dtype}, no array of numbers")
    made = dataset.id.get_create_plist()
    if dataset.is_virtual or made.get_external_count():
        raise Refused(f"{name[:200]} has its values in another file")
    if any(made.get_filter(number)[0] not in _FILTERS for number in range(made.get_nfilters())):
        raise Refused(f"{name[:200]} is packed by a filter that HDF5 itself does not have")
    if dataset.shape is None:
        raise Refused(f"{name[:200]} is empty")
    size = dataset.dtype.itemsize
    for length in dataset.shape:
        size *= length
    return size
