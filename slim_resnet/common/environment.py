"""What a measurement was made on: versions, CPU, threads, oneDNN."""

import importlib.metadata
import os
import platform
import re

import slim_resnet
from slim_resnet.errors import SlimResnetError

# What networks compute in. The first is the default everywhere: which is faster depends on
# the machine, and so would the numbers.
PRECISIONS = ("float32", "bfloat16")
PACKAGES = ("tensorflow", "tf_slim", "numpy")
_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
# Has each session own its threads. Without it that of the process's first has those of all.
_OWN_THREADS = "TF_OVERRIDE_GLOBAL_THREADPOOL"
# What an optimised network is fastest with; TensorFlow reads it when it is imported. The
# second has the thread that starts an op of oneDNN do a share of it, and not only wait.
FASTEST = {_ONEDNN: "1", "TF_ONEDNN_THREADPOOL_USE_CALLER_THREAD": "1", _OWN_THREADS: "1"}
# Environment variables that choose kernels or what they compute in, such as
# TF_SET_ONEDNN_FPMATH_MODE; and those of their like that change no number.
_KERNEL_SETTING = re.compile("ONEDNN|DNNL|MKL|XLA|TF32")
_NO_KERNEL_SETTING = re.compile(f"^{_ONEDNN}$|VERBOSE")


def cpu() -> dict:
    """Returns ``{"model": ..., "flags": [...], "cores": ...}`` of this machine.

    Model and flags are Linux's (``/proc/cpuinfo``); elsewhere what Python knows.
    """
    fields = {}
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                key, _, value = line.partition(":")
                fields.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    return {
        "model": fields.get("model name") or platform.processor() or platform.machine(),
        "flags": (fields.get("flags") or fields.get("Features", "")).split(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
    }


def threads() -> int:
    """Returns how many threads an engine is to use: ``TF_NUM_INTRAOP_THREADS``, or all cores."""
    given = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else cpu()["cores"]


def sessions_own_threads() -> bool:
    """Whether each session of TensorFlow has threads of its own, as many as it asks for."""
    return os.environ.get(_OWN_THREADS, "").lower() in ("1", "true")


def has_bfloat16(flags: list[str]) -> bool:
    """Whether a CPU with these flags multiplies bfloat16 numbers in hardware."""
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def saturates_int8(flags: list[str]) -> bool:
    """Whether a CPU with these flags adds products of 8 bits up in 16, which may not hold them."""
    return "sse2" in flags and {"avx512_vnni", "avx_vnni"}.isdisjoint(flags)


def check_bfloat16(onednn: bool | None = None) -> None:
    """Raises `SlimResnetError` unless bfloat16 is really what networks would compute in.

    It takes a CPU that multiplies bfloat16 numbers, and oneDNN: on others TensorFlow's
    rewrite does nothing and says nothing, and its own kernels are slower than float32's.

    Args:
      onednn: Whether TensorFlow runs its kernels through oneDNN; None before it is
        imported, which goes by what its variable says.
    """
    machine = cpu()
    if not has_bfloat16(machine["flags"]):
        raise SlimResnetError(f"precision bfloat16: this CPU ({machine['model']}) has neither "
                              "avx512_bf16 nor amx_bf16; use float32")
    if onednn is None:
        onednn = os.environ.get(_ONEDNN, "1").lower() not in ("0", "false")
    if not onednn:
        raise SlimResnetError(f"precision bfloat16: needs oneDNN, which is off; set {_ONEDNN}=1, "
                              "or use float32")


def made_with(tensorflow: str, onednn: bool, precision: str = PRECISIONS[0],
              engine: str = "plain") -> dict[str, str]:
    """Returns what, beside weights, images and options, numbers depend on to the last bit.

    Args:
      tensorflow: Its version.
      onednn: Whether it runs its kernels through oneDNN.
      precision: One of `PRECISIONS`, or ``int8``.
      engine: ``plain`` (the network as it was trained), ``optimized`` (folded), or title and
        version of another engine than TensorFlow.
    """
    settings = [f"{name}={value}" for name, value in sorted(os.environ.items())
                if _KERNEL_SETTING.search(name) and not _NO_KERNEL_SETTING.search(name)]
    return {"engine": engine, "precision": precision, "TensorFlow": tensorflow,
            "slim_resnet": slim_resnet.__version__, "oneDNN": "on" if onednn else "off",
            "kernel_settings": " ".join(settings) or "none"}


def memory_bytes(key: str) -> int:
    """Returns a memory figure of this process, such as ``VmRSS``, or ``VmHWM``: its peak.

    Raises:
      OSError: There is no Linux ``/proc``.
    """
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key + ":"))


def child_environment(**more: str) -> dict[str, str]:
    """Returns the environment variables of a Python process that finds this package.

    Args:
      **more: Variables beside this process's own.
    """
    folder = os.path.dirname(os.path.dirname(os.path.abspath(slim_resnet.__file__)))
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(
        filter(None, [folder, os.environ.get("PYTHONPATH")]))}


def environment() -> dict:
    """Returns the machine and the versions as plain data; imports no TensorFlow."""
    versions = {"python": platform.python_version(), "slim_resnet": slim_resnet.__version__}
    for package in PACKAGES:
        versions[package] = importlib.metadata.version(package)
    return {
        "versions": versions,
        "platform": platform.platform(),
        "cpu": cpu(),
        "tf_environment": {key: value for key, value in sorted(os.environ.items())
                           if key.startswith(("TF_", "OMP_", "ONEDNN_", "CUDA_VISIBLE"))},
    }
