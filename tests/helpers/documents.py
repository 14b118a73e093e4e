"""JSON of ours, each kind whole and with what reads it; and the same damaged."""

import copy
import dataclasses
import json
import os
import random
import shutil
from unittest import mock

from slim_resnet.benchmark import records
from slim_resnet.checkpoint import runs
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.common.cluster import read_cluster
from slim_resnet.experiments import degradation_records
from slim_resnet.inference.results import Results, read_rows
from slim_resnet.training import folder, hooks
from slim_resnet.training.options import TrainingOptions
from tests.helpers.timing_records import record as timing_record

DEEP = "[" * 100_000 + "]" * 100_000
WRONG = ({}, [], [[]], {"a": 1}, "x", "²", -1, 0, 1e400, float("nan"), None, True, 10 ** 400)
OPTIONS = json.loads(json.dumps({
    **dataclasses.asdict(TrainingOptions(5, model="resnet_v2", blocks=((1, 2), (2, 1)),
                                         image_size=32, preprocessing="none")),
    "workers": "1 worker"}))
MADE_BY = {"format": "slim_resnet test 2", "checkpoint_sha256": "c", "data_sha256": "d",
           "times_sha256": "t", "options": {"image_size": 32}}
ROWS = [{"path": f"{i}.png", "classes": [i], "cause": None} for i in range(4)]
_ENVIRONMENT = {"versions": {"tensorflow": "2", "slim_resnet": "1"}, "tf_environment": {}}


def use_training(path):
    settings_of(path.parent)
    runs.classes_of_run(path.parent)
    record = runs.read_record(path.parent)
    folder.check_same(path.parent, record, OPTIONS, ["a", "b"])
    folder.add_made_with(path.parent, record, {"engine": "plain"})


def use_benchmark(path):
    record = records.read_record(path)
    records.heading(record), records.run_table(record).lines(80), records.claim([record])
    records.optimized_lines(record)


def use_degradation(path):
    with mock.patch.object(degradation_records, "environment", lambda: _ENVIRONMENT):
        record = degradation_records.read_record(path, "digits",
                                                 degradation_records.DegradationOptions())
        degradation_records.error_table(record["runs"])
        degradation_records.verdict(record["runs"], 89.3)


def use_metrics(path):
    hooks.keep_metrics(path, 2)


def use_cluster(path):
    read_cluster(path, "worker", 0)


def use_results(path):
    """Goes on with results, of which all must be there then, as they were written."""
    rows = path.with_name("results.jsonl")
    with Results(rows, MADE_BY, 2, resume=True) as results:
        for at in range(0 if results.finished else 2 * results.batches_done, 4, 2):
            if not results.finished:
                results.write(ROWS[at:at + 2])
        results.finish()
    assert list(read_rows(rows)) == ROWS


def _degradation_record():
    return {**degradation_records.new_record({"name": "digits"},
                                             degradation_records.DegradationOptions()),
            "environment": _ENVIRONMENT, "runs": [
                {"kind": kind, "layers": layers, "seed": seed, "training_loss": 1.0,
                 "training_error_percent": 5.0, "test_error_percent": 6.0}
                for kind in degradation_records.KINDS for layers in (7, 13, 19)
                for seed in (0, 1)]}


# What is one object: what uses it, and the object.
DOCUMENTS = {
    "training.json": (use_training, {"format": runs.FORMAT, "options": OPTIONS,
                                     "classes": ["a", "b"], "num_images": 5,
                                     "made_with": [{"engine": "plain"}]}),
    "benchmark.json": (use_benchmark, {**timing_record(), "environment": {
        "versions": {"tensorflow": "2"}, "onednn": True, "cpu": {"model": "A", "cores": 2}}}),
    "degradation.json": (use_degradation, json.loads(json.dumps(_degradation_record()))),
}
_KINDS = {**{name: use for name, (use, _) in DOCUMENTS.items()}, "metrics.jsonl": use_metrics,
          "cluster.json": use_cluster, "results.jsonl": use_results,
          "results.jsonl.run.json": use_results}


def write_all(folder):
    """Writes every kind into a folder of its own, by its name."""
    for name, (_, document) in DOCUMENTS.items():
        _fresh(folder / name).joinpath(name).write_text(json.dumps(document))
    _fresh(folder / "metrics.jsonl").joinpath("metrics.jsonl").write_text("".join(
        json.dumps({"step": step, "loss": 1 / step, "accuracy": 0.5}) + "\n"
        for step in range(1, 5)))
    _fresh(folder / "cluster.json").joinpath("cluster.json").write_text(json.dumps(
        {"ps": ["host:1"], "worker": ["host:2", "127.0.0.1:3"]}))
    for name in ("results.jsonl", "results.jsonl.run.json"):
        with Results(_fresh(folder / name) / "results.jsonl", MADE_BY, 2) as results:
            results.write(ROWS[:2])
            results.write(ROWS[2:])
            results.finish()


def _fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def damage_one(folder, seed, damaged_bytes):
    """Damages one of the files of `write_all` by a seed; returns what uses it, and its path."""
    rng = random.Random(seed)
    name = rng.choice(list(_KINDS))
    path = folder / name / name
    content = path.read_bytes()
    if rng.random() < 0.5:
        path.write_bytes(damaged_bytes(content, rng))
    else:
        lines = content.splitlines(keepends=True) if name.endswith("l") else [content]
        at = rng.randrange(len(lines))
        lines[at] = _damaged_structure(json.loads(lines[at]), rng).encode() + (
            b"\n" if name.endswith("l") else b"")
        path.write_bytes(b"".join(lines))
    return _KINDS[name], path


def _damaged_structure(document, rng):
    """Returns a document as text, with values replaced, gone, moved, doubled or too deep."""
    document = copy.deepcopy(document)
    marks = {}
    for _ in range(rng.choice([1, 1, 2, 4])):
        places = [(holder, key) for holder in _holders(document)
                  for key in (holder if isinstance(holder, dict) else range(len(holder)))]
        if not places:
            break
        holder, key = rng.choice(places)
        kind = rng.randrange(6)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            other, at = rng.choice(places)
            holder[key] = copy.deepcopy(other[at])
        elif kind == 2 and isinstance(holder, dict):
            holder[rng.choice(["", "\0", "format", "step", "²"])] = holder.pop(key)
        elif kind == 3:
            mark = f"mark {len(marks)}"
            marks[json.dumps(mark)] = rng.choice([DEEP, "1" * 5000, "1e999", "-0", "\x00", "nul",
                                                  '"\\ud800"', '{"a": 1, "a": 2}', "[1,]"])
            holder[key] = mark
        else:
            holder[key] = copy.deepcopy(rng.choice(WRONG))
    text = json.dumps(document)
    for mark, there in marks.items():
        text = text.replace(mark, there)
    return text


def _holders(value):
    if isinstance(value, (dict, list)):
        yield value
        for part in (value.values() if isinstance(value, dict) else value):
            yield from _holders(part)
