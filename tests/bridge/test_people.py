"""The directory: who there is, what they may know, and what nobody may find out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.access.keys import KeyRing, digest
from bridge.access.office import KeyOffice
from bridge.access.passwords import hashed, matches
from bridge.access.people import GUESSES, GUESSES_FROM_ONE, SUB_ACCOUNTS, People
from bridge.dialects.v1 import DIALECT
from bridge.errors import BridgeError, Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthorized
from bridge.store import Store
from bridge.store.directory import use_job
from tests.bridge.shop import until

OWN = "0197df47-871f-72d1-95df-2bfb0c18529a"
TENANT = "0197df47-0000-72d1-95df-2bfb0c18529a"
EMAIL, PASSWORD = "ada@shop.example", "correct horse battery"


class Town:
    """Two organizations and the directory. The first is the bridge's own."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.ring = KeyRing(self.store)
        self.people = People(self.store, self.ring)
        self.office = KeyOffice(self.store, self.ring)
        for organization_id, name in ((OWN, "shop"), (TENANT, "tenant")):
            self.people.create_organization(name, organization_id=organization_id)

    def ada(self, **more: Any) -> str:
        return self.people.create_user(TENANT, name="Ada", email=EMAIL, password=PASSWORD, **more).id

    def token(self, user_id: str | None = None, **more: Any) -> str:
        wanted = {"kind": "olin", "name": "login", "scopes": ["jobs"], "user_id": user_id, **more}
        return self.people.token_for(TENANT, **wanted)[1]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path)
    yield town
    town.store.close()


def refusal(attempt: Callable[[], Any]) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        attempt()
    return caught.value


# ---- passwords --------------------------------------------------------------------------------------------------


def test_a_password_is_kept_as_a_hash_with_a_salt_of_its_own() -> None:
    one, two = hashed(PASSWORD), hashed(PASSWORD)
    assert one != two and PASSWORD not in one and one.startswith("scrypt$16384$8$1$")
    assert matches(PASSWORD, one) and matches(PASSWORD, two)
    assert not matches(PASSWORD + " ", one) and not matches("", one)
    assert matches("\udcff\u0000", hashed("\udcff\u0000"))


@pytest.mark.parametrize("kept", [None, "", "plain", "scrypt$x$8$1$00$00", "scrypt$16384$8$1$zz$00", "md5$1$1$1$00$00"])
def test_what_is_no_hash_is_nobodys_password(kept: str | None) -> None:
    assert not matches("", kept) and not matches(PASSWORD, kept)


def test_nobodys_password_takes_as_long_as_somebodys() -> None:
    kept, times = hashed(PASSWORD), {}
    for against in (kept, None):
        began = time.thread_time()
        for _ in range(5):
            matches("wrong horse", against)
        times[against] = time.thread_time() - began
    assert 0.4 < times[None] / times[kept] < 2.5


def test_no_secret_is_in_the_database_in_clear(town: Town, tmp_path: Path) -> None:
    user = town.ada(pin="739154")
    town.people.add_card(TENANT, user, "04:A2:3B:91:77")
    token = town.token(user)
    town.store.engine.write(lambda db: None)
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("bridge.db*"))
    assert EMAIL.encode() in kept  # so the right files were read
    for secret in (PASSWORD, "739154", "04:A2:3B:91:77", token):
        assert secret.encode() not in kept and secret.encode("utf-16-le") not in kept


# ---- logging in -------------------------------------------------------------------------------------------------


def test_who_knows_the_password_is_let_in_whatever_the_case_of_the_address(town: Town) -> None:
    user = town.ada()
    assert town.people.login(f" {EMAIL.upper()} ", PASSWORD).id == user


def test_every_reason_for_a_refusal_has_one_text(town: Town) -> None:
    town.ada()
    keyless = town.people.create_user(TENANT, name="Bob", email="bob@shop.example").email
    gone = town.people.create_user(TENANT, name="Eve", email="eve@shop.example", password=PASSWORD)
    town.people.change_user(TENANT, gone.id, disabled=True)
    late = town.people.create_user(
        TENANT, name="Old", email="old@shop.example", password=PASSWORD, expires_at=time.time() - 1
    ).email
    told = {
        (error.text, error.code, error.http)
        for email, word in ((EMAIL, "wrong horse"), (keyless, ""), (keyless, PASSWORD), ("nobody@x.example", PASSWORD),
                            (gone.email, PASSWORD), (late, PASSWORD), ("", ""), (EMAIL, "x" * 5000))
        for error in [refusal(lambda email=email, word=word: town.people.login(email or "", word))]
    }  # fmt: skip
    assert told == {("the e-mail address or the password is wrong", "wrong_password", 401)}


def test_after_five_wrong_passwords_even_the_right_one_has_to_wait(town: Town) -> None:
    town.ada()
    for _ in range(GUESSES):
        assert isinstance(refusal(lambda: town.people.login(EMAIL, "wrong horse")), Unauthorized)
    for who in (EMAIL, EMAIL.upper()):
        error = refusal(lambda who=who: town.people.login(who, PASSWORD))
        assert isinstance(error, TooMany) and 0 < error.retry_after_s <= 60
    body, headers = DIALECT.error(error)
    assert error.http == 429 and headers["Retry-After"] == str(error.retry_after_s) and PASSWORD not in str(body)


def test_guessing_at_addresses_that_are_nobodys_is_limited_in_the_same_words(town: Town) -> None:
    town.ada()
    told = set()
    for who in (EMAIL, "nobody@shop.example"):
        for _ in range(GUESSES):
            refusal(lambda who=who: town.people.login(who, "wrong horse"))
        error = refusal(lambda who=who: town.people.login(who, "wrong horse"))
        told.add((type(error), error.text))
    assert len(told) == 1


def test_a_right_password_in_between_forgives_the_wrong_ones(town: Town) -> None:
    town.ada()
    for _ in range(3):
        for _ in range(GUESSES - 1):
            refusal(lambda: town.people.login(EMAIL, "wrong horse"))
        assert town.people.login(EMAIL, PASSWORD)


def test_who_guesses_locks_himself_out_and_not_the_person(town: Town) -> None:
    town.ada()
    for _ in range(GUESSES):
        refusal(lambda: town.people.login(EMAIL, "wrong horse", caller="10.0.0.66"))
    assert isinstance(refusal(lambda: town.people.login(EMAIL, PASSWORD, caller="10.0.0.66")), TooMany)
    assert town.people.login(EMAIL, PASSWORD, caller="10.0.0.7")


def test_who_guesses_at_many_peoples_passwords_has_to_wait_and_only_he(town: Town) -> None:
    town.ada()
    own = town.people.create_user(TENANT, name="Eve", email="eve@shop.example", password=PASSWORD)
    assert own.email is not None
    for number in range(GUESSES_FROM_ONE):
        wrong = refusal(lambda number=number: town.people.login(f"{number}@shop.example", PASSWORD, caller="10.0.0.66"))
        assert isinstance(wrong, Unauthorized)
        if number == GUESSES:
            assert town.people.login(own.email, PASSWORD, caller="10.0.0.66")  # which forgives nothing
    error = refusal(lambda: town.people.login(EMAIL, PASSWORD, caller="10.0.0.66"))
    assert isinstance(error, TooMany) and 0 < error.retry_after_s <= 60
    assert town.people.login(EMAIL, PASSWORD, caller="10.0.0.7")


def test_thirty_guesses_at_once_are_five(town: Town) -> None:
    town.ada()
    gate, refused = threading.Barrier(30), []

    def guess() -> None:
        gate.wait()
        refused.append(type(refusal(lambda: town.people.login(EMAIL, "wrong horse"))))

    in_threads(guess, 30)
    assert refused.count(Unauthorized) == GUESSES and refused.count(TooMany) == 30 - GUESSES


def in_threads(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---- tokens -----------------------------------------------------------------------------------------------------


def test_a_token_opens_until_it_is_over(town: Town) -> None:
    short, long = town.token(lifetime_s=3, prefix="12|"), town.token(lifetime_s=600)
    key = town.ring.find(short)
    assert key is not None and town.ring.holds(key.id) and short.startswith("12|")
    until(lambda: town.ring.find(short) is None)
    assert not town.ring.holds(key.id)
    assert town.ring.find(long) is not None
    town.ring.reload()
    assert town.ring.find(short) is None and town.ring.find(long) is not None


def test_a_token_ends_with_its_user(town: Town) -> None:
    user = town.ada()
    for end in (
        lambda: town.people.change_user(TENANT, user, password="another horse"),
        lambda: town.people.change_user(TENANT, user, disabled=True),
        lambda: town.people.change_user(TENANT, user, disabled=False, expires_at=time.time() - 1),
        lambda: town.people.delete_user(TENANT, user),
    ):
        other, token = town.token(), town.token(user)
        if town.ring.find(token) is None:  # a guest that is over gets none that opens anything
            town.people.change_user(TENANT, user, disabled=False, expires_at=None)
        end()
        assert town.ring.find(token) is None and town.ring.find(other) is not None


def test_a_guests_token_ends_when_the_guest_does(town: Town) -> None:
    user = town.ada(expires_at=time.time() + 4)
    token = town.token(user)
    key = town.ring.find(token)
    assert key is not None
    until(lambda: town.ring.find(token) is None)
    assert not town.ring.holds(key.id)


def test_a_changed_name_leaves_tokens_alone(town: Town) -> None:
    user = town.ada()
    token = town.token(user)
    town.people.change_user(TENANT, user, name="Ada L.", role="admin")
    assert town.ring.find(token) is not None


def test_an_organization_that_is_off_opens_nothing_and_its_users_stay_outside(town: Town) -> None:
    town.ada()
    token = town.token()
    key = town.ring.find(token)
    assert key is not None
    town.people.change_organization(TENANT, disabled=True)
    assert town.ring.find(token) is None and not town.ring.holds(key.id)
    assert isinstance(refusal(lambda: town.people.login(EMAIL, PASSWORD)), Unauthorized)
    town.people.change_organization(TENANT, disabled=False)
    assert town.ring.find(token) is not None and town.people.login(EMAIL, PASSWORD)
    assert isinstance(refusal(lambda: town.people.change_organization(OWN, disabled=True)), Conflict)


def test_tokens_long_over_are_swept_and_nothing_else(town: Town) -> None:
    over, now = town.token(lifetime_s=0.001), time.time()
    town.token(lifetime_s=3600)
    kept, text, _ = town.office.create(TENANT, "till", ["jobs"], expires_at=now - 1)
    assert text is not None and town.ring.find(text) is None and town.ring.find(over) is None
    assert town.people.sweep(now) == 0
    assert town.people.sweep(now + 31 * 86400) == 2
    assert [key.id for key in town.office.listing(TENANT)] == [kept.id]


def test_a_users_keys_are_found_without_reading_everybodys(town: Town) -> None:
    """Each login trims the user's tokens: on a bridge with a thousand users that must not read all of theirs."""
    user, asked = town.ada(), list[str]()
    connections = (town.store.engine.read(), town.store.engine._db)
    for connection in connections:
        connection.set_trace_callback(asked.append)
    town.people.trim_tokens(user, "olin", 2)
    town.people.end_tokens(user)
    town.people.delete_user(TENANT, user)
    for connection in connections:
        connection.set_trace_callback(None)
    asked = [sql for sql in asked if " user_id = " in sql and " keys " in sql]
    assert {sql.split()[0] for sql in asked} == {"SELECT", "UPDATE", "DELETE"}
    for sql in asked:
        plan = [row[3] for row in connections[0].execute(f"EXPLAIN QUERY PLAN {sql}")]
        assert any("USING INDEX keys_of_user" in step for step in plan), sql
        assert not any(step.startswith("SCAN") for step in plan), (sql, plan)


# ---- the ring ---------------------------------------------------------------------------------------------------


def test_a_new_key_is_read_alone_and_a_reload_reads_what_others_wrote(town: Town) -> None:
    text = "written by somebody else"
    town.store.keys.add(TENANT, "stranger", digest(text), ["jobs"])
    key, _, _ = town.office.create(TENANT, "till", ["jobs"])
    town.token()
    town.office.revoke(TENANT, key.id)
    assert town.ring.find(text) is None
    town.ring.reload()
    assert town.ring.find(text) is not None


def test_the_ring_is_after_every_change_what_a_new_one_would_be(town: Town) -> None:
    """Keys that share an origin, tokens of a user, and an organization that comes and goes."""
    page, other, tenant = "https://a.example", "https://b.example", TENANT
    made = [town.office.create(tenant, name, ["jobs"], [page])[0].id for name in ("first", "second", "third")]
    first, second, third = made
    user, rest = town.ada(), town.people.create_user(tenant, name="Guest").id
    for _ in range(4):
        town.token(user)
    town.token(rest, lifetime_s=3600)
    changes: list[Callable[[], Any]] = [
        lambda: town.office.bind(tenant, other, second),
        lambda: town.office.change(tenant, first, origins=[other], scopes=["read"]),
        lambda: town.office.unbind(tenant, other),
        lambda: town.office.revoke(tenant, second),
        lambda: town.people.trim_tokens(user, "olin", 2),
        lambda: town.people.change_user(tenant, user, expires_at=time.time() + 3600),
        lambda: town.people.change_user(tenant, user, expires_at=None),
        lambda: town.people.change_organization(tenant, disabled=True),
        lambda: town.token(rest),
        lambda: town.people.change_organization(tenant, name="other"),
        lambda: town.people.change_organization(tenant, disabled=False),
        lambda: town.people.change_user(tenant, user, disabled=True),
        lambda: town.people.delete_user(tenant, rest),
        lambda: town.office.change(tenant, third, origins=[page], scopes=["print"]),
        lambda: town.people.sweep(time.time()),
    ]
    seen = set()
    for change in changes:
        change()
        assert vars(town.ring._now) == vars(KeyRing(town.store)._now)
        seen.add(repr(sorted(town.ring._now.by_id.items())))
    assert len(seen) > 8


# ---- keys of other kinds ----------------------------------------------------------------------------------------


def test_keys_of_a_kind_look_as_that_clouds_programs_expect(town: Town) -> None:
    for kind, begins in (("", "pb_"), ("cloudlayer", "cl-"), ("printcloud", "pk_live_")):
        key, text, _ = town.office.create(TENANT, "x", ["jobs"], kind=kind)
        assert text is not None and text.startswith(begins) and key.kind == kind
        assert len(text) == len(begins) + 64 and town.ring.find(text) is not None


def test_an_organization_has_five_cloudlayer_keys(town: Town) -> None:
    keys = [town.office.create(TENANT, str(n), ["jobs"], kind="cloudlayer")[0] for n in range(5)]
    error = refusal(lambda: town.office.create(TENANT, "6", ["jobs"], kind="cloudlayer"))
    assert error.code == "too_many_keys" and error.remedy
    town.office.create(OWN, "another's", ["jobs"], kind="cloudlayer")
    town.office.revoke(TENANT, keys[0].id)
    town.office.create(TENANT, "6", ["jobs"], kind="cloudlayer")


def test_the_last_admin_key_of_a_tenant_may_go_but_not_that_of_the_bridge(town: Town) -> None:
    own, _, _ = town.office.create(OWN, "own", ["admin"])
    theirs, _, _ = town.office.create(TENANT, "theirs", ["admin"])
    town.people.token_for(OWN, kind="olin", name="login", scopes=["admin"], lifetime_s=60)
    town.office.revoke(TENANT, theirs.id)
    assert refusal(lambda: town.office.revoke(OWN, own.id)).code == "last_admin"


# ---- organizations ----------------------------------------------------------------------------------------------


def test_fifty_threads_use_up_a_quota_exactly(town: Town) -> None:
    town.people.change_organization(TENANT, jobs_quota=120)
    taken: list[bool] = []

    def use() -> None:
        taken.extend([uses_job(town, TENANT) for _ in range(4)])

    in_threads(use, 50)
    assert (len(taken), taken.count(True)) == (200, 120)
    assert town.people.organization(TENANT).jobs_used == 120
    town.people.change_organization(TENANT, jobs_quota=121)
    assert uses_job(town, TENANT) and not uses_job(town, TENANT)
    assert all(uses_job(town, OWN) for _ in range(3))  # no quota, no end
    town.people.change_organization(TENANT, jobs_quota=None)
    assert uses_job(town, TENANT)


def uses_job(town: Town, organization_id: str) -> bool:
    return town.store.engine.write(lambda db: use_job(db, organization_id, counted=True))


def test_an_account_has_fifty_sub_accounts_however_many_ask_at_once(town: Town) -> None:
    refused: list[BridgeError] = []

    def add() -> None:
        for _ in range(8):
            try:
                town.people.create_organization("sub", parent_id=TENANT)
            except Forbidden as error:
                refused.append(error)

    in_threads(add, 8)
    assert len(town.people.organizations(parent_id=TENANT)) == SUB_ACCOUNTS
    assert {error.code for error in refused} == {"too_many_sub_accounts"} and len(refused) == 14
    assert town.people.organization(TENANT).parent_id is None


@pytest.mark.parametrize(
    ("wish", "kind"),
    [
        ({"name": ""}, Invalid), ({"name": "a\x00"}, Invalid), ({"name": "x" * 256}, Invalid),
        ({"name": "x", "plan": "gold"}, Invalid), ({"name": "x", "jobs_quota": -1}, Invalid),
        ({"name": "x", "organization_id": "../etc"}, Invalid), ({"name": "x", "organization_id": TENANT}, Conflict),
        ({"name": "x", "parent_id": "nobody"}, NotFound),
    ],
)  # fmt: skip
def test_what_no_organization_can_be_is_refused(town: Town, wish: dict[str, Any], kind: type[BridgeError]) -> None:
    error = refusal(lambda: town.people.create_organization(**wish))
    assert isinstance(error, kind) and error.text
    assert len(town.people.organizations()) == 2


# ---- users, groups, cards ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"name": ""}, "name"), ({"email": "nonsense"}, "email"), ({"email": "a b@c"}, "email"),
        ({"password": "short"}, "password"), ({"password": "x" * 1025}, "password"), ({"pin": "123"}, "pin"),
        ({"role": "root"}, "role"),
    ],
)  # fmt: skip
def test_what_no_user_can_be_is_refused_by_name(town: Town, wish: dict[str, Any], field: str) -> None:
    error = refusal(lambda: town.people.create_user(TENANT, **{"name": "Ada", **wish}))
    assert isinstance(error, Invalid) and error.field == field
    assert str(wish.get("password", "no such text")) not in str(error)
    user = town.ada()
    assert refusal(lambda: town.people.change_user(TENANT, user, **wish)).field == field


def test_an_address_is_one_persons_in_all_organizations(town: Town) -> None:
    town.ada()
    error = refusal(lambda: town.people.create_user(OWN, name="Other Ada", email=EMAIL.upper()))
    assert error.code == "email_taken" and "tenant" not in str(error)
    other = town.people.create_user(OWN, name="Other Ada")
    assert refusal(lambda: town.people.change_user(OWN, other.id, email=EMAIL)).code == "email_taken"
    assert town.people.create_user(OWN, name="Third Ada").email is None  # any number have none


def test_users_are_found_by_a_part_of_name_or_address(town: Town) -> None:
    town.ada()
    town.people.create_user(TENANT, name="Bob % _", email="bob@other.example")

    def found(q: str) -> list[str]:
        return [user.name for user in town.people.users(TENANT, q=q)[0]]

    assert found("aDA") == ["Ada"] and found("other.ex") == ["Bob % _"] and found("% _") == ["Bob % _"]
    assert found("%") == ["Bob % _"] and found("nobody") == []
    assert town.people.users(TENANT, limit=1, offset=1)[1] == 2 and town.people.users(OWN) == ([], 0)


def test_groups_hold_whom_they_are_told(town: Town) -> None:
    user = town.ada()
    one, two = (town.people.create_group(TENANT, name).id for name in ("one", "two"))
    assert refusal(lambda: town.people.create_group(TENANT, "one")).code == "name_taken"
    assert town.people.create_group(OWN, "one")
    town.people.put_in_groups(TENANT, user, [one, two, one])
    assert set(town.store.groups.of_user(user)) == {one, two}
    town.people.put_in_groups(TENANT, user, [two])
    assert town.store.groups.members(one) == [] and town.store.groups.members(two) == [user]
    assert isinstance(refusal(lambda: town.people.put_in_groups(TENANT, user, [one, "nobody"])), NotFound)
    assert town.store.groups.of_user(user) == [two]
    town.people.delete_group(TENANT, two)
    assert town.store.groups.of_user(user) == [] and town.people.user(TENANT, user)


def test_a_card_is_one_users_of_an_organization_however_many_ask_at_once(town: Town) -> None:
    user, bob = town.ada(), town.people.create_user(TENANT, name="Bob").id
    refused: list[str] = []

    def add() -> None:
        try:
            town.people.add_card(TENANT, bob, "04A2")
        except Conflict as error:
            refused.append(error.code)

    in_threads(add, 8)
    assert refused == ["card_taken"] * 7 and town.people.cards(TENANT, user) == []
    [card] = town.people.cards(TENANT, bob)
    found = town.people.find_card(TENANT, "04A2")
    assert found is not None and found.id == card.id and found.user_id == bob
    assert town.people.find_card(TENANT, "04A3") is None and town.people.find_card(OWN, "04A2") is None
    town.people.delete_user(TENANT, bob)
    assert town.people.find_card(TENANT, "04A2") is None


def test_another_organization_finds_nobody(town: Town) -> None:
    user, group = town.ada(), town.people.create_group(TENANT, "one").id
    card = town.people.add_card(TENANT, user, "04A2").id
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: town.people.user(OWN, user), lambda: town.people.change_user(OWN, user, name="x"),
        lambda: town.people.delete_user(OWN, user), lambda: town.people.group(OWN, group),
        lambda: town.people.delete_group(OWN, group), lambda: town.people.cards(OWN, user),
        lambda: town.people.add_card(OWN, user, "1"), lambda: town.people.delete_card(OWN, card),
        lambda: town.people.put_in_groups(OWN, user, []),
    )  # fmt: skip
    assert {type(refusal(attempt)) for attempt in attempts} == {NotFound}
    assert town.people.user(TENANT, user).name == "Ada" and len(town.people.cards(TENANT, user)) == 1
