"""JSON of ours that is damaged: every value of every kind replaced, and one line for it."""

import copy
import dataclasses
import json

import pytest

from slim_resnet.benchmark import records
from slim_resnet.checkpoint import runs
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.common import files
from slim_resnet.errors import SlimResnetError
from slim_resnet.experiments import degradation_records
from slim_resnet.training import folder, hooks
from slim_resnet.training.options import TrainingOptions
from tests.helpers.timing_records import record as timing_record

DEEP = "[" * 100_000 + "]" * 100_000
OPTIONS = json.loads(json.dumps({
    **dataclasses.asdict(TrainingOptions(5, model="resnet_v2", blocks=((1, 2), (2, 1)),
                                        image_size=32, preprocessing="none")),
    "workers": "1 worker"}))
WRONG = ({}, [], [[]], {"a": 1}, "x", "²", -1, 0, 1e400, float("nan"), None, True, 10 ** 400)


def mutations(document):
    """Yields copies of a document with one value another, or gone."""
    def places(value, path=()):
        for key in (value if isinstance(value, dict) else
                    range(len(value)) if isinstance(value, list) else ()):
            yield (*path, key)
            yield from places(value[key], (*path, key))

    for *path, key in places(document):
        for wrong in (*WRONG, Ellipsis):
            changed = copy.deepcopy(document)
            holder = changed
            for one in path:
                holder = holder[one]
            if wrong is Ellipsis:
                del holder[key]
            else:
                holder[key] = wrong
            yield changed


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
    record = degradation_records.read_record(path, "digits",
                                             degradation_records.DegradationOptions())
    degradation_records.error_table(record["runs"])
    degradation_records.verdict(record["runs"], 89.3)


def degradation_record():
    return {**degradation_records.new_record({"name": "digits"},
                                             degradation_records.DegradationOptions()),
            "environment": {"versions": {"tensorflow": "2", "slim_resnet": "1"},
                            "tf_environment": {}}, "runs": [
                     {"kind": kind, "layers": layers, "seed": seed, "training_loss": 1.0,
                      "training_error_percent": 5.0, "test_error_percent": 6.0}
                     for kind in degradation_records.KINDS for layers in (7, 13, 19)
                     for seed in (0, 1)]}


DOCUMENTS = {
    "training.json": (use_training, {"format": runs.FORMAT, "options": OPTIONS,
                                     "classes": ["a", "b"], "num_images": 5,
                                     "made_with": [{"engine": "plain"}]}),
    "benchmark.json": (use_benchmark, {**timing_record(), "environment": {
        "versions": {"tensorflow": "2"}, "onednn": True, "cpu": {"model": "A", "cores": 2}}}),
    "degradation.json": (use_degradation, json.loads(json.dumps(degradation_record()))),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_whatever_is_wrong_in_a_document_is_one_line(name, tmp_path, monkeypatch):
    use, document = DOCUMENTS[name]
    monkeypatch.setattr(degradation_records, "environment", lambda: {
        "versions": {"tensorflow": "2", "slim_resnet": "1"}, "tf_environment": {}})
    path = tmp_path / name
    path.write_text(json.dumps(document))
    use(path)
    count = refused = 0
    for changed in mutations(document):
        path.write_text(json.dumps(changed))
        count += 1
        try:
            use(path)
        except SlimResnetError as error:
            refused += 1
            assert "\n" not in str(error)
    assert count > 500 and refused > count / 3
    for text, message in ((DEEP, "nested too deeply"), ("[1]", "is not "), ("", "is not JSON"),
                          ('{"a": ' + DEEP + "}", "nested too deeply"),
                          ("1" * 5000, "is not JSON")):
        path.write_text(text)
        with pytest.raises(SlimResnetError, match=message):
            use(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SlimResnetError, match="is not JSON"):
        use(path)


@pytest.mark.parametrize("line, message", [
    ("[1]", "it is no object"), ("{}", "step is missing"), ('{"step": "1"}', "step is no whole"),
    ('{"step": true}', "step is no whole number"), ("{", "is not JSON"), ("\0", "is not JSON"),
    (DEEP, "nested too deeply"), ("5", "it is no object"), ("\u00b2", "is not JSON")])
def test_a_damaged_line_of_metrics_is_named(line, message, tmp_path):
    path = tmp_path / "metrics.jsonl"
    written = '{"step": 1}\n' + line + '\n{"step": 3}\n'
    path.write_text(written)
    with pytest.raises(SlimResnetError, match=f"metrics.jsonl: line 2.*{message}"):
        hooks.keep_metrics(path, 5)
    assert path.read_text() == written
    # Where the run was killed in the middle of it, it is no damage.
    path.write_text('{"step": 1}\n{"step": 2}\n' + line)
    hooks.keep_metrics(path, 1)
    assert path.read_text() == '{"step": 1}\n'


def test_shapes():
    fits = {"a": [{"b": None}, {"b": 1.5}], "c": True}
    shape = {"a": [{"b": (float, None)}], "c": bool}
    assert files.misfit(fits, shape) is None
    assert files.misfit({"a": [{"b": 1}, {"b": "x"}], "c": True}, shape) == "a/1/b is no number"
    assert files.misfit({"a": [{}], "c": True}, shape) == "a/0/b is missing"
    assert files.misfit({"a": [], "c": 1}, shape) == "c is no true or false"
    assert files.misfit(True, int) == "it is no whole number"
    assert files.misfit(0, files.positive, "x") == "x is not a positive number"
