"""The notebooks in docs/: as they stand, and run from top to bottom on small settings.

The cell tagged ``parameters`` says what a run is made of; these tests run lines of their own
behind it, in a folder and a kernel of their own.
"""

import json
import re

import pytest

from scripts.notebooks import NOTEBOOKS, PARAMETERS, executed

SMALL = {
    "reproduce_the_post": ["BATCH_SIZE, IMAGE_SIZE, NUM_BATCHES, BURN_IN = 1, 32, 2, 1",
                           "OTHERS = ['inception_v1']"],
    "look_into_a_checkpoint": ["STEPS, BLOCKS, TRAINED_SIZE, IMAGE_SIZE = "
                               "2, ((1, 1), (1, 1)), 32, 48",
                               "from slim_resnet.experiments import photographs",
                               "photographs.NUM_CROPS = {'train': 10, 'test': 5}"],
}
# What their outputs say, whatever the values.
SAID = {
    "reproduce_the_post": [
        r"^resnet_v2_152/end_points$", r"57 end points: 60,524,264 parameters, ",
        r"Forward across 2 steps, ", r"<td>ResNet V2 152</td>",
        r"ResNet V2 152 takes [\d.]+ times as long as inception_v1; the post says 1\.5"],
    "look_into_a_checkpoint": [
        r"moving statistics: top-1 [\d.]+ % of 60 crops", r"48 pixels; inception \(central, ",
        r"<td>photographs/photographs/chelsea\.png</td>", r'data:image/png;base64,iVBORw0K',
        r"<details><summary>Maps of resnet_v2/block2 for photographs",
        r"\(1, 6, 6, 4\),\s+\(1, 1, 1, 12\)\)",
        r"^run: the network is closed; load it again", r"<td>global_step</td>"],
}


def outputs_of(notebook):
    """Returns all that the cells show, but pictures."""
    shown = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            for text in (output.get("text"), *map(output.get("data", {}).get,
                                                  ("text/plain", "text/html"))):
                shown.append("".join(text or ""))
    return "\n".join(shown)


def test_every_notebook_is_run():
    assert set(SMALL) == set(SAID) == set(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_saved_notebook_is_of_one_run_and_of_no_place(name):
    notebook = json.loads(NOTEBOOKS[name].read_text("utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    assert sum(PARAMETERS in cell["metadata"].get("tags", ()) for cell in code) == 1
    outputs = [output for cell in code for output in cell["outputs"]]
    assert len(outputs) >= 9 and not any(
        output["output_type"] == "error" or output.get("name") == "stderr" for output in outputs)
    assert notebook["metadata"] == {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"}}
    assert all(set(cell["metadata"]) <= {"tags"} for cell in notebook["cells"])
    shown = re.sub(r"base64,[^\"]+", "", outputs_of(notebook))
    assert re.findall(r"(?<![\w<:/.?*])(?:/[\w.-]+){2,}", shown) == []
    # README and docs stay quick to fetch.
    assert NOTEBOOKS[name].stat().st_size < 1_500_000


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(name, tmp_path):
    shown = outputs_of(executed(NOTEBOOKS[name], tmp_path, SMALL[name]))
    assert [text for text in SAID[name] if not re.search(text, shown, re.MULTILINE)] == []
