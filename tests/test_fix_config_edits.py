"""Edits of TOML and of source change what they should, and leave every other byte."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dltdoctor.errors import RefusedError
from dltdoctor.world.edit_check import Case, ask_dlt
from dltdoctor.world.edit_source import Program
from dltdoctor.world.edit_toml import with_key, without_key

LAYOUT = "staging_dataset_name_layout"
HEAD = "import dlt\nfrom dlt.destinations import postgres as pg\n"

# ------------------------------------------------------------------------------------------- TOML

VALUES = (
    "1",
    '"a # [b]"',
    "'c'",
    '"""x\n[y]\n"""',
    "[1, [2], # n\n 3]",
    "{}",
    "{ p = 1, 'q r' = [2] }",
    "nan",
    "1979-05-27",
)
INLINE = ("1", '"a, } b"', "{ x = 1 }", "[1, 2]", "true")


@st.composite
def pairs(draw, prefix: str) -> list[tuple[tuple[str, ...], str]]:
    """Lines of a section, each with the path that it sets (within the section)."""
    made = []
    for index in range(draw(st.integers(0, 4))):
        key = f"{prefix}{index}"
        comment = draw(st.sampled_from(("", "  # c", " # 'q\" ]")))
        indent = draw(st.sampled_from(("", "  ", "\t")))
        match draw(st.sampled_from(("plain", "dotted", "inline"))):
            case "plain":
                made.append(((key,), f"{indent}{key} = {draw(st.sampled_from(VALUES))}{comment}"))
            case "dotted":
                made.append(((key, "in"), f"{indent}{key} . in= {draw(st.sampled_from(VALUES))}{comment}"))
            case "inline":
                inside = draw(st.lists(st.sampled_from(INLINE), min_size=1, max_size=3))
                gap = draw(st.sampled_from(("", " ")))
                text = f"{gap},{gap}".join(f"k{i}={v}" for i, v in enumerate(inside))
                at = draw(st.integers(0, len(inside) - 1))
                made.append(((key, f"k{at}"), f"{indent}{key} = {{{gap}{text}{gap}}}{comment}"))
    return made


@st.composite
def documents(draw) -> tuple[bytes, list[tuple[str, ...]]]:
    """A TOML document, and paths of it that can be edited."""
    newline = draw(st.sampled_from(("\n", "\r\n")))
    lines: list[str] = []
    paths: list[tuple[str, ...]] = []
    for section in ((), ("s",), ("s", "t"), ("a b",), ("u", "v", "w")):
        if section:
            lines.append(f"[{'.'.join(part if ' ' not in part else repr(part) for part in section)}]")
        for path, line in draw(pairs(prefix="k")):
            lines += [*draw(st.sampled_from(([], ["# above"], [""]))), line]
            paths.append((*section, *path))
    lines += draw(st.sampled_from(([], ["[[arr]]", "x = 1", "[[arr]]", "x = 2"])))
    text = "\n".join(lines) + draw(st.sampled_from(("", "\n")))
    return text.replace("\n", newline).encode(), paths


def is_a_cut(old: bytes, new: bytes) -> bool:
    """True when the new bytes are the old ones without one stretch."""
    same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(new))
    return len(new) <= len(old) and old.endswith(new[same:])


@settings(deadline=None, max_examples=40)
@given(documents())
def test_a_removed_key_takes_nothing_else_with_it(document) -> None:
    content, paths = document
    for path in paths:
        new = without_key(content, "config.toml", path)
        assert is_a_cut(content, new)
        assert new.count(b"# above") == content.count(b"# above")
        with pytest.raises(RefusedError):
            without_key(new, "config.toml", path)


@settings(deadline=None, max_examples=40)
@given(documents())
def test_a_replaced_value_leaves_every_other_byte(document) -> None:
    content, paths = document
    for path in paths:
        new = with_key(content, "config.toml", path, "%s__new")
        front, _, rest = new.partition(b'"%s__new"')
        assert content.startswith(front)
        assert content.endswith(rest)
        assert with_key(new, "config.toml", path, "%s__new") == new


@settings(deadline=None, max_examples=40)
@given(documents(), st.sampled_from((("s",), ("s", "t"), ("new", "destination", "post gres"), ("u",))))
def test_an_added_key_is_one_stretch(document, section) -> None:
    content, _ = document
    new = with_key(content, "config.toml", (*section, LAYOUT), "%s__new")
    assert is_a_cut(new, content)
    assert b"\r\n" not in content or b"\n" not in new.replace(b"\r\n", b"") or b"\r\n" not in new


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a = 1\nb =\n", ":2 "),
        (b"\xef\xbb\xbfa = 1\n", ":1 "),
        (b"a = 1\n\xff = 2\n", ":2 "),
        (b"[a]\n[a]\n", ":2 "),
        (b"a = " + b"[" * 5000, ""),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(content: bytes, line: str) -> None:
    with pytest.raises(RefusedError, match=f"config.toml{line}"):
        without_key(content, "config.toml", ("a",))


def test_a_key_that_has_moved_is_refused() -> None:
    with pytest.raises(RefusedError, match="does not stand on line 1"):
        without_key(b"# new\na = 1\n", "config.toml", ("a",), line=1)


def test_a_section_that_is_a_value_is_not_added_to() -> None:
    with pytest.raises(RefusedError, match="without touching something else"):
        with_key(b"shop = 5\n", "config.toml", ("shop", "destination", "postgres", LAYOUT), "%s_x")


# ------------------------------------------------------------------------------------------ source

OTHERS = ("create_indexes=True", "csv_format=None", "x=lambda a, b: (a, b)", "**MORE", "y='é, (ü'", "z=[1, (2)]")
WANTED = f"{LAYOUT}=None"


@st.composite
def calls(draw) -> tuple[bytes, str]:
    """A program whose call passes a bad layout among others, laid out at random; and its encoding."""
    others = draw(st.lists(st.sampled_from(OTHERS), unique=True, max_size=4))
    value = draw(st.sampled_from(("None", '"%s"', "''", "BARE", "(None)", '("%s"\n)')))
    form = draw(st.sampled_from(("keyword", "literal", "variable", "dict")))
    items = [*others] if form in ("keyword", "literal") else [o for o in others if "=" in o]
    at = draw(st.integers(0, len(items)))
    if form == "literal":
        items.insert(at, f"**{{'a': 1, '{LAYOUT}': {value}}}")
    elif form != "keyword" and form == "variable":
        items = [f"'{o.partition('=')[0]}': {o.partition('=')[2]}" for o in items]
        items.insert(at, f"'{LAYOUT}': {value}")
    else:
        items.insert(at, f"{LAYOUT}={value}")
    text = draw(st.sampled_from(("", " ", "\n    ", "\n\t")))
    for index, item in enumerate(items):
        last = index == len(items) - 1
        comma = "," if not last or draw(st.booleans()) else ""
        comment = draw(st.sampled_from(("", "", f"  # c{index}")))
        gap = (
            f"{comment}\n{draw(st.sampled_from(('', '    ', chr(9))))}"
            if comment
            else draw(st.sampled_from((" ", "", "\n    ", "\n")))
        )
        text += item + comma + gap
    before = "BARE = '%s'\nMORE = {}\n"
    body = {
        "keyword": f"D = pg({text})\n",
        "literal": f"D = pg({text})\n",
        "variable": f"O = {{{text}}}\nD = pg(**O)\n",
        "dict": f"O = dict({text})\nD = pg(**O)\n",
    }[form]
    encoding = draw(st.sampled_from(("utf-8", "utf-8-sig", "latin-1")))
    cookie = "# -*- coding: latin-1 -*-\n" if encoding == "latin-1" else ""
    program = f"{cookie}{HEAD}{before}{body}p = dlt.pipeline('x', destination=D)  # ß\n"
    return program.replace("\n", draw(st.sampled_from(("\n", "\r\n")))).encode(encoding), encoding


@settings(deadline=None, max_examples=100)
@given(calls())
def test_a_removed_argument_takes_nothing_else_with_it(made) -> None:
    content, encoding = made
    program = Program(content, "load.py")
    (call,) = (c for c in program.calls() if c.function == "postgres")
    (ordinal,) = program.ordinals(call)
    new = program.without(ordinal, LAYOUT)
    assert is_a_cut(content, new)
    after = Program(new, "load.py")
    assert all(c.argument(LAYOUT) is None for c in after.calls())
    assert [c.function for c in after.calls()] == [c.function for c in program.calls()]
    blank = [line for line in content.decode(encoding).splitlines() if not line.strip()]
    assert len([line for line in new.decode(encoding).splitlines() if not line.strip()]) <= len(blank)


@settings(deadline=None, max_examples=40)
@given(calls())
def test_a_replaced_argument_leaves_every_other_byte(made) -> None:
    content, _ = made
    program = Program(content, "load.py")
    (call,) = (c for c in program.calls() if c.function == "postgres")
    new = program.with_value(program.ordinals(call)[0], LAYOUT, '"%s__new"')
    front, _, rest = new.partition(b'"%s__new"')
    assert content.startswith(front)
    assert content.endswith(rest)
    (call,) = (c for c in Program(new, "load.py").calls() if c.function == "postgres")
    assert call.literal(LAYOUT) == "%s__new"


TIDY = {
    f"pg(\n    'c',\n    {WANTED},  # none\n    a=1,\n)": "pg(\n    'c',\n    a=1,\n)",
    f"pg(\n    'c',  # one\n    {WANTED})": "pg(\n    'c',  # one\n    )",
    f"pg('c', {WANTED},\n   a=1)": "pg('c',\n   a=1)",
    f"pg('c',\n   {WANTED})": "pg('c')",
    f"pg(\n\t{WANTED}\n)": "pg()",
    f"pg({WANTED},)": "pg()",
    f"pg(a=1, **{{'{LAYOUT}': None}})": "pg(a=1)",
    f"pg(a=1, **{{'b': 2, '{LAYOUT}': None, }})": "pg(a=1, **{'b': 2, })",
}


@pytest.mark.parametrize("before", TIDY)
def test_argument_lists_stay_tidy(before: str) -> None:
    program = Program(f"{HEAD}D = {before}\n".encode(), "load.py")
    (call,) = program.calls()
    assert program.without(program.ordinals(call)[0], LAYOUT).decode() == f"{HEAD}D = {TIDY[before]}\n"


def test_a_line_that_sets_the_entry_is_removed() -> None:
    text = f"{HEAD}O = {{}}\nO['{LAYOUT}'] = None  # off\nD = pg(**O)\n"
    program = Program(text.encode(), "load.py")
    (call,) = program.calls()
    assert program.without(program.ordinals(call)[0], LAYOUT).decode() == f"{HEAD}O = {{}}\nD = pg(**O)\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"O = {{'{LAYOUT}': None}}\nprint(O)\nD = pg(**O)", r"load.py:4: O is used for something else"),
        (f"D = pg(**({{}} | {{'{LAYOUT}': None}}))", r"load.py:3: the argument stands in a dict"),
        (f"O = P = {{'{LAYOUT}': None}}\nprint(P)\nD = pg(**O)", r"load.py:4: O is used|load.py:4: P is used"),
        (f"if 1:\n    O = {{}}; O['{LAYOUT}'] = None\nD = pg(**O)", r"load.py:5"),
    ],
)
def test_what_would_touch_something_else_is_refused(text: str, reason: str) -> None:
    program = Program(f"{HEAD}{text}\n".encode(), "load.py")
    (call,) = program.calls()
    with pytest.raises(RefusedError, match=reason):
        program.without(program.ordinals(call)[0], LAYOUT)


@pytest.mark.parametrize("content", [b"import dlt\ndef (:\n", b"# -*- coding: nonsense -*-\n", b"\xff\xfe", b"a\0b"])
def test_source_that_cannot_be_parsed_is_refused(content: bytes) -> None:
    with pytest.raises(RefusedError, match=r"load\.py"):
        Program(content, "load.py")


def test_dlt_answers_from_a_private_copy_that_is_gone_afterwards(clean_machine, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = clean_machine / "cwd" / ".dlt"
    folder.mkdir()
    (folder / "secrets.toml").write_text('[destination.postgres]\ncredentials = "postgresql://u:hunter2@h/d"\n')
    (folder / "config.toml").write_text(f'[destination.postgres]\n{LAYOUT} = "%s"\n')
    ways = (("Shop Data", "snake_case"), ("x", "direct"))
    case = Case(pipeline="shop", destination_name=None, factory={}, arguments={"dev_mode": True}, ways=ways)
    refused = Case(pipeline="shop", destination_name=None, factory={LAYOUT: None}, arguments={}, ways=ways)
    edited = {os.path.realpath(folder / "config.toml"): f'[shop]\n{LAYOUT} = "%s__new"\n'.encode()}
    environ = {f"DESTINATION__POSTGRES__{LAYOUT.upper()}": "%s", "DLT_PROJECT_DIR": str(folder.parent)}
    facts = {"project": folder.parent, "environ": environ, "home": clean_machine, "is_root": False}
    good, bad = ask_dlt([case, refused], edited=edited, **facts)
    assert good.names == (("shop_data", "shop_data_new"), ("x", "x__new"))
    assert good.dev_mode
    assert bad.error == "ConfigFieldMissingException"
    assert not [*tmp_path.iterdir()]
    assert "hunter2" not in repr((good, bad))
