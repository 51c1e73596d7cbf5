"""Who may come in: keys, credentials, Host and Origin, without a server (promises.md 1.1, 1.2, 1.10: S02, S04, S29)."""

from __future__ import annotations

import base64
import json
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.access.credentials import Credentials, first_run, load, write
from bridge.access.keys import WAYS, KeyRing, digest, load_config_keys, new_key, principal_from
from bridge.access.origins import HostRules, Kind, host_allowed, judge
from bridge.config import ConfigError, KeyConfig
from bridge.errors import Forbidden, Unauthorized
from bridge.model import EVERYTHING, Grants
from bridge.store import Store

ORG = "019a0000-0000-7000-8000-000000000001"
SHOP = "https://shop.example"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "data").mkdir()
    store = Store(tmp_path / "data")
    yield store
    store.close()


@pytest.fixture
def org(store: Store) -> str:
    store.organizations.add(ORG, "shop")
    return ORG


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# ---- keys -----------------------------------------------------------------------------------------------------


def test_a_new_key_has_256_random_bits_and_says_what_it_is() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("pb_") and len(bytes.fromhex(key[3:])) == 32 for key in keys)


def test_the_store_never_sees_a_key_only_its_digest(store: Store, org: str) -> None:
    key = new_key()
    store.keys.add(org, "till", digest(key), ["jobs"])
    store.close()
    assert all(key.encode() not in file.read_bytes() for file in store.engine.path.parent.glob("bridge.db*"))


def test_the_ring_knows_new_and_revoked_keys_after_a_reload(store: Store, org: str) -> None:
    ring = KeyRing(store)
    key = new_key()
    row = store.keys.add(org, "till", digest(key), ["jobs"], [SHOP])
    assert ring.find(key) is None
    ring.reload()
    assert ring.find(key) == row
    assert ring.origins() == {SHOP}
    store.engine.write(lambda db: db.execute("UPDATE keys SET revoked_at = 1"))
    ring.reload()
    assert ring.find(key) is None
    assert ring.origins() == frozenset()


@pytest.mark.parametrize("text", ["", "pb_", "\udc80", "schlüssel", "x" * 10_000_000], ids=lambda t: repr(t[:8]))
def test_nonsense_is_no_key_and_no_exception(store: Store, org: str, text: str) -> None:
    assert KeyRing(store).find(text) is None


# ---- credentials of a request ---------------------------------------------------------------------------------


@pytest.fixture
def ring(store: Store, org: str) -> KeyRing:
    """Two keys: "till-key" for programs, "web-key" bound to SHOP."""
    store.keys.add(org, "till", digest("till-key"), ["jobs"])
    store.keys.add(org, "web", digest("web-key"), ["jobs", "printers"], [SHOP])
    return KeyRing(store)


@pytest.mark.parametrize(
    ("authorization", "x_api_key"),
    [
        (basic(ORG, "till-key"), None),
        (basic(ORG, "till-key").replace("Basic", "bAsIc"), None),
        ("Bearer till-key", None),
        ("bearer   till-key ", None),
        (None, "till-key"),
        ("Bearer till-key", "till-key"),
    ],
)
def test_a_key_may_be_shown_in_three_ways(ring: KeyRing, authorization: str | None, x_api_key: str | None) -> None:
    who = principal_from(authorization, x_api_key, ring, WAYS)
    assert (who.organization_id, who.scopes, who.origin) == (ORG, {"jobs"}, None)


@pytest.mark.parametrize(
    ("authorization", "x_api_key"),
    [
        pytest.param(None, None, id="nothing"),
        pytest.param("", None, id="empty"),
        pytest.param("Bearer", None, id="no token"),
        pytest.param("Bearer wrong", None, id="wrong"),
        pytest.param("till-key", None, id="no scheme"),
        pytest.param("Digest till-key", None, id="another scheme"),
        pytest.param("Bearer till-key, Bearer till-key", None, id="header sent twice"),
        pytest.param(None, "till-key, till-key", id="X-API-Key sent twice"),
        pytest.param("Bearer till-key", "web-key", id="two good keys"),
        pytest.param("Bearer till-key", "wrong", id="a good and a bad key"),
        pytest.param("Bearer wrong", "till-key", id="a bad and a good key"),
        pytest.param(basic("somebody", "till-key"), None, id="wrong user"),
        pytest.param(basic("", "till-key"), None, id="no user"),
        pytest.param(basic("till-key", ""), None, id="key as user"),
        pytest.param(basic(ORG, "wrong"), None, id="wrong password"),
        pytest.param(basic(ORG, ""), None, id="no password"),
        pytest.param("Basic " + base64.b64encode(b"no colon").decode(), None, id="no colon"),
        pytest.param("Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(), None, id="not UTF-8"),
        pytest.param("Basic not-base64!", None, id="not base64"),
        pytest.param("Basic YQ", None, id="no padding"),
        pytest.param("Basic \xe4\xf6\xfc", None, id="not ASCII"),
        pytest.param("Basic " + "QUFB" * 1_000_000, None, id="4 MB of base64"),
        pytest.param("Bearer " + "A" * 1_000_000, None, id="1 MB of key"),
    ],
)
def test_anything_else_is_unauthorized_and_the_text_repeats_no_secret(
    ring: KeyRing, authorization: str | None, x_api_key: str | None
) -> None:
    with pytest.raises(Unauthorized) as caught:
        principal_from(authorization, x_api_key, ring, WAYS - {"basic-key"})
    assert "till-key" not in str(caught.value) and "web-key" not in str(caught.value)
    assert "X-API-Key" in caught.value.remedy


@pytest.mark.parametrize(
    ("ways", "authorization", "x_api_key"),
    [
        ({"bearer", "x-api-key"}, basic(ORG, "till-key"), None),
        ({"basic", "x-api-key"}, "Bearer till-key", None),
        ({"basic", "bearer"}, None, "till-key"),
    ],
)
def test_a_dialect_takes_only_its_own_ways(
    ring: KeyRing, ways: set[str], authorization: str | None, x_api_key: str | None
) -> None:
    with pytest.raises(Unauthorized):
        principal_from(authorization, x_api_key, ring, frozenset(ways))


def test_a_key_opens_its_own_organization_and_no_other(store: Store, ring: KeyRing) -> None:
    store.organizations.add("other", "other")
    store.keys.add("other", "theirs", digest("their-key"), ["admin"])
    ring.reload()
    for shown in ("Bearer their-key", basic("other", "their-key")):
        assert principal_from(shown, None, ring, WAYS).organization_id == "other"
    for shown in (basic(ORG, "their-key"), basic("other", "till-key")):
        with pytest.raises(Unauthorized):
            principal_from(shown, None, ring, WAYS)


def test_an_organization_that_is_switched_off_opens_nothing(store: Store, ring: KeyRing) -> None:
    store.organizations.add("other", "other")
    store.keys.add("other", "theirs", digest("their-key"), ["admin"])
    store.organizations.update("other", disabled_at=1.0)
    ring.reload()
    with pytest.raises(Unauthorized):
        principal_from("Bearer their-key", None, ring, WAYS)


@pytest.mark.parametrize("shown", ["till-key:", "till-key"])
def test_a_key_as_the_user_without_a_password_where_a_dialect_takes_that(ring: KeyRing, shown: str) -> None:
    header = "Basic " + base64.b64encode(shown.encode()).decode()
    assert principal_from(header, None, ring, frozenset({"basic-key"})).organization_id == ORG
    for ways in ({"basic"}, {"bearer", "x-api-key"}):
        with pytest.raises(Unauthorized):
            principal_from(header, None, ring, frozenset(ways))


def test_a_page_needs_a_key_bound_to_exactly_its_origin(ring: KeyRing) -> None:
    page = principal_from("Bearer web-key", None, ring, WAYS, origin=SHOP)
    assert page.own_jobs_only and page.grants == Grants("raw-safe")
    assert principal_from("Bearer web-key", None, ring, WAYS).grants == Grants("raw-safe")
    assert principal_from("Bearer till-key", None, ring, WAYS).grants == EVERYTHING
    for origin in ("https://evil.example", "null", "", SHOP + ":8443", SHOP.upper(), SHOP + ".", "http://shop.example"):
        with pytest.raises(Forbidden):
            principal_from("Bearer web-key", None, ring, WAYS, origin=origin)
    with pytest.raises(Forbidden):
        principal_from("Bearer till-key", None, ring, WAYS, origin=SHOP)


def test_a_key_made_for_pages_sees_its_own_jobs_only_from_a_program_too(ring: KeyRing) -> None:
    assert principal_from("Bearer web-key", None, ring, WAYS).own_jobs_only
    assert not principal_from("Bearer till-key", None, ring, WAYS).own_jobs_only


# ---- keys of the configuration --------------------------------------------------------------------------------


def test_a_key_file_is_read_stripped_and_keeps_its_id_over_restarts(store: Store, org: str, tmp_path: Path) -> None:
    file = tmp_path / "till.key"
    file.write_text("  my-own-key\r\n")
    file.chmod(0o600)
    config = [KeyConfig(name="till", key_file=file, origins=[SHOP])]
    first, again = load_config_keys(config, org), load_config_keys(config, org)
    assert [key.id for key in first] == [key.id for key in again]
    for keys in (first, again):
        store.keys.sync_config(org, keys)
    found = KeyRing(store).find("my-own-key")
    assert found is not None and found.id == first[0].id and found.origins == {SHOP}


def test_a_key_may_be_given_as_its_digest_in_either_case(store: Store, org: str) -> None:
    store.keys.sync_config(org, load_config_keys([KeyConfig(name="a", key_sha256=digest("k" * 9).upper())], org))
    assert KeyRing(store).find("k" * 9) is not None


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe", "schlüssel".encode(), b"x" * 513])
def test_a_key_file_without_a_usable_key_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "till.key"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"till\.key"):
        load_config_keys([KeyConfig(name="till", key_file=file)], ORG)


def test_a_missing_key_file_and_a_key_given_twice_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        load_config_keys([KeyConfig(name="till", key_file=tmp_path / "nowhere")], ORG)
    same = digest("same")
    with pytest.raises(ConfigError, match="'a' and 'b' are the same key"):
        load_config_keys([KeyConfig(name="a", key_sha256=same), KeyConfig(name="b", key_sha256=same.upper())], ORG)


@pytest.mark.skipif(os.name != "posix", reason="file modes")
@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_key_file_others_may_read_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    file = tmp_path / "till.key"
    file.write_text("my-own-key")
    file.chmod(mode)
    with caplog.at_level(logging.WARNING):
        load_config_keys([KeyConfig(name="till", key_file=file)], ORG)
    assert ("others may read it" in caplog.text) is warned
    assert "my-own-key" not in caplog.text


# ---- credentials.json -----------------------------------------------------------------------------------------

URL = "http://127.0.0.1:8910"


def test_the_credentials_are_written_whole_and_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    old = os.umask(0)
    try:
        write(path, Credentials(ORG, "pb_1", "client", URL))
        write(path, Credentials(ORG, "pb_2", "client", URL))
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path) == Credentials(ORG, "pb_2", "client", URL)
    assert [file.name for file in tmp_path.iterdir()] == ["credentials.json"]


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    path.mkdir()  # nothing can be renamed onto a folder
    with pytest.raises(OSError):
        write(path, Credentials(ORG, "pb_1", "client", URL))
    assert [file.name for file in tmp_path.iterdir()] == ["credentials.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"organization_id": 1, "api_key": 2}', "\x00"])
def test_credentials_nobody_can_read_are_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"credentials\.json"):
        load(path)


def test_the_first_key_does_not_show_in_a_log_line() -> None:
    assert "secret" not in repr(Credentials(ORG, "secret", "client", URL))


def test_the_first_run_makes_an_identity_and_later_ones_keep_it(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    assert load(path) is None
    made = first_run(store, path, hostname="till", url=URL)
    again = first_run(store, path, hostname="till", url="http://127.0.0.1:9000")
    assert again == Credentials(made.organization_id, made.api_key, made.client_id, "http://127.0.0.1:9000")
    assert load(path) == again
    who = principal_from(f"Bearer {made.api_key}", None, KeyRing(store), WAYS)
    assert who.scopes == {"admin", "jobs", "printers"}
    me = store.clients.me(made.organization_id)
    assert me is not None and me.id == made.client_id
    assert len(store.keys.active()) == 1


def test_a_power_cut_between_file_and_database_loses_nothing(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    before = Credentials(ORG, new_key(), "019a0000-0000-7000-8000-000000000002", URL)
    write(path, before)
    assert first_run(store, path, hostname="till", url=URL) == before
    assert KeyRing(store).find(before.api_key) is not None


def test_a_revoked_first_key_is_replaced_at_the_next_start(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    made = first_run(store, path, hostname="till", url=URL)
    store.engine.write(lambda db: db.execute("UPDATE keys SET revoked_at = 1"))
    again = first_run(store, path, hostname="till", url=URL)
    ring = KeyRing(store)
    assert ring.find(made.api_key) is None and ring.find(again.api_key) is not None
    assert json.loads(path.read_text())["api_key"] == again.api_key


def test_a_lost_file_is_made_anew_for_the_same_identity(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    made = first_run(store, path, hostname="till", url=URL)
    path.unlink()
    again = first_run(store, path, hostname="till", url=URL)
    assert (again.organization_id, again.client_id) == (made.organization_id, made.client_id)
    assert KeyRing(store).find(again.api_key) is not None


def test_another_bridges_credentials_are_not_taken(store: Store, org: str, tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    write(path, Credentials("another", new_key(), "client", URL))
    with pytest.raises(ConfigError, match="another bridge's"):
        first_run(store, path, hostname="till", url=URL)


# ---- Host (S04) -----------------------------------------------------------------------------------------------

HOSTS = HostRules.of(["till.local", "Print.Shop.Example:443", "2001:db8::5"], "192.168.1.5", 8910)


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8910", "LOCALHOST:8910", "127.0.0.1", "127.0.0.1:8910", "[::1]", "[::1]:8910",
     "till.local", "Till.Local:8910", "print.shop.example", "print.shop.example:443", "192.168.1.5:8910",
     "192.168.1.5", "[2001:db8::5]:8910"],
)  # fmt: skip
def test_our_own_names_are_ours(host: str) -> None:
    assert host_allowed(host, HOSTS)


@pytest.mark.parametrize(
    "host",
    [
        None, "", " ", "evil.example", "evil.example:8910", "localhost.", "localhost.:8910", "127.0.0.1.",
        "127.0.0.1.evil.example", "127.0.0.1.evil.example:8910", "evil.example@localhost", "localhost@evil.example",
        "user:pass@localhost:8910", "localhost:80", "localhost:8911", "localhost:08910", "localhost:", "localhost:x",
        "localhost:8910:8910", "localhost, localhost", "localhost, evil.example", "evil.example, localhost",
        "localhost:8910, evil.example", "[::1%lo]", "[::1%25lo]:8910", "::1", "::1:8910", "[::1", "[::1]8910",
        "0.0.0.0", "0.0.0.0:8910", "127.1", "127.0.0.2", "2130706433", "0x7f.1", "127.0.0.1:8910/", "localhost\t",
        "localhost\x00", "localhost#", "localhost/", "xlocalhost", "local host", "ｌocalhost", "loc\u212alhost",
        "print.shop.example:8910", "till.local:80", "x" * 256, "localhost" + "x" * 8192,
    ],
    ids=lambda host: repr(host[:30]) if host else repr(host),
)  # fmt: skip
def test_anything_else_was_meant_for_somebody_else(host: str | None) -> None:
    assert not host_allowed(host, HOSTS)


@pytest.mark.parametrize("bind", [None, "0.0.0.0", "::", "[::]"])
def test_listening_on_every_address_adds_no_name(bind: str | None) -> None:
    assert HostRules.of([], bind, 8910) == HostRules.of([], None, 8910)
    assert not host_allowed("0.0.0.0:8910", HostRules.of([], bind, 8910))


def test_only_loopback_names_mean_this_machine() -> None:
    assert HOSTS.local == {"localhost", "localhost:8910", "127.0.0.1", "127.0.0.1:8910", "[::1]", "[::1]:8910"}


# ---- Origin and Sec-Fetch-* (S02) -----------------------------------------------------------------------------

HOST = "localhost:8910"
OWN = f"http://{HOST}"


@pytest.mark.parametrize(
    ("headers", "kind", "origin", "browser"),
    [
        ({}, Kind.PROGRAM, None, False),
        ({"site": "none"}, Kind.PROGRAM, None, True),
        ({"site": "none", "mode": "navigate", "dest": "document"}, Kind.PROGRAM, None, True),
        ({"mode": "cors"}, Kind.PROGRAM, None, True),
        ({"dest": "image"}, Kind.PROGRAM, None, True),
        # our own page
        ({"origin": OWN}, Kind.OWN_PAGE, None, True),
        ({"origin": OWN, "site": "same-origin"}, Kind.OWN_PAGE, None, True),
        ({"site": "same-origin"}, Kind.OWN_PAGE, None, True),
        # nearly our own page
        ({"origin": OWN, "site": "cross-site"}, Kind.FOREIGN_PAGE, None, True),
        ({"origin": OWN, "site": "same-site"}, Kind.FOREIGN_PAGE, None, True),
        ({"origin": OWN, "site": "none"}, Kind.FOREIGN_PAGE, None, True),
        ({"origin": OWN, "site": "nonsense"}, Kind.FOREIGN_PAGE, None, True),
        ({"origin": "https://localhost:8910"}, Kind.FOREIGN_PAGE, "https://localhost:8910", True),
        ({"origin": "http://localhost"}, Kind.FOREIGN_PAGE, "http://localhost", True),
        ({"origin": "http://localhost:3000"}, Kind.FOREIGN_PAGE, "http://localhost:3000", True),
        ({"origin": "http://127.0.0.1:8910"}, Kind.FOREIGN_PAGE, "http://127.0.0.1:8910", True),
        ({"origin": "http://LOCALHOST:8910"}, Kind.FOREIGN_PAGE, "http://LOCALHOST:8910", True),
        ({"origin": OWN + "/"}, Kind.FOREIGN_PAGE, OWN + "/", True),
        ({"origin": f"{OWN}, {SHOP}"}, Kind.FOREIGN_PAGE, f"{OWN}, {SHOP}", True),
        # other people's pages
        ({"origin": SHOP}, Kind.FOREIGN_PAGE, SHOP, True),
        ({"origin": SHOP, "site": "cross-site"}, Kind.FOREIGN_PAGE, SHOP, True),
        ({"origin": SHOP, "site": "same-origin"}, Kind.FOREIGN_PAGE, SHOP, True),
        ({"origin": "null"}, Kind.FOREIGN_PAGE, "null", True),
        ({"origin": ""}, Kind.FOREIGN_PAGE, "", True),
        ({"site": "cross-site"}, Kind.FOREIGN_PAGE, None, True),
        ({"site": "same-site"}, Kind.FOREIGN_PAGE, None, True),
        ({"site": ""}, Kind.FOREIGN_PAGE, None, True),
        ({"site": "cross-site", "mode": "no-cors", "dest": "image"}, Kind.FOREIGN_PAGE, None, True),
        ({"site": "cross-site", "mode": "navigate", "dest": "iframe"}, Kind.FOREIGN_PAGE, None, True),
        ({"site": "cross-site", "mode": "navigate"}, Kind.FOREIGN_PAGE, None, True),
        # a link to our page
        ({"site": "cross-site", "mode": "navigate", "dest": "document"}, Kind.NAVIGATION, None, True),
        ({"site": "same-site", "mode": "navigate", "dest": "document"}, Kind.NAVIGATION, None, True),
        ({"origin": SHOP, "site": "cross-site", "mode": "navigate", "dest": "document"}, Kind.FOREIGN_PAGE, SHOP, True),
    ],
    ids=str,
)  # fmt: skip
def test_who_asks(headers: dict[str, str], kind: Kind, origin: str | None, browser: bool) -> None:
    visitor = judge(host=HOST, **headers)
    assert (visitor.kind, visitor.origin, visitor.browser) == (kind, origin, browser)
