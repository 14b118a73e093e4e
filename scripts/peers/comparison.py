"""The same network, weights and images in several engines, timed in turn.

Every measurement is a process of its own: start, first result, steps. So its memory and its
start-up are its own, TensorFlow's oneDNN setting can differ, and only one is there at a time.
"""

import dataclasses
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from scripts.peers.engines import GEMM_SIZE
from slim_resnet.common.environment import (
    FASTEST,
    check_bfloat16,
    child_environment,
    cpu,
    environment,
)
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.errors import SlimResnetError

FORMAT = "slim_resnet peers 2"
PRECISIONS = ("float32", "bfloat16", "int8")
# Images that the steps of one measurement take together, where a step has fewer.
_IMAGES = 8


@dataclasses.dataclass(frozen=True)
class Engine:
    """Something that runs a network.

    Attributes:
      title: What it is called in tables.
      is_tensorflow: Whether TensorFlow's oneDNN setting is of any effect.
      with_onednn: Whether it is also timed with oneDNN on, where that is not the default.
      same_weights: Whether it takes the checkpoint's weights.
      precisions: Those that it is timed in.
      lacks: Maps others to why, for the record.
      kept: Of ours: the engine whose networks are taken from the cache.
    """

    title: str
    is_tensorflow: bool = False
    with_onednn: bool = False
    same_weights: bool = True
    precisions: tuple = ("float32", "bfloat16")
    lacks: dict = dataclasses.field(default_factory=dict)
    kept: str | None = None


PLAIN, TENSORFLOW = "session", "optimised"
_NO_BFLOAT16 = {"bfloat16": "its CPU kernels of convolution are float32 only"}
ENGINES = {
    PLAIN: Engine("slim_resnet, session.run", True, True),
    TENSORFLOW: Engine("slim_resnet, TensorFlow", True, True),
    "our_onnxruntime": Engine("slim_resnet, ONNX Runtime", precisions=("float32", "int8"),
                              lacks=_NO_BFLOAT16, kept="onnxruntime"),
    "our_openvino": Engine("slim_resnet, OpenVINO", precisions=PRECISIONS, kept="openvino"),
    "tf_slim": Engine("tf_slim.nets", True),
    "keras": Engine("Keras Applications", True, same_weights=False),
    "onnxruntime": Engine("ONNX Runtime", precisions=("float32",), lacks=_NO_BFLOAT16),
    "openvino": Engine("OpenVINO"),
    "torch": Engine("PyTorch"),
}
OURS = (TENSORFLOW, *(name for name, engine in ENGINES.items() if engine.kept))
# Those that are slower than session.run take time and tell little.
DEFAULT = tuple(name for name in ENGINES if name not in ("tf_slim", "keras"))
GEMM = "gemm"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What to compare and how.

    Attributes:
      network: A name in `models.MODELS`, given random weights, or a checkpoint's path.
      engines: Keys of `ENGINES`.
      batch_sizes: Images a step.
      rounds: Measurements of every engine in every precision.
      threads: Cores that every engine is held to.
      image_size: Height and width, in pixels.
      num_classes: Of a network that is given random weights.
      precisions: Of `PRECISIONS`.
    """

    network: str = "resnet_v2_152"
    engines: tuple = DEFAULT
    batch_sizes: tuple = (1, 8, 32)
    rounds: int = 5
    threads: int = dataclasses.field(default_factory=lambda: cpu()["cores"])
    image_size: int = 224
    num_classes: int = 1001
    precisions: tuple = PRECISIONS


class EngineProcess:
    """An engine at work in a process of its own.

    Attributes:
      first: What it answered when it was ready.
      startup_s: Seconds from its start to then.
    """

    def __init__(self, engine, arguments, **variables):
        self._name = engine
        self._stderr = tempfile.TemporaryFile()
        started = time.perf_counter()
        # A session of its own: Ctrl-C is for the parent, whose end ends it.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.peers.process", json.dumps([engine, arguments])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, text=True,
            start_new_session=True,
            env=child_environment(TF_CPP_MIN_LOG_LEVEL="3", **variables))
        try:
            self.first = self._answer()
        except BaseException:
            self.close()
            raise
        self.startup_s = time.perf_counter() - started

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, command):
        """Has it do one command of `process.serve`; returns its answer."""
        try:
            print(json.dumps(command), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            pass
        return self._answer()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._stderr.seek(0)
            last = self._stderr.read().decode("utf-8", "replace").strip().splitlines()[-1:]
            raise SlimResnetError(f"the process of {self._name} ended with status {status}: "
                                  f"{''.join(last) or 'it said nothing'}")
        return json.loads(line)

    def close(self):
        self._process.kill()
        self._process.communicate()
        self._stderr.close()


def compare(options: Comparison, announce: Callable[[str], None] = lambda message: None,
            on_step: Callable[[int, int], None] | None = None) -> dict:
    """Times the engines in turn.

    Args:
      options: A `Comparison`.
      announce: Called with a line about what is going on.
      on_step: Called after a round with how many are over and how many there are.

    Returns:
      The record, plain data; see `records` for tables of it.

    Raises:
      SlimResnetError: The network cannot be had, or an engine's process ended early.
      KeyboardInterrupt: Ctrl-C came before the first round was over.
    """
    batch_sizes = sorted(options.batch_sizes)
    record = {"format": FORMAT, "date": datetime.datetime.now().isoformat(timespec="seconds"),
              "environment": environment(), "options": dataclasses.asdict(options),
              "gemm": {}, "runs": [], "unavailable": [], "partial": False}
    threads = str(options.threads)
    with temporary_folder() as folder:
        # Networks of ours are kept where nobody else's are.
        variables = {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads,
                     "OMP_NUM_THREADS": threads, "XDG_CACHE_HOME": folder}
        files, precisions = _make_files(folder, options, variables, record, announce)
        for precision in precisions:
            if precision != "int8":
                _time_gemm(precision, options, files, variables, record, announce)
        runs = _runs(options, precisions, files, record)
        for number in range(options.rounds):
            try:
                for run in list(runs):
                    announce(f"round {number + 1} of {options.rounds}: {run['precision']}, "
                             f"{run['title']}")
                    why = _measure(run, options, files, batch_sizes, variables,
                                   os.path.join(folder, "outputs.npy"), record, number)
                    if why:
                        _unavailable(record, run["title"], run["precision"], why)
                        runs.remove(run)
                if on_step:
                    on_step(number + 1, options.rounds)
            except KeyboardInterrupt:
                if not number:
                    raise
                record["partial"] = True
                # What all runs have.
                for batch in (batch for run in runs for batch in run["batches"]):
                    del batch["durations_s"][number:]
                break
    for run in runs:
        _summarise(run, record)
    record["runs"], _ = runs, record.pop("reference", None)
    return record


def _make_files(folder, options, variables, record, announce):
    """Has the network written in all forms, each by a process of its own."""
    def made(name, **arguments):
        announce(" ".join(filter(None, ["making", name, *map(arguments.get, (
            "engine", "precision"))])))
        with EngineProcess(f"make_{name}", {**arguments, "threads": options.threads},
                           **variables) as process:
            return process.first

    first = made("files", folder=folder, network=options.network, image_size=options.image_size,
                 num_classes=options.num_classes)
    if "unavailable" in first:
        raise SlimResnetError(first["unavailable"])
    files, precisions = first["made"], list(options.precisions)
    peaks = {"files": first["peak_bytes"]}
    for name in ("onnxruntime", "openvino"):
        if name in options.engines:
            answer = made(name, folder=folder, files=files)
            files[name], files[f"{name}_missing"] = answer.get("made"), answer.get("unavailable")
            peaks[name] = answer.get("peak_bytes")
    try:
        check_bfloat16(onednn=True)  # each engine's process sets its own
    except SlimResnetError as error:
        if "bfloat16" in precisions:
            precisions.remove("bfloat16")
            _unavailable(record, "all engines", "bfloat16", str(error))
    files["kept"] = {}
    for engine in (ENGINES[name] for name in options.engines):
        for precision in precisions if engine.kept else ():
            if precision in engine.precisions:
                answer = made("kept", files=files, engine=engine.kept, precision=precision)
                files["kept"][f"{engine.kept} {precision}"] = answer.get("unavailable") or True
                peaks[f"{engine.kept} {precision}"] = answer.get("peak_bytes")
    record["network"], record["making_peak_bytes"] = files, peaks
    return files, precisions


def _unavailable(record, title, precision, why):
    record["unavailable"].append({"title": title, "precision": precision, "why": why})


def _settings(engine, files):
    """Returns the oneDNN settings that an engine is timed with; None where it has none."""
    settings = [files["onednn_by_default"] if engine.is_tensorflow else None]
    return [*settings, True] if engine.with_onednn and not settings[0] else settings


def _titled(title, onednn):
    return title if onednn is None else f"{title}, oneDNN {'on' if onednn else 'off'}"


def _runs(options, precisions, files, record):
    """Returns the runs of the record, empty yet."""
    runs = []
    for precision in precisions:
        for name in options.engines:
            engine = ENGINES[name]
            if precision not in engine.precisions:
                if precision in engine.lacks:
                    _unavailable(record, engine.title, precision, engine.lacks[precision])
                continue
            for onednn in _settings(engine, files):
                runs.append({
                    "engine": name, "title": _titled(engine.title, onednn), "precision": precision,
                    "onednn": onednn, "same_weights": engine.same_weights, "startups_s": [],
                    "batches": [{"batch_size": size, "durations_s": [], "peak_bytes": 0}
                                for size in sorted(options.batch_sizes)]})
    return runs


def _process(name, precision, onednn, options, files, batch_sizes, variables):
    extra = {} if onednn is None else {"TF_ENABLE_ONEDNN_OPTS": str(int(onednn))}
    if name == TENSORFLOW:
        extra = {**FASTEST, **extra}
    return EngineProcess(name, {"files": files, "precision": precision,
                                "threads": options.threads, "batch_sizes": batch_sizes},
                         **variables, **extra)


def _measure(run, options, files, batch_sizes, variables, path, record, number):
    """Adds one round to a run; returns why there is none, or None."""
    with _process(run["engine"], run["precision"], run["onednn"], options, files, batch_sizes,
                  variables) as process:
        if "unavailable" in process.first:
            return process.first["unavailable"]
        run["startups_s"].append(process.startup_s)
        for batch in run["batches"]:
            size = batch["batch_size"]
            command = {"batch_size": size, "steps": max(1, _IMAGES // size)}
            is_last = not number and size == batch_sizes[-1] and run["same_weights"]
            if is_last:
                command["save"] = path
            answer = process.run(command)
            batch["durations_s"].append(statistics.median(answer["durations_s"]))
            batch["peak_bytes"] = max(batch["peak_bytes"], answer["peak_bytes"])
            if is_last:
                outputs = np.load(path)
                # The first is the plain session in float32, where it is among them.
                run["agreement"] = agreement(outputs, record.setdefault("reference", outputs))
    return None


def _time_gemm(precision, options, files, variables, record, announce):
    limits = {}
    for onednn in _settings(Engine("", True, True), files):
        announce(f"{precision}: matrix product")
        with _process(GEMM, precision, onednn, options, files, [1], variables) as process:
            if "unavailable" not in process.first:
                answer = process.run({"batch_size": 1, "steps": options.rounds})
                limits[_titled("matrix product", onednn)] = (
                    2 * GEMM_SIZE ** 3 / statistics.median(answer["durations_s"]))
    if limits:
        record["gemm"][precision] = {"flops_by_setting": limits, "flops": max(limits.values())}


def _summarise(run, record):
    flops = 2 * record["network"]["multiply_adds_per_image"]
    limit = record["gemm"].get(run["precision"], {}).get("flops")
    run["startup_s"] = statistics.median(run["startups_s"])
    for batch in run["batches"]:
        batch["median_s"] = statistics.median(batch["durations_s"])
        batch["images_per_s"] = batch["batch_size"] / batch["median_s"]
        batch["share_of_gemm"] = flops * batch["images_per_s"] / limit \
            if run["same_weights"] and limit else None


def agreement(outputs: np.ndarray, reference: np.ndarray) -> dict:
    """Compares logits ``[N, classes]``.

    Returns:
      ``relative_error``: the largest deviation over the largest value's size;
      ``top_1``: the share of images of the same most probable class.
    """
    return {"relative_error": float(np.abs(outputs - reference).max() / np.abs(reference).max()),
            "top_1": float((outputs.argmax(1) == reference.argmax(1)).mean())}
