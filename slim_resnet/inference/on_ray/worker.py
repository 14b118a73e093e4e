"""What a worker does: one network, and a part of the images after the other.

Ray makes it in a process of its own. It imports TensorFlow when it has set what TensorFlow
reads then.
"""

import contextlib
import dataclasses
import itertools
import os
import pickle
from typing import Any

import numpy as np

from slim_resnet.common.temporary import temporary_folder
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import Preprocessing
from slim_resnet.inference.part_formats import encode_arrays, encode_rows


@dataclasses.dataclass
class Job:
    """What all workers do alike, plain data.

    Attributes:
      command: ``classify``, ``evaluate`` or ``end-points``.
      path: The checkpoint's, for messages.
      files: What holds the contents of its files by name, in Ray's object store.
      selection: Fields of its `Selection` that were chosen.
      use_moving_averages: Whether its network takes the averages of its weights.
      image_size: Height and width in pixels.
      preprocessing: How images are prepared.
      batch_size: Images in a run of the network.
      network_options: For `network.open_network`.
      end_points: Those whose values are wanted.
      names: Name of every class, or None.
      top: Classes an image.
      suffix: Format of the parts, see `part_formats`.
      folder: That relative paths are in.
      variables: Of the environment.
    """

    command: str
    path: str
    files: Any
    selection: dict[str, Any]
    use_moving_averages: bool
    image_size: int
    preprocessing: Preprocessing
    batch_size: int
    suffix: str
    network_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    end_points: list[str] = dataclasses.field(default_factory=list)
    names: list[str | None] = dataclasses.field(default_factory=list)
    top: int = 5
    folder: str = "."
    variables: dict[str, str] = dataclasses.field(default_factory=dict)


class Worker:
    """Does parts of a `Job`, as Ray Data's ``map_batches`` calls it.

    What is wrong with images or the checkpoint is said in what it returns: what it raised
    would be tried again.
    """

    def __init__(self, job: Job) -> None:
        self._job, self._error, self._reader = job, "", None
        os.environ.update(job.variables)
        if os.path.isdir(job.folder):
            os.chdir(job.folder)
        try:
            self._network = self._open()
        except SlimResnetError as error:
            self._error = str(error)
        except OSError as error:
            self._error = f"{job.path}: a worker on {os.uname().nodename} cannot read it: {error}"

    def _open(self):
        import ray

        from slim_resnet.checkpoint.reader import open_checkpoint
        from slim_resnet.checkpoint.selection import Selection
        from slim_resnet.inference.network import open_network
        job = self._job
        files = ray.get(job.files)
        with temporary_folder() as folder:
            for name, content in files.items():
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(content)
            path = os.path.join(folder, next(iter(files))) if len(files) == 1 else folder
            try:
                with open_checkpoint(Selection(path, **job.selection),
                                     job.use_moving_averages) as opened:
                    opened.path = job.path
                    return open_network(opened, job.image_size, end_points=job.end_points,
                                        **job.network_options)
            except SlimResnetError as error:
                raise SlimResnetError(str(error).replace(path, job.path)) from error

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list]:
        """Does one part.

        Args:
          batch: ``number`` and ``part``, a pickled part of `images.parts`, of one row.

        Returns:
          ``number``, ``images``, ``unreadable``, ``busy_s``, ``content`` and ``error``.
        """
        done = {"images": 0, "unreadable": 0, "busy_s": 0.0, "content": b"", "error": self._error}
        if not self._error:
            try:
                done.update(self._done(pickle.loads(batch["part"][0])))
            except SlimResnetError as error:
                done["error"] = str(error)
        return {"number": batch["number"], **{name: [value] for name, value in done.items()}}

    def _done(self, part):
        from slim_resnet.images.reading import Reader
        job, network, source = self._job, self._network, part.source()
        if self._reader is None:
            self._reader = Reader(source, job.image_size, job.preprocessing, job.batch_size,
                                  network.channels)
        before = network.busy_s
        with contextlib.closing(self._reader.batches(source)) as batches:
            if job.command == "end-points":
                errors, content = self._arrays(batches)
            else:
                errors, content = self._rows(batches)
        return {"images": len(errors), "unreadable": sum(map(bool, errors)),
                "busy_s": network.busy_s - before, "content": content}

    def _rows(self, batches):
        from slim_resnet.inference import classification, evaluation
        if self._job.command == "classify":
            results = classification.classify_batches(self._network, batches, self._job.names,
                                                      self._job.top)
        else:
            results = evaluation.judge_batches(self._network, batches)
        rows = [dataclasses.asdict(one) for one in itertools.chain.from_iterable(results)]
        return [row["cause"] for row in rows], encode_rows(rows, self._job.suffix)

    def _arrays(self, batches):
        from slim_resnet.inference import features
        names, errors, found = [], [], []

        def named():
            for batch in batches:
                names.extend(batch.names)
                yield batch

        for causes, rows in features.feature_rows(
                self._network, {key: key for key in self._job.end_points}, named()):
            errors += causes
            found.append(rows)
        arrays = {key: np.concatenate([rows[key] for rows in found]) for key in found[0]}
        made_with = {"precision": self._network.precision, "engine": self._network.engine}
        return errors, encode_arrays(arrays, names, errors, made_with, self._job.suffix)
