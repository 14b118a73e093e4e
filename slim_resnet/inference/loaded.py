"""The front door: a checkpoint loaded, and asked for classes, layers, or slim's own tensors.

::

    import slim_resnet

    with slim_resnet.load("resnet_v2_50_2017_04_14.tar.gz") as net:
        print(net)
        print(net.classify("photos/"))
        pooled = net.features("global_pool", "photos/")["global_pool"]
        net.session.run(net.end_points["resnet_v2_50/logits"], {net.images: net.prepare("photos/")})
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from slim_resnet.checkpoint.describing import Description, describe
from slim_resnet.checkpoint.reader import Checkpoint, CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import Recognised, recognise
from slim_resnet.checkpoint.runs import run_of
from slim_resnet.checkpoint.selection import Selection
from slim_resnet.checkpoint.settings import Settings, assumed_of, prepared_text, settings_of
from slim_resnet.common import html_tables
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.common.text import printable
from slim_resnet.end_points.keys import choose
from slim_resnet.end_points.table import EndPoints, summary
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.given import sources_of
from slim_resnet.images.labels import class_names
from slim_resnet.images.reading import Batch, load_images, read_source
from slim_resnet.images.settings import BATCH_SIZE, Preprocessing
from slim_resnet.inference.answers import Features, Results, first_images
from slim_resnet.inference.classification import classify_batches
from slim_resnet.inference.engines.table import TENSORFLOW
from slim_resnet.inference.features import feature_rows
from slim_resnet.inference.network import Network, classes_of, open_network
from slim_resnet.inference.protocol import ImageNetwork

if TYPE_CHECKING:
    import pandas

tf1 = tf.compat.v1


def load(checkpoint: CheckpointLike, *, image_size: int | None = None,
         preprocessing: str | Preprocessing | None = None, labels: str | None = None,
         labels_offset: int | None = None, use_moving_averages: bool | None = None,
         scope: str | Iterable[str] = (), exclude: str | Iterable[str] = (),
         allow_missing: bool = False, output_stride: int | None = None,
         blocks: str | None = None, optimize: bool = False, precision: str | None = None,
         engine: str = TENSORFLOW, end_points: str | Iterable[str] = (),
         batch_size: int = BATCH_SIZE) -> "LoadedNetwork":
    """Loads a checkpoint's network, ready to be asked.

    Args:
      checkpoint: Anything that `checkpoint.open_checkpoint` opens; not needed once the network
        is there.
      image_size: Height and width that images are resized to, in pixels; None takes what the
        checkpoint was trained with, see `settings.settings_of`.
      preprocessing: An `images.Preprocessing` or the name of one; None likewise.
      labels: Labels file, see `labels.read_labels`; None takes that of the run that wrote the
        checkpoint, if there is one.
      labels_offset: See `labels.read_labels`.
      use_moving_averages: See `checkpoint.open_checkpoint`.
      scope: Which network of the file is meant, see `checkpoint.Selection`, as are
        ``exclude``, ``allow_missing``, ``output_stride`` and ``blocks``.
      exclude: See there.
      allow_missing: See there.
      output_stride: See there.
      blocks: See there.
      optimize: Whether to fold it, see `inference.InferenceModel`: faster, and without slim's
        graph.
      precision: With ``optimize``, see there; None is float32.
      engine: What runs it, see `inference.InferenceModel.from_checkpoint`; another one than
        TensorFlow runs the folded network.
      end_points: With ``optimize``: those that features will be asked for, see `keys.choose`;
        a network that is not folded has all.
      batch_size: Images in a run of the network.

    Returns:
      A `LoadedNetwork`.

    Raises:
      SlimResnetError: The checkpoint cannot be used, or an argument is at fault.
    """
    selected = {name: value for name, value in (
        ("scope", scope), ("exclude", exclude), ("allow_missing", allow_missing),
        ("output_stride", output_stride), ("blocks", blocks)) if value not in ((), [], False, None)}
    if selected:
        if isinstance(checkpoint, Selection | Checkpoint):
            raise SlimResnetError(f"{checkpoint.path}: {', '.join(selected)}: give them with the "
                                  "path of the checkpoint, or in its Selection")
        checkpoint = Selection(checkpoint, **selected)
    optimize = optimize or engine != TENSORFLOW
    if not optimize and (precision is not None or end_points):
        raise SlimResnetError(f"{'end_points' if precision is None else 'precision'}: goes with "
                              "optimize=True; give both or neither")
    with open_checkpoint(checkpoint, use_moving_averages) as opened:
        settings = settings_of(opened, image_size, preprocessing, labels)
        settings.preprocessing.check_size(settings.image_size)
        found, names = recognise(opened), None
        if found.num_classes is not None or labels is not None:
            names = class_names(classes_of(opened), settings.labels, labels_offset)
        assumed, prepared = assumed_of(opened), prepared_text(opened, settings, image_size,
                                                              preprocessing)
        if run_of(opened)[1] is None and None in (image_size, preprocessing):
            assumed["images"] = prepared
        description = describe(opened)
        network = open_network(opened, settings.image_size, end_points=end_points,
                               optimize=optimize, precision=precision or PRECISIONS[0],
                               engine=engine)
    return LoadedNetwork(network, found, settings, names, description, assumed, prepared,
                         batch_size)


class LoadedNetwork:
    """A checkpoint's network in inference mode; `load` makes it.

    Use it in a ``with`` statement, or call `close`.

    Attributes:
      network: What does the work: a `network.Network`, or an `inference.InferenceModel`.
      recognised: What was found in the file, a `checkpoint.Recognised`.
      path: Path of the checkpoint.
      image_size: Height and width that images are resized to, in pixels.
      preprocessing: How they are prepared, an `images.Preprocessing`.
      num_classes: Number of logits; None for a checkpoint without.
      class_names: Name of each class, None where it is not known; None without logits.
      precision: What it computes in, one of `environment.PRECISIONS`.
      parameters: Values of its variables, see `counts.Counts`.
      end_points: Maps keys to tensors: all of the network's, or those that a folded one was
        asked for. A notebook shows them as a table.
      description: What the checkpoint holds, a `checkpoint.Description`.
      assumed: What neither the checkpoint nor anybody has said, in words, by what it is of.
    """

    def __init__(self, network: ImageNetwork, recognised: Recognised, settings: Settings,
                 names: list[str | None] | None, description: Description,
                 assumed: dict[str, str], prepared: str, batch_size: int) -> None:
        self.network, self.recognised, self.class_names = network, recognised, names
        self.description, self.assumed = description, assumed
        self.image_size, self.preprocessing = settings.image_size, settings.preprocessing
        self.path, self.num_classes, self.precision = (
            network.path, network.num_classes, network.precision)
        self.parameters = description.record["totals"]["parameters"]
        self._is_folded = not isinstance(network, Network)
        # The ops of a folded graph are not slim's, and would be counted as such.
        self.end_points = (dict if self._is_folded else EndPoints)(network.end_points)
        self._prepared, self._batch_size, self._closed = prepared, batch_size, False

    def __enter__(self) -> "LoadedNetwork":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Frees the network; what is asked of it later fails. More than once does no harm."""
        self._closed = True
        self.network.__exit__(None, None, None)

    def __repr__(self) -> str:
        return printable(
            f"<{self.recognised.full_title} of {self.path}: {self._prepared}; {self._computes}; "
            f"{self.parameters:,} parameters"
            f"{f'; assumed: {assumed}' if (assumed := ', '.join(self.assumed)) else ''}"
            f"{'; closed' if self._closed else ''}>")

    @property
    def _computes(self):
        return self.precision + (f", folded, {self.network.engine}" if self._is_folded else "")

    def _repr_html_(self) -> str:
        # A run of ours has said what the file by itself does not.
        said_since = set(self.recognised.assumed) - set(self.assumed)
        said = {"checkpoint": self.path,
                **{name: text for name, text in self.description.items.items()
                   if name not in said_since},
                "images": self._prepared, "computes in": self._computes,
                "state": "closed" if self._closed else "open"}
        if self._is_folded:
            return html_tables.items(said)
        rows = summary(self.end_points)
        return html_tables.items(said) + html_tables.folded(repr(rows).strip("<>"),
                                                            rows.table(rows))

    def to_pandas(self) -> "pandas.DataFrame":
        """Returns the `end_points.summary` as a pandas ``DataFrame``; not of a folded network."""
        self._check_unfolded()
        return self.end_points.to_pandas()

    @property
    def session(self) -> tf1.Session:
        """The session that has its variables' values."""
        return self._built().session

    @property
    def graph(self) -> tf.Graph:
        """The graph that slim built, with ``end_points`` and `images`."""
        return self._built().session.graph

    @property
    def images(self) -> tf.Tensor:
        """The placeholder of images, float32 ``[N, size, size, channels]``, see `prepare`."""
        return self._built().images

    def _built(self):
        self._check_open()
        self._check_unfolded()
        return self.network

    def _check_unfolded(self):
        if self._is_folded:
            raise SlimResnetError(f"{self.path}: a folded network has no graph of slim's; load it "
                                  "without optimize")

    def _check_open(self):
        if self._closed:
            raise SlimResnetError(f"{self.path}: the network is closed; load it again, or use it "
                                  "within its 'with' block")

    def prepare(self, images: Any) -> np.ndarray:
        """Returns images as the network wants them, all or nothing.

        Args:
          images: What `images.load_images` takes: files, folders, pixels.

        Returns:
          float32 ``[N, size, size, channels]``.

        Raises:
          SlimResnetError: There is none, or one is no readable image.
        """
        return load_images(images, self.image_size, self.preprocessing, self.network.channels)

    def classify(self, images: Any, top: int = 5) -> Results:
        """Returns the most probable classes of images.

        For more images than there is memory for results, see `inference.classify`.

        Args:
          images: One or several files, folders or pixels: arrays of uint8, PIL images; see
            `images.given.sources_of`.
          top: Classes an image.

        Returns:
          A list with a `classification.Result` for every image, in order, unreadable ones
          included; see `answers.Results`.

        Raises:
          SlimResnetError: The network is closed or has no logits, or the images are at fault.
        """
        self._check_open()
        if self.class_names is None:
            raise SlimResnetError(f"{self.path}: has no logits, so it cannot classify; its "
                                  "features can be had with features")
        if top < 1:
            raise SlimResnetError(f"top {top}: give at least 1")
        sources = _sources(images)
        return Results([result for results in classify_batches(
            self.network, self._batches(sources), self.class_names, top) for result in results],
            first_images(sources))

    def features(self, end_points: str | Iterable[str], images: Any) -> Features:
        """Returns the values of layers for images.

        All are in memory at once; for more, see `inference.write_features`.

        Args:
          end_points: Keys, their ends, or patterns, see `keys.choose`.
          images: As `classify`'s.

        Returns:
          `answers.Features`: ``features[key]`` is an array with a row for every image, NaN for
          an unreadable one, and ``features.names`` says which they are.

        Raises:
          SlimResnetError: The network is closed, there is no such end point, or the images are
            at fault.
        """
        self._check_open()
        known = self.network.keys if self._is_folded else list(self.end_points)
        keys, sources = choose(end_points, known), _sources(images)
        for key in set(keys) - set(self.end_points):
            raise SlimResnetError(f"{self.path}: is folded without the end point {key}; name it in "
                                  "end_points when it is loaded")
        names, errors, parts = [], [], []
        batches = _noting_names(self._batches(sources), names)
        for causes, rows in feature_rows(self.network, {key: key for key in keys}, batches):
            errors += causes
            parts.append(rows)
        arrays = {key: np.concatenate([part[key] for part in parts]) for key in keys}
        return Features(names, arrays, [error or None for error in errors], self.precision,
                        first_images(sources), known)

    def _batches(self, sources) -> Iterator[Batch]:
        for source in sources:
            # Closed at once if the caller stops in the middle.
            with contextlib.closing(read_source(
                    source, self.image_size, self.preprocessing, self._batch_size,
                    channels=self.network.channels)) as batches:
                yield from batches


def _sources(images):
    sources = sources_of(images)
    if not any(source.num_images for source in sources):
        raise SlimResnetError("no image: the list is empty")
    return sources


def _noting_names(batches, names):
    for batch in batches:
        names += batch.names
        yield batch
