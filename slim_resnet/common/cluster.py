"""Which tasks work together, and which of them this process is.

The description is TensorFlow's own: a JSON object of jobs, each a list of addresses,
as ``tf.train.ClusterSpec`` takes it, from a file or from the variable ``TF_CONFIG``::

    {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"], "ps": ["10.0.0.3:2222"]}

Nothing here needs TensorFlow or opens a connection.
"""

import dataclasses
import os
import re

from slim_resnet.common.files import parse_json
from slim_resnet.errors import SlimResnetError

# Jobs whose tasks do the work, in the order in which they are counted.
WORKING_JOBS = ("chief", "master", "worker")
# Job of parameter servers, which hold the variables of a training.
PS = "ps"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A cluster as one of its tasks sees it.

    Attributes:
      jobs: Maps job names to lists of ``HOST:PORT``, as ``tf.train.ClusterSpec`` takes.
      job: This process's job.
      task: Its number within the job, from 0.
    """

    jobs: dict[str, list[str]]
    job: str
    task: int

    def address(self, job: str, task: int) -> tuple[str, int]:
        """Returns a task's host and port, see `parse_address`."""
        return parse_address(self.jobs[job][task])

    @property
    def workers(self) -> list[tuple[str, int]]:
        """``(job, task)`` of every task that does the work: chief, then workers."""
        return [(job, task) for job in WORKING_JOBS for task in range(len(self.jobs.get(job, ())))]

    def check_works(self) -> None:
        """Raises `SlimResnetError` unless this task is one of `workers`."""
        if (self.job, self.task) not in self.workers:
            raise SlimResnetError(f"--job {self.job}: takes no share of the work; that is for "
                                  f"{', '.join(WORKING_JOBS)}")

    @property
    def shard(self) -> tuple[int, int]:
        """``(index, count)``: this task's number among `workers`, and how many they are.

        Raises:
          SlimResnetError: This task is none of them.
        """
        self.check_works()
        return self.workers.index((self.job, self.task)), len(self.workers)


def parse_address(address: object) -> tuple[str, int] | None:
    """Returns the host and the port of ``HOST:PORT``, or None if it is something else.

    Args:
      address: The text; an IPv6 host is in brackets, which are taken off.
    """
    if not isinstance(address, str):
        return None
    host, _, port = address.rpartition(":")
    if not _is_host(host) or not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65536):
        return None
    return host.removeprefix("[").removesuffix("]"), int(port)


def _is_host(host: str) -> bool:
    """Whether a name can be looked up: no empty or overlong part, nothing invisible."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return bool(host) and host.isprintable() and " " not in host


def read_cluster(spec_path: str | os.PathLike | None = None, job: str | None = None,
                 task: int | None = None) -> Cluster | None:
    """Reads the description of a cluster, from a file or else from ``TF_CONFIG``.

    Args:
      spec_path: JSON file of jobs and their addresses, or None.
      job: Name of this process's job; goes with ``spec_path``.
      task: Number of this process within it; goes with ``spec_path``.

    Returns:
      A `Cluster`; None if neither the file nor a cluster in ``TF_CONFIG`` is given.

    Raises:
      SlimResnetError: What is given is incomplete, unreadable or contradicts itself.
    """
    if spec_path is None:
        if job is not None or task is not None:
            raise SlimResnetError("--job and --task choose a task of --cluster SPEC.json; "
                                  "give it too")
        source = "TF_CONFIG"
        config = parse_json(os.environ.get(source) or "{}", source)
        if not isinstance(config, dict) or "cluster" not in config:
            return None
        jobs, own = config["cluster"], config.get("task")
        if not isinstance(own, dict) or not isinstance(own.get("type"), str):
            raise SlimResnetError('TF_CONFIG: names no task; write "task": {"type": "worker", '
                                  '"index": 0}')
        job, task = own["type"], own.get("index", 0)
    else:
        if job is None or task is None:
            raise SlimResnetError("--cluster needs --job NAME and --task NUMBER of this process")
        source = os.fspath(spec_path)
        try:
            with open(source, encoding="utf-8") as file:
                jobs = parse_json(file.read(), source)
        except OSError as error:
            raise SlimResnetError(f"{source}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SlimResnetError(f"{source}: is not UTF-8 text") from error
    _check_jobs(source, jobs)
    if job not in jobs:
        raise SlimResnetError(f"{source}: has no job {job!r}; it has {', '.join(jobs)}")
    if type(task) is not int or not 0 <= task < len(jobs[job]):
        raise SlimResnetError(f"{source}: has no task {task} of job {job}; its tasks are 0 to "
                              f"{len(jobs[job]) - 1}")
    return Cluster(jobs, job, task)


def check_training_cluster(cluster: Cluster) -> None:
    """Raises `SlimResnetError` unless a `Cluster` can train, and this task takes part."""
    if PS not in cluster.jobs:
        raise SlimResnetError("the cluster has no parameter server, which training needs: add "
                              f'"{PS}": ["HOST:PORT"]')
    if not cluster.workers:
        raise SlimResnetError('the cluster has no worker, which training needs: add "worker": '
                              '["HOST:PORT", ...]')
    if cluster.job != PS:
        cluster.check_works()


def _check_jobs(source: str, jobs: object) -> None:
    if not isinstance(jobs, dict) or not jobs:
        raise SlimResnetError(f'{source}: describes no cluster; write {{"worker": ["HOST:PORT", '
                              "...]}")
    seen = set()
    for job, addresses in jobs.items():
        if not isinstance(addresses, list) or not addresses:
            raise SlimResnetError(f'{source}: job {job} is no list of addresses; write '
                                  f'["HOST:PORT", ...]')
        for address in addresses:
            if parse_address(address) is None:
                raise SlimResnetError(f"{source}: job {job} has {address!r} for an address; "
                                      "write HOST:PORT")
            if address in seen:
                raise SlimResnetError(f"{source}: has {address} twice; every task needs an "
                                      "address of its own")
            seen.add(address)
