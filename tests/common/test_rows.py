"""Lists of results: a line in a terminal, a table in a notebook, a DataFrame."""

import html.parser
import sys
import typing

import pandas
import pytest

from slim_resnet.common import html_tables, rows
from slim_resnet.common.rows import Column, Rows
from slim_resnet.errors import SlimResnetError
from tests.helpers import browser

HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m"
SHOWN = "<script>alert(1)</script>\"'&?[31m"


class Fruit(typing.NamedTuple):
    name: str
    grams: int | None


class Fruits(Rows):
    noun = "fruits"
    columns = (Column("name", lambda row: row.name),
               Column("weight", lambda row: row.grams, "{:,} g".format))

    def about(self):
        return f"first {self[0].name}" if self else ""


FRUITS = Fruits([Fruit("fig", 1500), Fruit("apple 10", None), Fruit("apple 9", 20),
                 Fruit(HOSTILE, 300)])


class Parsed(html.parser.HTMLParser):
    """Texts of a table's cells by row, and how often each element begins."""

    def __init__(self, markup):
        super().__init__()
        self.rows, self.elements, self._cell = [], [], None
        self.feed(markup)

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, text):
        if self._cell:
            self.rows[-1][-1] += text


def test_it_is_a_list_with_a_short_repr():
    assert FRUITS == [*FRUITS] and FRUITS[1].name == "apple 10"
    assert repr(FRUITS[:1]) == "<1 fruit: first fig>"
    assert repr(FRUITS) == str(FRUITS) == "<4 fruits: first fig>"
    assert repr(Fruits()) == "<0 fruits>"
    assert type(FRUITS[1:3]) is Fruits and FRUITS[1:3] == [FRUITS[1], FRUITS[2]]


def test_its_table_is_whole_without_scripts_and_safe():
    parsed = Parsed(FRUITS._repr_html_())
    assert parsed.rows == [["name", "weight"], ["fig", "1,500 g"], ["apple 10", "–"],
                           ["apple 9", "20 g"], [SHOWN, "300 g"]]
    assert parsed.elements.count("script") == 1


def test_an_empty_list_has_its_headers():
    assert Parsed(Fruits()._repr_html_()).rows == [["name", "weight"]]


def test_of_many_rows_the_first_are_shown(monkeypatch):
    monkeypatch.setattr(rows, "MOST_SHOWN", 2)
    markup = FRUITS._repr_html_()
    assert len(Parsed(markup).rows) == 3
    assert "4 fruits: first fig; the first 2 are shown" in markup


def test_items_and_pictures_are_escaped():
    parsed = Parsed(html_tables.items({HOSTILE: HOSTILE}) + html_tables.paragraph(HOSTILE)
                    + html_tables.folded(HOSTILE, html_tables.picture(b"png", HOSTILE)))
    assert parsed.rows == [[SHOWN, SHOWN]] and "script" not in parsed.elements
    assert parsed.elements.count("img") == 1


def test_a_picture_stands_for_its_text():
    cell = html_tables.Cell(HOSTILE, picture=b"abc")
    markup = html_tables.table([""], [[cell]])
    assert 'src="data:image/png;base64,YWJj"' in markup
    assert Parsed(markup).rows == [[""], [""]]


def test_to_pandas_keeps_whole_numbers():
    frame = FRUITS.to_pandas()
    assert list(frame.columns) == ["name", "grams"]
    assert str(frame.grams.dtype) == "Int64" and frame.grams.isna().tolist() == [
        False, True, False, False]
    assert frame.grams.sum() == 1820 and frame.name.tolist()[1] == "apple 10"
    assert Rows([{"a": 1}, {"a": 2}]).to_pandas().equals(pandas.DataFrame({"a": [1, 2]}))


def test_without_pandas_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SlimResnetError, match=r"^to_pandas needs pandas: pip install "
                       r"'slim-resnet\[notebook\]'$"):
        FRUITS.to_pandas()


@pytest.mark.skipif(browser.find_browser() is None, reason="no Chromium is on the path")
def test_tables_sort_in_a_browser(tmp_path):
    """Two outputs of one notebook: each table is made sortable once, and keeps to itself."""
    page = tmp_path / "page.html"
    page.write_text("<meta charset=utf-8>" + FRUITS._repr_html_() * 2, "utf-8")
    with browser.watched_page() as watched:
        browser.show(watched.page, page)

        def first_column(table):
            return watched.page.eval_on_selector_all(
                f"table.slim-resnet >> nth={table} >> tbody tr",
                "rows => rows.map(row => row.cells[0].textContent)")

        def press(table, header):
            watched.page.locator("table.slim-resnet").nth(table).get_by_role(
                "button", name=header).click()

        assert watched.page.get_by_role("button").count() == 4
        press(0, "weight")
        assert first_column(0) == ["apple 9", SHOWN, "fig", "apple 10"]
        press(0, "weight")
        assert first_column(0) == ["fig", SHOWN, "apple 9", "apple 10"]
        press(0, "name")
        assert first_column(0)[1:] == ["apple 9", "apple 10", "fig"]
        assert first_column(1) == ["fig", "apple 10", "apple 9", SHOWN]
        assert watched.errors == [] and watched.requests == [page.as_uri()]
