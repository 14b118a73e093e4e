"""A Ray cluster of two nodes on this machine, and what is killed of it."""

import contextlib
import glob
import importlib.util
import os
import pathlib
import pickle
import signal
import sys
import types

import pytest


def _has_pyarrow():
    """Whether it can be imported: newer ones refuse the numpy of the oldest TensorFlow."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


needs_pyarrow = pytest.mark.skipif(not _has_pyarrow(),
                                   reason="needs a pyarrow that takes this numpy (ray[data])")
needs_ray = pytest.mark.skipif(not (importlib.util.find_spec("ray") and _has_pyarrow()),
                               reason="needs Ray (pip install 'slim-resnet[cluster]')")


@contextlib.contextmanager
def two_nodes(**second):
    """Yields a ``ray.cluster_utils.Cluster`` and its second node; each has a CPU.

    Args:
      **second: Of the second node, see ``Cluster.add_node``.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster
    few = {"num_cpus": 1, "object_store_memory": 200 << 20}
    cluster = Cluster(initialize_head=True, shutdown_at_exit=True, head_node_args={
        **few, "include_dashboard": False, "_system_config": {
            "health_check_period_ms": 500, "health_check_failure_threshold": 4}})
    try:
        yield cluster, cluster.add_node(**few, **second)
    finally:
        cluster.shutdown()


def kill_node(node):
    """Ends all processes of a node by SIGKILL."""
    for processes in node.all_processes.values():
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.process.pid, signal.SIGKILL)


def workers(cluster):
    """Returns the numbers of the processes of a cluster that do parts."""
    parents = {process.process.pid for node in cluster.list_all_nodes()
               for process in node.all_processes["raylet"]}
    found = []
    for folder in glob.glob("/proc/[0-9]*"):
        with contextlib.suppress(OSError):
            stat = pathlib.Path(folder, "stat").read_text()
            # Behind the name, which may have blanks: state and parent.
            if int(stat.rpartition(")")[2].split()[1]) in parents and pathlib.Path(
                    folder, "cmdline").read_bytes().startswith(b"ray::MapWorker"):
                found.append(int(folder.rpartition("/")[2]))
    return found


def processes_of(folder):
    """Returns the numbers of processes in whose command lines a folder is named."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if folder.encode() in pathlib.Path(path).read_bytes():
                found.append(int(path.split("/")[2]))
    return found


class _InProcess:
    """An `engine.Engine` that does all by itself, in this process."""

    num_workers = cpus = 1

    def put(self, value):
        return value

    def map(self, function, items):
        return list(map(function, items))

    def run(self, job, parts):
        from slim_resnet.inference.on_ray.engine import Done
        from slim_resnet.inference.on_ray.worker import Worker
        worker = Worker(job)
        for number, part in parts:
            row = worker({"number": [number], "part": [pickle.dumps(part)]})
            assert row.pop("error") == [""]
            yield Done(**{name: values[0] for name, values in row.items()})


def without_ray(patch):
    """Has ``--ray`` start nothing, for examples: what it would share is done here.

    Args:
      patch: A ``pytest.MonkeyPatch``.
    """
    from slim_resnet.inference.on_ray import engine
    patch.setattr(engine, "started", lambda *args: contextlib.nullcontext(_InProcess()))
    stand_in = types.ModuleType("ray")
    stand_in.get = lambda value: value
    patch.setitem(sys.modules, "ray", stand_in)
