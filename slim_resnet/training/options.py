"""What a training run is: its options, checked without TensorFlow, and what follows from them."""

import dataclasses
import re

from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import MAX_PIXELS, Preprocessing
from slim_resnet.models import FROM_BLOCKS, TRAINABLE

SCHEDULES = ("constant", "piecewise", "cosine", "polynomial")
OPTIMIZERS = ("momentum", "sgd", "adam")
AUGMENTATIONS = ("inception", "vgg", "flip", "none")
UPDATES = ("collected", "in-place")

# Share of the run's steps that the longest memory of the moving averages is.
_AVERAGING_SHARE = 0.1
_LONGEST_DECAY = 0.997

_BLOCK = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """All that the numbers of a run follow from, the data apart.

    Attributes:
      steps: Steps of the whole run.
      model: One of `models.FROM_BLOCKS` with ``blocks``, or a name that has its
        own; None takes the network of ``checkpoint``.
      blocks: ``(base_depth, units)`` of each block; all but the last have stride 2 in
        their last unit, as slim's have.
      root_block: Whether it begins with conv1 and pool1, which divide height and width
        by four.
      image_size: Height and width in pixels; None takes the network's own, see
        `run.completed`.
      preprocessing: How images are prepared, see `images.preprocess`, or None, likewise.
      mean: As `images.settings.Preprocessing`'s, as are ``resize`` and ``resize_side``.
      resize: See there.
      resize_side: See there.
      max_pixels: See there; no number follows from it, and a run may go on with another.
      labels_offset: The label of class 0 in the data, as slim's flag of the same name.
      augmentation: ``inception`` (random crop, flip and colours), ``vgg`` (random side, crop
        and flip), ``flip`` or ``none``; None takes ``vgg`` for that preprocessing, else
        ``inception``.
      batch_size: Images a step.
      seed: Of initial weights, order of images and augmentation.
      optimizer: One of `OPTIMIZERS`.
      momentum: Of the momentum optimizer.
      learning_rate: After warm-up, before the schedule lowers it.
      schedule: One of `SCHEDULES`.
      boundaries: Steps at which ``piecewise`` multiplies by ``decay_rate``.
      decay_rate: See ``boundaries``.
      end_learning_rate: What ``cosine`` and ``polynomial`` end at.
      power: Of ``polynomial``.
      warmup_steps: Steps in which the rate grows in equal parts to its full size.
      weight_decay: L2 regularisation of the convolutions' weights.
      label_smoothing: Share of each label that is spread over all classes.
      clip_norm: Longest norm of all gradients together; None leaves them.
      ema_decay: Decay of the averages of weights that are kept beside them; None
        keeps none.
      batch_norm_decay: Decay of the batch norms' moving statistics; None follows from
        the steps, see `batch_norm_decay_for`.
      zero_debias: Whether moving means are debiased; None does as the model's code does.
      batch_norm_updates: ``collected`` (UPDATE_OPS, run with every step) or
        ``in-place`` (``updates_collections=None``).
      freeze_batch_norm: Whether batch norms use the moving statistics that they have
        and do not change, gamma and beta included.
      checkpoint: To begin from; None begins from random weights.
      exclude: Patterns of variables that begin at random all the same.
      train_only: Patterns of the only variables that are trained; empty trains all.
      precision: ``float32``, or ``bfloat16`` by TensorFlow's own graph rewrite.
    """

    steps: int
    model: str | None = None
    blocks: tuple | None = None
    root_block: bool = True
    image_size: int | None = None
    preprocessing: str | None = None
    mean: tuple | None = None
    resize: str | None = None
    resize_side: int | None = None
    max_pixels: int = MAX_PIXELS
    labels_offset: int = 0
    augmentation: str | None = None
    batch_size: int = 32
    seed: int = 0
    optimizer: str = "momentum"
    momentum: float = 0.9
    learning_rate: float = 0.05
    schedule: str = "cosine"
    boundaries: tuple = ()
    decay_rate: float = 0.1
    end_learning_rate: float = 0.0
    power: float = 1.0
    warmup_steps: int = 0
    weight_decay: float = 0.0001
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    ema_decay: float | None = None
    batch_norm_decay: float | None = None
    zero_debias: bool | None = None
    batch_norm_updates: str = "collected"
    freeze_batch_norm: bool = False
    checkpoint: str | None = None
    exclude: tuple = ()
    train_only: tuple = ()
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.augmentation is None and self.preprocessing is not None:
            object.__setattr__(self, "augmentation",
                               "vgg" if self.preprocessing == "vgg" else "inception")

    @property
    def prepared(self) -> Preprocessing:
        """How images are prepared.

        Raises:
          SlimResnetError: What is said of it does not go together.
        """
        return Preprocessing(self.preprocessing, self.mean, self.resize, self.resize_side,
                             self.max_pixels)


def batch_norm_decay_for(options: TrainingOptions) -> float:
    """Returns the decay of the moving statistics of a run.

    They begin at 0 and 1 and forget at ``decay`` a step, in about ``1 / (1 - decay)``
    steps: slim's 0.997 in 333, so that after 500 steps a fifth of each is still what it
    began with, and inference goes wrong although training went well. So the memory is a
    tenth of the run at most: what they began with has weight ``(1 - 10 / steps) ** steps``
    at the end, below ``exp(-10)``.
    """
    if options.batch_norm_decay is not None:
        return options.batch_norm_decay
    return max(0.0, min(_LONGEST_DECAY, 1 - 1 / (_AVERAGING_SHARE * options.steps)))


def parse_blocks(text: str) -> tuple[tuple[int, int], ...]:
    """Returns ``(base_depth, units)`` pairs of a text like ``16x3,32x3,64x3``."""
    matches = [_BLOCK.fullmatch(part) for part in text.split(",")]
    blocks = tuple(tuple(map(int, match.groups())) for match in matches if match)
    if len(blocks) < len(matches) or not all(map(all, blocks)):
        raise SlimResnetError(f"--blocks {text[:80]!r}: write base depth x units of each block, "
                              "like 16x3,32x3,64x3")
    return blocks


def check(options: TrainingOptions) -> None:
    """Raises `SlimResnetError`, naming the option, where options do not go together."""
    if options.model is None and options.checkpoint is None:
        raise SlimResnetError("--model is missing: name one of "
                              f"{', '.join(TRAINABLE)}, or give --checkpoint "
                              "to go on with its network")
    if (options.blocks is not None) != (options.model in FROM_BLOCKS):
        raise SlimResnetError(f"--model {options.model}: "
                              + ("say its blocks, like --blocks 16x3,32x3,64x3"
                                 if options.model in FROM_BLOCKS else
                                 f"--blocks goes with --model {' or '.join(FROM_BLOCKS)} only"))
    if not options.root_block and options.model not in FROM_BLOCKS:
        raise SlimResnetError("--no-root-block goes with --blocks only")
    if None not in (options.image_size, options.preprocessing):
        check_preparation(options)
    _check_schedule(options)
    for name, least, below in (("momentum", 0, 1), ("label_smoothing", 0, 1), ("ema_decay", 0, 1),
                               ("batch_norm_decay", 0, 1)):
        value = getattr(options, name)
        if value is not None and not least <= value < below:
            raise SlimResnetError(f"{_option(name)} {value}: must be at least {least} and below "
                                  f"{below}")
    for name in ("learning_rate", "decay_rate", "power", "clip_norm"):
        value = getattr(options, name)
        if value is not None and not 0 < value < float("inf"):
            raise SlimResnetError(f"{_option(name)} {value}: must be above 0 and finite")
    for name in ("weight_decay", "end_learning_rate"):
        if not 0 <= getattr(options, name) < float("inf"):
            raise SlimResnetError(f"{_option(name)} {getattr(options, name)}: must be at least 0 "
                                  "and finite")
    if options.checkpoint is None and options.exclude:
        raise SlimResnetError("--exclude says what not to take from --checkpoint; give both")
    if options.checkpoint is None and options.freeze_batch_norm:
        raise SlimResnetError("--freeze-batch-norm keeps what --checkpoint brings; give both")
    if options.freeze_batch_norm:
        for name in ("batch_norm_decay", "zero_debias"):
            if getattr(options, name) is not None:
                raise SlimResnetError(f"{_option(name)} has no effect with --freeze-batch-norm; "
                                      "leave it out")


def check_preparation(options: TrainingOptions) -> None:
    """Raises `SlimResnetError` where a known size and preparation do not go together."""
    prepared = options.prepared
    prepared.check_size(options.image_size)
    if prepared.name == "vgg":
        prepared.means(3)
    if options.augmentation == "vgg" and options.image_size > prepared.side:
        raise SlimResnetError(f"--augmentation vgg: crops {options.image_size} pixels of a shorter "
                              f"side from {prepared.side} on; give a smaller --image-size or "
                              "another augmentation")


def _check_schedule(options):
    if (options.schedule == "piecewise") != bool(options.boundaries):
        raise SlimResnetError("--schedule piecewise and --boundaries go together; give both or "
                              "neither")
    if list(options.boundaries) != sorted(set(options.boundaries)):
        raise SlimResnetError(f"--boundaries {' '.join(map(str, options.boundaries))}: must grow")
    if options.warmup_steps >= options.steps:
        raise SlimResnetError(f"--warmup-steps {options.warmup_steps}: must be fewer than the "
                              f"{options.steps} steps of the run")


def _option(name):
    return "--" + name.replace("_", "-")
