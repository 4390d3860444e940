"""The sample store as a process: its ready line, its end, and what a person reads when it cannot start."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

COMMAND = [sys.executable, "-m", "agent.demo.store"]
KEY = "SAMPLESTOREPROCESSKEY00000000001"


def test_says_when_it_is_ready_and_ends_cleanly(tmp_path: Path) -> None:
    arguments = ["--database", str(tmp_path / "store.db"), "--key", f"{KEY}:products=GET+HEAD,orders=GET"]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready = json.loads(process.stdout.readline())
        assert ready["domain"] == f"127.0.0.1:{ready['port']}"
        with urllib.request.urlopen(
            f"http://{ready['domain']}/api/products?limit=1&ws_key={KEY}", timeout=10
        ) as answer:
            assert b'<product id="1"' in answer.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
    assert (tmp_path / "store.db").is_file()


def test_key_of_the_wrong_length_is_a_settings_error() -> None:
    done = subprocess.run([*COMMAND, "--key", "short"], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr.count("\n")) == (78, 1)
    assert "32 characters" in done.stderr


def test_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert port in done.stderr
    assert "Traceback" not in done.stderr


def test_broken_seed_is_one_sentence(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text("{}", encoding="utf-8")
    done = subprocess.run([*COMMAND, "--seed", str(seed)], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert str(seed) in done.stderr
