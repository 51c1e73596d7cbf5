"""The directory: organizations and their users, groups and cards. One for all served APIs.

An organization is what Cloudlinker calls so, a Printix tenant, an Olin account (or one of its sub-accounts).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Any

from bridge.access.keys import KeyRing, digest
from bridge.access.passwords import hashed, matches
from bridge.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthorized
from bridge.model import Card, Device, Group, Key, Organization, User, new_id
from bridge.store import Store

PLANS = ("free", "professional", "enterprise")
ROLES = ("admin", "user", "guest")
SUB_ACCOUNTS = 50  # of one integrator
PASSWORD_MIN, PASSWORD_MAX = 8, 1024  # characters
NAME_MAX = 255
GUESSES, GUESS_SPAN_S = 5, 60.0  # wrong passwords for one address from one place, before it has to wait
GUESSES_FROM_ALL = 100  # ... for one address from everywhere
GUESSES_FROM_ONE = 30  # ... from one place for all addresses: each costs a slow hash
TOKEN_KEPT_S = 30 * 86400.0  # seconds a token is known after it was over
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,190}")
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


_Guesser = tuple[str | None, str | None]
"""(caller, e-mail address) of wrong passwords that are counted together; None: any."""


class People:
    """Every command on who there is. Raises a BridgeError that says why something cannot be done."""

    def __init__(self, store: Store, ring: KeyRing) -> None:
        self._store = store
        self._ring = ring
        self._guesses: OrderedDict[_Guesser, list[float]] = OrderedDict()
        self._lock = threading.Lock()
        self._registering = threading.Lock()
        self._counting = threading.Lock()  # one at a time of what may be there only so often
        self._turns = tuple(threading.Lock() for _ in range(16))

    # -- organizations --

    def organizations(self, *, parent_id: str | None = None) -> list[Organization]:
        """All of them, or one's sub-accounts."""
        return self._store.organizations.listing(parent_id=parent_id)

    def organization(self, organization_id: str) -> Organization:
        """The organization, or NotFound."""
        found = self._store.organizations.get(organization_id)
        if found is None:
            raise NotFound(f"there is no organization {organization_id[:64]!r}", field="organization",
                           remedy="`print-bridge orgs` lists them by id")  # fmt: skip
        return found

    def create_organization(
        self, name: str, *, organization_id: str | None = None, parent_id: str | None = None, plan: str | None = None,
        jobs_quota: int | None = None,
    ) -> Organization:  # fmt: skip
        """A new one, without users and keys. Raises Invalid, NotFound (parent), Conflict (its id, too many)."""
        _check_name(name)
        _check_plan(plan, jobs_quota)
        if organization_id is not None and not _ID.fullmatch(organization_id):
            raise Invalid("an id is 1 to 64 letters, digits and hyphens", field="id", remedy="leave it out for a UUID")
        with self._counting:
            self._check_parent(parent_id)
            try:
                return self._store.organizations.add(
                    organization_id or new_id(), name.strip(), parent_id=parent_id, plan=plan, jobs_quota=jobs_quota
                )
            except sqlite3.IntegrityError as error:
                raise Conflict(f"there is an organization {organization_id!r} already", field="id", code="id_taken",
                               remedy="use another id") from error  # fmt: skip

    def _check_parent(self, parent_id: str | None) -> None:
        if parent_id is None:
            return
        self.organization(parent_id)
        if len(self.organizations(parent_id=parent_id)) >= SUB_ACCOUNTS:
            raise Forbidden(f"the account has {SUB_ACCOUNTS} sub-accounts already", code="too_many_sub_accounts",
                            remedy="use one of those")  # fmt: skip

    def change_organization(self, organization_id: str, **columns: Any) -> Organization:
        """columns: name, plan, jobs_quota, jobs_used, disabled (True, False). Raises Invalid, NotFound, Conflict."""
        now = self.organization(organization_id)
        if "name" in columns:
            _check_name(columns["name"])
        _check_plan(columns.get("plan"), columns.get("jobs_quota"))
        disabled = columns.pop("disabled", None)
        if disabled and now.id == self._store.organizations.first():
            raise Conflict("this is the bridge's own organization", code="is_self", remedy="switch another one off")
        if disabled is not None:
            columns["disabled_at"] = time.time() if disabled else None
        changed = self._store.organizations.update(organization_id, **columns)
        if disabled is not None:
            self._ring.reload()
        return changed or now

    def lend(self, device: Device, organization_id: str, lent: bool = True) -> None:
        """Let another organization print on a device, or not any more. Raises NotFound, Conflict (its own)."""
        self.organization(organization_id)
        if device.organization_id == organization_id:
            raise Conflict(f"{device.name} belongs to that organization", code="own_device",
                           remedy="name another organization")  # fmt: skip
        self._store.devices.lend(device.id, organization_id, lent)

    # -- users --

    def users(
        self, organization_id: str, *, q: str | None = None, limit: int = 50, offset: int = 0
    ) -> tuple[list[User], int]:
        """One page, and how many there are."""
        return self._store.users.page(organization_id, q=q, limit=limit, offset=offset)

    def user(self, organization_id: str, user_id: str) -> User:
        """The user, or NotFound."""
        found = self._store.users.get(organization_id, user_id)
        if found is None:
            raise NotFound(f"there is no user {user_id[:64]!r}", field="user",
                           remedy="`print-bridge users` lists them by id")  # fmt: skip
        return found

    def create_user(
        self, organization_id: str, *, name: str, email: str | None = None, password: str | None = None,
        role: str = "user", pin: str | None = None, id_code: str | None = None, expires_at: float | None = None,
        user_id: str | None = None,
    ) -> User:  # fmt: skip
        """A new one. password None: nobody can log in as it. Raises Invalid, NotFound, Conflict (email_taken)."""
        self.organization(organization_id)
        columns = _user_columns(name=name, email=email, password=password, role=role, pin=pin, id_code=id_code)
        try:
            return self._store.users.add(organization_id, **columns, expires_at=expires_at, id=user_id or new_id())
        except sqlite3.IntegrityError as error:
            raise _email_taken() from error

    def register(
        self, *, name: str, email: str, password: str, parent_id: str | None = None, plan: str | None = None,
        jobs_quota: int | None = None,
    ) -> tuple[Organization, User]:  # fmt: skip
        """A new account: an organization and the user who looks after it. Raises as create_organization and create_user
        do; then there is neither."""
        columns = _user_columns(name=name, email=email, password=password, role="admin")
        with self._registering:  # or two at once find the address, or the last place of a sub-account, free
            if self._store.users.by_email(columns["email"]) is not None:
                raise _email_taken()
            organization = self.create_organization(name, parent_id=parent_id, plan=plan, jobs_quota=jobs_quota)
            try:
                return organization, self._store.users.add(organization.id, **columns)
            except sqlite3.IntegrityError as error:
                raise _email_taken() from error

    def change_user(self, organization_id: str, user_id: str, **columns: Any) -> User:
        """columns: as in create_user, and disabled (True, False). A new password ends every token of the user.

        Raises Invalid, NotFound, Conflict (email_taken).
        """
        now = self.user(organization_id, user_id)
        disabled = columns.pop("disabled", None)
        expires = {"expires_at": columns.pop("expires_at")} if "expires_at" in columns else {}
        changes = {**_user_columns(**columns), **expires}
        if disabled is not None:
            changes["disabled_at"] = time.time() if disabled else None
        try:
            changed = self._store.users.update(organization_id, user_id, **changes)
        except sqlite3.IntegrityError as error:
            raise _email_taken() from error
        if "password" in changes or disabled:
            self.end_tokens(user_id)
        else:
            self._ring.refresh(self._store.keys.of_user(user_id))  # keys are over no later than their user
        return changed or now

    def delete_user(self, organization_id: str, user_id: str) -> None:
        """Forget a user; tokens and cards open nothing any more. Raises NotFound."""
        self.user(organization_id, user_id)
        self._store.users.delete(organization_id, user_id)
        self._ring.refresh(self._store.keys.of_user(user_id))

    def login(self, email: str, password: str, *, caller: str = "") -> User:
        """Who this is. Raises Unauthorized, with one text for every reason, and TooMany after a few wrong guesses.

        caller: from where it is tried: who guesses at somebody's password locks himself out, not that person (until
        guesses come from everywhere).
        """
        address = email.strip().lower()[:NAME_MAX]
        pair, place, person = (caller, address), (caller, None), (None, address)
        # One guess at an address after the other, or a hundred at once would all be let through before the first fails.
        with self._turns[hash(address) % len(self._turns)]:
            for who, most in ((pair, GUESSES), (place, GUESSES_FROM_ONE), (person, GUESSES_FROM_ALL)):
                self._check_guesses(who, most)
            user = self._store.users.by_email(address)
            right = matches(password[: PASSWORD_MAX + 1], user.password if user is not None else None)
            if not right or user is None or not self._is_active(user):
                for who in (pair, place, person):
                    self._guessed(who)
                raise Unauthorized("the e-mail address or the password is wrong", code="wrong_password",
                                   remedy="try again, or ask whoever looks after this bridge")  # fmt: skip
            with self._lock:
                self._guesses.pop(pair, None)
                self._guesses.pop(person, None)  # not its place's: a guesser may have an account of his own
            return user

    def is_password(self, user: User, password: str) -> bool:
        """Whether this is the user's. Not counted as a guess: for callers that may set it anyway."""
        return matches(password, user.password)

    def _is_active(self, user: User) -> bool:
        if user.disabled_at is not None or (user.expires_at is not None and user.expires_at <= time.time()):
            return False
        organization = self._store.organizations.get(user.organization_id)
        return organization is not None and organization.disabled_at is None

    def _check_guesses(self, who: _Guesser, most: int) -> None:
        with self._lock:
            seen = [at for at in self._guesses.get(who, ()) if at > time.monotonic() - GUESS_SPAN_S]
            if len(seen) >= most:
                wait = max(1, round(seen[0] + GUESS_SPAN_S - time.monotonic()))
                raise TooMany("too many wrong passwords", retry_after_s=wait,
                              remedy=f"wait {wait} s")  # fmt: skip

    def _guessed(self, who: _Guesser) -> None:
        with self._lock:
            now = time.monotonic()
            kept = [at for at in self._guesses.pop(who, []) if at > now - GUESS_SPAN_S]
            self._guesses[who] = [*kept, now]
            while len(self._guesses) > 10_000:
                self._guesses.popitem(last=False)

    # -- tokens --

    def token_for(
        self, organization_id: str, *, kind: str, name: str, scopes: Collection[str], user_id: str | None = None,
        prefix: str = "", lifetime_s: float | None = None,
    ) -> tuple[Key, str]:  # fmt: skip
        """(the key, its text, told this once) of another API's kind. prefix: what its text begins with.

        There may be one for each login, so their texts are not remembered for the log's sake: they never get near it.
        """
        text = prefix + secrets.token_hex(24)
        expires_at = None if lifetime_s is None else time.time() + lifetime_s
        key = Key(
            new_id(), organization_id, name, digest(text), frozenset(scopes), frozenset(), time.time(), kind=kind,
            user_id=user_id, expires_at=expires_at,
        )  # fmt: skip
        self._store.keys.issue(key)
        self._ring.refresh([key.id])
        return key, text

    def key(self, text: str) -> Key | None:
        """The key or token with this text; None when it opens nothing."""
        return self._ring.find(text)

    def trim_tokens(self, user_id: str, kind: str, keep: int) -> None:
        """Of a user's tokens of one kind only the newest go on opening something: programs log in again and again."""
        self._ring.refresh(self._store.keys.trim(user_id, kind, keep))

    def end_tokens(self, user_id: str) -> None:
        """Every key and token of a user opens nothing any more."""
        self._store.keys.revoke_of(user_id)
        self._ring.refresh(self._store.keys.of_user(user_id))

    def sweep(self, now: float) -> int:
        """Forget the tokens that were over a month ago; until then a job still knows whose it is. How many.

        now: Unix seconds.
        """
        swept = self._store.keys.sweep(now - TOKEN_KEPT_S)
        self._ring.reload()  # it leaves out what is over by now
        return swept

    # -- groups --

    def groups(self, organization_id: str) -> list[Group]:
        return self._store.groups.listing(organization_id)

    def create_group(
        self, organization_id: str, name: str, external_id: str | None = None, *, group_id: str | None = None
    ) -> Group:
        """Raises Invalid, NotFound, Conflict (name_taken)."""
        self.organization(organization_id)
        _check_name(name)
        try:
            return self._store.groups.add(organization_id, name.strip(), external_id, group_id=group_id)
        except sqlite3.IntegrityError as error:
            raise Conflict(f"there is a group {name[:64]!r} already", field="name", code="name_taken",
                           remedy="use that one, or another name") from error  # fmt: skip

    def group(self, organization_id: str, group_id: str) -> Group:
        """The group, or NotFound."""
        found = self._store.groups.get(organization_id, group_id)
        if found is None:
            raise NotFound(f"there is no group {group_id[:64]!r}", field="group", remedy="list the groups")
        return found

    def delete_group(self, organization_id: str, group_id: str) -> None:
        """Forget a group; its members stay. Raises NotFound."""
        self.group(organization_id, group_id)
        self._store.groups.delete(organization_id, group_id)

    def put_in_groups(self, organization_id: str, user_id: str, group_ids: Iterable[str]) -> None:
        """A user is in these groups, and in no others. Raises NotFound."""
        self.user(organization_id, user_id)
        wanted = [self.group(organization_id, group_id).id for group_id in group_ids]
        self._store.groups.put(user_id, wanted)

    # -- cards --

    def cards(self, organization_id: str, user_id: str) -> list[Card]:
        self.user(organization_id, user_id)
        return self._store.cards.listing(organization_id, user_id)

    def add_card(self, organization_id: str, user_id: str, number: str, *, card_id: str | None = None) -> Card:
        """A card for a user. Raises Invalid, NotFound, Conflict (card_taken: somebody of the organization has it)."""
        self.user(organization_id, user_id)
        if not 1 <= len(number) <= NAME_MAX:
            raise Invalid(f"a card's number has 1 to {NAME_MAX} characters", field="secret")
        salt = secrets.token_hex(16)
        with self._counting:
            if self.find_card(organization_id, number) is not None:
                raise Conflict("this card is somebody's already", field="secret", code="card_taken",
                               remedy="remove it there first")  # fmt: skip
            return self._store.cards.add(
                organization_id, user_id, salt, _card_hash(salt, number), card_id=card_id
            )  # fmt: skip

    def find_card(self, organization_id: str, number: str) -> Card | None:
        """The card with this number, None when it is nobody's."""
        cards = self._store.cards.listing(organization_id)
        return next((card for card in cards if self.is_number(card, number)), None)

    def is_number(self, card: Card, number: str) -> bool:
        """Whether a card has this number."""
        return hmac.compare_digest(card.hash, _card_hash(card.salt, number))

    def delete_card(self, organization_id: str, card_id: str) -> None:
        """Raises NotFound."""
        if not self._store.cards.delete(organization_id, card_id):
            raise NotFound(f"there is no card {card_id[:64]!r}", field="card", remedy="list the user's cards")


def _user_columns(**given: Any) -> dict[str, Any]:
    """What is given, checked and as it is stored. Raises Invalid."""
    columns = dict(given)
    if columns.get("name") is not None:
        _check_name(columns["name"])
        columns["name"] = columns["name"].strip()
    if columns.get("email") is not None:
        columns["email"] = _checked_email(columns["email"])
    if columns.get("role") is not None and columns["role"] not in ROLES:
        raise Invalid(f"unknown role {str(columns['role'])[:64]!r}", field="role", remedy=f"use {', '.join(ROLES)}")
    for secret, least in (("password", PASSWORD_MIN), ("pin", 4)):
        text = columns.get(secret)
        if text is not None:
            if not least <= len(text) <= PASSWORD_MAX:
                raise Invalid(f"a {secret} has {least} to {PASSWORD_MAX} characters", field=secret)
            columns[secret] = hashed(text)
    return columns


def _checked_email(email: str) -> str:
    text = email.strip().lower()
    if not _EMAIL.fullmatch(text):
        raise Invalid("this is not an e-mail address", field="email", remedy="write it as name@shop.example")
    return text


def _check_name(name: str) -> None:
    if not 1 <= len(name.strip()) <= NAME_MAX or not name.isprintable():
        raise Invalid(f"a name is 1 to {NAME_MAX} printable characters", field="name")


def _check_plan(plan: str | None, jobs_quota: int | None) -> None:
    if plan is not None and plan not in PLANS:
        raise Invalid(f"unknown plan {plan[:64]!r}", field="plan", remedy=f"use {', '.join(PLANS)}")
    if jobs_quota is not None and not 0 <= jobs_quota <= 10**12:
        raise Invalid("a quota is a number of jobs, 0 or more", field="jobs_quota")


def _email_taken() -> Conflict:
    return Conflict("this e-mail address is somebody's already", field="email", code="email_taken",
                    remedy="log in, or use another one")  # fmt: skip


def _card_hash(salt: str, number: str) -> str:
    """HMAC-SHA256 with the card's salt. Card numbers are short: the database is to be kept safe all the same."""
    return hmac.digest(bytes.fromhex(salt), number.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()
