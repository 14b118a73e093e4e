from slim_resnet.common.spread import median_ratio, ratios, spread, spread_text


def test_spread():
    assert spread(iter([3.0, 1.0, 2.0])) == (1.0, 2.0, 3.0)
    assert spread_text([3.0, 1.0, 2.0]) == "1.000 / 2.000 / 3.000"
    assert spread_text([3.0], 1) == "3.0"


def test_ratio_is_taken_round_by_round():
    assert ratios([1.0, 4.0, 6.0], [2.0, 4.0, 3.0]) == [0.5, 1.0, 2.0]
    assert median_ratio([1.0, 4.0, 6.0], [2.0, 4.0, 3.0]) == 1.0
