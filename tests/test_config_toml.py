"""Values of TOML files know their line, and a file that dlt refuses is reported with its place."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from dltdoctor.snapshot import Unread
from dltdoctor.world.toml import TomlFile, read_toml
from dltdoctor.world.toml_lines import key_lines

TRICKY = '''\
# [commented.out]
title = "a # not a comment"   # a comment
dotted.key . "with space" = 1

[destination.postgres]  # a header
'quoted key' = """
[not.a.header]
nor = "a key"
"""
raw = \'\'\'
also = 'not a key' \'\'\'
inline = { a = 1, "b" = { c = "}" }, d = [ 1, { e = "]" } ] }
"esc\\u0061ped" = "\\"quoted\\" = 1"
list = [
  "one", # [x]
  { two = 2 },
]
ends = """quote""""

[[jobs]]
name = "first"
[jobs.sub]
x = 1
[[jobs]]
name = "second"
at = 2024-01-01 10:00:00
last = true'''

LINES = {
    ("title",): 2,
    ("dotted", "key", "with space"): 3,
    ("destination", "postgres"): 5,
    ("destination", "postgres", "quoted key"): 6,
    ("destination", "postgres", "raw"): 10,
    ("destination", "postgres", "inline", "b", "c"): 12,
    ("destination", "postgres", "inline", "d", 1, "e"): 12,
    ("destination", "postgres", "escaped"): 13,
    ("destination", "postgres", "list", 1, "two"): 16,
    ("destination", "postgres", "ends"): 18,
    ("jobs", 0, "name"): 21,
    ("jobs", 0, "sub", "x"): 23,
    ("jobs", 1, "name"): 25,
    ("jobs", 1, "last"): 27,
}


def test_every_kind_of_key_has_its_line() -> None:
    assert _paths(tomllib.loads(TRICKY)) == set(key_lines(TRICKY))
    assert {path: key_lines(TRICKY)[path] for path in LINES} == LINES


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_endings_do_not_move_lines(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(TRICKY.replace("\n", newline).encode())
    file = read_toml(path)
    assert isinstance(file, TomlFile)
    assert file.location(("jobs",)) == f"{path}:20"
    assert file.line(("destination", "postgres", "ends")) == LINES[("destination", "postgres", "ends")]
    assert file.line(("nothing",)) is None


_KEYS = st.text(max_size=6)
_LEAVES: st.SearchStrategy[Any] = (
    st.booleans() | st.integers(-9, 9) | st.text(max_size=9) | st.dates() | st.just([]) | st.just({})
)
_VALUES = st.recursive(_LEAVES, lambda v: st.dictionaries(_KEYS, v, max_size=3) | st.lists(v, max_size=3), max_leaves=8)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_the_scan_finds_the_keys_that_tomllib_finds(document: dict[str, Any]) -> None:
    text = tomlkit.dumps(document)
    lines = key_lines(text)
    assert set(lines) == _paths(tomllib.loads(text))
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a = 1\nb = = 2\n", "is not valid TOML: Invalid value (line 2, column 5)"),
        (b"a = 1\na = 2\n", "is not valid TOML: Cannot overwrite a value (line 2, column 6)"),
        (b"[a\n", "is not valid TOML: Expected ']' at the end of a table declaration (line 1, column 3)"),
        (b'a = """\nopen', "is not valid TOML: Unterminated string (line 2, column 5)"),
        (b"ok = 1\nname = 'caf\xe9'\n", "is not UTF-8 text (line 2, column 12)"),
        (b"\xef\xbb\xbfa = 1\n", "starts with a byte order mark, which dlt refuses (line 1, column 1)"),
        (b"a = " + b"[" * 5000, "is nested too deeply"),
        (b"\x00\x01", "is not valid TOML: Invalid statement (line 1, column 1)"),
    ],
)
def test_what_cannot_be_read_is_reported_with_its_place(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    unread = read_toml(path)
    assert isinstance(unread, Unread)
    assert (unread.code, unread.what, unread.reason) == ("DD001", str(path), reason)
    assert unread.areas == ("config",)
    assert unread.hint


def test_no_file_is_not_an_unreadable_file(tmp_path: Path) -> None:
    assert read_toml(tmp_path / "absent.toml") is None
    assert read_toml(tmp_path) is None


def test_a_file_that_leads_back_to_itself_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "config.toml").symlink_to("config.toml")
    assert isinstance(read_toml(tmp_path / "config.toml"), Unread)


def test_a_password_does_not_show_in_the_repr_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    path.write_text('password = "corr3ct-horse"\n')
    assert "corr3ct-horse" not in repr(read_toml(path))
    path.write_text('password = "corr3ct-horse\n')
    assert "corr3ct-horse" not in repr(read_toml(path))


def _paths(node: object, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    found = {path} if path else set()
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return found.union(*(_paths(value, (*path, key)) for key, value in items))
