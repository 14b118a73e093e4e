"""The report and the diagram in a real browser, if a Chromium is there."""

import re

import pytest

from slim_resnet import resnet_v2
from slim_resnet.pictures import diagram, shading
from slim_resnet.resnet_utils import Block
from tests.helpers import browser
from tests.helpers.reports import write_report

pytestmark = pytest.mark.skipif(browser.find_browser() is None,
                                reason=f"none of {', '.join(browser.BROWSERS)} is on the path")

# The rows that are shown, in order, as lists of their cells' words.
ROWS = """Array.from(document.querySelectorAll('#end-points-table tbody tr'))
    .filter(row => row.offsetParent !== null)
    .map(row => Array.from(row.cells).map(cell => cell.textContent))"""

# What is written in a drawing, with its place, and the box that it stands in, if any.
TEXTS = """Array.from(document.querySelectorAll('svg text')).map(text => {
    const place = box => [box.left, box.top, box.right, box.bottom];
    const before = text.previousElementSibling;
    const boxed = text.getAttribute('text-anchor') === 'middle' && before.tagName === 'rect';
    const panel = text.parentNode.querySelector(':scope > rect.panel');
    return {words: text.textContent, place: place(text.getBoundingClientRect()),
            within: boxed ? place(before.getBoundingClientRect())
                : panel ? place(panel.getBoundingClientRect())
                : place(text.ownerSVGElement.getBoundingClientRect())};
})"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_report(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def chromium():
    with browser.watched_page() as watched:
        yield watched


@pytest.fixture
def page(chromium, made):
    chromium.requests.clear()
    chromium.errors.clear()
    browser.show(chromium.page, made.path)
    yield chromium.page
    assert chromium.errors == []
    assert [url for url in chromium.requests if not url.startswith("data:")] == [
        made.path.as_uri()]


def column(page, number):
    return [row[number] for row in page.evaluate(ROWS)]


def sort_by(page, header):
    """Clicks a header and returns its aria-sort and the numbers of all that have one."""
    return page.evaluate(f"""(() => {{
        const headers = Array.from(document.querySelectorAll('#end-points-table thead th'));
        const header = headers.find(one => one.textContent === {header!r});
        header.querySelector('button').click();
        return [header.getAttribute('aria-sort'),
                headers.filter(one => one.getAttribute('aria-sort') !== 'none').length];
    }})()""")


def test_hostile_names_do_nothing(page):
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.evaluate("document.querySelector('article h3').textContent").startswith("<img")


def test_policy_lets_no_other_script_run(chromium, made):
    browser.show(chromium.page, made.path)
    chromium.errors.clear()
    chromium.page.evaluate("""(() => { const script = document.createElement('script');
        script.textContent = 'window.hacked = 1'; document.body.append(script); })()""")
    assert chromium.page.evaluate("typeof window.hacked") == "undefined"
    assert any("Content Security Policy" in error for error in chromium.errors)


def test_table_sorts_numbers_and_names_and_unknowns_last(page):
    start = column(page, 1)
    assert start == [str(n) for n in range(1, len(start) + 1)] and len(start) > 15
    assert sort_by(page, "parameters") == ["ascending", 1]
    numbers = [int(cell.replace(",", "")) for cell in column(page, 3)]
    assert numbers == sorted(numbers) and numbers[-1] == 9472
    assert sort_by(page, "parameters") == ["descending", 1]
    numbers = [int(cell.replace(",", "")) for cell in column(page, 3)]
    assert numbers == sorted(numbers, reverse=True)
    assert sort_by(page, "end point") == ["ascending", 1]
    names = column(page, 0)
    assert names == sorted(names)
    for expected in ("ascending", "descending"):
        assert sort_by(page, "zeros %") == [expected, 1]
        zeros = column(page, 14)
        known = [float(cell) for cell in zeros if cell != "–"]
        assert known == sorted(known, reverse=expected == "descending") and len(set(known)) > 1
        assert zeros[len(known):] == ["–"] * (len(zeros) - len(known)) != []
    assert sort_by(page, "shape") == ["ascending", 1]
    assert column(page, 2)[0] == "1×1×8" and column(page, 2)[-1] == "16×16×64"
    sort_by(page, "#")
    assert column(page, 1) == start
    assert sort_by(page, "ms") == ["ascending", 1]
    times = [float(cell) for cell in column(page, 8)]
    assert times == sorted(times) and times[0] < times[-1]
    # The total is no row to sort or to search.
    assert page.evaluate("document.querySelector('tfoot tr').cells[0].textContent") == "total"
    sort_by(page, "#")


def test_table_filters_as_one_types(page):
    rows = page.evaluate(ROWS)
    page.evaluate("document.getElementById('search').focus()")
    page.keyboard.type("BLOCK1 conv2")
    expected = [row for row in rows if "block1" in row[0] and "conv2" in row[0]]
    assert page.evaluate(ROWS) == expected and len(expected) == 2
    count = "document.getElementById('count').textContent"
    assert page.evaluate(count) == f"2 of {len(rows)} end points"
    page.keyboard.type(" nothing")
    assert page.evaluate(ROWS) == [] and page.evaluate(count).startswith("0 of ")
    page.evaluate("""(() => { const search = document.getElementById('search');
        search.value = ''; search.dispatchEvent(new Event('input')); })()""")
    assert page.evaluate(ROWS) == rows
    page.evaluate("""(() => { const level = document.getElementById('level');
        level.value = 'unit'; level.dispatchEvent(new Event('change')); })()""")
    assert [row[0].rsplit("/", 1)[1] for row in page.evaluate(ROWS)] == ["bottleneck_v2"] * 3


def test_keyboard_alone_will_do(page):
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("""(() => { const at = document.activeElement;
            return at.id || at.className || (at.closest('th') ? 'th ' + at.textContent
                : at.tagName + ' ' + at.textContent.trim()); })()"""))
        if reached[-1] == "th stride":
            break
    assert reached[0] == "skip" and reached[1] == "A Recognised"
    for stop in ("SUMMARY Feature maps of 3 end points", "search", "level", "region", "th shape"):
        assert stop in reached, stop
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert reached[-1] == "th stride" and outline == "solid"
    page.keyboard.press("Enter")
    strides = [int(cell) for cell in column(page, 6) if cell != "–"]
    assert strides == sorted(strides) and strides[0] < strides[-1]
    assert page.evaluate("document.activeElement.closest('th').getAttribute('aria-sort')") == (
        "ascending")


def test_screen_readers_are_told(page):
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    nodes = browser.accessibility_tree(page)

    def names(*roles):
        return [node.get("name", {}).get("value", "") for node in nodes
                if node["role"]["value"] in roles]

    for role in ("button", "link", "searchbox", "combobox", "image", "region", "columnheader",
                 "rowheader"):
        assert names(role) and all(name.strip() for name in names(role)), role
    assert names("searchbox") == ["Search"] and names("combobox") == ["Show"]
    assert set(names("main", "banner", "contentinfo", "navigation")) == {"", "Sections"}
    # Two images' evidence and maps, the statistics, and the one diagram that is shown.
    assert len(names("image")) == 2 * 4 + 1 + 1
    assert any(name.startswith("Diagram of resnet_v2_50") for name in names("image"))
    headings = page.evaluate("Array.from(document.querySelectorAll('h1,h2,h3'))"
                             ".map(one => Number(one.tagName[1]))")
    assert headings[0] == 1 and all(b - a <= 1 for a, b in zip(headings, headings[1:]))


@pytest.mark.parametrize("scheme, background", [("light", "rgb(255, 255, 255)"),
                                                ("dark", "rgb(20, 23, 26)")])
@pytest.mark.parametrize("width, drawing", [(390, "narrow"), (800, "middle"), (1280, "wide")])
def test_page_fits_the_window(page, chromium, made, width, drawing, scheme, background):
    chromium.requests.clear()
    browser.show(page, made.path, width, 800, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    # Nothing but what scrolls by itself goes beyond the window.
    beyond = page.evaluate("""Array.from(document.querySelectorAll('main *')).filter(one =>
        !one.closest('.region, .picture') && one.getBoundingClientRect().right > innerWidth)
        .map(one => one.outerHTML.slice(0, 80))""")
    assert beyond == []
    assert page.evaluate("Array.from(document.querySelectorAll('.diagram > div'))"
                         ".filter(one => one.offsetParent).map(one => one.className)") == [
                             f"by-time {drawing}"]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background
    shown = "document.querySelector('article img').currentSrc"
    other = page.evaluate(f"{shown} === document.querySelector('article source').srcset")
    assert other == (scheme == "dark")
    page.evaluate("document.querySelectorAll('img').forEach(one => { one.loading = 'eager'; })")
    page.evaluate("Promise.all(Array.from(document.images).map(one => one.decode()))"
                       ".then(() => null)")
    assert page.evaluate("Array.from(document.images).every(one => one.naturalWidth > 500)")


@pytest.mark.parametrize("width", [390, 1280])
def test_first_column_and_total_stay_where_they_are(page, chromium, made, width):
    chromium.requests.clear()
    browser.show(page, made.path, width, 800)
    where = """['tbody th', 'thead th', 'tfoot th', 'tbody td', 'thead th.number'].map(one => {
        const box = document.querySelector('#end-points-table ' + one).getBoundingClientRect();
        return [box.left, box.top]; })"""
    before = page.evaluate(where)
    region = "document.querySelector('#end-points-table').closest('.region')"
    page.evaluate(f"{region}.scrollTo(100, 60)")
    assert page.evaluate(f"[{region}.scrollLeft, {region}.scrollTop]") == [100, 60]
    name, corner, total, cell, header = page.evaluate(where)
    assert (corner, total) == (before[1], before[2])
    assert name == [before[0][0], before[0][1] - 60]
    assert cell == [before[3][0] - 100, before[3][1] - 60]
    assert header == [before[4][0] - 100, before[4][1]]
    # Names take no more than half of a telephone's width.
    assert page.evaluate("document.querySelector('#end-points-table th').offsetWidth") <= (
        195 if width == 390 else 400)


def test_colours_are_chosen_without_a_script(chromium, made):
    context = chromium.page.context.browser.new_context(
        java_script_enabled=False, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(made.path.absolute().as_uri())
    shown = page.locator(".diagram > div:visible")
    assert [one.get_attribute("class") for one in shown.all()] == ["by-time wide"]
    page.get_by_label("parameters", exact=True).check()
    assert [one.get_attribute("class") for one in shown.all()] == ["by-parameters wide"]
    # The table is whole, and offers nothing that it cannot do.
    assert page.locator("#end-points-table tbody tr:visible").count() == len(
        page.locator("#end-points-table tbody tr").all()) > 15
    assert page.locator("#controls").is_hidden() and page.locator("thead button").count() == 0
    page.locator("summary").first.click()
    assert page.locator("details img").first.is_visible()
    context.close()


def test_no_text_stands_twice(page):
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    # Of an article what is its own: tables and the names of maps are alike in all.
    texts = page.evaluate("""Array.from(document.querySelectorAll(
        'h1, h2, h3, p, dd, figcaption, svg text.strong')).filter(one => one.checkVisibility())
        .filter(one => !one.closest('.maps')).map(one => one.textContent)""")
    twice = {text for text in texts if texts.count(text) > 1 and not text.startswith("unit")}
    assert len(texts) > 20 and twice == set()


# What is drawn beyond the paper or beyond what holds it, and what is not drawn.
CUT = """Array.from(document.querySelectorAll('body *')).filter(one => {
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    return one.getClientRects().length && (box.right > innerWidth + 1 || box.left < -1
        || (/auto|scroll|hidden/.test(style.overflowX + style.overflowY)
            && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1)));
    }).map(one => one.outerHTML.slice(0, 90))"""


def test_it_prints_whole(page, chromium, made):
    chromium.requests.clear()
    # A4 across, less its margins, in CSS pixels.
    browser.show(page, made.path, 1047, 718, "dark")
    page.emulate_media(media="print")
    assert page.evaluate(CUT) == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.querySelector('article img').currentSrc === "
                         "document.querySelector('article img').src")
    assert page.evaluate("Array.from(document.querySelectorAll('details img')).length") == 6
    visible = "Array.from(document.querySelectorAll({!r})).every(one => one.checkVisibility())"
    for kind in ("details img", "#end-points-table td", "#end-points-table tfoot td", "footer",
                 ".by-time.wide"):
        assert page.evaluate(visible.format(kind)), kind
    for kind in ("nav", "#controls", ".diagram > label", ".by-parameters"):
        assert not page.evaluate(visible.format(kind)), kind
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF") and re.search(rb"/MediaBox \[0 0 84[12]\S* 59[45]", pdf)
    # On paper that stands, as some printers have it.
    chromium.requests.clear()
    browser.show(page, made.path, 718, 1047)
    page.emulate_media(media="print")
    assert page.evaluate(CUT) == []
    page.emulate_media(media="screen")


@pytest.mark.parametrize("columns", [1, 3, 6])
@pytest.mark.parametrize("depth", [50, 200])
def test_diagram_s_words_stand_apart(chromium, tmp_path, depth, columns):
    path = tmp_path / "net.svg"
    blocks = resnet_v2.blocks_of_depth(depth)
    # As wide as shares and values get.
    values = {f"{block.scope}/unit_{unit}/bottleneck_v2{layer}": 0.0999 for block in blocks
              for unit in range(1, len(block.args) + 1)
              for layer in ("", "/conv1", "/conv2", "/conv3", "/shortcut")}
    values.update({block.scope: 99.99 for block in blocks}, conv1=0.1)
    path.write_text(diagram.draw(blocks, title=f"resnet_v2_{depth}",
                                 image_size=1024, num_classes=21843, columns=columns,
                                 variant="blog", shade=shading.Shade("time", values, 100)),
                    "utf-8")
    assert_words_apart(chromium, path)


def test_diagram_s_long_names_are_cut(chromium, tmp_path):
    path = tmp_path / "net.svg"
    blocks = [Block(name * 30, None, [(10 ** 6, 10 ** 5, 1)] * 1234 + [(10 ** 6, 10 ** 5, 16)])
              for name in ("W", "块", "block_")]
    path.write_text(diagram.draw(blocks, title="W" * 300, image_size=99999, num_classes=10 ** 9,
                                 input_channels=10 ** 5), "utf-8")
    assert_words_apart(chromium, path)


def assert_words_apart(chromium, path):
    chromium.errors.clear()
    browser.show(chromium.page, path, 1600, 1200)
    texts = chromium.page.evaluate(TEXTS)
    assert chromium.errors == [] and len(texts) > 20
    for at, text in enumerate(texts):
        left, top, right, bottom = text["place"]
        outer = text["within"]
        assert left >= outer[0] - 1 and right <= outer[2] + 1, text
        assert top >= outer[1] - 2 and bottom <= outer[3] + 2, text
        for other in texts[:at]:
            a, b = text["place"], other["place"]
            assert (min(a[2], b[2]) - max(a[0], b[0]) <= 1
                    or min(a[3], b[3]) - max(a[1], b[1]) <= 1), (text, other)
