"""The configuration: one TOML file, every key known. A key nobody knows is an error that says what is allowed."""

from __future__ import annotations

import os
import re
import socket
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from devices.profiles import PROFILES

DEFAULT_PORT = 8910
MEGABYTE = 1024 * 1024


class ConfigError(Exception):
    """The configuration cannot be used. The text names the file, the key and what is allowed."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(_Section):
    """[server]"""

    host: str | None = None
    port: int = Field(DEFAULT_PORT, ge=0, le=65535)
    ws_port: int | None = Field(None, ge=0, le=65535)
    hosts: list[str] = []
    organization_id: str | None = Field(None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    plan: Literal["off", "standard", "pro"] = "off"
    delete_reply: Literal["seed", "success"] = "seed"
    registration: bool = False
    printcloud_rate: Literal["off", "on"] = "off"
    olin_plan: Literal["off", "free", "professional", "enterprise"] = "off"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Limits(_Section):
    """[limits]"""

    body_mb: float = Field(32, gt=0, le=1024)
    document_mb: float = Field(50, gt=0, le=1024)
    fetch_s: float = Field(60, gt=0, le=600)
    fetch_private: bool = True
    fetch_loopback: bool = True
    pages: int = Field(500, ge=1, le=100_000)
    page_megapixels: float = Field(40, gt=0, le=400)
    render_s: float = Field(30, gt=0, le=600)
    render_cpu_s: int = Field(15, ge=1, le=600)
    render_memory_mb: int = Field(768, ge=200, le=16384)
    disk_reserve_mb: float = Field(200, ge=0, le=1_000_000)

    @property
    def reserve_bytes(self) -> int:
        return int(self.disk_reserve_mb * MEGABYTE)

    @property
    def body_bytes(self) -> int:
        return int(self.body_mb * MEGABYTE)

    @property
    def document_bytes(self) -> int:
        return int(self.document_mb * MEGABYTE)


class Retention(_Section):
    """[retention]: how long what is over is kept."""

    documents_h: float = Field(24, ge=0, le=24 * 3650)
    jobs_days: float = Field(30, ge=1, le=3650)
    keys_days: float = Field(90, ge=7, le=3650)


class PrinterConfig(_Section):
    """[[printers]]"""

    name: str = Field(min_length=1, max_length=200)
    uri: str
    language: str = "zpl"
    id: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,64}$")
    dpi: int = Field(203, ge=50, le=2400)
    width_mm: float = Field(101.6, gt=0, le=1000)
    height_mm: float | None = Field(152.4, ge=0, le=10000)
    status: Literal["auto", "off"] = "auto"
    half_close: bool = True
    ordered: bool = False
    hold_older_than_s: float | None = Field(None, gt=0, le=366 * 86400)
    mdns: str | None = Field(None, min_length=1, max_length=255)
    mac: str | None = Field(None, pattern=r"^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$")
    connect_s: float = Field(4, gt=0, le=60)
    stall_s: float = Field(30, gt=0, le=3600)
    darkness: int | None = Field(None, ge=-99, le=200)
    speed: float | None = Field(None, ge=0, le=14)
    tracking: Literal["gap", "mark", "continuous"] | None = None
    gap_mm: float | None = Field(None, ge=0, le=50)
    tear_off: int | None = Field(None, ge=-120, le=120)
    mode: Literal["tear-off", "peel-off", "rewind", "cutter", "applicator"] | None = None
    profile: str | None = Field(None, min_length=1, max_length=64)
    cut: Literal["auto", "none", "partial", "full"] = "auto"
    cut_each: Literal["page", "copy", "job"] = "copy"
    feed_mm: float | None = Field(None, ge=0, le=200)
    code_page: str | None = Field(None, min_length=1, max_length=32)

    @model_validator(mode="before")
    @classmethod
    def _as_the_head_is(cls, given: Any) -> Any:
        """A receipt printer's dpi and width are its profile's, where they are not given."""
        if not isinstance(given, dict) or given.get("language") != "escpos":
            return given
        named = given.get("profile") or "default"
        head = PROFILES.get(named) if isinstance(named, str) else None
        return given if head is None else {"dpi": head.dpi, "width_mm": head.width_mm} | given

    @field_validator("height_mm")
    @classmethod
    def _continuous(cls, height: float | None) -> float | None:
        return height or None  # 0 in the file: continuous media


class KeyConfig(_Section):
    """[[keys]]"""

    name: str = Field(min_length=1, max_length=200)
    key_file: Path | None = None
    key_sha256: str | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")
    scopes: list[Literal["admin", "jobs", "printers", "print", "read"]] = ["jobs", "printers"]
    origins: list[str] = []
    raw: Literal["documents", "raw-safe", "raw-any"] | None = None
    drawer: bool | None = None

    @field_validator("origins")
    @classmethod
    def _origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if not is_origin(origin):
                raise ValueError(f"{origin!r} is not a web origin; write it as https://shop.example, without a path")
        return origins

    @model_validator(mode="after")
    def _one_secret(self) -> KeyConfig:
        if (self.key_file is None) == (self.key_sha256 is None):
            raise ValueError("give exactly one of key_file and key_sha256")
        return self


class CloudConfig(_Section):
    """[[clouds]]: read and checked; connecting to them is not part of this version."""

    kind: Literal["cloudlinker", "printcloud", "olin", "printix", "cloudlayer"]
    url: str | None = None
    ws_url: str | None = None
    organization_id: str | None = None
    api_key: str | None = None
    email: str | None = None
    password: str | None = None
    client_id: str | None = None
    client_secret: str | None = None


class Config(_Section):
    """The whole file."""

    server: Server = Server()
    limits: Limits = Limits()
    retention: Retention = Retention()
    printers: list[PrinterConfig] = []
    keys: list[KeyConfig] = []
    clouds: list[CloudConfig] = []

    @model_validator(mode="after")
    def _names_differ(self) -> Config:
        names = [p.name for p in self.printers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two printers are called {name!r}; every printer needs a name of its own")
        return self


VIRTUAL = PrinterConfig(name="virtual", uri="virtual://virtual", language="zpl", dpi=203)
"""What a newcomer without a printer prints on: a 4 x 6 inch ZPL printer made of files."""


def load(path: Path | None) -> Config:
    """Read and check the file (None: all defaults). Without printers there is the virtual one. Raises ConfigError."""
    config = Config() if path is None else _parse(path)
    if not config.printers:
        config = config.model_copy(update={"printers": [VIRTUAL]})
    return config


LAST_GOOD = "config.last-good.toml"
"""In the data folder: the configuration of the last start that went well."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and where it is from. status: last-good when `file` itself cannot be used; text says why."""

    config: Config
    file: Path | None
    status: Literal["ok", "last-good"] = "ok"
    text: str = ""


def load_or_last_good(file: Path | None, folder: Path, check: Callable[[Config], None]) -> Loaded:
    """The configuration; when it is broken, the last one that worked. Raises ConfigError when there is none.

    file: None for config.toml in the data folder, if there is one. check: raises ConfigError for what only others know.
    """
    if file is None and (folder / "config.toml").exists():
        file = folder / "config.toml"
    try:
        config = load(file)
        check(config)
        return Loaded(config, file)
    except ConfigError as error:
        kept = folder / LAST_GOOD
        if not kept.exists():
            raise
        config = load(kept)
        check(config)
        return Loaded(config, file, "last-good", f"{error}; the last configuration that worked ({kept}) is used")


def keep_as_good(loaded: Loaded, folder: Path) -> None:
    """Remember a configuration that worked. Whole or not at all; for its owner's eyes: it may hold secrets."""
    if loaded.status != "ok":
        return
    kept = folder / LAST_GOOD
    text = loaded.file.read_bytes() if loaded.file is not None else b""
    if kept.exists() and kept.read_bytes() == text:
        return
    temporary = kept.with_suffix(".new")
    descriptor = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with open(descriptor, "wb") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, kept)


def _parse(path: Path) -> Config:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(path, raw, finding) for finding in error.errors())) from error


def _explain(path: Path, raw: dict[str, Any], finding: Any) -> str:
    where = ".".join(str(part) for part in finding["loc"]) or "the file"
    if finding["type"] == "extra_forbidden":
        allowed = ", ".join(_section(finding["loc"]).model_fields)
        return f"{path}: unknown key {where}; allowed here: {allowed}"
    return f"{path}: {where}: {finding['msg'].removeprefix('Value error, ')}"


def _section(loc: tuple[str | int, ...]) -> type[BaseModel]:
    sections: dict[str, type[BaseModel]] = {
        "server": Server, "limits": Limits, "retention": Retention, "printers": PrinterConfig, "keys": KeyConfig,
        "clouds": CloudConfig,
    }  # fmt: skip
    return Config if len(loc) == 1 else sections[str(loc[0])]


def is_origin(text: str) -> bool:
    """True for scheme://host[:port] in the one spelling a browser sends."""
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        return False
    if port is not None and port == {"http": 80, "https": 443}[parts.scheme]:
        return False
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if not re.fullmatch(r"[\[\]a-z0-9._:-]+", host):
        return False
    return text == f"{parts.scheme}://{host}{'' if port is None else f':{port}'}"


def hostname() -> str:
    """What this machine calls itself."""
    return socket.gethostname() or "localhost"
