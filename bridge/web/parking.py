"""How a view leaves its connection to somebody else, so that no thread waits with it.

A view that has nothing to say yet answers with a Response around `Parked`. The worker thread is free as soon as that is
returned: it sends nothing, and the channel hands its socket, out of waitress altogether, to the guest. From then on the
guest alone reads, writes and closes it. Such an answer is the last on its connection ("Connection: close").
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Protocol

PARK = "print_bridge.park"
"""In the WSGI environment: a function that takes the guest. Missing below another server, say Flask's test client."""

Head = Callable[[int | None], bytes]
"""Status line and headers of the answer, for a body of so many bytes; None: of unknown length. To be called once."""


class Guest(Protocol):
    """Who takes a connection over. Exactly one of the two is called, once, in the thread of the HTTP server."""

    def welcome(self, sock: socket.socket, head: Head, *, chunked: bool) -> None:
        """The connection is yours; it does not block. chunked: how a body of unknown length is to be sent."""
        ...

    def turned_away(self) -> None:
        """The caller is gone, or something failed on the way: there is no connection."""
        ...


class Parked:
    """The body of such a Response (with direct_passthrough): none, but whoever asks for it parks the connection."""

    def __init__(self, guest: Guest, park: Callable[[Guest], None]) -> None:
        """park: what the WSGI environment has under PARK."""
        self._guest = guest
        self._park = park
        self._parked = False

    def __iter__(self) -> Iterator[bytes]:
        self._parked = True
        self._park(self._guest)
        return iter(())

    def close(self) -> None:
        """Called by the WSGI server at the end; without __iter__ before it, somebody else has answered."""
        if not self._parked:
            self._guest.turned_away()
