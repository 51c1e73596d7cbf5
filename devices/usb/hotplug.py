"""Notices that something was plugged in or out, so that a printer that waits for its cable is tried at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from devices.usb import sysfs
from devices.usb.machine import HERE, Machine

log = logging.getLogger(__name__)

EVERY_S = 0.5  # a look costs 0.1 ms and needs neither rights nor udevd, which containers do not have


class Hotplug:
    """`with Hotplug(changed):` calls changed() from a thread of its own, within half a second of every change.

    And once more half a second later: whoever was just looking in vain, or came before udev was done, looks again.
    Does nothing where there is no sysfs.
    """

    def __init__(self, changed: Callable[[], None], machine: Machine = HERE) -> None:
        self._changed = changed
        self._machine = machine
        self._over = threading.Event()
        self._seen: frozenset[tuple[str, str]] = frozenset()
        self._thread = self._new_thread()

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name="usb-hotplug", daemon=True)

    def __enter__(self) -> Hotplug:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to look. What is plugged in from now on is noticed, however late the thread gets its turn."""
        if self._machine.has_sysfs:
            self._seen = self._look()
            self._thread.start()

    def is_alive(self) -> bool:
        """Whether changes are noticed; also where there is nothing to look at."""
        return not self._machine.has_sysfs or self._thread.is_alive()

    def revive(self) -> None:
        """Go on in a new thread after the old one died. What changed in between is noticed too."""
        self._thread = self._new_thread()
        if self._machine.has_sysfs:
            self._thread.start()

    def stop(self) -> None:
        """End; safe when it never began."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        once_more = False
        while not self._over.wait(EVERY_S):
            now = self._look()
            if now != self._seen or once_more:
                once_more, self._seen = now != self._seen, now
                self._tell()

    def _look(self) -> frozenset[tuple[str, str]]:
        try:
            return sysfs.seen(self._machine.sysfs)
        except OSError:  # the last bus went with its adapter, or comes with the next
            return frozenset()

    def _tell(self) -> None:
        try:
            self._changed()
        except Exception:
            log.exception("a change of USB could not be passed on")  # the next one may be
