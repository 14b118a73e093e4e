"""The post's claim: networks timed, recorded and compared."""

from slim_resnet._lazy import face

__getattr__, __dir__, __all__ = face(__name__, {
    "experiment": "BenchmarkOptions run_benchmark",
})
