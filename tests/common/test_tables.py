from slim_resnet.common.tables import format_markdown


def test_markdown_table():
    assert format_markdown(("a", "b"), [["x|y", 1], [None, "2,000"]]) == [
        "| a | b |", "| --- | ---: |", "| x|y | 1 |", "|  | 2,000 |"]
