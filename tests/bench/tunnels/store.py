"""The store of a run: nginx, with answers of several sizes, one that takes its time, and a place for uploads."""

from __future__ import annotations

import os
from pathlib import Path

from tests.bench.tunnels.place import LOOPBACK, MissingToolError, Place, free_port, tool, wait_for_port

KIB = 1024
DOWNLOAD_BYTES = 256 * KIB * KIB
WAIT_S = 0.1
_ECHO_MODULE = "/usr/lib/nginx/modules/ngx_http_echo_module.so"


def start_store(place: Place) -> int:
    """Start it; the port. One worker, as a small shop has, keeping connections open."""
    nginx = tool("nginx", "nginx-light")
    if not Path(_ECHO_MODULE).exists():
        raise MissingToolError(f"{_ECHO_MODULE} is missing: apt-get install libnginx-mod-http-echo")
    api = place.folder / "www" / "api"
    api.mkdir(parents=True)
    for name, size in (("k1", KIB), ("k64", 64 * KIB)):
        (api / name).write_bytes(os.urandom(size))
    with (api / "m256").open("wb") as file:
        for _ in range(256):
            file.write(os.urandom(KIB * KIB))
    port = free_port()
    config = place.folder / "nginx.conf"
    config.write_text(f"""load_module {_ECHO_MODULE};
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
    listen {LOOPBACK}:{port} backlog=4096;
    root {place.folder}/www;
    location = /api/up {{ echo_read_request_body; echo taken; }}
    location = /api/slow {{ echo_sleep {WAIT_S}; echo slow; }}
  }}
}}
""")
    place.start("nginx", nginx, "-c", str(config))
    wait_for_port(port)
    return port
