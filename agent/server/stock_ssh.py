"""The command with which a stock OpenSSH client does the work of an agent for one http store. Pure."""

from __future__ import annotations


def stock_ssh_command(agent_id: str, plain_store: str, ssh_address: str) -> str:
    """For the shop's network; the password is not in it.

    ``plain_store`` is the store's http URL, ``ssh_address`` host:port, as agents reach this server.
    """
    host, _, port = ssh_address.rpartition(":")
    origin = plain_store.partition("://")[2].partition("/")[0]
    store_host, _, store_port = origin.rpartition(":") if _has_port(origin) else (origin, "", "80")
    return (
        "ssh -N -o StrictHostKeyChecking=yes -o ExitOnForwardFailure=yes -o ServerAliveInterval=10 "
        f"-p {port} -R store:80:{store_host}:{store_port} {agent_id}@{host.strip('[]')}"
    )


def _has_port(origin: str) -> bool:
    return ":" in origin.rpartition("]")[2]
