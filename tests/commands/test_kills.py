"""Commands that SIGKILL ends: the next start goes on or begins anew, and clears up."""

import pytest

from tests.helpers.kills import kills

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("what, count", [
    ("classify", 3), ("train", 2), ("saved_model", 1), ("v2", 1), ("npz", 1)])
def test_killed_commands_leave_nothing_behind_the_next(what, count, tmp_path):
    killed, wrong = kills(what, count, tmp_path)
    assert wrong == [] and killed > 0
