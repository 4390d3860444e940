"""The access token: what it carries, and every way in which a paste or a file can be wrong."""

from __future__ import annotations

import os
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import EXIT_SETTINGS, TokenError
from agent.tunnel.token import AccessToken, new_secret, parse_token, read_token_file, split_server

PIN = "SHA256:" + "A" * 42 + "/"
SECRET = "s3cr3t" + "_" * 37
TOKEN = AccessToken(("ssh.example.com:2222", "[2001:db8::1]:443"), (PIN,), "agent-1", SECRET)


def test_round_trip() -> None:
    assert parse_token(TOKEN.encode()) == TOKEN


def test_blanks_around_and_inside_a_paste_do_not_matter() -> None:
    text = TOKEN.encode()
    assert parse_token(f"\r\n  {text[:70]}\n {text[70:]}\t\n") == TOKEN


@pytest.mark.parametrize("quoted", ['"{}"', "'{}'", "`{}`\n", " <{}> "])
def test_quotes_around_a_paste_do_not_matter(quoted: str) -> None:
    assert parse_token(quoted.format(TOKEN.encode())) == TOKEN


def test_bounds_round_trip() -> None:
    token = AccessToken(tuple(f"h{n}.example:22" for n in range(8)), (PIN,) * 4, "a" * 64, new_secret())
    assert parse_token(token.encode()) == token


@given(st.data())
def test_no_changed_character_is_ever_accepted(data: st.DataObject) -> None:
    text = TOKEN.encode()
    position = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(string.printable).filter(lambda c: c != text[position]))
    with pytest.raises(TokenError) as caught:
        parse_token(text[:position] + other + text[position + 1 :])
    assert SECRET not in str(caught.value)


def test_every_position_is_guarded() -> None:
    text = TOKEN.encode()
    for position, character in enumerate(text):
        other = "B" if character != "B" else "C"
        with pytest.raises(TokenError):
            parse_token(text[:position] + other + text[position + 1 :])


def test_every_truncation_says_truncated() -> None:
    text = TOKEN.encode()
    for length in range(len("psa1_"), len(text)):
        with pytest.raises(TokenError, match="truncated"):
            parse_token(text[:length])


def test_a_wrong_character_says_altered() -> None:
    text = TOKEN.encode()
    for position in range(len("psa1_"), len(text)):
        other = "B" if text[position] != "B" else "C"
        with pytest.raises(TokenError, match=r"altered|truncated"):
            parse_token(text[:position] + other + text[position + 1 :])
    middle = len(text) // 2
    with pytest.raises(TokenError, match="altered"):
        parse_token(text[:middle] + ("B" if text[middle] != "B" else "C") + text[middle + 1 :])


@pytest.mark.parametrize("extra", ["A", "AAAA", "=", "psa1_"])
def test_added_characters_say_altered(extra: str) -> None:
    with pytest.raises(TokenError, match="altered"):
        parse_token(TOKEN.encode() + extra)


def test_swapped_characters_are_noticed() -> None:
    text = TOKEN.encode()
    for position in range(len("psa1_"), len(text) - 1):
        if text[position] != text[position + 1]:
            swapped = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
            with pytest.raises(TokenError):
                parse_token(swapped)


@pytest.mark.parametrize("text", ["", "   ", "hello", "https://server.example.com/", "psa_abc", "PSA1_abc", "\x00"])
def test_something_else_says_not_a_token(text: str) -> None:
    with pytest.raises(TokenError, match="not an access token"):
        parse_token(text)


def test_another_version_says_update() -> None:
    with pytest.raises(TokenError, match=r"version 2.*update"):
        parse_token("psa2_" + TOKEN.encode()[5:])


def test_the_four_sentences_differ() -> None:
    text = TOKEN.encode()
    altered = text[:50] + ("A" if text[50] != "A" else "B") + text[51:]
    sentences = set()
    for wrong in ("hello", "psa9_" + text[5:], text[:-9], altered):
        with pytest.raises(TokenError) as caught:
            parse_token(wrong)
        sentences.add(str(caught.value))
        assert caught.value.exit_code == EXIT_SETTINGS
    assert len(sentences) == 4


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(TOKEN)
    assert SECRET not in str(TOKEN)
    assert SECRET not in f"{(TOKEN,)}"


def test_new_secrets_are_long_and_differ() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert all(len(secret) == 43 for secret in secrets)


@pytest.mark.parametrize(
    "servers",
    [
        (),
        tuple(f"h{n}:22" for n in range(9)),
        ("host",),
        ("host:",),
        ("host:0",),
        ("host:65536",),
        ("host:22:22",),
        ("2001:db8::1:22",),
        ("ho st:22",),
        ("-oProxyCommand=x:22",),
        ("http://host:22",),
        ("host:+22",),
        ("host:２２",),  # noqa: RUF001 - full-width digits
    ],
)
def test_wrong_servers_are_refused(servers: tuple[str, ...]) -> None:
    with pytest.raises(TokenError):
        AccessToken(servers, (PIN,), "agent-1", SECRET)


@pytest.mark.parametrize("pins", [(), (PIN,) * 5, ("MD5:aa",), ("SHA256:short",), (PIN + "=",), (PIN + "\n",)])
def test_wrong_pins_are_refused(pins: tuple[str, ...]) -> None:
    with pytest.raises(TokenError):
        AccessToken(("h:22",), pins, "agent-1", SECRET)


@pytest.mark.parametrize("agent_id", ["", "-oProxyCommand", "a" * 65, "a b", "a\n", "é"])
def test_wrong_agent_ids_are_refused(agent_id: str) -> None:
    with pytest.raises(TokenError):
        AccessToken(("h:22",), (PIN,), agent_id, SECRET)


def test_a_wrong_secret_is_refused_without_being_shown() -> None:
    with pytest.raises(TokenError) as caught:
        AccessToken(("h:22",), (PIN,), "agent-1", "too-short-secret")
    assert "too-short-secret" not in str(caught.value)


def test_addresses_are_split() -> None:
    assert split_server("host.example:22") == ("host.example", 22)
    assert split_server("[2001:db8::1]:443") == ("2001:db8::1", 443)
    assert split_server("192.0.2.1:2222") == ("192.0.2.1", 2222)


# -- token files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN.encode() + "\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_private_file_is_read(token_file: Path, mode: int) -> None:
    token_file.chmod(mode)
    assert read_token_file(token_file) == TOKEN


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o610, 0o601, 0o666])
def test_a_file_that_others_can_open_is_refused(token_file: Path, mode: int) -> None:
    token_file.chmod(mode)
    with pytest.raises(TokenError, match="chmod 600") as caught:
        read_token_file(token_file)
    assert str(token_file) in str(caught.value)
    assert caught.value.exit_code == EXIT_SETTINGS


def test_a_symbolic_link_is_judged_by_its_target(token_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(token_file)
    assert read_token_file(link) == TOKEN
    token_file.chmod(0o644)
    with pytest.raises(TokenError, match="chmod 600"):
        read_token_file(link)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match=r"does not exist: .* agents create NAME prints one"):
        read_token_file(tmp_path / "nothing")


@pytest.mark.parametrize("content", [b"", b" \n\t\n"])
def test_an_empty_file(token_file: Path, content: bytes) -> None:
    token_file.write_bytes(content)
    with pytest.raises(TokenError, match="empty"):
        read_token_file(token_file)


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="not a regular file"):
        read_token_file(tmp_path)


def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path, 0o600)
    with pytest.raises(TokenError, match="not a regular file"):
        read_token_file(path)


def test_a_huge_file(token_file: Path) -> None:
    token_file.write_bytes(b"A" * 70_000)
    with pytest.raises(TokenError, match="too large"):
        read_token_file(token_file)


def test_an_unreadable_place(token_file: Path) -> None:
    with pytest.raises(TokenError, match="cannot be read"):
        read_token_file(token_file / "below")


def test_a_wrong_content_names_the_file(token_file: Path) -> None:
    token_file.write_bytes(b"\xff\xfe not a token")
    with pytest.raises(TokenError, match="not an access token") as caught:
        read_token_file(token_file)
    assert str(token_file) in str(caught.value)
