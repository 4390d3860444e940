"""Starts a command under the system call filters of a unit file, as systemd does, where there is no systemd to do it.

A program of its own: ``unit_sandbox.py UNIT COMMAND...``. It does ``SystemCallFilter=``, ``RestrictAddressFamilies=``
and ``MemoryDenyWriteExecute=``; what needs a name space or a control group is left to a machine that boots.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

ALLOW, ERRNO = 0x7FFF0000, 0x00050000  # seccomp.h: SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(0)
EQUAL, GREATER, MASKED_EQUAL = 4, 6, 7  # enum scmp_compare
PROT_EXEC, PROT_WRITE = 4, 2
AF_MAX = 46


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp: an argument of a system call, and what it must be."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


class SystemCalls:
    """One filter that is loaded when the block ends; several of them add up, the strictest counts."""

    def __init__(self, default: int) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2")
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(default)))

    def rule(self, action: int, name: str, *comparisons: Comparison) -> None:
        """``action`` for the call ``name`` with such arguments; names that this machine does not have are left out."""
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        array = (Comparison * len(comparisons))(*comparisons)
        if number >= 0:
            result = self._library.seccomp_rule_add_array(
                self._context, ctypes.c_uint32(action), number, len(comparisons), array
            )
            assert result == 0, (name, result)

    def load(self) -> None:
        """From now on, and for what is executed. It also sets no_new_privs."""
        assert self._library.seccomp_load(self._context) == 0


def values(unit: str, key: str) -> list[str]:
    """What the lines ``key=`` say, line by line."""
    return re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE)


def allowed_calls(lines: list[str]) -> set[str]:
    """The calls that an allow-list and the exceptions after it leave; sets (@name) are those of this systemd."""
    sets: dict[str, list[str]] = {}
    members: list[str] = []
    for line in subprocess.check_output(["systemd-analyze", "syscall-filter"], text=True).splitlines():
        if line.startswith("@"):
            members = sets.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.strip().startswith("#"):
            members.append(line.strip())

    def calls(name: str) -> set[str]:
        return set().union(*map(calls, sets[name])) if name.startswith("@") else {name}

    found = calls("@default")
    for line in lines:
        named = set().union(*map(calls, line.removeprefix("~").split()))
        found = found - named if line.startswith("~") else found | named
    return found


def restrict(unit: str) -> None:
    """Load what ``unit`` asks for."""
    filters = [SystemCalls(ALLOW)]
    if values(unit, "MemoryDenyWriteExecute") == ["yes"]:
        both = PROT_WRITE | PROT_EXEC
        filters[0].rule(ERRNO | errno.EPERM, "mmap", Comparison(2, MASKED_EQUAL, both, both))
        for name in ("mprotect", "pkey_mprotect"):
            filters[0].rule(ERRNO | errno.EPERM, name, Comparison(2, MASKED_EQUAL, PROT_EXEC, PROT_EXEC))
    families = values(unit, "RestrictAddressFamilies")
    if families:
        allowed = {int(getattr(socket, name)) for name in families[0].split()}
        for family in set(range(AF_MAX)) - allowed:
            filters[0].rule(ERRNO | errno.EAFNOSUPPORT, "socket", Comparison(0, EQUAL, family, 0))
        filters[0].rule(ERRNO | errno.EAFNOSUPPORT, "socket", Comparison(0, GREATER, AF_MAX, 0))
    allow_list = SystemCalls(ERRNO | errno.EPERM)
    for name in allowed_calls(values(unit, "SystemCallFilter")) | {"seccomp"}:  # for the next filter to be loaded
        allow_list.rule(ALLOW, name)
    filters.append(allow_list)
    for each in filters:
        each.load()


if __name__ == "__main__":
    restrict(Path(sys.argv[1]).read_text())
    os.execvp(sys.argv[2], sys.argv[2:])
