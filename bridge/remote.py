"""The command line's way to the running serve: a small client of our own API.

It imports neither the store nor the configuration: a command that only asks must not wait for what only a serve needs.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode
from uuid import uuid4

from bridge.place import default_data_folder

if TYPE_CHECKING:
    import urllib3

FIRST_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 2.0)
"""Seconds between the tries after a connection broke to somebody who has not said yet who he is."""
PAUSES_S = (*FIRST_PAUSES_S, *[2.0] * 7)
"""The same after a serve of ours had answered: one that is restarted is back before they are over."""
CONNECT_S, ANSWER_S = 3, 60


class NotRunning(Exception):
    """Nobody of ours answers at the address in credentials.json."""

    @classmethod
    def at(cls, folder: Path) -> NotRunning:
        """What to do about it, as a command."""
        elsewhere = "" if folder == default_data_folder() else f" --data {shlex.quote(str(folder))}"
        return cls(f"no print-bridge serve is running for the data folder {folder}; "
                   f"start it with `print-bridge serve{elsewhere}`")  # fmt: skip


class Broken(NotRunning):
    """The connection was made and broke: whether the request arrived is not known."""


class BadCredentials(Exception):
    """credentials.json cannot be used. The text says why."""


class Refused(Exception):
    """The serve said no; text and remedy are its own. status: of HTTP. code: stable, for programs. field: at fault."""

    def __init__(self, text: str, *, remedy: str = "", status: int = 0, code: str = "", field: str = "") -> None:
        super().__init__(f"{text}; {remedy}" if remedy else text)
        self.text = text
        self.remedy = remedy
        self.field = field
        self.status = status
        self.code = code


class Document(Protocol):
    """What is uploaded, from its beginning at every try."""

    size: int

    def open(self) -> IO[bytes]: ...


@dataclass(frozen=True, slots=True)
class Door:
    """What credentials.json says. file: where it stands."""

    file: Path
    url: str
    key: str

    def __repr__(self) -> str:
        return f"Door({self.file}, {self.url})"  # never the key


def door(folder: Path) -> Door:
    """Where the serve of a data folder answers, and the key that opens it. Raises NotRunning, BadCredentials."""
    path = folder / "credentials.json"
    try:
        said = json.loads(path.read_text("utf-8"))
        found = Door(path, said["url"], said["api_key"])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotRunning.at(folder) from error
    except PermissionError as error:
        raise BadCredentials(
            f"{path} may be read by its owner only, and that is not you; run this as the user of the serve (sudo -u)"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        text = f"{path} cannot be used ({type(error).__name__}: {error}); restore it, or move it away and restart serve"
        raise BadCredentials(text) from error
    if found.url == "":  # a restored folder: nobody has listened for it yet
        raise NotRunning.at(folder)
    if not (isinstance(found.url, str) and isinstance(found.key, str) and found.url.startswith("http")):
        raise BadCredentials(f"{path} cannot be used: url and api_key must be text; restore it, or move it away")
    return found


class Remote:
    """Talks to the serve of one data folder with that folder's key."""

    def __init__(self, door: Door) -> None:
        import urllib3

        self._door = door
        self._was_there = False
        timeout = urllib3.Timeout(connect=CONNECT_S, read=ANSWER_S)
        self._pool = urllib3.PoolManager(num_pools=1, retries=False, timeout=timeout)
        self._headers = {"Authorization": f"Bearer {door.key}", "Accept": "application/json"}

    @classmethod
    def of(cls, folder: Path) -> Remote:
        """The serve of this data folder. Raises NotRunning when there cannot be one, BadCredentials."""
        return cls(door(folder))

    def get(self, path: str, **query: Any) -> Any:
        """What is there. Tried again when the connection breaks. Raises Refused, NotRunning."""
        return self._patiently(lambda: self._request("GET", path, query))

    def call(self, method: str, path: str, *, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """One request, once; the answer's JSON, None for an empty one. Raises Refused, NotRunning."""
        return self._request(method, path, query or {}, _packed(body))

    def create(self, path: str, body: Any, key: str | None = None) -> Any:
        """Make something new. Tried again when the connection breaks: its Idempotency-Key makes that safe."""
        data, headers = _packed(body), {"Idempotency-Key": key or str(uuid4())}
        return self._patiently(lambda: self._request("POST", path, {}, data, headers))

    def upload(self, document: Document, query: dict[str, Any], idempotency_key: str) -> Any:
        """Hand in a document as it is. Tried again when the connection breaks: the key makes that safe."""
        headers = {
            "Content-Type": "application/octet-stream", "Content-Length": str(document.size),
            "Idempotency-Key": idempotency_key,
        }  # fmt: skip

        def once() -> Any:
            with document.open() as file:
                return self._request("POST", "/v1/jobs", query, file, headers)

        return self._patiently(once)

    def _patiently(self, attempt: Callable[[], Any]) -> Any:
        """The result of the first attempt whose connection holds. Only a serve that was there before is waited for."""
        there = self._was_there
        for pause_s in PAUSES_S if there else FIRST_PAUSES_S:
            try:
                return attempt()
            except NotRunning as error:
                there = there or isinstance(error, Broken)
                if not there:
                    raise
            time.sleep(pause_s)
        return attempt()

    def _request(
        self, method: str, path: str, query: dict[str, Any], data: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        import urllib3

        given = urlencode({name: value for name, value in query.items() if value is not None}, errors="replace")
        url = f"{self._door.url}{path}" + (f"?{given}" if given else "")
        kind = {"Content-Type": "application/json"} if isinstance(data, bytes) else {}
        try:
            answer = self._pool.request(method, url, body=data, headers={**self._headers, **kind, **(headers or {})})
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            raise NotRunning.at(self._door.file.parent) from error
        except urllib3.exceptions.HTTPError as error:
            raise Broken(f"no answer from {self._door.url}; is `print-bridge serve` still running?") from error
        said = self._read(answer)
        self._was_there = True
        return said

    def _read(self, answer: urllib3.BaseHTTPResponse) -> Any:
        if answer.status == 204:
            return None
        try:
            content = json.loads(answer.data)
            if answer.status < 400 or (answer.status == 503 and "error" not in content):
                return content  # 503: of /v1/health, which tells what is dead
            said = content["error"]
            raise self._refusal(answer.status, said)
        except (ValueError, KeyError, TypeError, RecursionError) as error:  # no JSON, or none of ours
            raise self._stranger() from error

    def _refusal(self, status: int, said: dict[str, Any]) -> Refused:
        remedy = str(said["remedy"] or "")
        if status in (401, 403):
            remedy = f"{remedy}; {self._origin_of_the_key()}" if remedy else self._origin_of_the_key()
        return Refused(
            str(said["text"]), remedy=remedy, status=status, code=str(said["code"]), field=str(said.get("field") or "")
        )

    def _stranger(self) -> NotRunning:
        return NotRunning(f"{NotRunning.at(self._door.file.parent)}; at {self._door.url} another program answers")

    def _origin_of_the_key(self) -> str:
        return (
            f"the key came from {self._door.file}: if it was revoked, restart `print-bridge serve` to get a new one; "
            f"if the serve at {self._door.url} belongs to another folder, give that one with --data"
        )


def name_in_path(name: str) -> str:
    """A name or id as one part of a path."""
    return quote(name, safe="", errors="replace")


def _packed(body: Any) -> bytes | None:
    # A lone surrogate (an argument that is not UTF-8) becomes "?": no server could take it as it is.
    return None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
