"""Ray: started or found, checked, and given parts of the images to do.

Ray Data keeps one actor for each worker, gives parts to those that are free, keeps as many
results as the driver takes in, and does again what a worker or a node took with it.
"""

import contextlib
import dataclasses
import logging
import os
import pickle
import socket
import sys
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from slim_resnet.common.cluster import parse_address
from slim_resnet.common.environment import cpu
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.on_ray.worker import Job, Worker

# How long to wait for a cluster to answer, and for all of its nodes to say what they have.
CONNECT_SECONDS, PROBE_SECONDS = 10, 120
# A worker gains little from more CPUs than this in batches of 16.
MOST_CPUS = 4
# Names of sockets, which are below Ray's folder, may have 107 bytes.
_LONGEST_FOLDER = 40


class Done(typing.NamedTuple):
    """A part that was done.

    Attributes:
      number: Its number.
      images: How many it has.
      unreadable: How many of them could not be read.
      busy_s: Seconds that the worker's network was at work on them.
      content: Their results, see `part_formats`.
    """

    number: int
    images: int
    unreadable: int
    busy_s: float
    content: bytes


@dataclasses.dataclass
class Engine:
    """Ray as `started` found it.

    Attributes:
      num_workers: Workers at once.
      cpus: CPUs of each.
    """

    num_workers: int
    cpus: int

    def put(self, value: Any) -> Any:
        """Puts a value where every node gets it once."""
        import ray
        return ray.put(value)

    def map(self, function: Any, items: Sequence[Any]) -> list[Any]:
        """Calls a function of the package with every item, on all nodes.

        Raises:
          SlimResnetError: The function raised it.
        """
        def call(row):
            try:
                answer = function(pickle.loads(row["item"])), None
            except SlimResnetError as error:
                answer = None, str(error)
            return {"number": row["number"], "answer": pickle.dumps(answer)}

        import ray.data
        rows = ray.data.from_items([{"number": number, "item": pickle.dumps(item)}
                                    for number, item in enumerate(items)])
        answers = [None] * len(items)
        with _one_line():
            for row in rows.map(call).iter_rows():
                answers[row["number"]], error = pickle.loads(row["answer"])
                if error:
                    raise SlimResnetError(error)
        return answers

    def run(self, job: Job, parts: Iterable[tuple[int, Any]]) -> Iterator[Done]:
        """Does parts of a job.

        Args:
          job: The `worker.Job`.
          parts: Numbers and parts of `images.parts`.

        Yields:
          A `Done` for every part, in any order.

        Raises:
          SlimResnetError: What a worker says is wrong, or Ray gave up.
        """
        import ray.data
        variables = {**_kernel_variables(), "TF_NUM_INTRAOP_THREADS": str(self.cpus)}
        job = dataclasses.replace(job, folder=os.getcwd(), variables=variables)
        items = [{"number": number, "part": pickle.dumps(part)} for number, part in parts]
        if not items:
            return
        workers = min(self.num_workers, len(items))
        rows = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            Worker, fn_constructor_args=(job,), batch_size=1, num_cpus=self.cpus,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers))
        seen = set()
        with _one_line():
            for row in rows.iter_rows():
                if row["error"]:
                    raise SlimResnetError(row["error"])
                if row["number"] not in seen:
                    seen.add(row["number"])
                    yield Done(*(row[name] for name in Done._fields))


@contextlib.contextmanager
def started(address: str, cpus: int | None = None, verbose: bool = False) -> Iterator[Engine]:
    """Starts Ray on this machine, or finds a running cluster; and leaves or ends it.

    What Ray says is left out, on stdout too, unless it is asked for. Where it is started here,
    it does not report its use to its makers.

    Args:
      address: ``HOST:PORT`` of a cluster that this machine is a node of, ``auto`` for the one
        that it is a node of, or "" to start Ray here.
      cpus: CPUs a worker; None takes those of the smallest node, or `MOST_CPUS`.
      verbose: Whether to show what Ray says, on stderr.

    Yields:
      An `Engine`.

    Raises:
      SlimResnetError: Ray is not installed, nothing answers at the address, or a node has
        not what it takes.
    """
    if not address:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise SlimResnetError(f"--ray needs Ray, which cannot be imported ({error}); pip install "
                              "'slim-resnet[cluster]'") from error
    level = logging.INFO if verbose else logging.CRITICAL
    options = {"log_to_driver": verbose, "logging_level": level}
    with contextlib.ExitStack() as stack:
        if address:
            _check_answers(os.environ.get("RAY_ADDRESS", address) if address == "auto" else address)
            options["address"] = address
        else:
            folder = stack.enter_context(temporary_folder())
            options.update(address="local", num_cpus=cpu()["cores"], include_dashboard=False)
            if len(folder) <= _LONGEST_FOLDER:
                options["_temp_dir"] = folder
        stack.enter_context(_heard() if verbose else _unheard())
        stack.callback(ray.shutdown)
        with _one_line(f"--ray {address}".rstrip()):
            ray.init(**options)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = verbose
        logging.getLogger("ray.data").setLevel(level)
        nodes = [node for node in ray.nodes()
                 if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
        if address:
            _check_nodes(nodes)
        sizes = [int(node["Resources"]["CPU"]) for node in nodes]
        cpus = cpus or min(MOST_CPUS, *sizes) if sizes else cpus
        num_workers = sum(size // cpus for size in sizes) if sizes else 0
        if not num_workers:
            raise SlimResnetError("--ray-cpus: no node of the cluster has so many CPUs; the "
                                  f"largest has {max(sizes, default=0)}")
        yield Engine(num_workers, cpus)


@contextlib.contextmanager
def _heard():
    """Has what is printed by the way go to stderr, as stdout is for results."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def _unheard():
    """Keeps quiet what Ray's threads print, and its C++ parts write to stderr itself.

    What this process says through Python is shown as ever.
    """
    with open(os.devnull, "w") as nowhere, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        sys.stderr.flush()
        stderr = os.dup(2)
        stack.callback(os.close, stderr)
        try:
            is_own = sys.stderr.fileno() == 2
        except (OSError, ValueError):
            is_own = False
        if is_own:
            shown = stack.enter_context(open(stderr, "w", 1, closefd=False))
            stack.enter_context(contextlib.redirect_stderr(shown))
        os.dup2(nowhere.fileno(), 2)
        stack.callback(os.dup2, stderr, 2)
        yield


def _check_answers(address):
    """Raises `SlimResnetError` where no cluster answers, which Ray waits minutes for."""
    if address == "auto":
        return
    found = parse_address(address)
    if found is None:
        raise SlimResnetError(f"--ray {address}: is no address; give HOST:PORT, auto, or nothing "
                              "for this machine")
    import grpc
    try:
        socket.create_connection(found, CONNECT_SECONDS).close()
        if os.environ.get("RAY_USE_TLS", "0") == "0":
            with grpc.insecure_channel(address) as channel:
                grpc.channel_ready_future(channel).result(CONNECT_SECONDS)
    except (OSError, grpc.FutureTimeoutError) as error:
        raise SlimResnetError(f"--ray {address}: no Ray cluster answers there within "
                              f"{CONNECT_SECONDS} s; ray start --head begins one") from error


@contextlib.contextmanager
def _one_line(before="Ray"):
    """Turns what Ray raises into a `SlimResnetError` of one line."""
    import ray.exceptions
    try:
        yield
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [
            type(error).__name__]
        # Of what failed far away the last line of the traceback says what.
        line = lines[-1 if any(line.startswith("Traceback") for line in lines) else 0]
        if isinstance(error, RuntimeError) and "Version mismatch" in line:
            line = " ".join(lines)
        raise SlimResnetError(f"{before}: {line[:300]}") from error


def _check_nodes(nodes):
    """Raises `SlimResnetError` unless every node has this package and TensorFlow's version."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # By value, as it is within a function: a node without the package can run it too.
    def probe():
        import importlib.metadata
        found = {"slim_resnet": "none", "TensorFlow": "none"}
        try:
            import slim_resnet
            found["slim_resnet"] = slim_resnet.__version__
        except ImportError:
            pass
        for package in ("tensorflow-cpu", "tensorflow"):
            try:
                found["TensorFlow"] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                pass
        return found

    remote = ray.remote(probe)
    asked = {remote.options(
        num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(
            node["NodeID"], soft=False)).remote(): node["NodeManagerAddress"] for node in nodes}
    with _one_line():
        ready, late = ray.wait(list(asked), num_returns=len(asked), timeout=PROBE_SECONDS)
        if late:
            raise SlimResnetError(f"node {asked[late[0]]} does not answer within "
                                  f"{PROBE_SECONDS} s")
        for answer in ready:
            check_versions(asked[answer], ray.get(answer), probe())


def check_versions(node: str, found: dict[str, str], wanted: dict[str, str]) -> None:
    """Raises `SlimResnetError` if a node has other versions than the driver."""
    for name, version in wanted.items():
        if found[name] != version:
            raise SlimResnetError(f"node {node} has {name} {found[name]}, and the driver "
                                  f"{version}; install the same on all nodes")


def _kernel_variables():
    """Returns what of the environment chooses TensorFlow's kernels, and its noise."""
    return {name: value for name, value in os.environ.items()
            if name.startswith(("TF_", "ONEDNN_", "DNNL_", "MKL_", "XLA_"))}
