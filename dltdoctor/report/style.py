"""The look of the text reports: marks, colours, and a page that lays out lines by itself.

Every text is laid out here and printed as a Rich `Text`, so that nothing in it is markup and Rich
never breaks a line.
"""

import os
from collections.abc import Iterable
from io import UnsupportedOperation
from typing import IO, NamedTuple

from rich.console import Console
from rich.text import Text

from dltdoctor.report.safe import safe, safe_command, shorten

PLAIN_WIDTH = 100
WIDEST = 120
NARROWEST = 24


class Glyphs(NamedTuple):
    """Signs that need more than ASCII, in one of two alphabets."""

    marks: dict[str, str]
    arrow: str
    way: str
    dot: str
    dash: str
    none: str
    about: str
    ellipsis: str
    bar: str
    unicode: bool


_UNICODE = Glyphs(
    marks={"ok": "✓", "info": "i", "warning": "!", "error": "✗", "unknown": "?", "skipped": "–"},
    arrow="→",
    way="──►",
    dot="·",
    dash="—",
    none="–",
    about="≈",
    ellipsis="…",
    bar="│",
    unicode=True,
)
_ASCII = Glyphs(
    marks={"ok": "ok", "info": "i", "warning": "!!", "error": "x", "unknown": "?", "skipped": "-"},
    arrow="->",
    way="-->",
    dot="-",
    dash="--",
    none="-",
    about="~",
    ellipsis="..",
    bar="|",
    unicode=False,
)
STYLES = {
    "ok": "green",
    "info": "cyan",
    "warning": "yellow",
    "error": "bold red",
    "unknown": "magenta",
    "skipped": "dim",
}


class Page:
    """A report being written to `file`; `width` None means that of the terminal.

    Without a terminal the page is plain and 100 columns wide. NO_COLOR means no escapes at all.
    """

    def __init__(self, file: IO[str], width: int | None = None) -> None:
        self.encoding = _encoding(file)
        self.glyphs = _UNICODE if _can_draw(self.encoding) else _ASCII
        self.console = Console(file=file, width=width or _width(file), highlight=False, emoji=False)
        if os.environ.get("NO_COLOR"):
            self.console = Console(file=file, width=self.console.width, color_system=None, highlight=False)
        self.width = max(min(self.console.width, width or WIDEST), NARROWEST)

    def text(self, text: str, style: str = "") -> Text:
        """A piece of a line; `text` may come from anywhere."""
        return piece(safe(text, self.encoding), style)

    def cut(self, text: str, width: int, style: str = "") -> Text:
        """A piece of at most `width` cells, cut in the middle."""
        return piece(shorten(safe(text, self.encoding), width, self.glyphs.ellipsis), style)

    def mark(self, kind: str, *, boxed: bool = False) -> Text:
        """The mark of "ok", "info", "warning", "error", "unknown" or "skipped"."""
        sign = self.glyphs.marks[kind]
        return piece(f"[{sign}]".ljust(self.margin) if boxed else sign, STYLES[kind])

    @property
    def margin(self) -> int:
        """The column in which text begins beneath a boxed mark."""
        return 4 if self.glyphs.unicode else 5

    def blank(self) -> None:
        self.console.print(soft_wrap=True)

    def raw(self, line: Text, indent: int = 0) -> None:
        """A line that is printed as it stands, however long."""
        line = Text(" " * indent) + line
        line.rstrip()
        self.console.print(line, soft_wrap=True)

    def line(self, *pieces: Text, indent: int = 0, hang: int = 0, bar: Text | None = None) -> None:
        """The pieces one after another, wrapped at spaces; later lines begin `hang` further in.

        With `bar` each line begins with it.
        """
        bar = bar or Text()
        room = self.width - indent - bar.cell_len
        whole = Text().join(pieces)
        if whole.cell_len <= room:
            self.raw(bar + whole, indent)
            return
        first, *rest = whole.wrap(self.console, room, overflow="fold")
        self.raw(bar + first, indent)
        if rest:
            later = whole[len(first) :]
            later = later[len(later) - len(later.plain.lstrip()) :]
            for part in later.wrap(self.console, max(room - hang, 8), overflow="fold"):
                self.raw(bar + Text(" " * hang) + part, indent)

    def flow(self, segments: Iterable[Text], *, indent: int = 0, hang: int = 0, dot: str | None = None) -> None:
        """The segments with dots, or `dot`, between them, broken only there; one too long is cut.

        An arrow that is between them also begins the later lines.
        """
        sign = self.glyphs.dot if dot is None else dot
        joint = piece(f" {sign} " if sign else " ", "dim")
        again = piece(f"{sign} ", "dim") if dot else Text()
        current, start = Text(), indent
        for segment in segments:
            if current and start + current.cell_len + joint.cell_len + segment.cell_len > self.width:
                self.raw(current, start)
                current, start = again.copy(), indent + hang
            elif current:
                current += joint
            current += self._fitted(segment, self.width - start - current.cell_len)
        if current:
            self.raw(current, start)

    def command(self, command: str, *, indent: int = 0) -> None:
        """A command on lines of its own, never wrapped and never cut."""
        for part in safe_command(command, self.encoding).split("\n"):
            self.raw(Text(part, "bold cyan"), indent)

    def _fitted(self, segment: Text, room: int) -> Text:
        if segment.cell_len <= room:
            return segment
        return piece(shorten(segment.plain, room, self.glyphs.ellipsis), first_style(segment))


def piece(text: str, style: str = "") -> Text:
    """A piece of a line whose style ends with it, whatever is added."""
    return Text.assemble((text, style))


def first_style(text: Text) -> str:
    """The style a piece begins with."""
    return str(text.spans[0].style) if text.spans else ""


def _encoding(file: IO[str]) -> str:
    """What may be written: the file's encoding, or ASCII where the user asked for the C locale.

    Python itself writes UTF-8 in the C locale (PEP 538, PEP 540); the terminal may not read it.
    """
    encoding = getattr(file, "encoding", None) or "utf-8"
    if not _is_descriptor(file) or os.environ.get("PYTHONIOENCODING"):
        return encoding
    locale = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "ascii" if locale in ("C", "POSIX") else encoding


def _is_descriptor(file: IO[str]) -> bool:
    try:
        file.fileno()
    except (AttributeError, OSError, UnsupportedOperation):
        return False
    return True


def _can_draw(encoding: str) -> bool:
    try:
        "✓✗→─►≈…".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _width(file: IO[str]) -> int | None:
    if file.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdigit() and int(columns) else PLAIN_WIDTH
