"""The agent's packages: who gets what under /downloads/, and the line that installs them."""

from __future__ import annotations

import asyncio
import hashlib
import html
import json
import os
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.server.downloads import Downloads, version_order
from agent.server.panel.pages import downloads as downloads_page
from agent.server.settings import ServerSettings
from tests.kit.control_plane import ControlApi
from tests.kit.panel import Panel, let_everybody_in, panel_of
from tests.kit.server_cli import ServerCli

OLD, DEB, RPM = (
    "prestashop-agent_1.9.0_amd64.deb",
    "prestashop-agent_1.10.0+b1_amd64.deb",
    "prestashop-agent-1.10.0-1.x86_64.rpm",
)
CONTENTS = {OLD: b"!<arch>\nold", DEB: b"!<arch>\n" + bytes(700_000), RPM: b"\xed\xab\xee\xdb new"}


def sha256(name: str) -> str:
    return hashlib.sha256(CONTENTS[name]).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "packages"
    made.mkdir()
    for name, content in CONTENTS.items():
        (made / name).write_bytes(content)
    return made


@pytest.fixture
async def shop(api: ControlApi, folder: Path) -> AsyncIterator[Panel]:
    """The panel that hands the packages out."""
    api.plane.listening_panel_url = "https://panel.example.com"
    async with panel_of(api, ServerSettings(downloads_dir=folder)) as panel:
        await let_everybody_in(panel)
        yield panel


async def test_nobody_in_particular_gets_list_sums_and_packages(shop: Panel) -> None:
    listed = await shop.get("/downloads/", accept="*/*")
    found = {each["name"]: each["sha256"] for each in listed.json["packages"]}
    assert found == {name: sha256(name) for name in CONTENTS}
    assert list(found)[-1] == OLD, "the newest first"
    sums = await shop.get("/downloads/SHA256SUMS", accept="*/*")
    assert f"{sha256(RPM)}  {RPM}\n" in sums.text
    answer = await shop.get(f"/downloads/{OLD}")
    assert (answer.status, answer.text) == (200, CONTENTS[OLD].decode())
    assert answer.fields["content-length"] == str(len(CONTENTS[OLD]))
    assert answer.fields["x-content-type-options"] == "nosniff"
    assert (await shop.get(f"/downloads/{DEB}")).text == CONTENTS[DEB].decode(), "more than one piece"


async def test_one_that_is_known_is_not_sent_again(shop: Panel, folder: Path) -> None:
    etag = (await shop.ask("HEAD", f"/downloads/{OLD}")).fields["etag"]
    assert (await shop.get(f"/downloads/{OLD}", if_none_match=etag)).status == 304
    (folder / OLD).write_bytes(b"!<arch>\nchanged")
    answer = await shop.get(f"/downloads/{OLD}", if_none_match=etag)
    assert (answer.status, answer.text) == (200, "!<arch>\nchanged")


async def test_what_has_no_packages_name_or_is_a_link_does_not_exist(shop: Panel, folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "prestashop-agent_6.6.6_amd64.deb"
    secret.write_bytes(b"CANARY")
    (folder / "key-ring").write_bytes(b"CANARY")
    (folder / "prestashop-agent_2.0.0_amd64.deb").symlink_to(secret)
    (folder / "prestashop-agent_3.0.0_amd64.deb").mkdir()
    os.mkfifo(folder / "prestashop-agent_4.0.0_amd64.deb")
    names = [
        "key-ring", "prestashop-agent_2.0.0_amd64.deb", "prestashop-agent_3.0.0_amd64.deb", "..",
        "prestashop-agent_4.0.0_amd64.deb", f"../{secret.name}", f"..%2f{secret.name}", f"%2e%2e/{secret.name}",
        f"{folder}/{OLD}", f"{OLD}%00", f"{OLD}%0a", "prestashop-agent_../../x_amd64.deb",
    ]  # fmt: skip
    for name in names:
        answer = await shop.get(f"/downloads/{name}", accept="*/*")
        assert answer.status in (303, 307, 404), name
        assert "CANARY" not in answer.text
    assert len((await shop.get("/downloads/", accept="*/*")).json["packages"]) == len(CONTENTS)


async def test_so_many_at_once_and_no_more(shop: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads_page, "AT_ONCE_MAX", 0)
    refused = await shop.get(f"/downloads/{OLD}", accept="*/*")
    assert (refused.status, refused.fields["retry-after"]) == (503, "30")
    monkeypatch.setattr(downloads_page, "AT_ONCE_MAX", 1)
    assert [(await shop.get(f"/downloads/{OLD}")).status for _ in range(2)] == [200, 200], "places are given back"


async def test_who_leaves_in_the_middle_gives_the_place_back(
    shop: Panel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = "prestashop-agent_3.0.0_amd64.deb"
    with (folder / large).open("wb") as file:
        file.truncate(32_000_000)  # more than the buffers of a connection hold
    monkeypatch.setattr(downloads_page, "AT_ONCE_MAX", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.port, limit=1024)
    writer.write(f"GET /downloads/{large} HTTP/1.1\r\nHost: p\r\n\r\n".encode())
    await reader.readuntil(b"200 OK")
    assert (await shop.get(f"/downloads/{OLD}")).status == 503
    writer.transport.abort()

    async with asyncio.timeout(20):
        while (await shop.get(f"/downloads/{OLD}")).status != 200:
            pass


async def test_the_line_fetches_checks_installs_and_enrols(shop: Panel) -> None:
    form = {"name": "warehouse", "max_instances": "1", "public_ssh_address": "agents.example.com:2222"}
    made = await shop.post("/agents", form, "admin")
    pages = [await shop.get(path, "admin") for path in ("/agents", made.fields["location"], "/downloads/")]
    for page in pages:
        commands = [html.unescape(found) for found in re.findall(r'id="install-[^"]+">([^<]+)</pre>', page.text)]
        deb, rpm = ([part.strip() for part in command.replace("\\\n", "").split("&&")] for command in commands)
        assert shlex.split(deb[0]) == ["curl", "-fLO", f"https://panel.example.com/downloads/{DEB}"]
        assert deb[1] == f'echo "{sha256(DEB)}  {DEB}" | sha256sum -c'
        assert deb[2:] == [f"sudo apt-get install -y ./{DEB}", "sudo prestashop-agent enroll"]
        assert rpm[2:] == [f"sudo dnf install -y ./{RPM}", "sudo prestashop-agent enroll"]
        assert "public_panel_url is not set" in page.text
    assert "paste the token at the prompt" in pages[1].text


async def test_without_a_package_it_is_said_what_to_do(panel: Panel) -> None:
    for path, who in (("/agents", "viewer"), ("/downloads/", "")):
        page = await panel.get(path, who)
        assert "integration-server downloads add" in page.text


def test_the_command_puts_packages_in_place_and_nothing_else(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data_dir = tmp_path / "data"
    cli = ServerCli(data_dir, monkeypatch, capsys)
    assert "after its first start" in cli.refused(1, "downloads", "add", str(folder / DEB))
    data_dir.mkdir()
    assert "downloads add FILE" in cli("downloads", "list").out
    for _ in range(2):
        done = cli("downloads", "add", str(folder / DEB), "--replace")
    assert (done.code, (data_dir / "downloads" / DEB).stat().st_mode & 0o777) == (0, 0o644)
    assert "--replace" in cli("downloads", "add", str(folder / DEB)).err
    (listed,) = json.loads(cli("downloads", "list", "--json").out)
    assert (listed["name"], listed["sha256"]) == (DEB, sha256(DEB))
    (folder / OLD).write_bytes(b"no package")
    (folder / "other_1_amd64.deb").write_bytes(CONTENTS[DEB])
    for wrong in (OLD, "other_1_amd64.deb", "missing"):
        cli.refused(1, "downloads", "add", str(folder / wrong))
    assert [path.name for path in (data_dir / "downloads").iterdir()] == [DEB]
    (data_dir / "downloads" / RPM).symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in cli.refused(1, "downloads", "add", str(folder / RPM), "--replace")
    assert not (tmp_path / "elsewhere").exists()


async def test_an_earlier_folder_wins(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / OLD).write_bytes(b"own")
    found = {each.name: each.size_bytes for each in await Downloads((own, folder, tmp_path / "none")).packages()}
    assert found == {name: len(content) for name, content in (CONTENTS | {OLD: b"own"}).items()}


def test_versions_are_ordered_as_package_managers_do() -> None:
    versions = ["1.0.0~rc1", "1.0.0", "1.0.0-2", "1.0.0-10", "1.9.0", "1.10.0"]
    mixed = versions[3:] + versions[:3]
    assert sorted(mixed, key=version_order) == versions
