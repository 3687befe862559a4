"""Texts from outside, made fit to be kept: no secrets, no row values, one line, no control characters."""

import re

from dltdoctor.world.mask import mask

MAX_ERROR_LINE = 300
_MAX_SCANNED = 1000  # the patterns need not see more of a line than could be shown

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # operating system command, e.g. a window title
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # control sequence, e.g. a colour
    r"|\x1b[@-Z\\-_]"
)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")

# what Postgres puts row values into, in the first line of a message; its DETAIL lines are dropped whole
_ROW_VALUES = (
    (re.compile(r"(Key \([^)]*\)=)\(.*"), r"\1(…)"),
    (re.compile(r"(Failing row contains ).*"), r"\1(…)"),
    (re.compile(r"((?:invalid|malformed|out of range|cannot cast|could not parse)[^\"]*: )\".*"), r'\1"…"'),
    (re.compile(r"\b(invalid value |[Vv]alue )\".*\"(?= (?:for|is|out|too|cannot)\b)"), r'\1"…"'),
    (re.compile(r"(\bVALUES\s*)\(.*", re.IGNORECASE), r"\1(…)"),
)
_EXCEPTION_PATH = re.compile(r"^(?:[A-Za-z_]\w*\.)+(?=\w+: )")
_DATABASE_EXCEPTION = re.compile(r"^Database\w+(?:Exception|Relation): ")
_NOT_THE_MESSAGE = re.compile(r"(?:DETAIL|CONTEXT|HINT|LINE \d+|WHERE|QUERY|STATEMENT|retry):? |\^")
_TRACEBACK = "Traceback (most recent call last):"


def one_line(text: str) -> str:
    """The text without terminal escapes; other control characters become a space."""
    return _CONTROLS.sub(" ", _ESCAPES.sub("", text)).strip()


def error_line(text: str) -> str | None:
    """The line of an error text that says what went wrong, fit to be shown; None when there is none.

    Of a traceback that is the last exception's first line, of a bare message its first line: the
    lines that Postgres adds (DETAIL, CONTEXT, LINE) repeat rows.
    """
    lines = _last_exception(text) if _TRACEBACK in text else text.splitlines()
    for line in lines:
        shown = one_line(line[:_MAX_SCANNED])
        if shown and not _NOT_THE_MESSAGE.match(shown):
            # dlt's wrapper of what the database said; until 1.29 most jobs have the bare message
            shown = _DATABASE_EXCEPTION.sub("", _EXCEPTION_PATH.sub("", shown))
            return _cut(_without_row_values(mask(shown)))
    return None


def _last_exception(text: str) -> list[str]:
    """The lines after the last frame of the last traceback."""
    lines = text[text.rindex(_TRACEBACK) :].splitlines()[1:]
    frames = [index for index, line in enumerate(lines) if line.startswith("  ")]
    last_file = max((i for i in frames if lines[i].lstrip().startswith("File ")), default=-1)
    rest = lines[last_file + 1 :]
    while rest and rest[0].startswith("    "):
        rest = rest[1:]
    return rest


def _without_row_values(text: str) -> str:
    for pattern, replacement in _ROW_VALUES:
        text = pattern.sub(replacement, text)
    return text


def _cut(text: str) -> str:
    return text if len(text) <= MAX_ERROR_LINE else text[: MAX_ERROR_LINE - 1] + "…"
