"""Replacing parts of a file's text by the positions of its syntax tree."""

import re

_LINES = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


class Edits:
    """The text of a file and what is to be changed in it.

    Args:
      text: The text.
    """

    def __init__(self, text: str):
        # Columns of a syntax tree count bytes of UTF-8.
        self._bytes = text.encode()
        lines = _LINES.findall(self._bytes)
        self._starts = [0]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line))
        self.newline = "\r\n" if lines and lines[0].endswith(b"\r\n") else "\n"
        self._changes = {}

    def _span(self, node):
        return (self._starts[node.lineno - 1] + node.col_offset,
                self._starts[node.end_lineno - 1] + node.end_col_offset)

    def source(self, node) -> str:
        """Returns the text of a node."""
        start, end = self._span(node)
        return self._bytes[start:end].decode()

    def replace(self, node, text: str) -> None:
        """Has the text of a node replaced."""
        self._changes[self._span(node)] = text

    def _alone(self, node):
        """Returns the indentation of a statement with lines of its own, else None."""
        start, end = self._span(node)
        before = self._bytes[self._starts[node.lineno - 1]:start]
        after = self._bytes[end:self._starts[node.end_lineno]].strip()
        return None if before.strip() or after and not after.startswith(b"#") else before.decode()

    def replace_statement(self, node, lines: list) -> None:
        """Has a statement replaced by several, each on its line where it has one of its own."""
        indent = self._alone(node)
        separator = "; " if indent is None else self.newline + indent
        if indent is not None:  # an import statement has no strings that hold a #
            lines = re.findall(r"#[^\r\n]*", self.source(node)) * (len(lines) > 1) + lines
        self._changes[self._span(node)] = separator.join(lines)

    def add_behind(self, node, lines: list, line: str) -> None:
        """Adds a line behind what replaces a statement, and behind its comment.

        Args:
          node: The statement.
          lines: What it is going to be replaced by; gets the line where it stands with others.
          line: The line.
        """
        indent = self._alone(node)
        if indent is None:
            lines.append(line)
            return
        start, end = self._starts[node.end_lineno - 1], self._starts[node.end_lineno]
        if self._bytes[start:end].endswith((b"\r", b"\n")):
            self.insert(node.end_lineno + 1, f"{indent}{line}{self.newline}")
        else:
            self._changes[end, end] = f"{self.newline}{indent}{line}"

    def insert(self, line: int, text: str) -> None:
        """Has whole lines inserted before a line, counted from 1."""
        start = self._starts[line - 1]
        self._changes[start, start] = text + self._changes.get((start, start), "")

    def result(self) -> str:
        """Returns the text with all changes made; what is inside a replaced part is gone."""
        pieces, position = [], 0
        # Where several begin: what is inserted, then the longest, which takes in the others.
        for (start, end), text in sorted(
                self._changes.items(), key=lambda c: (c[0][0], c[0][0] < c[0][1], -c[0][1])):
            if start < position:
                continue
            pieces += [self._bytes[position:start], text.encode()]
            position = end
        pieces.append(self._bytes[position:])
        return b"".join(pieces).decode()
