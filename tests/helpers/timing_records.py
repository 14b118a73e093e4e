"""Records of benchmarks, with times that a test can work out by hand."""

from slim_resnet.benchmark import records
from slim_resnet.timing import statistics


def run_record(model, durations, macs):
    return {
        "model": model, "info_string": f"{model} Forward", "batch_size": 4, "image_size_px": 224,
        "parameters": 2_000_000, "multiply_adds_per_image": macs, "forward_ops": 10,
        "graph_build_s": 1.0, "num_batches": 3, "num_steps_burn_in": 1, "partial": False,
        "burn_in_durations_s": [9.0], "durations_s": durations,
        "statistics": vars(statistics(durations, 4))}


def record(scale=1.0, compare=True):
    return {
        "format": records.FORMAT, "date": "2026-01-02T03:04:05+00:00",
        "options": {"compare": compare, "mode": "forward", "precision": "float32",
                    "input": "random", "fetch": "output", "intra_op_threads": 0,
                    "inter_op_threads": 2},
        "environment": {"versions": {"tensorflow": "2.21.0"}, "onednn": True,
                        "cpu": {"model": "Abacus", "cores": 2, "flags": []}},
        "runs": [run_record("blog_resnet_v2_152", [3 * scale, 6 * scale, 30.0], 3_000_000_000),
                 run_record("vgg_16", [2.0, 2.0, 2.0], 6_000_000_000),
                 run_record("inception_v3", [1.0, 6.0, 5.0], 1_000_000_000)]}
