"""Editing the stores of a settings file: every comment stays, and what comes out says what was meant."""

from __future__ import annotations

import tomllib

import pytest

from agent.errors import SettingsError
from agent.settings_edit import with_changed_store, with_store, without_store

NEW = {"url": "https://new.example.com/api/", "methods": "read"}

TABLES = """# Our agent
tunnels = 2  # two

# Lyon
[[stores]]
url = "https://lyon.example.com/api/"  # the shop
methods = "read"

# how it logs
[log]
level = "info"

[[ stores ]]
url = "https://paris.example.com/api/"
resources = [  # only these
  "products", # [[stores]]
  "orders",
]
# end
"""
INLINE = """stores = [
  {url = "https://lyon.example.com/api/"}, # Lyon
  {url = "https://paris.example.com/api/", methods = "read"}, # Paris
]
tunnels = 2
"""
TEXTS = {
    "missing": "",
    "comments only": "# nothing yet\n#[[stores]]\n#url = 'x'\n",
    "no line feed at the end": "tunnels = 2",
    "tables around another one": TABLES,
    "crlf": TABLES.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + TABLES,
    "inline": INLINE,
    "inline on one line": 'stores = [{url = "https://lyon.example.com/api/"}]  # Lyon\n[log]\nlevel = "info"\n',
    "inline and empty": "stores = []  # none yet\ntunnels = 2\n",
    "a header in a string": 'note = """\n[[stores]]\n"""\n[[stores]]\nurl = "https://lyon.example.com/api/"\n',
    "a quoted header": '[["stores"]]\nurl = "https://lyon.example.com/api/"\n[[\'stores\']]\nurl = "https://b.example/"\n',
}


def stores(text: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = tomllib.loads(text.removeprefix("\ufeff")).get("stores", [])
    return found


def comments(text: str) -> list[str]:
    return [line[line.index("#") :].strip() for line in text.splitlines() if "#" in line]


def rest(text: str) -> dict[str, object]:
    return {key: value for key, value in tomllib.loads(text.removeprefix("\ufeff")).items() if key != "stores"}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_store_is_put_behind_the_others(text: str) -> None:
    edited = with_store(text, {**NEW, "connect": None})
    assert stores(edited) == [*stores(text), NEW]
    assert comments(edited) == comments(text)
    assert rest(edited) == rest(text)
    if "[[" in text and "\n[[" in text.replace("\r", ""):
        assert edited.startswith(text)  # to the byte
    assert ("\n" in edited.replace("\r\n", "")) is not ("\r\n" in text)


@pytest.mark.parametrize("text", [text for text in TEXTS.values() if stores(text)])
def test_a_store_is_changed_in_its_place(text: str) -> None:
    for index, before in enumerate(stores(text)):
        edited = with_changed_store(text, index, {"methods": "write", "shop_host": "shop.example.com", "connect": None})
        wanted = [*stores(text)]
        wanted[index] = {**before, "methods": "write", "shop_host": "shop.example.com"}
        assert stores(edited) == wanted
        assert comments(edited) == comments(text)
        assert rest(edited) == rest(text)


@pytest.mark.parametrize("text", [text for text in TEXTS.values() if stores(text)])
def test_a_store_is_taken_out_with_its_own_comments_only(text: str) -> None:
    for index in range(len(stores(text))):
        edited = without_store(text, index)
        assert stores(edited) == [*stores(text)[:index], *stores(text)[index + 1 :]]
        assert rest(edited) == rest(text)
        gone = set(comments(text)) - set(comments(edited))
        assert gone <= {"# the shop", "# only these", "# [[stores]]", "# Lyon", "# Paris"}, edited
        if "\n[[stores" in text:
            assert "# Lyon" not in gone  # it stands above the table: it may speak of more than that


def test_what_is_taken_out_and_put_back_leaves_one_blank_line() -> None:
    text = 'tunnels = 2\n\n[[stores]]\nurl = "https://new.example.com/api/"\nmethods = "read"\n'
    assert without_store(text, 0) == "tunnels = 2\n\n"
    assert with_store(without_store(text, 0), NEW) == text


@pytest.mark.parametrize("text", ['[stores]\nurl = "https://lyon.example.com/api/"\n', "stores = 3\n"])
def test_what_cannot_be_edited_with_certainty_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="edit it by hand"):
        with_store(text, NEW)
