"""Two records compared: ratio, interval and verdict, and what cannot be compared."""

import json
import math
import statistics

import numpy as np
import pytest

from slim_resnet import cli
from slim_resnet.benchmark import comparison
from slim_resnet.errors import SlimResnetError
from tests.helpers.command_line import one_error_line
from tests.helpers.timing_records import record, run_record


def with_runs(*runs, **options):
    made = record()
    made["runs"] = list(runs)
    made["options"].update(options)
    return made


def at_least(least, draws, share):
    """Returns how probable it is that so many of the draws are of a share of the values."""
    return sum(math.comb(draws, k) * share ** k * (1 - share) ** (draws - k)
               for k in range(least, draws + 1))


@pytest.mark.parametrize("threes, fives, high", [
    # B's median is 5 where most of its draws are: in 3.0 % of resamples, and in 1.0 %.
    (7, 2, 2.5), (6, 1, 1.5)])
def test_interval_by_hand(threes, fives, high):
    """A's median is always 2, and B's 3 or 5; 2.5 % of resamples lie above the interval."""
    draws = threes + fives
    share = at_least(draws // 2 + 1, draws, fives / draws)
    assert (share > 0.025) == (high == 2.5) and share < 0.05
    found = comparison.ratio_of([2.0] * 5, [3.0] * threes + [5.0] * fives)
    assert found == comparison.Ratio(1.5, 1.5, high) and found.differs


def test_interval_is_that_of_a_plain_bootstrap():
    random = np.random.default_rng(5)
    a, b = random.normal(1, 0.1, 30), random.normal(1.02, 0.1, 40)
    found = comparison.ratio_of(a, b)
    drawn = [statistics.median(random.choice(b, 40)) / statistics.median(random.choice(a, 30))
             for _ in range(4000)]
    assert found.ratio == statistics.median(b) / statistics.median(a)
    assert [found.low, found.high] == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.01)
    assert found == comparison.ratio_of(a.tolist(), b.tolist())


def test_how_often_a_difference_is_shown_where_there_is_none():
    random = np.random.default_rng(1)
    shown = [comparison.ratio_of(random.gamma(4, 1, 40), random.gamma(4, 1, 40)).differs
             for _ in range(40)]
    # 5 % are to be; more than 6 of 40 would be so once in a hundred such tests.
    assert sum(shown) <= 6
    assert comparison.ratio_of(random.normal(1, 0.01, 40), random.normal(1.05, 0.01, 40)).differs


def test_too_few_steps_tell_nothing():
    found = comparison.ratio_of([1.0] * 4, [9.0] * 5)
    assert found == comparison.Ratio(9.0, None, None) and found.differs is None


def test_many_steps_are_resampled_in_parts(monkeypatch):
    steps = np.arange(1.0, 8.0)
    whole = comparison.ratio_of(steps, steps * 2)
    monkeypatch.setattr(comparison, "_AT_ONCE", 3000)
    parts = comparison.ratio_of(steps, steps * 2)
    assert parts == whole and whole.ratio == 2 and whole.low < 2 < whole.high


def test_networks_one_by_one():
    steady = [1.0] * 6
    found = comparison.compare(
        with_runs(run_record("a", steady, 1e9), run_record("b", steady, 1e9),
                  run_record("c", steady, 1e9), precision="float32"),
        with_runs(run_record("c", [2.0] * 6, 1e9), run_record("a", steady, 1e9),
                  run_record("d", steady, 1e9), precision="bfloat16"))
    assert [(one["network"], one["ratio"], one["interval"], one["differs"])
            for one in found["networks"]] == [("a", 1, [1, 1], False), ("c", 2, [2, 2], True)]
    assert (found["only_in_a"], found["only_in_b"]) == (["b"], ["d"])
    assert found["differences"] == {"precision": ["float32", "bfloat16"]}
    assert comparison.sentences(found)[:3] == [
        "Only in A: b.", "Only in B: d.", "Timed otherwise: precision float32 in A, bfloat16 in B."]
    verdicts = [row[-1] for row in comparison.comparison_table(found).exact()[1]]
    assert verdicts == ["no difference shown", "B slower"]
    json.dumps(found, allow_nan=False)


def changed(**fields):
    return with_runs({**run_record("a", [1.0], 1e9), **fields})


@pytest.mark.parametrize("other, message", [
    (changed(batch_size=8), "a has batch size 4 in A, 8 in B"),
    (changed(image_size_px=299), "a has image size 224 in A, 299 in B"),
    (changed(parameters=1), "a has parameters 2000000 in A, 1 in B"),
    (changed(model="b"), "no network in common: a in A, b in B"),
    (with_runs(run_record("a", [1.0], 1e9), mode="forward-backward"),
     "mode forward in A, forward-backward in B")])
def test_what_cannot_be_compared(other, message):
    with pytest.raises(SlimResnetError, match=message):
        comparison.compare(changed(), other)


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    for name, scale in (("a", 1.0), ("b", 1.5)):
        steps = [scale * step for step in (1.0, 1.01, 0.99, 1.02, 0.98)]
        (tmp_path / f"{name}.json").write_text(json.dumps(
            with_runs(run_record("vgg_16", steps, 1e9))))
    return ["a.json", "b.json"]


def test_command(paths, capsys):
    assert cli.main(["benchmark", "--show", *paths, "--compare", "--json", "c.json"]) == 0
    out = capsys.readouterr().out
    assert "A = a.json: 2026-01-02" in out and "B = b.json: 2026-01-02" in out
    row, = [line.split() for line in out.splitlines() if line.startswith("vgg_16")]
    assert row[-2:] == ["B", "slower"] and "1.5000" in row
    assert "10,000 resamples, seed 0" in out and max(map(len, out.splitlines())) <= 80
    with open("c.json") as file:
        kept = json.load(file)
    assert (kept["a"], kept["b"], kept["networks"][0]["ratio"]) == ("a.json", "b.json", 1.5)
    assert cli.main(["benchmark", "--show", "a.json", "a.json", "--compare"]) == 0
    assert "no difference shown" in capsys.readouterr().out


@pytest.mark.parametrize("words, message", [
    (["a.json", "--compare"], "takes two records, and has 1: a.json"),
    (["a.json", "b.json", "a.json", "--compare"], "takes two records, and has 3"),
    (["a.json", "b.json", "--compare", "vgg_16"], "--compare with --show compares all networks"),
    (["a.json", "--json", "c.json"], "--json with --show needs --compare"),
    (["a.json", "--plot", "c.png"], "--plot is of what is timed, and --show times nothing")])
def test_bad_input_is_one_line(words, message, paths, tmp_path, capsys):
    assert cli.main(["benchmark", "--show", *words]) == 2
    assert message in one_error_line(capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == paths
