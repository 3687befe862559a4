"""Where the items between two brackets of Python text begin and end, and how one is taken out tidily."""

import io
import re
import tokenize
from typing import NamedTuple

_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_PADDING = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
_BREAK = re.compile(r"\r\n|\r|\n")


class Span(NamedTuple):
    """A stretch of the text, by character offsets."""

    start: int
    end: int


class Item(NamedTuple):
    """An argument or a dict's entry, and the comma after it, if there is one."""

    span: Span
    comma: int | None


class Brackets(NamedTuple):
    """What stands between two brackets; `span` is from the one to the other, both included."""

    span: Span
    items: tuple[Item, ...]
    comments: tuple[Span, ...]


class Text:
    """A Python text with offsets for the positions that ast and tokenize give."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(found.end() for found in _BREAK.finditer(text))]
        self._tokens = list(tokenize.generate_tokens(io.StringIO(_BREAK.sub("\n", text)).readline))

    def at(self, line: int, column: int) -> int:
        """The offset of a tokenize position: a line from 1 and a column in characters."""
        return self._starts[line - 1] + column

    def at_byte(self, line: int, column: int) -> int:
        """The offset of an ast position: a line from 1 and a column in UTF-8 bytes."""
        start = self._starts[line - 1]
        return start + len(self.text[start:].split("\n", 1)[0].encode()[:column].decode())

    def brackets_closing_at(self, end: int) -> Brackets | None:
        """The pair of brackets of which the closing one ends at an offset."""
        stack: list[int] = []
        for index, token in enumerate(self._tokens):
            if token.type != tokenize.OP:
                continue
            if token.string in _OPEN:
                stack.append(index)
            elif token.string in _CLOSE:
                opening = stack.pop()
                if self.at(*token.end) == end:
                    return self._between(opening, index)
        return None

    def _between(self, opening: int, closing: int) -> Brackets:
        items: list[Item] = []
        comments: list[Span] = []
        first: int | None = None
        last = depth = 0
        for token in self._tokens[opening + 1 : closing]:
            start, end = self.at(*token.start), self.at(*token.end)
            if token.type == tokenize.COMMENT:
                comments.append(Span(start, end))
            elif token.type not in _PADDING:
                if token.string == "," and depth == 0 and first is not None:
                    items.append(Item(Span(first, last), start))
                    first = None
                    continue
                if token.type == tokenize.OP:
                    depth += (token.string in _OPEN) - (token.string in _CLOSE)
                first, last = (start if first is None else first), end
        if first is not None:
            items.append(Item(Span(first, last), None))
        around = Span(self.at(*self._tokens[opening].start), self.at(*self._tokens[closing].end))
        return Brackets(around, tuple(items), tuple(comments))

    def cut(self, within: Brackets, index: int) -> Span:
        """What to take out so that an item is gone and the rest reads as if it had never been there."""
        item, following = within.items[index], within.items[index + 1 :]
        end = item.span.end if item.comma is None else item.comma + 1
        if len(within.items) == 1 and not within.comments:
            return Span(within.span.start + 1, within.span.end - 1)
        if lines := self.own_lines(item.span.start, end):
            return lines
        if item.comma is None:
            return self._after_comma(within, index)
        if following and not _BREAK.search(self.text, item.span.start, following[0].span.start):
            return Span(item.span.start, following[0].span.start)
        return Span(self._without_blanks_before(item.span.start), end)

    def own_lines(self, start: int, end: int) -> Span | None:
        """The lines of the item, when nothing but a comment stands on them besides it."""
        begin = self._without_blanks_before(start)
        rest = re.compile(r"[ \t\f]*(?:#[^\r\n]*)?(?:\r\n|\r|\n)").match(self.text, end)
        return Span(begin, rest.end()) if rest and begin in self._starts else None

    def _after_comma(self, within: Brackets, index: int) -> Span:
        """A last item without a comma takes the one before it along, unless a comment is between."""
        item = within.items[index].span
        before = within.items[index - 1].comma if index else None
        if before is None or any(before < c.start < item.start for c in within.comments):
            return item
        return Span(before, item.end)

    def _without_blanks_before(self, offset: int) -> int:
        return len(self.text[:offset].rstrip(" \t\f"))
