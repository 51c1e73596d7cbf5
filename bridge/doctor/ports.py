"""Our ports: free, ours, or held by another program, which is then named."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from bridge.doctor.finding import Finding, Level
from bridge.doctor.patient import Patient
from bridge.doctor.processes import Listener, command_of, holders, listeners, name_of
from bridge.remote import BadCredentials, NotRunning, door

AREA = "port"
_CONNECT_S = 0.5


def examine(patient: Patient) -> Iterator[Finding]:
    """The port of [server] and that for WebSocket."""
    server = patient.config.server
    for setting, port, missing in _wanted(patient):
        if not port:
            yield Finding(AREA, "ok", f"[server] {setting} is 0: any free one will do")
            continue
        try:
            open_ = [each for each in listeners() if each.port == port and _clashes(each, server.host)]
        except FileNotFoundError:
            yield _by_calling(patient, setting, port)
            continue
        yield _judge(patient, setting, port, open_, missing)


def _wanted(patient: Patient) -> Iterator[tuple[str, int, Level]]:
    """(setting, port, how bad it is when somebody else has it)."""
    server = patient.config.server
    yield "port", _running_at(patient) or server.port, "problem"
    if server.ws_port is not None:
        yield "ws_port", server.ws_port, "problem"
    elif server.port and patient.health is None:
        yield "ws_port", server.port + 1, "warning"  # the default; nobody may have asked for WebSocket


def _running_at(patient: Patient) -> int | None:
    """The port where the serve answers, which --port may have chosen."""
    if patient.health is None:
        return None
    try:
        return urlsplit(door(patient.folder).url).port
    except (NotRunning, BadCredentials, ValueError):
        return None


def _clashes(listener: Listener, host: str | None) -> bool:
    """Whether that address keeps us from ours. "::" takes IPv4 as well, unless its program says otherwise."""
    any_address = ("0.0.0.0", "::")
    ours = ("127.0.0.1", "::1") if host in (None, "localhost") else (str(host).strip("[]"),)
    return listener.address in (*any_address, *ours) or any(each in any_address for each in ours)


def _judge(patient: Patient, setting: str, port: int, found: list[Listener], bad: Level) -> Finding:
    if not found:
        return Finding(AREA, "ok", f"[server] {setting} {port} is free")
    pids = holders(each.inode for each in found)
    ours = {patient.holder, (patient.health or {}).get("pid")} - {None, 0}
    for each in found:
        pid = pids.get(each.inode)
        if pid in ours:
            continue
        if pid is None and patient.health is not None:
            continue  # whoever it is, our serve answers there
        return Finding(AREA, bad, f"[server] {setting} {port} is held by {_who(each, pid)}",
                       _remedy(patient, setting, port, pid))  # fmt: skip
    return Finding(AREA, "ok", f"[server] {setting} {port} is ours")


def _who(listener: Listener, pid: int | None) -> str:
    if pid is None:
        return f"a program of {name_of(listener.uid)}, which you may not see, at {listener.address}"
    return f"pid {pid} ({command_of(pid)}) at {listener.address}"


def _remedy(patient: Patient, setting: str, port: int, pid: int | None) -> str:
    other = f"set another one: {setting} = {_free(port)} under [server] in {patient.edit}"
    if pid is None:
        return f"see who it is: sudo ss -ltnp 'sport = :{port}'; stop that, or {other}"
    return f"stop it: kill {pid}; or {other}"


def _free(port: int) -> int:
    """A port nearby that nobody has now, two in a row: WebSocket takes the next."""
    taken = {each.port for each in listeners()}
    nearby = [*range(port + 10, min(port + 1000, 65534)), *range(8000, 9000)]
    return next((n for n in nearby if not taken & {n, n + 1}), 0)


def _by_calling(patient: Patient, setting: str, port: int) -> Finding:
    """Where the system does not list its sockets: somebody who takes a call holds the port."""
    try:
        socket.create_connection(("127.0.0.1", port), _CONNECT_S).close()
    except OSError:
        return Finding(AREA, "ok", f"[server] {setting} {port}: nobody answers there")
    if patient.health is not None:
        return Finding(AREA, "ok", f"[server] {setting} {port} is ours")
    return Finding(AREA, "problem", f"[server] {setting} {port} is held by another program",
                   f"see who it is: sudo lsof -nP -iTCP:{port} -sTCP:LISTEN; stop that, or set another {setting} under "
                   f"[server] in {patient.edit}")  # fmt: skip
