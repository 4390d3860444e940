"""The store of a run: nginx, with answers of several sizes, one that takes its time, and a place for uploads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from tests.bench.tunnels.place import ECHO_MODULE, LOOPBACK, Place, free_port, tool, wait_for_port
from tests.kit.certificates import CertificateAuthority

KIB: Final = 1024
BULK_FILES: Final = {"m64": 64 * KIB * KIB, "m256": 256 * KIB * KIB}
"""Files that are large, and their bytes."""

WAIT_S: Final = 0.1
TLS_NAME: Final = "localhost"


@dataclass(frozen=True)
class StorePorts:
    """Where it listens: ``port`` and ``second_port`` over http, as two stores; ``tls_port`` as ``TLS_NAME``."""

    port: int
    second_port: int
    tls_port: int


def start_store(place: Place) -> StorePorts:
    """Start it. One worker, as a small shop has, keeping connections open. Its certificate is thrown away after it."""
    api = place.folder / "www" / "api"
    api.mkdir(parents=True)
    for name, size in (("k1", KIB), ("k64", 64 * KIB)):
        (api / name).write_bytes(os.urandom(size))
    for name, size in BULK_FILES.items():
        with (api / name).open("wb") as file:
            for _ in range(size // (KIB * KIB)):
                file.write(os.urandom(KIB * KIB))
    ports = StorePorts(free_port(), free_port(), free_port())
    certificate, key = CertificateAuthority(place.folder).issue(TLS_NAME, self_signed=True)
    config = place.folder / "nginx.conf"
    config.write_text(f"""load_module {ECHO_MODULE};
worker_processes 1;
daemon off;
pid {place.folder}/nginx.pid;
error_log {place.folder}/nginx.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  sendfile on;
  tcp_nodelay on;
  default_type text/plain;
  client_max_body_size 0;
  client_body_temp_path {place.folder}/body;
  server {{
    listen {LOOPBACK}:{ports.port} backlog=4096;
    listen {LOOPBACK}:{ports.second_port};
    listen {LOOPBACK}:{ports.tls_port} ssl backlog=4096;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    root {place.folder}/www;
    location = /api/up {{ echo_read_request_body; echo taken; }}
    location = /api/slow {{ echo_sleep {WAIT_S}; echo slow; }}
  }}
}}
""")
    place.start("nginx", tool("nginx"), "-c", str(config))
    wait_for_port(ports.port)
    return ports
