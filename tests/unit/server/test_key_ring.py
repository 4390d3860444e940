"""The key ring: rotation and the end of old keys, on both kinds of database."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.server.db.tables import CONNECTIONS
from agent.server.operations.failures import ConflictError
from agent.server.operations.key_ring import look_at_keys, retire_keys, rotate_keys
from agent.server.operations.live_tables import NO_KEY, api_key_place
from agent.server.vault import KeyRing, Vault, key_id_of
from tests.kit.backups import envelopes, filled
from tests.kit.control_plane import API_KEY, ControlApi


async def test_rotating_seals_everything_anew_and_all_opens(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    before = await envelopes(api)
    report = await rotate_keys(api.plane, "tester")
    assert (report.current, report.sealed, report.lost) == (2, {1: 0, 2: 2}, 0)
    after = await envelopes(api)
    assert {key_id_of(envelope) for _, envelope in after} == {2}
    on_disk = KeyRing.parse((tmp_path / "data" / "key-ring").read_text(), "file")
    assert (on_disk.current, set(on_disk.keys)) == (2, {1, 2})
    vault = Vault(on_disk)  # whoever starts now, also with an older copy of the database
    for record_id, envelope in before + after:
        assert vault.open(envelope, api_key_place(record_id)) in (API_KEY, "B" * 32)
    assert (await retire_keys(api.plane, "tester")).sealed == {2: 2}
    assert set(KeyRing.parse((tmp_path / "data" / "key-ring").read_text(), "file").keys) == {2}
    _, trail = await api.call("GET", "audit?action=key_ring.")
    assert [entry["action"] for entry in trail] == ["key_ring.retired", "key_ring.rotated"]


async def test_after_a_break_between_ring_and_envelopes_all_opens(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    api.plane.keys = api.plane.keys.replace(api.plane.keys.ring.with_new_key())  # and here the power fails
    vault = Vault(KeyRing.parse((tmp_path / "data" / "key-ring").read_text(), "file"))
    assert [vault.open(envelope, api_key_place(record_id)) for record_id, envelope in await envelopes(api)] == [
        API_KEY,
        "B" * 32,
    ]


async def test_a_ring_from_elsewhere_is_not_rotated_here(api: ControlApi) -> None:
    await filled(api)
    api.plane.keys = type(api.plane.keys)(api.plane.keys.ring, None)
    before = await envelopes(api)
    with pytest.raises(ConflictError, match="environment or a credential"):
        await rotate_keys(api.plane, "tester")
    assert await envelopes(api) == before


async def test_a_ring_from_elsewhere_that_got_a_new_key_there_seals_with_it(api: ControlApi) -> None:
    await filled(api)
    longer = api.plane.keys.ring.with_new_key()
    api.plane.keys = type(api.plane.keys)(longer, None)
    api.plane.vault = Vault(longer)
    assert (await rotate_keys(api.plane, "tester")).sealed == {1: 0, 2: 2}
    with pytest.raises(ConflictError, match="last line 3:BASE64"):  # everything is sealed with the newest already
        await rotate_keys(api.plane, "tester")


async def test_an_envelope_that_no_key_opens_stops_the_rotation(api: ControlApi) -> None:
    await filled(api)
    api.plane.vault = Vault(KeyRing.generate())
    assert (await look_at_keys(api.plane)).lost == 2
    with pytest.raises(ConflictError, match="do not open with this key ring"):
        await rotate_keys(api.plane, "tester")


async def test_imported_connections_have_nothing_to_seal(api: ControlApi) -> None:
    await filled(api)
    async with api.plane.note() as connection:
        await connection.execute(CONNECTIONS.update().values(api_key=NO_KEY))
    assert (await rotate_keys(api.plane, "tester")).sealed == {1: 0, 2: 0}
