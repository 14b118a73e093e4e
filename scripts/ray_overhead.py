"""What Ray costs over one process that classifies the same images on the same cores.

Every run is ``slim-resnet classify`` as it is, in processes of its own, each setting held to
its cores. What starting takes is left out: a run over few images is subtracted from one over
all. So it is from the seconds of CPU of the command, the workers and Ray's own processes, which
say something on a machine that does other things too. Memory is the peak of the driver and of the
workers, as Linux tells it; with --growth it is measured once more, with as many times the images.
"""

import argparse
import contextlib
import glob
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import typing
from collections.abc import Callable, Iterator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from scripts import held, random_checkpoint
from slim_resnet import cli
from slim_resnet.commands.options import positive_int
from slim_resnet.common.environment import child_environment
from slim_resnet.common.spread import median_ratio, spread
from slim_resnet.common.tables import format_table
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.errors import SlimResnetError

NETWORK, IMAGE_SIZE = "resnet_v2_50", 32
# Images of the runs that tell what starting takes: a part for each worker.
FEW = 1024
_POLL_SECONDS = 0.2

_RUN = held.HOLD + (
    "from slim_resnet.common.environment import memory_bytes; "
    "from slim_resnet.cli import main; status = main(sys.argv[2:]); "
    "open(sys.argv[1], 'w').write(f'{memory_bytes(\"VmHWM\")} {sum(os.times()[:2])}'); "
    "sys.exit(status)")
# How the command lines of Ray's processes begin, or what is in them.
_WORKER, _OTHERS = b"ray::MapWorker", (b"ray::", b"raylet", b"gcs_server")


class Setting(typing.NamedTuple):
    """One way of classifying.

    Attributes:
      name: What it is called.
      cores: How many.
      arguments: More arguments of ``slim-resnet classify``.
      nodes: Local nodes of a CPU each that Ray has; 0 for Ray as the command starts it.
      beside: The setting that it is compared with.
    """

    name: str
    cores: int
    arguments: tuple = ()
    nodes: int = 0
    beside: str = ""


SETTINGS = (
    Setting("one process, one core", 1),
    Setting("one process, two cores", 2),
    Setting("Ray, a worker, one core", 1, ("--ray",), beside="one process, one core"),
    Setting("Ray, a worker of two cores", 2, ("--ray",), beside="one process, two cores"),
    Setting("Ray, two workers", 2, ("--ray-cpus", "1", "--ray"), beside="one process, two cores"),
    Setting("Ray, two nodes of a worker", 2, ("--ray-cpus", "1"), 2, "one process, two cores"),
)


class Run(typing.NamedTuple):
    """What one run took: seconds, and bytes of the driver and of all workers at their peak."""

    seconds: float
    cpu_s: float
    driver_bytes: int
    worker_bytes: int


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="ray_overhead.py", description=__doc__)
    parser.add_argument("--rounds", type=positive_int, default=3, metavar="N",
                        help="runs of each setting, in turn (default: %(default)s)")
    parser.add_argument("--images", type=positive_int, default=10_000, metavar="N",
                        help="(default: %(default)s)")
    parser.add_argument("--growth", type=positive_int, default=1, metavar="TIMES",
                        help="measure memory with so many times the images too")
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> int:
    def announce(name, one):
        print(f"ray_overhead.py: {name}: {one.seconds:.1f} s", file=sys.stderr, flush=True)

    runs = measure(arguments.images, arguments.rounds, arguments.growth, announce)
    lines, slower = table_lines(runs, arguments.images)
    print("\n".join(lines))
    return 1 if slower else 0


def table_lines(runs: dict[str, dict[str, list[Run]]], images: int) -> tuple[list[str], list[str]]:
    """Returns what is printed.

    Args:
      runs: By setting, then ``few``, ``all`` and ``grown``, the runs of every round.
      images: How many ``all`` had.

    Returns:
      ``(lines, slower)``; the latter are settings of one machine that took more than a tenth
      longer than one process on the same cores, starting left out.
    """
    rows, slower, seconds, cpu_s = [], [], {}, {}
    for setting in SETTINGS:
        kinds = runs[setting.name]
        seconds[setting.name] = [whole.seconds - few.seconds
                                 for whole, few in zip(kinds["all"], kinds["few"])]
        cpu_s[setting.name] = [whole.cpu_s - few.cpu_s
                               for whole, few in zip(kinds["all"], kinds["few"])]
        ratio = median_ratio(seconds[setting.name], seconds[setting.beside]) \
            if setting.beside else None
        if ratio and ratio > 1.1:
            slower.append(setting.name)
        grown = kinds.get("grown") or [None]
        rows.append([setting.name, *(f"{value:.1f}" for value in spread(seconds[setting.name])),
                     f"{(images - FEW) / spread(seconds[setting.name])[1]:.1f}",
                     f"{ratio:.3f}" if ratio else "-",
                     f"{spread(cpu_s[setting.name])[1]:.1f}",
                     f"{median_ratio(cpu_s[setting.name], cpu_s[setting.beside]):.3f}"
                     if setting.beside else "-",
                     f"{spread(one.seconds for one in kinds['few'])[1]:.1f}",
                     _mebibytes(kinds["all"][0]), _mebibytes(grown[0])])
    return format_table(
        [f"{images} images, s", "min", "median", "max", "images/s", "/ one process", "CPU s",
         "/ one process", f"start and {FEW} images, s", "MiB, driver + workers", "grown"],
        rows), slower


def _mebibytes(one):
    return f"{one.driver_bytes >> 20} + {one.worker_bytes >> 20}" if one else "-"


def measure(images: int, rounds: int, growth: int = 1,
            on_run: Callable[[str, Run], None] = lambda *row: None
            ) -> dict[str, dict[str, list[Run]]]:
    """Classifies in each setting in turn, several times over; see `table_lines`."""
    held.cores()
    if images <= FEW:
        raise SlimResnetError(f"--images {images}: give more than {FEW}, the images of the start")
    runs = {setting.name: {"few": [], "all": []} for setting in SETTINGS}
    with temporary_folder() as folder:
        checkpoint = random_checkpoint.write(os.path.join(folder, "net.ckpt"), NETWORK,
                                             IMAGE_SIZE, 10)
        data = {"few": FEW, "all": images, **({"grown": images * growth} if growth > 1 else {})}
        for kind, number in data.items():
            _write_images(os.path.join(folder, kind), number)
        for turn in range(rounds):
            for setting in SETTINGS:
                for kind in ("few", "all", *(["grown"] if growth > 1 and not turn else ())):
                    one = _classify(setting, checkpoint, os.path.join(folder, kind), folder)
                    runs[setting.name].setdefault(kind, []).append(one)
                    on_run(f"{setting.name}, {kind}", one)
    return runs


def _write_images(folder, number):
    import numpy as np
    import tensorflow as tf
    rng = np.random.default_rng(0)
    os.mkdir(folder)
    first = []
    for k in range(number):
        path = os.path.join(folder, f"{k:07}.png")
        if k < 100:
            pixels = rng.integers(0, 256, [IMAGE_SIZE, IMAGE_SIZE, 3]).astype(np.uint8)
            with open(path, "wb") as file:
                file.write(tf.io.encode_png(pixels).numpy())
            first.append(path)
        else:
            os.link(first[k % len(first)], path)


def _classify(setting, checkpoint, images, folder):
    cores = ",".join(map(str, held.cores()[:setting.cores]))
    is_on_ray = setting.nodes or "--ray" in setting.arguments
    output = os.path.join(folder, "output" if is_on_ray else "output.jsonl")
    said = os.path.join(folder, "memory")
    with contextlib.ExitStack() as stack:
        more = list(setting.arguments)
        if setting.nodes:
            more.append(f"--ray={stack.enter_context(_nodes(setting.nodes))}")
        seen = stack.enter_context(_watched())
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _RUN, cores, said, "classify", checkpoint, images,
             "--image-size", str(IMAGE_SIZE), "--output", output, *more],
            env=child_environment(TF_ENABLE_ONEDNN_OPTS="0"), capture_output=True, text=True)
        seconds = time.perf_counter() - started
    held.check(setting.name, done.returncode, done.stderr)
    for path in glob.glob(output + "*"):
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    with open(said, encoding="ascii") as file:
        driver_bytes, cpu_s = file.read().split()
    return Run(seconds, float(cpu_s) + sum(seen.cpu_s.values()), int(driver_bytes),
               seen.worker_bytes)


@contextlib.contextmanager
def _nodes(number) -> Iterator[str]:
    """Yields the address of a Ray cluster of nodes of one CPU on this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster
    cluster = Cluster(initialize_head=True, shutdown_at_exit=True,
                      head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(number - 1):
            cluster.add_node(num_cpus=1)
        yield cluster.address
    finally:
        cluster.shutdown()


class _Seen:
    """What was seen of Ray's processes: CPU seconds by process, and the workers' most bytes."""

    def __init__(self):
        self.cpu_s, self.worker_bytes = {}, 0

    def look(self):
        total = 0
        for folder in glob.glob("/proc/[0-9]*"):
            with contextlib.suppress(OSError):
                command = pathlib.Path(folder, "cmdline").read_bytes()
                if not any(name in command[:200] for name in _OTHERS):
                    continue
                # Behind the name, which may have blanks: user and system time.
                times = pathlib.Path(folder, "stat").read_text().rpartition(")")[2].split()[11:13]
                self.cpu_s[folder] = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
                if command.startswith(_WORKER):
                    pages = pathlib.Path(folder, "statm").read_text().split()[1]
                    total += int(pages) * os.sysconf("SC_PAGE_SIZE")
        self.worker_bytes = max(self.worker_bytes, total)


@contextlib.contextmanager
def _watched() -> Iterator[_Seen]:
    """Yields what is seen of Ray's processes until the block ends."""
    seen, over = _Seen(), threading.Event()

    def watch():
        while not over.wait(_POLL_SECONDS):
            seen.look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


if __name__ == "__main__":
    sys.exit(cli.run(build_parser()))
