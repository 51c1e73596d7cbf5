"""serve: the bridge itself, until somebody stops it."""

from __future__ import annotations

import gc
import logging
import os
import queue
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli.common import WRONG, Stop, config_option, data_option, folder_of, of_the_system

if TYPE_CHECKING:
    from bridge.app import Bridge

log = logging.getLogger(__name__)

M_ARENA_MAX, HEAPS = -8, 2  # malloc.h of glibc
SWITCH_S = 0.0005
"""Python lets a thread keep the interpreter for 5 ms while a label waits to leave."""


@click.command()
@data_option
@config_option
@click.option("--host", default=None, help="Address to listen on (default: 127.0.0.1 and ::1).")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port (default: 8910; 0 chooses one).")
def serve(data: Path | None, config: Path | None, host: str | None, port: int | None) -> None:
    """Run the bridge until SIGTERM or Ctrl-C. SIGHUP reads the configuration again."""
    from bridge import logs
    from bridge.systemd import notify

    folder = folder_of(data)
    bridge = bridge_of(folder, config, host=host, port=port)
    logs.start(bridge.config.server.log_level, folder)
    signals = Signals()
    with running(bridge):
        # What has been made by now stays until the end: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        for url in (*bridge.http.urls, *bridge.ws.urls):
            click.echo(f"listening on {url}")
        sys.stdout.flush()
        notify("READY=1")
        for wish in signals:
            if wish == "stop":
                break
            reload_(bridge)
        notify("STOPPING=1")
        click.echo("stopping", err=True)


class Signals:
    """What the signals ask for, one after the other: "stop" or "reload"."""

    def __init__(self) -> None:
        # A handler runs in the middle of anything: only a SimpleQueue may be touched there.
        self._wishes: queue.SimpleQueue[str] = queue.SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._wishes.put("stop"))
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, lambda *_: self._wishes.put("reload"))

    def __iter__(self) -> Iterator[str]:
        while True:
            try:
                yield self._wishes.get(timeout=1)  # waiting for ever would keep Ctrl-C from being noticed on Windows
            except queue.Empty:
                continue


def reload_(bridge: Bridge) -> None:
    """Read the configuration again. The bridge logs what changed; a broken one changes nothing."""
    from bridge.errors import BridgeError
    from bridge.systemd import notify

    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        bridge.reload()
    except BridgeError:
        log.debug("the configuration of before stays in force")
    finally:
        notify("READY=1")


def bridge_of(folder: Path, config: Path | None, *, host: str | None, port: int | None) -> Bridge:
    """A bridge for this process, not started. config: None for config.toml in the folder, if there is one.

    Raises Stop when the configuration cannot be used, and none that worked before is known.
    """
    from bridge.app import Bridge
    from bridge.config import ConfigError

    os.umask(0o077)  # labels are personal data: everything we write is for this user alone
    try:
        return Bridge.of(folder, config, host=host, port=port)
    except (ConfigError, OSError) as error:
        raise Stop(str(error), WRONG) from error


def _share_heaps() -> None:
    """Two heaps for all threads: glibc gives each one of its own, which threads that take turns do not need.

    Over weeks, what is left over in thirty heaps is memory a small machine misses.
    """
    if sys.platform != "linux":
        return
    import ctypes

    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, HEAPS)


@contextmanager
def running(bridge: Bridge) -> Iterator[None]:
    """The bridge, from start to stop. Raises Stop when it cannot start, FolderInUse when another one has the folder."""
    from bridge.config import ConfigError
    from bridge.store.engine import DatabaseDamaged

    sys.setswitchinterval(SWITCH_S)
    _share_heaps()
    try:
        bridge.start()
    except (ConfigError, DatabaseDamaged, OSError) as error:
        why = of_the_system(error) if isinstance(error, OSError) else error
        raise Stop(f"cannot start: {why}", WRONG) from error
    try:
        yield
    finally:
        bridge.stop()
