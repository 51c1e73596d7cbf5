"""How many jobs ended how since this process began to count: read from the events, a few at a time."""

from __future__ import annotations

import threading
from collections import Counter
from weakref import WeakKeyDictionary

from bridge.model import State
from bridge.store import Store

COUNTED = (State.DELIVERED, State.PRINTED, State.UNCONFIRMED, State.HELD, State.FAILED, State.CANCELLED, State.EXPIRED)
PAGE = 1000  # events read at once


class Tally:
    """Counters that only grow. organization_id: None for everybody's jobs."""

    def __init__(self, store: Store, organization_id: str | None) -> None:
        self._store = store
        self._organization_id = organization_id
        self._counting = threading.Lock()
        self._seq = last_seq(store, organization_id)
        self._counts: Counter[str] = Counter()

    def counts(self) -> dict[str, int]:
        """state -> how often a job came into it since the tally was made."""
        with self._counting:
            while events := self._store.events.after(self._organization_id, self._seq, limit=PAGE):
                self._counts.update(event.state for event in events if event.kind == "job" and event.state)
                self._seq = events[-1].seq
            return {state.value: self._counts[state.value] for state in COUNTED}


_tallies: WeakKeyDictionary[Store, Tally] = WeakKeyDictionary()
_making = threading.Lock()


def tally_of(store: Store, organization_id: str | None) -> Tally:
    """The one tally of this store; it counts from the first time somebody asks."""
    with _making:
        if store not in _tallies:
            _tallies[store] = Tally(store, organization_id)
        return _tallies[store]


def last_seq(store: Store, organization_id: str | None) -> int:
    """The seq of the newest event; 0 when there is none."""
    newest, _ = store.jobs.page(organization_id, newest_first=True, limit=1)
    seq = newest[0].serial if newest else 0  # a job's serial is the seq of its first event: a good place to begin
    while events := store.events.after(organization_id, seq, limit=PAGE):
        seq = events[-1].seq
    return seq
