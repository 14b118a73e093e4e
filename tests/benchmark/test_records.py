import json

import pytest

from slim_resnet.benchmark import records
from slim_resnet.common.tables import format_table
from slim_resnet.errors import SlimResnetError
from tests.helpers.timing_records import record


def test_ratios_are_medians_step_by_step():
    # 3/2 6/2 30/2 and 3/1 6/6 30/5: medians 3 and 3, where ratios of medians are 3 and 1.2.
    assert records.claim_ratios(record()) == {"vgg_16": 3.0, "inception_v3": 3.0}
    assert records.claim_ratios(record(compare=False)) == {}


def test_claim_table_of_one_record():
    sentences, table = records.claim([record()])
    assert "50 % more" in sentences[0]
    assert sentences[1] == "Batch 4, 3 steps in turn, median; one run."
    assert [line.split() for line in table.lines()[2:]] == [
        ["blog_resnet_v2_152", "224", "2.0", "3.00", "6.000"],
        ["vgg_16", "224", "2.0", "6.00", "2.000", "1.50", "3.000", "0.50"],
        ["inception_v3", "224", "2.0", "1.00", "5.000", "1.50", "3.000", "3.00"]]


def test_claim_table_of_several_records_shows_their_spread():
    sentences, table = records.claim(
        [record(1.0), record(2.0), record(3.0), record(compare=False)])
    lines = table.lines()
    assert sentences[1].endswith("min / median / max of 3 runs.")
    assert "6.000 / 12.000 / 18.000" in lines[2]
    assert "3.000 / 6.000 / 9.000" in lines[3]
    assert records.claim([record(compare=False)]) is None


def test_run_table_and_heading():
    lines = records.run_table(record()).lines()
    assert lines[3].split() == [
        "vgg_16", "float32", "4", "224", "2.0", "6.00", "3", "2.000", "0.000", "0.000", "2.000",
        "2.000", "2.000", "2.000", "2.000", "2.000", "2.00"]
    assert records.heading(record()) == (
        "2026-01-02T03:04:05+00:00  Abacus, 2 cores (threads: intra default inter 2), "
        "TensorFlow 2.21.0, oneDNN on; forward, float32, input random, fetch output")


@pytest.mark.parametrize("content, message", [
    (None, "cannot be read"), ("{", "is not JSON"), ("[1]", "is not a record"),
    ('{"format": "other"}', "is not a record")])
def test_files_that_are_no_records(tmp_path, content, message):
    path = tmp_path / "r.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SlimResnetError, match=f"r.json: {message}"):
        records.read_record(str(path))


def test_records_read_back(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps(record()))
    assert records.read_record(str(tmp_path / "r.json")) == record()


def test_table_columns_line_up():
    assert format_table(["name", "n"], [["a", 10], ["long name", None]]) == [
        "name        n", "---------  --", "a          10", "long name"]
