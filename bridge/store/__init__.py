"""What survives a power cut. `Store` opens the database; one repository per noun reads and writes it."""

from __future__ import annotations

from pathlib import Path

from bridge.store.directory import Clients, Devices, Organizations
from bridge.store.events import Events
from bridge.store.handed import Handed
from bridge.store.hooks import Hooks
from bridge.store.jobs import Jobs
from bridge.store.keys import Keys
from bridge.store.lanes import Lanes
from bridge.store.made import Made
from bridge.store.people import Cards, Groups, Users
from bridge.store.rescue import open_database
from bridge.store.schema import MIGRATIONS
from bridge.store.spool import Spool


class Store:
    """Everything of one data folder: the database, the spool, and the lanes in memory."""

    def __init__(self, folder: Path) -> None:
        """Open or create. Raises bridge.store.engine.DatabaseDamaged."""
        self.engine = open_database(folder / "bridge.db", MIGRATIONS)
        self.spool = Spool(folder / "spool")
        self.organizations = Organizations(self.engine)
        self.clients = Clients(self.engine)
        self.devices = Devices(self.engine)
        self.keys = Keys(self.engine)
        self.hooks = Hooks(self.engine)
        self.users = Users(self.engine)
        self.groups = Groups(self.engine)
        self.cards = Cards(self.engine)
        self.made = Made(self.engine)
        self.jobs = Jobs(self.engine)
        self.handed = Handed(self.engine, self.jobs)
        self.events = Events(self.engine)
        self.lanes = Lanes()

    def close(self) -> None:
        """Finish the writes that were submitted, then let go of the database."""
        self.lanes.close()
        self.engine.close()
