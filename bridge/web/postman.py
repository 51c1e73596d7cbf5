"""Brings what waits to the printers of the computers that are connected, one message at a time on each line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from websockets.exceptions import ConnectionClosed

from bridge.web.line import INTERNAL, Line
from bridge.web.parcels import Beside, Parcels

log = logging.getLogger(__name__)

SECOND_TIME_S = 0.5  # seconds for what a machine has still to say of its jobs, before they are sent again


class Postman:
    """serves may be asked by any thread; the rest belongs to the loop."""

    def __init__(self, parcels: Parcels, beside: Beside, forgotten: Callable[[str], int]) -> None:
        """forgotten: how many jobs a printer has of which its machine speaks no more."""
        self._parcels = parcels
        self._beside = beside
        self._forgotten = forgotten
        self._places: dict[str, Line] = {}  # device -> the line of its computer

    def serves(self, device_id: str) -> bool:
        """Whether the computer of this printer is connected."""
        return device_id in self._places

    def clear(self) -> None:
        """Nobody is connected."""
        self._places.clear()

    def place(self, line: Line, device_ids: set[str]) -> None:
        """These are the printers of a line from now on."""
        for device_id in line.printers - device_ids:
            self._places.pop(device_id, None)
        line.printers = device_ids
        self._places.update(dict.fromkeys(device_ids, line))

    def forget(self, line: Line) -> None:
        """It is gone."""
        for device_id in line.printers:
            self._places.pop(device_id, None)

    def look_at_all(self, line: Line) -> None:
        """There may be something to do for every printer of a line."""
        line.due |= line.printers
        if line.second_time:
            asyncio.get_running_loop().call_later(SECOND_TIME_S, self._send_again, line)
        self.feed(line)

    def _send_again(self, line: Line) -> None:
        line.second_time = False
        self.feed(line)

    def ring_for(self, device_id: str) -> None:
        """There may be something to do for a printer."""
        line = self._places.get(device_id)
        if line is not None:
            line.due.add(device_id)
            self.feed(line)

    def feed(self, line: Line) -> None:
        """See to it that what is due goes out."""
        if not line.second_time and not line.over and (line.feeding is None or line.feeding.done()):
            line.feeding = asyncio.get_running_loop().create_task(self._hand_over_all(line))

    async def _hand_over_all(self, line: Line) -> None:
        """Until no printer of this computer can take more. Never raises."""
        try:
            while not line.over and (line.due or line.recalls):
                await self._recall(line)
                if line.due:
                    await self._hand_over(line, line.due.pop())
        except ConnectionClosed:
            line.over = True
        except Exception:
            log.exception("agents: jobs could not be handed to %s", line.client.hostname)
            line.end(INTERNAL, "something went wrong inside the bridge")

    async def _hand_over(self, line: Line, device_id: str) -> None:
        while not line.over:
            forgotten = self._forgotten(device_id)
            parcel = await self._beside(self._parcels.take, line.client, device_id, forgotten)
            if parcel is None:
                break
            await self._parcels.send(line.socket, parcel)
            await self._recall(line)

    async def _recall(self, line: Line) -> None:
        """Ask for jobs back. Between two jobs, so that nobody is asked for one he has not got yet."""
        while line.recalls:
            line.session.recall(line.recalls.pop(0))
            await line.say()
