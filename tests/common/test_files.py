"""JSON of ours that is damaged: every value of every kind replaced, and one line for it."""

import copy
import json

import pytest

from slim_resnet.common import files
from slim_resnet.errors import SlimResnetError
from slim_resnet.training import hooks
from tests.helpers.documents import DEEP, DOCUMENTS, WRONG


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


@pytest.mark.slow
@pytest.mark.parametrize("name", DOCUMENTS)
def test_whatever_is_wrong_in_a_document_is_one_line(name, tmp_path):
    use, document = DOCUMENTS[name]
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
