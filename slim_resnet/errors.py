"""What this package raises and warns with."""

import re

from slim_resnet.common.text import printable


class SlimResnetError(Exception):
    """A mistake that the user can mend; its text is one line that says how.

    The command line shows it on stderr and exits with status 2.
    """


class ArgScopeWarning(UserWarning):
    """A network is being built outside the arg scope that it was written for."""


def cause_of(message):
    """Returns the one line of a ``tf.errors.OpError``'s message that says what happened."""
    text = message.split("\n\t [[")[0].rsplit("\n", 1)[-1]
    text = re.sub(r"^Error in user-defined function.*?Iterator::\S+: ", "", text)[:200]
    # What `Assert` puts around its one string, in graphs and eagerly.
    text = re.sub(r"^.*?assertion failed: \[(.*)\]$|^Expected .* Summarized data: b['\"](.*)['\"]$",
                  lambda match: match[1] or match[2], text)
    return printable(text)
