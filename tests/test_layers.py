"""Who may import whom. The folders follow the line a job takes; an import against it is a mistake in the design."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

RULES = [
    #  folder or file               may import of ours (prefixes)                                        and never
    ("devices/contracts.py", set(), {"socket", "logging", "os", "time"}),
    ("devices/errors.py", set(), {"socket", "logging", "os", "time"}),
    (
        "devices/languages",
        {"devices.contracts", "devices.errors", "devices.raster", "devices.strips", "devices.profiles",
         "devices.languages"},
        {"socket", "serial", "usb", "os", "time", "logging"},
    ),
    (
        "devices/readers",
        {"devices.contracts", "devices.errors", "devices.raster", "devices.barcodes", "devices.profiles",
         "devices.readers"},
        {"socket", "serial", "usb", "os", "time", "logging"},
    ),
    (
        "devices/commands", {"devices.contracts", "devices.errors", "devices.commands", "devices.readers"},
        {"socket", "serial", "usb", "os", "time", "logging"},
    ),
    (
        "devices/status", {"devices.contracts", "devices.errors", "devices.status"},
        {"socket", "serial", "usb", "os", "time", "logging"},
    ),
    ("devices/usb", {"devices.contracts", "devices.errors", "devices.ieee1284", "devices.usb"}, {"socket", "bridge"}),
    ("devices/wire", {"devices.contracts", "devices.errors", "devices.wire"}, {"bridge"}),
    (
        "devices/simulators",
        {"devices.contracts", "devices.errors", "devices.commands", "devices.readers", "devices.languages",
         "devices.status", "devices.profiles", "devices.png", "devices.usb", "devices.simulators"},
        {"bridge", "flask"},
    ),
    ("devices/strips.py", {"devices.contracts"}, {"socket", "os", "time", "logging"}),
    ("devices/png.py", {"devices.contracts"}, {"socket", "os", "time", "logging"}),
    ("devices/profiles.py", set(), {"socket", "os", "time", "logging"}),
    ("devices/interview.py", {"devices.contracts", "devices.errors"}, {"socket", "logging"}),
    ("devices/printermib.py", {"devices.contracts", "devices.snmp"}, {"bridge"}),
    *(
        (
            f"devices/receipts{part}.py",
            {"devices.contracts", "devices.errors", "devices.languages", "devices.profiles", "devices.raster",
             "devices.receipts", "devices.receipts_codes", "devices.receipts_elements", "devices.receipts_formatter",
             "devices.receipts_layout"},
            {"socket", "serial", "usb", "time", "logging", "pymupdf", "numpy"},
        )
        for part in ("", "_codes", "_elements", "_formatter", "_layout")
    ),
    ("devices/catalog.py", set(), {"socket", "os", "time", "logging", "serial", "usb"}),
    ("devices/ieee1284.py", {"devices.errors"}, {"socket", "os", "time", "logging"}),
    ("devices/identify.py", {"devices.catalog", "devices.ieee1284"}, {"socket", "os", "time", "logging"}),
    (
        "devices/discovery",
        {"devices.discovery", "devices.catalog", "devices.errors", "devices.identify", "devices.ieee1284",
         "devices.serialports", "devices.snmp", "devices.usb"},
        {"bridge", "flask"},
    ),
    (
        "devices/transports",
        {"devices.contracts", "devices.errors", "devices.transports", "devices.usb", "devices.wire",
         "devices.serialports",
         "devices.serialline", "devices.cups", "devices.spooler_windows"},
        {"devices.languages", "devices.readers"},
    ),
    ("devices", {"devices"}, {"flask", "bridge"}),
    ("bridge/model.py", set(), {"flask"}),
    ("bridge/errors.py", set(), {"flask"}),
    ("bridge/resources.py", set(), {"flask"}),
    ("bridge/presence.py", {"bridge.model", "bridge.store"}, {"flask", "devices"}),
    ("bridge/printers.py", {"bridge.model", "bridge.errors", "bridge.presence", "bridge.store"}, {"flask", "devices"}),
    ("bridge/store", {"bridge.model", "bridge.errors", "bridge.store"}, {"flask"}),
    ("bridge/backup.py", {"bridge", "bridge.config", "bridge.store"}, {"flask", "devices"}),
    (
        "bridge/restore.py",
        {"bridge.access", "bridge.backup", "bridge.lock", "bridge.model", "bridge.store"},
        {"flask", "devices"},
    ),
    (
        "bridge/doctor",
        {"bridge.doctor", "bridge.config", "bridge.place", "bridge.clock", "bridge.access", "bridge.store",
         "bridge.remote", "bridge.fleet", "devices"},
        {"flask", "pymupdf"},
    ),
    ("bridge/place.py", set(), {"flask", "pydantic"}),
    ("bridge/clock.py", set(), {"flask", "socket", "logging"}),
    ("bridge/watch.py", set(), {"flask"}),
    ("bridge/housekeeping.py", set(), {"flask"}),
    ("bridge/systemd.py", set(), {"flask"}),
    ("bridge/logs.py", {"bridge.access"}, {"flask"}),
    (
        "bridge/report",
        {"bridge", "bridge.model", "bridge.errors", "bridge.access", "bridge.store", "bridge.printers",
         "bridge.outbound", "bridge.report"},
        {"flask", "devices"},
    ),
    ("bridge/outbound", {"bridge.errors", "bridge.outbound"}, {"flask", "devices"}),
    (
        "bridge/intake",
        {"bridge.model", "bridge.errors", "bridge.store", "bridge.outbound", "bridge.intake"},
        {"pymupdf", "devices"},
    ),
    ("bridge/control.py", {"bridge.model", "bridge.errors", "bridge.store"}, {"flask", "devices"}),
    (
        "bridge/access",
        {"bridge.model", "bridge.errors", "bridge.store", "bridge.config", "bridge.access"},
        {"devices"},
    ),
    (
        "bridge/dialects",
        {"bridge", "bridge.model", "bridge.errors", "bridge.intake", "bridge.control", "bridge.access", "bridge.store",
         "bridge.dialects", "bridge.presence", "bridge.printers", "bridge.report.shapes"},
        {"devices", "pymupdf"},
    ),
    (
        "bridge/web",
        {"bridge", "bridge.model", "bridge.errors", "bridge.intake", "bridge.control", "bridge.access", "bridge.store",
         "bridge.dialects", "bridge.web", "bridge.presence", "bridge.printers", "bridge.resources"},
        {"devices", "pymupdf"},
    ),
    (
        "bridge/prepare",
        {"bridge.model", "bridge.errors", "bridge.store", "bridge.prepare", "bridge.resources", "devices"},
        {"flask"},
    ),
    ("bridge/deliver", {"bridge.model", "bridge.errors", "bridge.store", "bridge.deliver", "devices"}, {"flask"}),
]  # fmt: skip


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import, also those for type checking only and those inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            is_package = (ROOT / node.module.replace(".", "/")).is_dir()
            for alias in node.names:
                inner = ROOT / node.module.replace(".", "/") / alias.name
                deeper = is_package and (inner.is_dir() or inner.with_suffix(".py").exists())
                yield node.lineno, f"{node.module}.{alias.name}" if deeper else node.module


def files(where: str) -> list[Path]:
    path = ROOT / where
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def within(module: str, prefix: str) -> bool:
    if prefix == "bridge":  # the package itself (its version), not everything below it
        return module == "bridge"
    return module == prefix or module.startswith(prefix + ".")


@pytest.mark.parametrize(("where", "allowed", "never"), RULES, ids=[r[0] for r in RULES])
def test_nobody_imports_against_the_line(where: str, allowed: set[str], never: set[str]) -> None:
    found = files(where)
    assert found, f"{where} is gone: mend this table"
    for path in found:
        for line, module in imports(path):
            place = f"{path.relative_to(ROOT)}:{line} imports {module}"
            ours = module.split(".")[0] in ("bridge", "devices")
            assert not ours or any(within(module, a) for a in allowed), place
            assert not any(module == n or module.startswith(n + ".") for n in never), place


def test_a_dialect_does_not_know_another_dialect() -> None:
    for path in files("bridge/dialects"):
        parts = path.relative_to(ROOT / "bridge/dialects").parts
        me = parts[0].removesuffix(".py")
        for line, module in imports(path):
            if module.startswith("bridge.dialects.") and me != "__init__":
                assert within(module, f"bridge.dialects.{me}"), f"{path}:{line} imports {module}"


def test_the_server_never_imports_an_engine() -> None:
    for path in files("bridge"):
        if path.name in ("child.py", "documents.py", "receipts.py", "pen.py"):
            continue  # these run in the render child
        for line, module in imports(path):
            assert module.split(".")[0] not in ("pymupdf", "numpy", "fitz"), f"{path}:{line} imports {module}"


def test_standard_library_urllib_opens_nothing_here() -> None:
    """urllib.request opens file:// URLs too; documents are fetched by intake.fetch alone."""
    for folder in ("bridge", "devices"):
        for path in files(folder):
            for line, module in imports(path):
                assert module != "urllib.request", f"{path}:{line}"


def test_bodies_are_parsed_in_one_place_only() -> None:
    for path in files("bridge"):
        if path.name != "body.py":
            text = path.read_text()
            assert "silent=True" not in text and "get_json" not in text, path


def test_every_module_says_what_it_is() -> None:
    for folder in ("bridge", "devices"):
        for path in files(folder):
            assert ast.get_docstring(ast.parse(path.read_text())), f"{path.relative_to(ROOT)} has no docstring"
