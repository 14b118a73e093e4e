"""The same network, weights and images in several engines, timed in turn.

Every measurement is a process of its own: start, first result, steps. So its memory and its
start-up are its own, TensorFlow's oneDNN setting can differ, and only one is there at a time.
Networks are timed one after the other.
"""

import dataclasses
import datetime
import os
import shutil
import statistics
from collections.abc import Callable

import numpy as np

from scripts.peers.child import EngineProcess
from scripts.peers.engines import GEMM_SIZE
from scripts.peers.table import DEFAULT, ENGINES, GEMM, PRECISIONS, Engine
from slim_resnet.common.environment import check_bfloat16, cpu, environment
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.errors import SlimResnetError

FORMAT = "slim_resnet peers 3"
# Images that the steps of one measurement take together, where a step has fewer.
_IMAGES = 8
# What is written for engines, and for which.
_FORMS = {"onnx": ("onnxruntime", "torch"), "openvino": ("openvino",)}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What to compare and how.

    Attributes:
      networks: Names in `models.MODELS`, given random weights, or checkpoints' paths.
      engines: Keys of `ENGINES`.
      batch_sizes: Images a step.
      rounds: Measurements of every engine in every precision.
      threads: Cores that every engine is held to.
      image_size: Height and width, in pixels; None for what each network is timed at.
      num_classes: Of a network that is given random weights.
      precisions: Of `PRECISIONS`.
    """

    networks: tuple = ("resnet_v2_152",)
    engines: tuple = DEFAULT
    batch_sizes: tuple = (1, 8, 32)
    rounds: int = 5
    threads: int = dataclasses.field(default_factory=lambda: cpu()["cores"])
    image_size: int | None = None
    num_classes: int = 1001
    precisions: tuple = PRECISIONS


def compare(options: Comparison, announce: Callable[[str], None] = lambda message: None,
            on_step: Callable[[int, int], None] | None = None) -> dict:
    """Times the engines in turn, on one network after the other.

    Args:
      options: A `Comparison`.
      announce: Called with a line about what is going on.
      on_step: Called after a round with how many are over and how many there are.

    Returns:
      The record, plain data, ``networks`` in it one by one; see `records` for tables of these.
      After Ctrl-C it is ``partial`` and holds whole rounds.

    Raises:
      SlimResnetError: A network cannot be had; nothing has been timed then.
      KeyboardInterrupt: Ctrl-C came before the first round was over.
    """
    record = {"format": FORMAT, "date": datetime.datetime.now().isoformat(timespec="seconds"),
              "environment": environment(), "options": dataclasses.asdict(options),
              "networks": [], "partial": False}
    rounds, total = options.rounds, options.rounds * len(options.networks)
    with temporary_folder() as folder:
        # All are looked at before the first is timed: what is at fault is said at once.
        measured = [_Network(name, os.path.join(folder, str(number)), options, announce)
                    for number, name in enumerate(options.networks)]
        for number, network in enumerate(measured):
            try:
                network.prepare()
                network.measure(lambda done, before=number * rounds:
                                on_step and on_step(before + done, total))
            except KeyboardInterrupt:
                record["partial"] = True
                if network.rounds:
                    record["networks"].append(network.summary())
                if not record["networks"]:
                    raise
                break
            record["networks"].append(network.summary())
            # Several networks in several forms are some gigabytes.
            shutil.rmtree(network.folder)
    return record


class _Network:
    """One network, in all forms, and what was measured of it.

    Attributes:
      folder: Where its files are.
      rounds: How many are over.
    """

    def __init__(self, name, folder, options, announce):
        self.folder, self.rounds, self._options, self._outputs = folder, 0, options, None
        start = f"{name}: " if len(options.networks) > 1 else ""
        self._announce = lambda message: announce(start + message)
        os.mkdir(folder)
        threads = str(options.threads)
        # Networks of ours are kept where nobody else's are.
        self._variables = {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads,
                           "OMP_NUM_THREADS": threads, "XDG_CACHE_HOME": folder}
        first = self._made("files", folder=folder, network=name, image_size=options.image_size,
                           num_classes=options.num_classes)
        if "unavailable" in first:
            raise SlimResnetError(first["unavailable"])
        self._files = first["made"]
        self._runs, self._entry = [], {
            "name": name, "network": self._files, "gemm": {}, "unavailable": [],
            "making_peak_bytes": {"files": first["peak_bytes"]}}

    def _made(self, name, **arguments):
        """Has something written by a process of its own; returns its answer."""
        self._announce(" ".join(filter(None, ["making", name, *map(arguments.get, (
            "engine", "precision"))])))
        with EngineProcess(f"make_{name}", {**arguments, "threads": self._options.threads},
                           **self._variables) as process:
            return process.first

    def _form(self, title, name, **arguments):
        """The same; returns it, None if there is none, and why."""
        try:
            answer = self._made(name, files=self._files, **arguments)
        except SlimResnetError as error:
            answer = {"unavailable": str(error)}
        self._entry["making_peak_bytes"][title] = answer.get("peak_bytes")
        return answer.get("made"), answer.get("unavailable")

    def _unavailable(self, title, precision, why):
        self._entry["unavailable"].append({"title": title, "precision": precision, "why": why})

    def prepare(self):
        """Has the network written in all forms, and times what bounds it."""
        options, files, precisions = self._options, self._files, list(self._options.precisions)
        for name, users in _FORMS.items():
            if not set(users).isdisjoint(options.engines):
                files[name], files[f"{name}_missing"] = self._form(name, name, folder=self.folder)
        try:
            check_bfloat16(onednn=True)  # each engine's process sets its own
        except SlimResnetError as error:
            if "bfloat16" in precisions:
                precisions.remove("bfloat16")
                self._unavailable("all engines", "bfloat16", str(error))
        files["kept"] = {}
        for kept in filter(None, (ENGINES[name].kept for name in options.engines)):
            for precision in precisions:
                if precision in ENGINES[f"our_{kept}"].precisions:
                    title = f"{kept} {precision}"
                    made, why = self._form(title, "kept", engine=kept, precision=precision)
                    files["kept"][title] = why or made
        for precision in precisions:
            if precision != "int8":
                self._time_gemm(precision)
            for name in options.engines:
                self._add_runs(name, precision)

    def _settings(self, engine):
        """Returns the oneDNN settings that an engine is timed with; None where it has none."""
        settings = [self._files["onednn_by_default"] if engine.is_tensorflow else None]
        return [*settings, True] if engine.with_onednn and not settings[0] else settings

    def _add_runs(self, name, precision):
        """Adds the runs of an engine to the record, empty yet."""
        engine = ENGINES[name]
        if precision in engine.lacks:
            self._unavailable(engine.title, precision, engine.lacks[precision])
        for onednn in self._settings(engine) if precision in engine.precisions else ():
            self._runs.append({
                "engine": name, "title": _titled(engine.title, onednn), "precision": precision,
                "onednn": onednn, "same_weights": engine.same_weights, "startups_s": [],
                "batches": [{"batch_size": size, "durations_s": [], "cpu_s": [], "sleeps": [],
                             "peak_bytes": 0} for size in sorted(self._options.batch_sizes)]})

    def _process(self, name, precision, onednn, batch_sizes):
        extra = {} if onednn is None else {"TF_ENABLE_ONEDNN_OPTS": str(int(onednn))}
        if name in ENGINES:
            extra = {**ENGINES[name].variables, **extra}
        return EngineProcess(name, {"files": self._files, "precision": precision,
                                    "threads": self._options.threads, "batch_sizes": batch_sizes},
                             **self._variables, **extra)

    def _time_gemm(self, precision):
        limits = {}
        for onednn in self._settings(Engine("", True, True)):
            self._announce(f"{precision}: matrix product")
            with self._process(GEMM, precision, onednn, [1]) as process:
                if "unavailable" in process.first:
                    continue
                answer = process.run({"batch_size": 1, "steps": self._options.rounds})
                limits[_titled("matrix product", onednn)] = (
                    2 * GEMM_SIZE ** 3 / statistics.median(answer["durations_s"]))
        if limits:
            self._entry["gemm"][precision] = {
                "flops_by_setting": limits, "flops": max(limits.values())}

    def measure(self, on_round):
        """Times all runs, round by round; calls ``on_round`` with how many are over."""
        for number in range(1, self._options.rounds + 1):
            for run in list(self._runs):
                self._announce(f"round {number} of {self._options.rounds}: {run['precision']}, "
                               f"{run['title']}")
                try:
                    why = self._measure_run(run)
                # It has ended of itself, as for want of memory.
                except SlimResnetError as error:
                    why = str(error)
                if why:
                    self._unavailable(run["title"], run["precision"], why)
                    self._runs.remove(run)
            self.rounds = number
            on_round(number)

    def _measure_run(self, run):
        """Adds one round to a run; returns why there is none, or None."""
        sizes = [batch["batch_size"] for batch in run["batches"]]
        with self._process(run["engine"], run["precision"], run["onednn"], sizes) as process:
            if "unavailable" in process.first:
                return process.first["unavailable"]
            run["startups_s"].append(process.startup_s)
            for batch in run["batches"]:
                size = batch["batch_size"]
                command = {"batch_size": size, "steps": max(1, _IMAGES // size)}
                is_last = not self.rounds and size == sizes[-1] and run["same_weights"]
                if is_last:
                    command["save"] = os.path.join(self.folder, "outputs.npy")
                answer = process.run(command)
                batch["durations_s"].append(statistics.median(answer["durations_s"]))
                batch["cpu_s"].append(answer["cpu_s"])
                batch["sleeps"].append(answer["sleeps"])
                batch["peak_bytes"] = max(batch["peak_bytes"], answer["peak_bytes"])
                if is_last:
                    outputs = np.load(command["save"])
                    # The first is the plain session in float32, where it is among them.
                    self._outputs = outputs if self._outputs is None else self._outputs
                    run["agreement"] = agreement(outputs, self._outputs)
        return None

    def summary(self):
        """Returns the network's part of the record, of what all runs have."""
        flops = 2 * self._files["multiply_adds_per_image"]
        for run in self._runs:
            limit = self._entry["gemm"].get(run["precision"], {}).get("flops")
            del run["startups_s"][self.rounds:]
            run["startup_s"] = statistics.median(run["startups_s"])
            for batch in run["batches"]:
                for name in ("durations_s", "cpu_s", "sleeps"):
                    del batch[name][self.rounds:]
                batch["median_s"] = statistics.median(batch["durations_s"])
                batch["images_per_s"] = batch["batch_size"] / batch["median_s"]
                batch["share_of_gemm"] = flops * batch["images_per_s"] / limit \
                    if run["same_weights"] and limit else None
        return {**self._entry, "runs": self._runs}


def _titled(title, onednn):
    return title if onednn is None else f"{title}, oneDNN {'on' if onednn else 'off'}"


def agreement(outputs: np.ndarray, reference: np.ndarray) -> dict:
    """Compares logits ``[N, classes]``.

    Returns:
      ``relative_error``: the largest deviation over the largest value's size;
      ``top_1``: the share of images of the same most probable class.
    """
    return {"relative_error": float(np.abs(outputs - reference).max() / np.abs(reference).max()),
            "top_1": float((outputs.argmax(1) == reference.argmax(1)).mean())}
