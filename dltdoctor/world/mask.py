"""Takes passwords out of any text before it can reach an output.

What a person may have typed into a connection string is not known in advance, so the patterns
prefer hiding a little too much: a host next to an unescaped password may go with it.
"""

import re
from collections.abc import Collection
from urllib.parse import quote, quote_plus

HIDDEN = "***"
SHORTEST_SUBSTRING = 4

_IN_URL = re.compile(r"(://[^\s:@/]*:)((?:(?!://)\S)*)@")
_ASSIGNED = re.compile(
    r"""(?ix) (?P<name> [\w.-]* (?:password|passwd|pwd|secret|token|api_?key) [\w.-]* ["']? \s* [=:]>? \s* )
        (?P<value> " (?:[^"\\]|\\.)* " | ' (?:[^'\\]|\\.)* ' | [^\s,;&)}\]]+ )"""
)
_SECRET_NAME = re.compile(r"(?i)password|passwd|pwd|secret|token|credential|(?:^|_|-)key(?:$|_|-)|apikey|salt")


def is_secret_name(name: str) -> bool:
    """True when a value under this name may be a secret, e.g. "password" or "api_key"."""
    return bool(_SECRET_NAME.search(name))


def mask(text: str, secrets: Collection[str] = ()) -> str:
    """The text with `secrets` and everything that looks like a password replaced by "***"."""
    for secret in sorted({s for s in secrets if s}, key=len, reverse=True):
        for spelling in {secret, quote(secret, safe=""), quote_plus(secret)}:
            text = _replaced(text, spelling)
    text = _IN_URL.sub(rf"\1{HIDDEN}@", text)
    return _ASSIGNED.sub(lambda m: f"{m['name']}{HIDDEN}", text)


def _replaced(text: str, secret: str) -> str:
    """A very short secret is replaced only where it stands alone, else it would riddle the text."""
    if len(secret) >= SHORTEST_SUBSTRING:
        return text.replace(secret, HIDDEN)
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
