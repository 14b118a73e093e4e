"""A report to test with, of a tiny network and names that are hostile."""

import contextlib
import functools
import io
import json
import pathlib
import typing

from slim_resnet.cli import main
from tests.helpers import checkpoints, pictures
from tests.helpers.timing_records import record

CLASS = "</script><script>window.hacked = 1</script> $x$ & a long name"
FILE = '<img src=x onerror="alert(1)">&amp;.png'


class Made(typing.NamedTuple):
    """A report and what it was made from.

    Attributes:
      path: The page.
      checkpoint: Path of the checkpoint, of 10 classes.
      images: Paths of two images and of one that cannot be read.
      names: Their names, without folders.
      labels: Labels file: each class is `CLASS` and its number.
      status: The command's exit status.
      out: Its stdout.
      err: Its stderr.
    """

    path: pathlib.Path
    checkpoint: str
    images: list
    names: list
    labels: str
    status: int
    out: str
    err: str


@functools.cache
def write_report(base):
    """Writes a report at 32 pixels with labels and timings, once a session.

    Args:
      base: The session's folder, ``tmp_path_factory.getbasetemp()``.

    Returns:
      A `Made`.
    """
    folder = base / "report"
    written = checkpoints.write(folder / "net.ckpt")
    images = [pictures.write_png(folder / name, i) for i, name in enumerate((FILE, "b.png"))]
    broken = folder / "broken.png"
    broken.write_bytes(pathlib.Path(images[0]).read_bytes()[:90])
    labels, timings = folder / "labels.txt", folder / "timings.json"
    labels.write_text("".join(f"{CLASS} {k}\n" for k in range(10)))
    timings.write_text(json.dumps(record()))
    images.append(str(broken))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["report", written.path, *images, "--output", str(folder / "report.html"),
                       "--image-size", "32", "--labels", str(labels), "--benchmark",
                       str(timings)])
    return Made(folder / "report.html", written.path, images,
                [pathlib.Path(path).name for path in images], str(labels), status,
                out.getvalue(), err.getvalue())
