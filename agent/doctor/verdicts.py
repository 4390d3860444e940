"""The names of what an examination can find besides a store's verdicts, where each is told. Pure: no I/O.

Each is a heading of docs/troubleshooting.md, which messages point to.
"""

from __future__ import annotations

from typing import Final

OWN_VERDICTS: Final = frozenset(
    (
        # this machine
        "settings_unusable proxy_settings_unusable settings_writable_by_others no_store_open "
        "token_missing token_unreadable token_open_to_others token_unusable state_not_writable state_open_to_others "
        "agent_not_running agent_without_socket agent_not_asked agent_not_connected agent_other_version "
        "service_failed service_restarting service_stopped service_not_enabled open_files_low "
        # a server
        "proxy_refused proxy_failed server_name_unknown server_port_closed server_no_answer server_unreachable "
        "no_greeting not_ssh wrong_host_key handshake_failed token_refused not_granted no_welcome disabled revoked "
        "server_left lost protocol_error clock_off no_heartbeat slow_round_trip slow_link "
        # a store, before its check
        "store_settings_unusable address_ambiguous setting_without_effect"
    ).split()
)
