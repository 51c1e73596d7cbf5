"""Secrets taken out of texts: the last guard in front of the log, for what should never have been written.

Two nets. Texts that were registered (`remember`: this bridge's own keys, the clouds' passwords) disappear wherever they
stand and however they are quoted. And whatever has the shape of a secret disappears, known or not: API keys, the values
of Authorization and X-API-Key, userinfo and query of a URL, members called password, secret, token and the like.

Most log lines hold nothing of the kind, so all of them pay only for a few searches that the C library does.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 4
"""Characters of the shortest secret that is masked by itself. Shorter ones protect nothing and occur in every word.

It must stay above the length of MASK: each replacement makes the text shorter, so replacing until none is left ends.
"""

_known: tuple[str, ...] = ()  # longest first: a secret may be a part of another one
_learning = threading.Lock()

# In lower case. A text with none of these and no known secret is as it should be.
_TRACES = (
    "?", "://", "pb_", "cl-", "pk_", "basic", "bearer", "auth", "api", "passw", "passphrase", "pwd", "secret", "token",
    "cookie", "credential", "signature",
)  # fmt: skip

_KEY = re.compile(r"\b(pb_|pk_(?:live|test)_)[0-9A-Za-z]{8,}|\b(cl-)(?=[A-Za-z_-]{0,64}[0-9])[0-9A-Za-z_-]{12,}")
_HEADER = re.compile(
    r"""\b((?:proxy-)?authorization|x-api-key|x-[\w-]{0,40}(?:token|secret|signature)|(?:set-)?cookie)"""
    r"""(\\*["']?\s*[:=,]\s*(?:b?\\*["'])?)[^\r\n"']+""",
    re.I,
)
_SCHEME = re.compile(r"""\b(basic|bearer)(\s+|%20|\+)[^\s"',;)]+""", re.I)
_MEMBER = re.compile(
    r"""(passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|credentials?|signature)([\w-]{0,40})"""
    r"""(\\*["']?\s*[:=]\s*)"""
    r"""(?:(\\+["']).*?(?:(?<!\\)\4|$)|b?"(?:[^"\\]|\\.)*"?|b?'(?:[^'\\]|\\.)*'?|[\[{][^\]}]*|[^\s,;&}\])"']+)""",
    re.I | re.S,
)
_URL = re.compile(r"""://[^\s"<>]+""")
_PORT = re.compile(r":[0-9]{0,5}$")
_QUERY = re.compile(r"""(?<=\S)\?(?=[\w%&=])[^\s"<>]+""")


def remember(*secrets: str | None) -> None:
    """From now on these texts appear in no log line, nor as JSON, repr() or percent-encoding would write them.

    None and texts below SHORTEST characters are passed over, so that settings can be handed in as they are.
    """
    global _known
    with _learning:
        spelled = {way for secret in secrets if secret for way in _spellings(secret) if len(way) >= SHORTEST}
        _known = tuple(sorted({*_known, *spelled}, key=lambda text: (-len(text), text)))


def _spellings(secret: str) -> set[str]:
    """The ways a text finds into other texts. Surrogates, which cannot be percent-encoded, come out of os.environ."""
    encoded = secret.encode("utf-8", "surrogatepass")
    return {
        secret, repr(secret)[1:-1], printable(secret), json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1], quote(encoded), quote(encoded, safe=""), quote_plus(encoded),
        secret.replace("%", "%%"),  # a format whose arguments do not fit is shown as it stands
    }  # fmt: skip


def printable(text: str) -> str:
    """The text on one line, unable to do anything to a terminal: control characters as backslash escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def redact(text: str) -> str:
    """The text without its secrets."""
    clean = _without_known(text)
    lower = clean.lower()
    for trace in _TRACES:
        if trace in lower:
            # Once more: what the patterns cut away may have brought the halves of a known secret together.
            return _without_known(_without_shapes(clean))
    return clean


def _without_known(text: str) -> str:
    """Until none is left: two neighbors that are masked may form a third."""
    before = None
    while before != text:
        before = text
        for secret in _known:
            if secret in text:
                text = text.replace(secret, MASK)
    return text


def _without_shapes(text: str) -> str:
    # URLs come first: the words in their queries look like members, and a query goes as a whole.
    text = _URL.sub(_bare, text)
    text = _QUERY.sub("?...", text)
    text = _HEADER.sub(rf"\1\2{MASK}", text)
    text = _SCHEME.sub(rf"\1 {MASK}", text)
    text = _MEMBER.sub(rf"\1\2\3{MASK}", text)
    return _KEY.sub(lambda key: f"{key[1] or key[2]}{MASK}", text)


def _bare(url: re.Match[str]) -> str:
    """://user:password@host/path?query#fragment -> ://***@host/path?..."""
    text = url[0][3:]
    authority = re.split(r"[/?#]", text, maxsplit=1)[0]
    host = re.sub(r"\[[^][]*\]", "", authority)  # the colons of an IPv6 address announce no password
    if "@" in text and "@" not in authority and ":" in host and not _PORT.search(host):
        # A password that should have been percent-encoded: everything up to the last @ may be a part of it.
        text = f"{MASK}@{text.rpartition('@')[2]}"
    end = re.search(r"[?#]", text)
    path, rest = (text[: end.start()], "?...") if end else (text, "")
    return "://" + "://".join(_without_userinfo(part) for part in path.split("://")) + rest


def _without_userinfo(text: str) -> str:
    authority, slash, path = text.partition("/")
    userinfo, at, host = authority.rpartition("@")
    return f"{MASK}@{host}{slash}{path}" if at and userinfo else text


class Redactor(logging.Filter):
    """Lets every record pass, without its secrets: message, arguments, traceback and stack.

    A record that holds none stays untouched. One that does gets its finished text as message and no arguments left.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "redacted", False):  # by the same filter on another handler
            return True
        said = _said(record)
        clean = redact(said)
        if clean != said or record.args is _BROKEN:
            record.msg, record.args = clean, ()
        if record.exc_info and not record.exc_text:
            record.exc_text = _TRACEBACKS.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        record.redacted = True
        return True


_TRACEBACKS = logging.Formatter()
_BROKEN = ("these arguments did not fit",)


def _said(record: logging.LogRecord) -> str:
    """The message. Arguments that do not fit are a bug of ours, and no reason to lose what was to be said."""
    try:
        return record.getMessage()
    except Exception as error:
        said = f"{record.msg!s} (arguments that do not fit: {type(error).__name__}: {_shown(record.args)})"
        record.args = _BROKEN
        return said


def _shown(args: object) -> str:
    try:
        return repr(args)
    except Exception as error:
        return f"not to be shown either, {type(error).__name__}"
