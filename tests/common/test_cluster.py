"""Reading cluster descriptions, from files and TF_CONFIG."""

import json

import pytest

from slim_resnet.common.cluster import Cluster, parse_address, read_cluster
from slim_resnet.errors import SlimResnetError

JOBS = {"ps": ["h:1"], "worker": ["h:2", "[::1]:3"], "chief": ["h:4"]}


@pytest.fixture(autouse=True)
def no_tf_config(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)


def written(tmp_path, jobs):
    path = tmp_path / "spec.json"
    path.write_text(jobs if isinstance(jobs, str) else json.dumps(jobs))
    return path


def test_file_and_tf_config_say_the_same(tmp_path, monkeypatch):
    assert read_cluster() is None
    expected = Cluster(JOBS, "worker", 1)
    assert read_cluster(written(tmp_path, JOBS), "worker", 1) == expected
    monkeypatch.setenv("TF_CONFIG", json.dumps(
        {"cluster": JOBS, "task": {"type": "worker", "index": 1}}))
    assert read_cluster() == expected
    # What is said on the command line comes first.
    assert read_cluster(written(tmp_path, JOBS), "ps", 0) == Cluster(JOBS, "ps", 0)
    monkeypatch.setenv("TF_CONFIG", "{}")
    assert read_cluster() is None


def test_shards_are_the_working_tasks_in_order():
    shards = [Cluster(JOBS, job, task).shard
              for job, task in (("chief", 0), ("worker", 0), ("worker", 1))]
    assert shards == [(0, 3), (1, 3), (2, 3)]
    with pytest.raises(SlimResnetError, match="--job ps: takes no share"):
        Cluster(JOBS, "ps", 0).shard


@pytest.mark.parametrize("address, expected", [
    ("h:1", ("h", 1)), ("[::1]:65535", ("::1", 65535)), ("10.0.0.1:2222", ("10.0.0.1", 2222)),
    ("h", None), ("h:", None), (":1", None), ("h:0", None), ("h:65536", None), ("h:-1", None),
    # A digit to Python's isdigit, and no number to int.
    ("h:\u00b2", None), ("h:\u0661", None), (1, None), (None, None), ("", None),
    # What Python looks up no name for, with UnicodeError or ValueError.
    ("a..b:80", None), (".a:80", None), ("x" * 64 + ":80", None), ("a\0b:80", None),
    ("a b:80", None), ("h:" + "1" * 5000, None), ("\u2460:80", ("\u2460", 80))])
def test_addresses(address, expected):
    assert parse_address(address) == expected


@pytest.mark.parametrize("jobs, message", [
    ("{", "is not JSON"),
    ("[" * 100_000, "nested too deeply"),
    ([], "describes no cluster"),
    ({}, "describes no cluster"),
    ({"worker": "h:1"}, "job worker is no list"),
    ({"worker": []}, "job worker is no list"),
    ({"worker": ["h"]}, "'h' for an address"),
    ({"worker": ["h:0"]}, "'h:0' for an address"),
    ({"worker": ["h:65536"]}, "'h:65536' for an address"),
    ({"worker": [":1"]}, "':1' for an address"),
    ({"worker": [1]}, "1 for an address"),
    ({"worker": ["h:1"], "ps": ["h:1"]}, "h:1 twice"),
    ({"ps": ["h:1"]}, "no job 'worker'; it has ps"),
    ({"worker": ["h:1"]}, "no task 1 of job worker; its tasks are 0 to 0"),
])
def test_bad_descriptions_are_one_line(tmp_path, monkeypatch, jobs, message):
    path = written(tmp_path, jobs)
    with pytest.raises(SlimResnetError, match=f"^{path}: .*{message}") as raised:
        read_cluster(path, "worker", 1)
    assert "\n" not in str(raised.value)
    if not isinstance(jobs, str):
        monkeypatch.setenv("TF_CONFIG", json.dumps(
            {"cluster": jobs, "task": {"type": "worker", "index": 1}}))
        with pytest.raises(SlimResnetError, match=f"^TF_CONFIG: .*{message}"):
            read_cluster()


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    with pytest.raises(SlimResnetError, match="--cluster needs --job NAME and --task"):
        read_cluster(written(tmp_path, JOBS), "worker")
    with pytest.raises(SlimResnetError, match="give it too"):
        read_cluster(task=0)
    with pytest.raises(SlimResnetError, match="no.json: cannot be read: No such file"):
        read_cluster(tmp_path / "no.json", "worker", 0)
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": JOBS}))
    with pytest.raises(SlimResnetError, match="TF_CONFIG: names no task"):
        read_cluster()
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(SlimResnetError, match="TF_CONFIG: is not JSON"):
        read_cluster()
