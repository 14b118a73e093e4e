"""README against .ci/run, and against the files that it speaks of."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_test_command_is_the_one_that_ci_runs():
    ci = (ROOT / ".ci" / "run").read_text()
    install, test = (re.search(rf'^{name}="(.+)"$', ci, re.MULTILINE)[1]
                     for name in ("install", "test"))
    command = f"    {install} && .venv/bin/python {test}\n"
    assert (ROOT / "README.md").read_text().count(command) == 1
    assert test.split()[:2] == ["-m", "pytest"]


def test_tests_of_the_oldest_tensorflow_are_there():
    ci = (ROOT / ".ci" / "run").read_text()
    paths = re.search(r'^oldest_tests="([^"]+)"', ci, re.MULTILINE)[1].split()
    assert len(paths) >= 6
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_links_lead_somewhere():
    pages = [ROOT / "README.md", ROOT / "scripts" / "README.md", *(ROOT / "docs").glob("*.md")]
    links = [(page, link) for page in pages
             for link in re.findall(r"\]\(([^)#]+)\)", page.read_text())
             if "://" not in link]
    assert len(links) > 15
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


def test_readme_is_short_and_begins_with_the_front_door():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 120
    assert any("slim_resnet.load(" in line for line in lines[:12])
