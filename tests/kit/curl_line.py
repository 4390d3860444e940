"""A curl command line as the demo shows it, run for its status, with curl or without."""

from __future__ import annotations

import http.client
import shlex
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit

PATIENCE_S = 60


def run_curl_line(line: str, folder: Path) -> int:
    """Run one of the printed lines; the status."""
    arguments = shlex.split(line)
    if shutil.which("curl") is None:
        return run_without_curl(arguments, folder)
    ended = subprocess.run(
        [*arguments, "-sS", "-w", "\n%{http_code}"], cwd=folder, capture_output=True, timeout=PATIENCE_S, check=True
    )
    return int(ended.stdout.split(b"\n")[-1])


def run_without_curl(arguments: list[str], folder: Path) -> int:
    """The same with the options that the lines use, where curl is not installed."""
    given = {name: arguments[index + 1] for index, name in enumerate(arguments) if name in ("-u", "-X", "-d", "-o")}
    url = urlsplit(next(argument for argument in arguments if argument.startswith("http://")))
    connection = http.client.HTTPConnection(url.netloc, timeout=PATIENCE_S)
    fields = {"Authorization": f"Basic {b64encode(given['-u'].encode()).decode()}"}
    connection.request(given.get("-X", "GET"), f"{url.path}?{url.query}".rstrip("?"), given.get("-d"), fields)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if "-o" in given:
        (folder / given["-o"]).write_bytes(content)
    return answer.status
