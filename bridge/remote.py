"""The command line's way to the running serve: a small client of our own API."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from bridge.access.credentials import Credentials, load

NO_SERVE = "no print-bridge serve is running for the data folder {}; start it with `print-bridge serve`"


class NotRunning(Exception):
    """Nobody answers at the address in credentials.json."""


class Refused(Exception):
    """The serve said no; the text is its own."""


class Remote:
    """Talks to the serve of one data folder with that folder's key."""

    def __init__(self, credentials: Credentials) -> None:
        self._base = credentials.url
        self._pool = urllib3.PoolManager(num_pools=1, retries=False, timeout=urllib3.Timeout(connect=3, read=60))
        self._headers = {"Authorization": f"Bearer {credentials.api_key}", "Accept": "application/json"}

    @classmethod
    def of(cls, folder: Path) -> Remote:
        """The serve of this data folder. Raises NotRunning."""
        credentials = load(folder / "credentials.json")
        if credentials is None:
            raise NotRunning(NO_SERVE.format(folder))
        remote = cls(credentials)
        try:
            remote.call("GET", "/v1/jobs", query={"limit": 1})
        except Refused as error:
            raise NotRunning(f"{NO_SERVE.format(folder)}; at {credentials.url} another program answers") from error
        return remote

    def call(self, method: str, path: str, *, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """One request; the answer's JSON. Raises Refused, NotRunning."""
        data = None if body is None else json.dumps(body).encode()
        return self._request(method, path, query, data, {})

    def upload(self, document: Path | bytes, query: dict[str, Any], idempotency_key: str) -> Any:
        """Hand in a document as it is. Repeated on a broken connection: the key makes that safe."""
        headers = {"Content-Type": "application/octet-stream", "Idempotency-Key": idempotency_key}
        for tries_left in (2, 1, 0):
            try:
                if isinstance(document, bytes):
                    return self._request("POST", "/v1/jobs", query, document, headers)
                headers["Content-Length"] = str(document.stat().st_size)
                with document.open("rb") as file:
                    return self._request("POST", "/v1/jobs", query, file, headers)
            except NotRunning:
                if not tries_left:
                    raise
                time.sleep(0.5)

    def _request(self, method: str, path: str, query: dict[str, Any] | None, data: Any, headers: dict[str, str]) -> Any:
        given = {k: v for k, v in (query or {}).items() if v is not None}
        url = f"{self._base}{quote(path)}{'?' + urlencode(given) if given else ''}"
        try:
            answer = self._pool.request(method, url, body=data, headers={**self._headers, **headers})
        except urllib3.exceptions.HTTPError as error:
            raise NotRunning(f"no answer from {self._base}; is `print-bridge serve` running?") from error
        return _read(answer)


def _read(answer: urllib3.BaseHTTPResponse) -> Any:
    try:
        content = json.loads(answer.data)
    except ValueError as error:
        raise Refused(f"http {answer.status} and no JSON: another program may be using that port") from error
    if answer.status >= 400 and "error" in content:
        error_ = content["error"]
        raise Refused(f"{error_['text']}; {error_['remedy']}" if error_.get("remedy") else error_["text"])
    return content
