"""Options that several commands have, each declared once."""

import argparse
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from slim_resnet.checkpoint.selection import Selection
from slim_resnet.checkpoint.settings import assumed_of
from slim_resnet.commands.progress import say
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.common.files import check_writable
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import BATCH_SIZE
from slim_resnet.inference.engines.judged import LEAST_AGREEMENT, LEAST_IMAGES
from slim_resnet.inference.engines.table import CHOICES
from slim_resnet.pictures.themes import THEMES

# A parser, or a group of one.
Container = argparse._ActionsContainer

_CHECKPOINT = "checkpoint file or prefix, folder, or released .tar.gz"
_PLOT_FORMATS = "as .png, .svg or .pdf (extra: plot)"
_THEME = "light"


def positive_int(text: str) -> int:
    """An argparse type: a whole number from 1."""
    return _int_from(1, text)


def non_negative_int(text: str) -> int:
    """An argparse type: a whole number from 0."""
    return _int_from(0, text)


def _int_from(least, text):
    try:
        value = int(text)
    except ValueError:
        value = None
    if value is None or value < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return value


def add_checkpoint(parser: Container) -> None:
    """Adds ``checkpoint``."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help=_CHECKPOINT)


def add_network(parser: Container, models: Iterable[str]) -> None:
    """Adds ``checkpoint``, which may be one of ``models`` too, and ``--num-classes``."""
    parser.add_argument("checkpoint", metavar="MODEL|CHECKPOINT",
                        help=f"one of {', '.join(models)}; or a {_CHECKPOINT}")
    parser.add_argument("--num-classes", type=positive_int, metavar="N",
                        help="logits of a MODEL (default: 1000); a checkpoint has its own")


# Fields of `Selection` that are options of the same name.
_SELECTION = ("scope", "exclude", "allow-missing", "output-stride", "blocks")


def add_selection(parser: Container) -> None:
    """Adds which network of a checkpoint is meant, and its strides; see `select`."""
    group = parser.add_argument_group("which network of a CHECKPOINT")
    group.add_argument("--scope", action="append", metavar="NAME",
                       help="variable scope of the network, or one above it; once more for each "
                       "scope that a network in parts is under")
    group.add_argument("--exclude", action="append", metavar="PATTERN",
                       help="take variables as not there, by the shell's * ? [...], for example "
                       "'*/logits/*'; may be given more than once")
    group.add_argument("--allow-missing", action="store_true",
                       help="of a network that is not whole, take what comes before the first "
                       "variable that is missing: features only")
    group.add_argument("--output-stride", type=positive_int, metavar="N",
                       help="make strides beyond this atrous rates")
    group.add_argument("--blocks", metavar="STRIDE,...",
                       help="stride of the last unit of each block, or of another: 2@1 is in the "
                       "first; no checkpoint records them (default: slim's, 2,2,2,1)")


def select(arguments: argparse.Namespace) -> None:
    """Makes ``checkpoint`` a `Selection` if any option of `add_selection` is given."""
    fields = {name: getattr(arguments, name.replace("-", "_")) for name in _SELECTION}
    given = {name.replace("-", "_"): value for name, value in fields.items()
             if value not in (None, False)}
    if given:
        arguments.checkpoint = Selection(arguments.checkpoint, **given)


def refuse_selection(arguments: argparse.Namespace, model: str) -> None:
    """Raises `SlimResnetError` if an option of `add_selection` is given for a model by name."""
    refuse(arguments, _SELECTION, f"says which network of a CHECKPOINT is meant, and {model} "
           "is none")


def say_assumed(arguments: argparse.Namespace, command: str, assumed: dict[str, str]) -> None:
    """Says what is assumed of a checkpoint's network, and keeps it for `checkpoint_record`.

    Args:
      arguments: The command line.
      command: Name of the subcommand.
      assumed: What `settings.assumed_of` returned.
    """
    arguments.assumed = assumed
    for what, text in assumed.items():
        say(command, f"{what}: {text}")


def say_averages(arguments: argparse.Namespace, command: str, used: bool, there: bool) -> None:
    """Says which weights are taken, where there is a choice.

    Args:
      arguments: The command line.
      command: Name of the subcommand.
      used: Whether the averages are.
      there: Whether there are any.
    """
    if used:
        say(command, "averaged weights" + (
            "" if arguments.use_moving_averages else
            ", as the run that wrote them was evaluated; --no-moving-averages takes the others"))
    elif arguments.use_moving_averages is None and there:
        say(command, "the checkpoint holds averaged weights too; --moving-averages takes them")


def has_averages(opened: Any) -> bool:
    """Whether an open `checkpoint.Checkpoint` holds averages of weights."""
    from slim_resnet.checkpoint.reader import AVERAGE
    return any(name.endswith(AVERAGE) for name in opened.shapes)


def checkpoint_record(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns what JSON says of the checkpoint: its path, what was chosen and what assumed."""
    chosen = arguments.checkpoint
    return {"checkpoint": str(chosen),
            "selection": chosen.record() if isinstance(chosen, Selection) else {},
            "assumed": getattr(arguments, "assumed", {})}


def add_moving_averages(parser: Container, note: str = "") -> None:
    """Adds ``--moving-averages``; see `opened_checkpoint`.

    Args:
      parser: The command's.
      note: What the help says before all else.
    """
    parser.add_argument("--moving-averages", action=argparse.BooleanOptionalAction,
                        dest="use_moving_averages",
                        help=f"{note}take the averages of the weights "
                        "(ExponentialMovingAverage) that the checkpoint holds (default: where "
                        "slim-resnet train kept them, by --ema-decay, and so was evaluated with "
                        "them)")


def refuse_moving_averages(arguments: argparse.Namespace, why: str) -> None:
    """Raises `SlimResnetError` if the option was given; ``why`` is as in `refuse`."""
    if arguments.use_moving_averages is not None:
        no = "" if arguments.use_moving_averages else "no-"
        raise SlimResnetError(f"--{no}moving-averages {why}")


@contextlib.contextmanager
def opened_checkpoint(arguments: argparse.Namespace, command: str) -> Iterator[Any]:
    """Opens ``arguments.checkpoint``; says which weights are taken, and what is assumed of it.

    It says so at the end of a ``with`` block without errors: weights if there is a choice.

    Args:
      arguments: With those of `add_checkpoint` and `add_moving_averages`.
      command: Name of the subcommand.

    Yields:
      The `checkpoint.Checkpoint`.
    """
    from slim_resnet.checkpoint.reader import open_checkpoint
    with open_checkpoint(getattr(arguments, "opened", arguments.checkpoint),
                         arguments.use_moving_averages) as opened:
        yield opened
        # Not before an error, which is one line.
        say_averages(arguments, command, opened.use_moving_averages, has_averages(opened))
        say_assumed(arguments, command, assumed_of(opened))


def add_images(parser: Container, nargs: str = "+") -> None:
    """Adds ``images``."""
    parser.add_argument("images", metavar="IMAGE", nargs=nargs,
                        help="JPEG, PNG, GIF or BMP file, or a folder to search for them")


def add_labels(parser: Container) -> None:
    """Adds ``--labels``."""
    parser.add_argument("--labels", metavar="FILE",
                        help="names of classes, one a line; for 1001 classes, 1000 lines will do, "
                        "and background is put before them (default: those of slim-resnet train, "
                        "if it wrote the checkpoint)")
    add_labels_offset(parser, "the number of class 0 in a labels FILE whose lines are numbered")


def add_labels_offset(parser: Container, what: str) -> None:
    """Adds ``--labels-offset``, slim's ``--labels_offset``; the help says ``what`` it is."""
    parser.add_argument("--labels-offset", type=int, choices=(-1, 0, 1),
                        help=f"{what}: 1 if labels count from 1, -1 if they leave out the "
                        "background (default: 0)")


def add_batch_size(parser: Container, default: int | None = BATCH_SIZE, note: str = "") -> None:
    """Adds ``--batch-size``, for images in a run of the network.

    Args:
      parser: The command's.
      default: None tells whether it was given.
      note: What the help adds to the default.
    """
    parser.add_argument("--batch-size", type=positive_int, default=default, metavar="N",
                        help=f"images in a run of the network (default: {BATCH_SIZE}{note})")


def add_optimize(parser: Container, goes_with: str = "--optimize",
                 precisions: Sequence[str] = PRECISIONS, note: str = "") -> None:
    """Adds ``--optimize`` and ``--precision``, which ``goes_with`` it; see `optimize.prepare`."""
    parser.add_argument("--optimize", action="store_true",
                        help="fold the batch norms and fuse the layers: the same results but for "
                        "rounding, faster; turns oneDNN on unless TF_ENABLE_ONEDNN_OPTS is set")
    parser.add_argument("--precision", choices=precisions,
                        help=f"with {goes_with}; bfloat16 has 8 bits for float32's 24, and needs "
                        f"a CPU that has it{note} (default: {PRECISIONS[0]})")


def add_engine(parser: Container, goes_with: str = "--optimize") -> None:
    """Adds `add_optimize`'s options, and which engine it is; see `optimize.resolve`."""
    add_optimize(parser, f"{goes_with}, or another engine", (*PRECISIONS, "int8"),
                 "; int8 has 8 bits and needs --calibrate")
    parser.add_argument("--engine", choices=CHOICES,
                        help="what runs the network: tensorflow (the default, and the "
                        "reference); onnxruntime or openvino (extras of these names), which imply "
                        "--optimize; auto: the fastest that is installed, and says which")
    add_int8(parser)
    parser.add_argument("--cache", action=argparse.BooleanOptionalAction, default=True,
                        help="of another engine: keep the network, and take what was kept "
                        "(default), in $XDG_CACHE_HOME/slim-resnet or ~/.cache/slim-resnet, at "
                        "most 2 GiB; removing the folder empties it")


def add_int8(parser: Container, note: str = "") -> None:
    """Adds ``--calibrate``, whose help ends with a note, and ``--accept``."""
    parser.add_argument("--calibrate", metavar="FOLDER",
                        help=f"of int8: at least {LEAST_IMAGES} images; most give the ranges of "
                        f"values, the others judge it by the classes that float32 sees{note}")
    parser.add_argument("--accept", action="store_true",
                        help=f"of int8: take it below {100 * LEAST_AGREEMENT:.0f} %% of the same "
                        "most probable classes")


def add_trained_precision(parser: Container, **more: str) -> None:
    """Adds ``--precision`` of a network that is not folded."""
    parser.add_argument("--precision", choices=PRECISIONS,
                        help="bfloat16: by TensorFlow's own mixed-precision rewrite", **more)


def add_end_points(parser: Container, what: str) -> None:
    """Adds ``--end-points``; the help says ``what`` they are chosen for."""
    parser.add_argument("--end-points", nargs="+", metavar="KEY",
                        help=f"{what}: keys, or their ends, such as block4 or block3/unit_12, or "
                        "patterns with the shell's * ? [...], such as '*/block4/*'")


def add_json(parser: Container, more: str = "") -> None:
    """Adds ``--json`` of a command that prints."""
    parser.add_argument("--json", action="store_true", help=f"print one JSON document{more}")


def add_wide(parser: Container, more: str = "") -> None:
    """Adds ``--wide``; see `terminal.table_lines`."""
    parser.add_argument("--wide", action="store_true",
                        help="print tables as wide as they are: every column, whole names, exact "
                        f"numbers{more} (default: what the terminal has room for)")


def add_plot(parser: Container, what: str) -> None:
    """Adds ``--plot`` and ``--theme``; see `check_files`."""
    parser.add_argument("--plot", metavar="FILE", help=f"{what}, {_PLOT_FORMATS}")
    parser.add_argument("--theme", choices=THEMES,
                        help=f"with --plot: its colours (default: {_THEME})")


def add_record(parser: Container, what: str, plot: str) -> None:
    """Adds ``--json``, ``--plot`` and ``--theme`` of a command that measures; see `check_files`."""
    parser.add_argument("--json", metavar="FILE", help=what)
    add_plot(parser, plot)


def check_files(arguments: argparse.Namespace, *paths: str | None) -> None:
    """Raises `SlimResnetError` unless all files that are given can be written.

    Args:
      arguments: With those of `add_plot`; ``theme`` is filled in.
      *paths: Other files, or None.
    """
    for path in filter(None, (*paths, arguments.plot)):
        check_writable(path)
    if arguments.plot:
        from slim_resnet.pictures import plots
        plots.check_plot_file(arguments.plot)
    else:
        refuse(arguments, ("theme",), "goes with --plot")
    arguments.theme = arguments.theme or _THEME


def refuse(arguments: argparse.Namespace, names: Iterable[str], why: str) -> None:
    """Raises `SlimResnetError` for an option that was given and has no effect.

    Args:
      arguments: The command line.
      names: Options without their dashes.
      why: What the message says behind the option.
    """
    for name in names:
        value = getattr(arguments, name.replace("-", "_"))
        # Not a test of truth: the first task is 0.
        if value is not None and value is not False:
            raise SlimResnetError(f"--{name} {why}")
