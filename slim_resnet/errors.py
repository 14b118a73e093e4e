"""What this package raises and warns with."""


class SlimResnetError(Exception):
    """A mistake that the user can mend; its text is one line that says how.

    The command line shows it on stderr and exits with status 2.
    """


class ArgScopeWarning(UserWarning):
    """A network is being built outside the arg scope that it was written for."""


def cause(error):
    """Returns the one line of a TensorFlow ``OpError`` that says what happened."""
    _, node, detail = error.message.rpartition("\nNode: ")
    text = detail.partition("\n")[2] if node else error.message
    return text.strip().partition("\n")[0]
