"""What a measurement was made on: versions, CPU, threads, oneDNN."""

import importlib.metadata
import os
import platform

import slim_resnet
from slim_resnet.errors import SlimResnetError

# What optimised networks compute in; auto is one of the other two.
PRECISIONS = ("auto", "float32", "bfloat16")
PACKAGES = ("tensorflow", "tf_slim", "numpy")
# What an optimised network is fastest with; TensorFlow reads it when it is imported. The
# second has the thread that starts an op of oneDNN do a share of it, and not only wait.
FASTEST = {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_ONEDNN_THREADPOOL_USE_CALLER_THREAD": "1"}


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


def has_bfloat16(flags: list[str]) -> bool:
    """Whether a CPU with these flags multiplies bfloat16 numbers in hardware."""
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def check_bfloat16() -> None:
    """Raises `SlimResnetError` if this CPU does not multiply bfloat16 numbers in hardware."""
    machine = cpu()
    if not has_bfloat16(machine["flags"]):
        raise SlimResnetError(f"precision bfloat16: this CPU ({machine['model']}) has neither "
                              "avx512_bf16 nor amx_bf16; use float32")


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
