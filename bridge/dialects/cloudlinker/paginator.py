"""Laravel's paginator, which every list of Cloudlinker comes in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from pydantic import AliasChoices, Field

from bridge.dialects.cloudlinker.fields import Fields, Whole

SIZE, SIZE_MAX = 20, 100  # rows of a page
_PAGE_MAX = 10_000_000
_EACH_SIDE = 3  # pages named on each side of the current one


class Page(Fields):
    """Which rows are wanted. pagination and page are the seed's; per_page, limit and offset its clients'."""

    pagination: Whole = Field(SIZE, validation_alias=AliasChoices("pagination", "per_page", "limit"))
    page: Whole = 1
    offset: Whole | None = None

    @property
    def size(self) -> int:
        return min(max(self.pagination, 1), SIZE_MAX)

    @property
    def start(self) -> int:
        """Rows before the first one wanted."""
        if self.offset is not None:
            return max(self.offset, 0)
        return (min(max(self.page, 1), _PAGE_MAX) - 1) * self.size


class Links:
    """Absolute addresses of the pages of one list. query: what the caller's own query string said."""

    def __init__(self, path: str, query: Mapping[str, str]) -> None:
        self.path = path
        self._query = {name: value for name, value in query.items() if name not in ("page", "offset")}

    def __call__(self, page: int) -> str:
        return f"{self.path}?{urlencode({**self._query, 'page': page})}"


def paginated(rows: list[dict[str, Any]], total: int, page: Page, links: Links) -> dict[str, Any]:
    """One page of a list. total: rows of the whole list."""
    current, last = page.start // page.size + 1, max(1, -(-total // page.size))
    previous = links(current - 1) if current > 1 else None
    following = links(current + 1) if current < last else None
    return {
        "data": rows,
        "links": {"first": links(1), "last": links(last), "prev": previous, "next": following},
        "meta": {
            "current_page": current,
            "from": page.start + 1 if rows else None,
            "last_page": last,
            "links": [
                _link(previous, "« Previous"),
                *_numbered(current, last, links),
                _link(following, "Next »"),
            ],
            "path": links.path,
            "per_page": page.size,
            "to": page.start + len(rows) if rows else None,
            "total": total,
        },
    }


def _link(url: str | None, label: str, *, active: bool = False) -> dict[str, Any]:
    return {"url": url, "label": label, "active": active}


def _numbered(current: int, last: int, url: Callable[[int], str]) -> list[dict[str, Any]]:
    links: list[dict[str, Any]] = []
    for pages in _window(current, last):
        if links:
            links.append(_link(None, "..."))
        links += [_link(url(page), str(page), active=page == current) for page in pages]
    return links


def _window(current: int, last: int) -> list[Iterable[int]]:
    """The runs of pages that get a link: illuminate/pagination, UrlWindow.php."""
    near = _EACH_SIDE + 4
    if last < _EACH_SIDE * 2 + 8:
        return [range(1, last + 1)]
    if current <= near:
        return [range(1, near + _EACH_SIDE + 1), range(last - 1, last + 1)]
    if current > last - near:
        return [range(1, 3), range(last - near - _EACH_SIDE + 1, last + 1)]
    return [range(1, 3), range(current - _EACH_SIDE, current + _EACH_SIDE + 1), range(last - 1, last + 1)]
