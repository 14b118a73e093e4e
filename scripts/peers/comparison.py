"""The same network, weights and images in several engines, timed in turn.

Every engine runs in a process of its own, so that its memory and its start-up are its
own and TensorFlow's oneDNN setting can differ; they take turns, one at a time.
"""

import contextlib
import dataclasses
import datetime
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from scripts.peers.engines import GEMM_SIZE
from slim_resnet import timing
from slim_resnet.common.environment import (
    FASTEST,
    check_bfloat16,
    child_environment,
    cpu,
    environment,
)
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.errors import SlimResnetError

FORMAT = "slim_resnet peers 1"


@dataclasses.dataclass(frozen=True)
class Engine:
    """Something that runs a network.

    Attributes:
      title: What it is called in tables.
      is_tensorflow: Whether TensorFlow's oneDNN setting is of any effect.
      with_onednn: Whether it is also timed with oneDNN on, where that is not the default.
      same_weights: Whether it takes the checkpoint's weights.
      no_bfloat16: Why there is no bfloat16; None if there is.
    """

    title: str
    is_tensorflow: bool = False
    with_onednn: bool = False
    same_weights: bool = True
    no_bfloat16: str | None = None


OURS, PLAIN = "optimised", "session"
ENGINES = {
    PLAIN: Engine("slim_resnet, session.run", True, True),
    OURS: Engine("slim_resnet, optimised", True, True),
    "tf_slim": Engine("tf_slim.nets", True),
    "keras": Engine("Keras Applications", True, same_weights=False),
    "onnxruntime": Engine("ONNX Runtime",
                          no_bfloat16="its CPU kernels of convolution are float32 only"),
    "openvino": Engine("OpenVINO"),
    "torch": Engine("PyTorch"),
}
GEMM = "gemm"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What to compare and how.

    Attributes:
      network: A name in `models.MODELS`, given random weights, or a checkpoint's path.
      engines: Keys of `ENGINES`.
      batch_sizes: Images a step.
      rounds: Timed steps of every engine at every batch size.
      threads: Threads of every engine.
      image_size: Height and width, in pixels.
      num_classes: Of a network that is given random weights.
    """

    network: str = "resnet_v2_152"
    engines: tuple = tuple(ENGINES)
    batch_sizes: tuple = (1, 8, 32)
    rounds: int = 5
    threads: int = dataclasses.field(default_factory=lambda: cpu()["cores"])
    image_size: int = 224
    num_classes: int = 1001


class EngineProcess:
    """An engine at work in a process of its own; a session to `timing.Run`.

    Attributes:
      first: What it answered when it was ready.
      startup_s: Seconds from its start to then.
      peak_bytes: Its peak of memory so far.
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

    def run(self, command, feed_dict=None):
        """Has it do one command of `process.serve`, and waits."""
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
        answer = json.loads(line)
        self.peak_bytes = answer.get("peak_bytes")
        return answer

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
    variables = {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads,
                 "OMP_NUM_THREADS": threads}
    with temporary_folder() as folder:
        announce("writing the network's files")
        files = _make_files(folder, options, variables)
        record["network"] = files
        reference = None
        for precision in ("float32", "bfloat16"):
            try:
                if precision == "bfloat16":
                    check_bfloat16(onednn=True)  # each engine's process sets its own
            except SlimResnetError as error:
                _unavailable(record, "all engines", precision, str(error))
                break
            with contextlib.ExitStack() as stack:
                entries = _start(options, precision, files, batch_sizes, variables, record,
                                 announce, stack)
                announce(f"{precision}: timing {len(entries)} engines")
                _time(entries, precision, batch_sizes, options, files, record, on_step)
                if record["partial"]:
                    break
                reference = _agree(entries, batch_sizes[-1], folder, reference)
    return record


def _make_files(folder, options, variables):
    with contextlib.closing(EngineProcess("make_files", {
            "folder": folder, "network": options.network, "image_size": options.image_size,
            "num_classes": options.num_classes,
            "with_onnx": not {"onnxruntime", "openvino"}.isdisjoint(options.engines)},
            **variables)) as process:
        if "unavailable" in process.first:
            raise SlimResnetError(process.first["unavailable"])
        return process.first["files"]


def _unavailable(record, title, precision, why):
    record["unavailable"].append({"title": title, "precision": precision, "why": why})


def _start(options, precision, files, batch_sizes, variables, record, announce, stack):
    """Starts every engine; returns ``[(run of the record, its process)]``."""
    entries = []
    for name in (GEMM, *options.engines):
        engine = ENGINES.get(name, Engine("matrix product", True, True))
        if precision == "bfloat16" and engine.no_bfloat16:
            _unavailable(record, engine.title, precision, engine.no_bfloat16)
            continue
        settings = [files["onednn_by_default"] if engine.is_tensorflow else None]
        if engine.with_onednn and not settings[0]:
            settings.append(True)
        for onednn in settings:
            title = engine.title
            if onednn is not None:
                title += f", oneDNN {'on' if onednn else 'off'}"
            announce(f"{precision}: starting {title}")
            extra = {} if onednn is None else {"TF_ENABLE_ONEDNN_OPTS": str(int(onednn))}
            if name == OURS:
                extra = {**FASTEST, **extra}
            process = EngineProcess(name, {"files": files, "precision": precision,
                                           "threads": options.threads,
                                           "batch_sizes": batch_sizes}, **variables, **extra)
            stack.callback(process.close)
            if "unavailable" in process.first:
                _unavailable(record, title, precision, process.first["unavailable"])
                break
            entries.append(({"engine": name, "title": title, "precision": precision,
                             "onednn": onednn, "same_weights": engine.same_weights,
                             "startup_s": process.startup_s, "batches": []}, process))
    return entries


def _time(entries, precision, batch_sizes, options, files, record, on_step):
    gemms = [entry for entry in entries if entry[0]["engine"] == GEMM]
    entries[:] = [entry for entry in entries if entry[0]["engine"] != GEMM]
    results = _in_turn(gemms, batch_sizes[0], options.rounds, record, on_step)
    limits = {run["title"]: 2 * GEMM_SIZE ** 3 / result.statistics.p50_s
              for (run, _), result in zip(gemms, results)}
    limit = max(limits.values())
    record["gemm"][precision] = {"flops_by_setting": limits, "flops": limit}
    record["runs"] += [run for run, _ in entries]
    for batch_size in batch_sizes:
        if not entries or record["partial"]:
            break
        results = _in_turn(entries, batch_size, options.rounds, record, on_step)
        for (run, process), result in zip(entries, results):
            stats = result.statistics
            flops = 2 * files["multiply_adds_per_image"] * batch_size / stats.p50_s
            run["batches"].append({
                "batch_size": batch_size, "durations_s": list(result.durations_s),
                "median_s": stats.p50_s, "images_per_s": batch_size / stats.p50_s,
                "share_of_gemm": flops / limit if run["same_weights"] else None,
                "peak_bytes": process.peak_bytes})


def _in_turn(entries, batch_size, rounds, record, on_step):
    runs = [timing.Run(process, {"batch_size": batch_size}, run["title"], batch_size=batch_size)
            for run, process in entries]
    with contextlib.redirect_stdout(io.StringIO()):
        results = timing.time_interleaved(runs, rounds, 1, on_step)
    record["partial"] |= any(result.partial for result in results)
    return results


def _agree(entries, batch_size, folder, reference):
    """Compares outputs with the first engine's of all that has the same weights."""
    for number, (run, process) in enumerate(entries):
        if not run["same_weights"]:
            continue
        path = os.path.join(folder, f"{number}.npy")
        process.run({"batch_size": batch_size, "save": path})
        outputs = np.load(path)
        if reference is None:
            reference = outputs
        run["agreement"] = agreement(outputs, reference)
    return reference


def agreement(outputs: np.ndarray, reference: np.ndarray) -> dict:
    """Compares logits ``[N, classes]``.

    Returns:
      ``relative_error``: the largest deviation over the largest value's size;
      ``top_1``: the share of images of the same most probable class.
    """
    return {"relative_error": float(np.abs(outputs - reference).max() / np.abs(reference).max()),
            "top_1": float((outputs.argmax(1) == reference.argmax(1)).mean())}
