"""All that a PostgreSQL database holds: its rows, and its files with what was deleted."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg

from tests.kit.postgres import cluster


class DatabaseDump:
    """``sources`` reads a database of the tests' own cluster."""

    def __init__(self, url: str) -> None:
        self._url = url

    def sources(self) -> dict[str, bytes]:
        """Rows by table, as text (bytes in hexadecimal), and the files of its tables and indexes."""
        name = unquote(urlsplit(self._url).path.lstrip("/"))
        cluster().run("CHECKPOINT")
        oid = cluster().run(f"SELECT oid FROM pg_database WHERE datname = '{name}'")
        found: dict[str, bytes] = {}
        with psycopg.connect(self._url) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (table,) in tables:
                rows = connection.execute(f'SELECT row_to_json(t)::text FROM "{table}" t').fetchall()
                found[f"PostgreSQL rows of {table}"] = "\n".join(row[0] for row in rows).encode()
            # Those of system tables are the same in every database.
            own = connection.execute("SELECT pg_relation_filenode(oid) FROM pg_class WHERE oid >= 16384").fetchall()
        folder = cluster().directory / "data" / "base" / oid
        numbers = {str(number) for (number,) in own if number is not None}
        files = [file for file in sorted(folder.iterdir()) if file.name.partition(".")[0] in numbers]
        return found | {f"PostgreSQL file {_named(file)}": file.read_bytes() for file in files}


def _named(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"
