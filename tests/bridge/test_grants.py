"""What printer code a job may contain, by the key that asks: told over HTTP, for every way a document comes in."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.access.keys import digest
from bridge.dialects import load, names
from bridge.errors import Forbidden, Invalid
from bridge.intake.grants import CLOSED, CODE, Gate
from bridge.model import EVERYTHING, RAW_GRANTS, Grants, Principal, State
from devices import commands
from tests.bridge.rig import ADMIN, ORGANIZATION, Answer, Rig
from tests.bridge.shop import Shop
from tests.serving import b64

SAFE = Grants("raw-safe")
SAFE_DRAWER = Grants("raw-safe", drawer=True)
ANY = Grants("raw-any")
DOCUMENTS = Grants("documents")
SHOP = "https://shop.example"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
LABEL = b"^XA^FO20,20^A0N,40,40^FDParcel 4711^FS^XZ"
RESET = b"^XA^FDa^FS^XZ~JR"
RECEIPT = json.dumps({"receipt": [{"text": "Total 4.20"}, {"drawer": {"pin": 2}}]}).encode()
KICK = b"\x1b@hello\n\x1bp\x00\x32\x64"


def asking(grants: Grants, key_id: str = "till") -> Principal:
    return Principal(ORGANIZATION, key_id, frozenset({"jobs", "printers"}), grants=grants)


@pytest.fixture(scope="module")
def v1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("v1"), load("v1"))
    rig.add_printer("till", language="escpos")
    yield rig
    rig.close()


@pytest.fixture
def rig(v1: Rig) -> Iterator[Rig]:
    yield v1
    v1.caller = ADMIN


def send(rig: Rig, grants: Grants, document: bytes, **words: Any) -> Answer:
    """POST /v1/jobs of a key with these grants."""
    rig.caller = asking(grants)
    return rig.call("/jobs", {"printer": "dock", "document_base64": b64(document), **words})


def refusal(answer: Answer) -> str:
    """What a refused caller of /v1 reads; the test fails when it was let in, or refused for something else."""
    assert answer.status == 403 and answer.json["error"]["code"] == CODE, answer
    assert len(answer.json["error"]["remedy"]) > 20
    text: str = answer.json["error"]["text"]
    return text


# ---- S20: (command, grant) pairs ----------------------------------------------------------------------------------

PRINTS = (
    b"^FO10,10", b"^FT10,10", b"^A0N,30,30", b"^ADN,18,10", b"^CF0,30", b"^FDtext^FS", b"^FX remark", b"^FH_^FD_5E^FS",
    b"^FB400,2,0,L,0", b"^FR", b"^FWR", b"^FV1^FS", b"^BY2,3,80", b"^BCN,80,Y,N,N^FD123^FS", b"^B3N,N,80^FD1^FS",
    b"^BQN,2,5^FDQA,x^FS", b"^BXN,5,200^FDx^FS", b"^BEN,80^FD123456789012^FS", b"^BUN,80^FD12345678901^FS",
    b"^GB100,100,2^FS", b"^GC50,2,B^FS", b"^GFA,4,4,1,FF00FF00^FS", b"^GFB,4,4,1,~JR^^FS", b"^LH0,0", b"^LL600",
    b"^PW800", b"^PQ2", b"^CI28", b"^PON", b"^SN001,1,Y^FS", b"^CC^", b"^CT~", b"^CD,",
)  # fmt: skip
HARMS = (
    b"^JUS", b"^JUF", b"^KP1234", b"^JBE", b"~JBE", b"^IDR:LOGO.GRF^FS", b"^SXA,D", b"^KNname", b"^NS1,2,3,4", b"^JZN",
    b"~DGR:A.GRF,2,1,FF00", b"~DYR:A,B,P,2,1,FF00", b"^DFR:F.ZPL^FS", b"^ISR:A.GRF,Y", b"~EG", b"^EF", b"^TOR:A,E:B",
    b"~JR", b"~JA", b"~JX", b"~JC", b"~JG", b"~PP", b"^PP", b"~PS", b"~TA010", b"^MMC",
    b"^HV1,10,a,b,L^FS", b"^HGR:A.GRF", b"^HH", b"^HWR:*.*", b"^HZa", b"~HS", b"~HI", b"~HM", b"~HQES", b"~WC",
    b"^QQunknown", b"~QQunknown",
)  # fmt: skip


def in_a_label(command: bytes) -> bytes:
    return b"^XA^FO1,1^FDa^FS" + command + b"^FO1,1^FDb^FS^XZ"


@pytest.mark.parametrize("command", PRINTS, ids=lambda c: c.decode())
def test_a_command_that_prints_passes_for_all_but_keys_of_documents(rig: Rig, command: bytes) -> None:
    code = in_a_label(command)
    assert [send(rig, grants, code).status for grants in (SAFE, SAFE_DRAWER, ANY, EVERYTHING)] == [201] * 4
    assert "may print documents only" in refusal(send(rig, DOCUMENTS, code))


@pytest.mark.parametrize("command", HARMS, ids=lambda c: c.decode())
def test_a_command_that_does_more_is_named_with_its_place(rig: Rig, command: bytes) -> None:
    code = in_a_label(command)
    name, offset = command[:3].decode(), code.index(command)
    for grants in (SAFE, SAFE_DRAWER):
        text = refusal(send(rig, grants, code))
        assert text.startswith(f"{name} at byte offset {offset} "), text
        assert any(harm.value in text for harm in commands.Harm if harm.name not in ("NONE", "PREFIX", "DRAWER"))
    assert [send(rig, grants, code).status for grants in (ANY, EVERYTHING)] == [201] * 2
    refusal(send(rig, DOCUMENTS, code))


@pytest.mark.parametrize(
    ("code", "where"),
    [
        (b"^XA^CC!!FDx!FS!JUS!XZ", 14), (b"^XA^CT!^FDx^FS!JR^XZ", 14), (b"^XA^CC!!CC?^JUS?JUS?XZ", 15),
        (b"~CT!^XA^FDx^FS^XZ!JA", 17), (b"^XA^CC!!CT;!FDx!FS;JR!XZ", 18),
    ],
)  # fmt: skip
def test_a_changed_prefix_hides_nothing(rig: Rig, code: bytes, where: int) -> None:
    assert f"at byte offset {where} " in refusal(send(rig, SAFE, code))


PREFIXES = "!$%&;+"


@given(
    st.lists(st.tuples(st.sampled_from("CTD"), st.sampled_from(PREFIXES + "^~,")), max_size=6),
    st.sampled_from(["~JR", "~JA", "^JUS", "^JUF", "~HS", "^IDR:*.*"]),
)
@settings(max_examples=500, deadline=None)
def test_no_change_of_prefixes_lets_a_reset_through(changes: list[tuple[str, str]], last: str) -> None:
    """S21: the code is written as the printer reads it, with the prefixes that hold at each point."""
    now, code = {"C": "^", "T": "~", "D": ","}, "^XA"
    for which, to in changes:
        if to not in now.values() or to == now[which]:
            code += f"{now['C']}C{which}{to}{now['C']}FDx{now['C']}FS"
            now[which] = to
    gate, at = Gate(commands.commands), len(code)
    gate.check("zpl", code.encode(), SAFE, force=False)
    code += (now["C"] if last[0] == "^" else now["T"]) + last[1:] + f"{now['C']}XZ"
    with pytest.raises(Forbidden, match=f"at byte offset {at} "):
        gate.check("zpl", code.encode(), SAFE, force=False)


def test_the_next_job_is_read_with_the_usual_prefixes() -> None:
    """Else text in it could be commands for a printer that was left with other prefixes."""
    left = b"^XA^CC!!CT$!CD;!FDx!FS!XZ"
    told = list(commands.commands("zpl", [left, commands.ending("zpl", [left]), b"^XA^FD!JUS$JR^FS^XZ"]))
    assert [command.name for command in told][-4:] == ["^XA", "^FD", "^FS", "^XZ"]


def test_what_is_only_text_or_picture_is_no_command(rig: Rig) -> None:
    assert send(rig, SAFE, b"^XA^CC!!FDsend ^JUS by hand!FS!CC^^XZ").status == 201
    assert send(rig, SAFE, b"^XA^GFB,4,4,1,~JA\x00^FS^XZ").status == 201


@pytest.mark.parametrize(("kind", "label"), [
    ("zpl", b"^XA\r\n^LRN\r\n^MNY\r\n^MFN,N\r\n^LH10,12\r\n^MCY\r\n^POI\r\n^PW812\r\n^CI27\r\n^FO9,9^FVUPS^FS\r\n^XZ"),
    ("epl2", b'.\n\nN\nOD10\nQ1218,24\nq812\nD13\nZB\nA60,110,0,5,3,2,N,"FIRST-CLASS"\nP1\nR0,0\n.\n'),
    ("tspl", b'SIZE 102 mm ,152 mm\nSETC AUTODOTTED OFF\nSETC PAUSEKEY ON\nCLS\nTEXT 9,9,"3",0,1,1,"x"\nPRINT 1,1\n'),
    ("cpcl", b"! 0 200 200 406 1\r\nON-FEED IGNORE\r\nBOX 20 20 380 380 8\r\nT 0 6 137 177 TEST\r\nPRINT\r\n"),
])
def test_labels_as_carriers_and_makers_write_them_pass(kind: str, label: bytes) -> None:
    Gate(commands.commands).check(kind, label, SAFE, force=False)


# ---- every way in -------------------------------------------------------------------------------------------------


def test_a_document_that_is_drawn_passes_with_any_grants(rig: Rig) -> None:
    rig.caller = asking(DOCUMENTS)
    template = {"printer": "dock", "template": "number", "fields": {"number": "1"}}
    assert [send(rig, DOCUMENTS, document).status for document in (PNG, b"%PDF-1.7\n")] == [201, 201]
    assert rig.call("/jobs", template).status == 201
    assert rig.call("/printers/dock/test").status == 201


@pytest.mark.parametrize("size", [0, 300_000], ids=["inline", "upload"])
def test_a_raw_body_is_looked_into_whatever_its_size(rig: Rig, size: int) -> None:
    filler = b"^XA^FDfiller^FS^XZ\n" * (size // 19)
    rig.caller = asking(SAFE)
    before = len(rig.jobs())
    answer = rig.call("/jobs?printer=dock", content_type="application/octet-stream", data=filler + RESET)
    assert f"~JR at byte offset {len(filler) + len(RESET) - 3:,} " in refusal(answer)
    assert len(rig.jobs()) == before and not any(rig.store.spool.folder.rglob("*.part"))
    assert rig.call("/jobs?printer=dock", content_type="application/octet-stream", data=filler + LABEL).status == 201


def test_force_and_a_wrong_name_get_around_nothing(rig: Rig) -> None:
    forced = {"options": {"force": True}, "document_type": "escpos"}
    assert "force" in refusal(send(rig, SAFE, LABEL, **forced))
    assert "force" in refusal(send(rig, ANY, LABEL, **forced))
    assert send(rig, EVERYTHING, LABEL, **forced).status == 201
    assert "~JR" in refusal(send(rig, SAFE, RESET, document_type="escpos"))
    assert "documents" in refusal(send(rig, DOCUMENTS, LABEL, document_type="pdf"))
    assert "documents" in refusal(send(rig, DOCUMENTS, b"%PDF-1.7\n", document_type="zpl", options={"force": True}))


def test_code_in_no_known_language_needs_raw_any_and_the_drawer(rig: Rig) -> None:
    unknown = {"document_type": "raw"}
    for grants in (SAFE, SAFE_DRAWER):
        assert "cannot be told" in refusal(send(rig, grants, b"\x01\x02 what is this", **unknown))
    assert "cash drawer" in refusal(send(rig, ANY, b"\x01\x02 what is this", **unknown))
    assert send(rig, EVERYTHING, b"\x01\x02 what is this", **unknown).status == 201


def test_a_bridge_that_cannot_look_into_code_refuses_what_it_would_have_to() -> None:
    with pytest.raises(Forbidden):
        CLOSED.check("zpl", LABEL, SAFE, force=False)
    with pytest.raises(Invalid):
        CLOSED.check("receipt", RECEIPT, EVERYTHING, force=False)
    CLOSED.check("zpl", LABEL, EVERYTHING, force=False)


def test_more_commands_than_anybody_needs_are_not_looked_into() -> None:
    label, known = commands.Command("^FD", 3, commands.Harm.NONE), Gate(lambda language, pieces: [label] * 300_000)
    with pytest.raises(Forbidden, match="more than 200,000 commands"):
        known.check("zpl", b"x", SAFE, force=False)
    known.check("zpl", b"x", EVERYTHING, force=False)


def test_nothing_is_read_for_a_key_that_may_do_everything(tmp_path: Path) -> None:
    CLOSED.check("zpl", tmp_path / "not there", EVERYTHING, force=True)


def test_the_cash_drawer_is_a_grant_of_its_own(rig: Rig) -> None:
    for grants in (SAFE, ANY):
        text = refusal(send(rig, grants, KICK, printer="till", document_type="escpos"))
        assert text.startswith("ESC p at byte offset 8 opens the cash drawer"), text
    for grants in (SAFE_DRAWER, EVERYTHING):
        assert send(rig, grants, KICK, printer="till", document_type="escpos").status == 201


def test_a_receipt_needs_no_grant_but_for_its_drawer(rig: Rig) -> None:
    plain, opening = [{"text": "Total 4.20"}], [{"text": "Total 4.20"}, {"drawer": {"pin": 2}}]
    rig.caller = asking(DOCUMENTS)
    assert rig.call("/jobs", {"printer": "till", "receipt": plain}).status == 201
    assert rig.call("/jobs", {"printer": "till", "text": "~JR is only text here"}).status == 201
    assert refusal(rig.call("/jobs", {"printer": "till", "receipt": opening})).startswith("the receipt opens")
    rig.caller = asking(Grants("documents", drawer=True))
    job = rig.call("/jobs", {"printer": "till", "receipt": opening})
    assert job.status == 201
    rig.caller = asking(ANY)
    refusal(rig.call(f"/jobs/{job.json['id']}/reprint", {}))
    refusal(rig.call(f"/jobs/{job.json['id']}/launch"))
    assert rig.call("/jobs", {"printer": "till", "receipt": [{"nonsense": 1}]}).json["error"]["code"] == "bad_receipt"


# ---- printing it once more ------------------------------------------------------------------------------------------


def test_a_reprint_may_do_what_both_may(rig: Rig) -> None:
    job = send(rig, EVERYTHING, RESET).json["id"]
    rig.caller = asking(SAFE)
    assert "~JR" in refusal(rig.call(f"/jobs/{job}/reprint", {}))
    rig.caller = asking(ANY)
    again = rig.call(f"/jobs/{job}/reprint", {})
    assert again.status == 201 and rig.job(again.json["id"]).grants == "raw-any,-drawer"
    safe = send(rig, SAFE, LABEL).json["id"]
    rig.caller = ADMIN
    assert rig.job(rig.call(f"/jobs/{safe}/reprint", {}).json["id"]).grants == "raw-safe,-drawer"


def test_whoever_prints_it_again_must_be_allowed_to(rig: Rig) -> None:
    job = send(rig, EVERYTHING, RESET, launch=False).json["id"]
    rig.caller = asking(SAFE)
    assert "~JR" in refusal(rig.call(f"/jobs/{job}/launch"))
    rig.caller = asking(ANY)
    assert rig.call(f"/jobs/{job}/launch").status == 200
    attempt = rig.store.jobs.begin_attempt(rig.job(job), bytes_total=9, pages=None)()
    assert attempt is not None
    rig.store.jobs.end_attempt(rig.job(job), attempt, State.UNCONFIRMED, bytes_sent=3, evidence=None, text="")()
    rig.caller = asking(SAFE)
    assert "~JR" in refusal(rig.call(f"/jobs/{job}/resolve", {"answer": "again"}))
    assert rig.call(f"/jobs/{job}/resolve", {"answer": "printed"}).status == 200


# ---- documents that are fetched -------------------------------------------------------------------------------------


@contextmanager
def serving(data: bytes) -> Iterator[str]:
    """A web server with one document."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/label"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_fetched_document_is_held_against_the_grants_of_its_key(tmp_path: Path) -> None:
    with Shop(tmp_path) as shop, serving(RESET) as bad, serving(LABEL) as good, serving(RECEIPT) as slip:
        shop.lane()
        jobs = [shop.link(bad, grants=SAFE), shop.link(good, grants=DOCUMENTS)]
        receipt = shop.link(slip, grants=SAFE, declared="receipt")
        fine = [shop.link(good, grants=SAFE), shop.link(bad, grants=ANY), shop.link(bad)]
        shop.collector()
        texts = [shop.wait(job).text for job in jobs]
        assert texts[0].startswith("~JR at byte offset 13 resets")
        assert "may print documents only" in texts[1]
        assert shop.wait(receipt).text.startswith("the receipt opens the cash drawer")
        for job in fine:
            shop.wait(job, [State.QUEUED, State.PREPARING])
            assert shop.job(job).state is not State.FAILED


def test_the_grants_of_a_waiting_job_outlive_a_restart(tmp_path: Path) -> None:
    with Shop(tmp_path) as shop, serving(RESET) as bad:
        job = shop.link(bad, grants=SAFE)
        assert shop.state(job) == State.QUEUED
    with Shop(tmp_path) as shop, serving(RESET):
        shop.lane()
        shop.collector()
        assert shop.job(job).grants == "raw-safe,-drawer" and shop.wait(job).state is State.FAILED


# ---- dialects -------------------------------------------------------------------------------------------------------


def test_cloudlinker_is_told_in_its_own_words(tmp_path: Path) -> None:
    rig = Rig(tmp_path, load("cloudlinker"), caller=asking(SAFE))
    wish = {"device_id": rig.printer.id, "client_id": rig.me.id, "payload": {"document_base64": b64(RESET)}}
    refused = rig.call("/jobs/create", wish)
    assert refused.status == 403 and refused.json["message"].startswith("~JR at byte offset 13 resets")
    fine = rig.call("/jobs/create", {**wish, "payload": {"document_base64": b64(LABEL)}})
    job = fine.json["data"]["id"]
    assert fine.status == 200 and rig.job(job).grants == "raw-safe,-drawer"
    changed = rig.call("/jobs/update", {"job_id": job, "payload": {"document_base64": b64(RESET)}})
    assert changed.status == 403 and "~JR" in changed.json["message"]
    rig.caller = replace(ADMIN, grants=EVERYTHING)
    assert rig.call("/jobs/update", {"job_id": job, "payload": {"document_base64": b64(RESET)}}).status == 200
    rig.caller = asking(SAFE)
    for path, words in (("/jobs/launch", {}), ("/jobs/update", {"status": 2})):
        launched = rig.call(path, {"job_id": job, **words})
        assert launched.status == 403 and "~JR" in launched.json["message"]
    rig.close()


@pytest.mark.parametrize("dialect", names())
def test_every_dialect_says_the_place_and_the_remedy(dialect: str) -> None:
    body, _ = load(dialect).error(Forbidden("~JR at byte offset 16", remedy="leave it out", code=CODE))
    assert "~JR at byte offset 16" in str(body) and "leave it out" in str(body)


# ---- keys -----------------------------------------------------------------------------------------------------------


def test_grants_are_written_down_and_read_again() -> None:
    every = [Grants(raw, drawer) for raw in RAW_GRANTS for drawer in (True, False)]
    assert [Grants.from_text(grants.to_text()) for grants in every] == every
    assert EVERYTHING.to_text() == "" and Grants.from_text("") == EVERYTHING
    assert Grants.from_text("raw-everything") == Grants.from_text("what,-is-this") == Grants()
    for one in every:
        for other in every:
            both = one.stricter(other)
            assert both == other.stricter(one) and both.drawer == (one.drawer and other.drawer)
            assert RAW_GRANTS.index(both.raw) == min(map(RAW_GRANTS.index, (one.raw, other.raw)))


def test_a_key_may_do_what_is_usual_for_its_kind_unless_somebody_said_otherwise(rig: Rig) -> None:
    made = rig.call("/keys", {"name": "program"}).json
    assert (made["raw"], made["drawer"]) == ("raw-any", True)
    page = rig.call("/keys", {"name": "page", "origins": [SHOP]}).json
    assert (page["raw"], page["drawer"]) == ("raw-safe", False)
    told = rig.call("/keys", {"name": "told", "raw": "documents", "drawer": True, "origins": [SHOP]}).json
    assert (told["raw"], told["drawer"]) == ("documents", True)
    assert rig.call("/keys", {"name": "x", "raw": "everything"}).status == 422
    assert rig.call(f"/keys/{told['id']}", {"raw": "", "name": "x"}, method="PATCH").status == 422
    listed = {key["name"]: (key["raw"], key["drawer"]) for key in rig.call("/keys", method="GET").json["keys"]}
    assert listed["page"] == ("raw-safe", False) and listed["told"] == ("documents", True)


def test_the_usual_changes_with_the_origins_and_what_was_said_does_not(rig: Rig) -> None:
    plain = rig.call("/keys", {"name": "plain"}).json["id"]
    fixed = rig.call("/keys", {"name": "fixed", "raw": "raw-any", "drawer": True}).json["id"]
    bound = [rig.call("/origins", {"origin": SHOP, "key": key}).json for key in (plain, fixed)]
    assert [(key["raw"], key["drawer"]) for key in bound] == [("raw-safe", False), ("raw-any", True)]
    freed = rig.call(f"/keys/{plain}", {"origins": []}, method="PATCH").json
    assert (freed["raw"], freed["drawer"]) == ("raw-any", True)
    changed = rig.call(f"/keys/{plain}", {"raw": "documents", "drawer": "false"}, method="PATCH").json
    assert (changed["raw"], changed["drawer"]) == ("documents", False)


def test_a_key_bound_to_a_page_is_held_to_raw_safe_at_the_next_request(rig: Rig) -> None:
    made = rig.call("/keys", {"name": "web", "scopes": ["jobs"]}).json
    key = rig.ring.find(made["key"])
    assert key is not None and key.grants == EVERYTHING
    rig.call("/origins", {"origin": SHOP, "key": made["id"]})
    key = rig.ring.find(made["key"])
    assert key is not None and key.grants == SAFE


# ---- the cash drawer ------------------------------------------------------------------------------------------------


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Rig]:
    """A till of its own: its drawer is counted."""
    rig = Rig(tmp_path, load("v1"))
    rig.add_printer("till", language="escpos")
    key = rig.store.keys.add(ORGANIZATION, "till 3", digest("k"), ["jobs"])
    rig.caller = asking(Grants("documents", drawer=True), key.id)
    yield rig
    rig.close()


@pytest.mark.parametrize(
    ("wish", "code"),
    [({}, b"\x1bp\x00\x19\x7d"), ({"pin": 5, "on_ms": 510, "off_ms": 510}, b"\x1bp\x01\xff\xff"),
     ({"pin": "2", "on_ms": "100"}, b"\x1bp\x00\x32\x7d")],
)  # fmt: skip
def test_a_drawer_is_opened_by_a_job_with_both_times(till: Rig, wish: dict[str, Any], code: bytes) -> None:
    answer = till.call("/printers/till/drawer", wish)
    assert answer.status == 201, answer
    job = till.job(answer.json["id"])
    assert till.store.jobs.body(ORGANIZATION, job.id) == code and job.kind == "escpos"
    assert "till 3" in job.title and job.key_id == till.caller.key_id  # type: ignore[union-attr]
    assert job.expires_at is not None and job.expires_at - job.created_at < 31


@pytest.mark.parametrize(
    "wish", [{"pin": 3}, {"on_ms": 1}, {"off_ms": 512}, {"on_ms": 51}, {"on_ms": 252}, {"times": 2}]
)
def test_a_wrong_pulse_is_refused(till: Rig, wish: dict[str, Any]) -> None:
    assert till.call("/printers/till/drawer", wish).status == 422


def test_a_drawer_needs_its_grant_and_a_receipt_printer(till: Rig) -> None:
    assert till.call("/printers/dock/drawer", {}).json["error"]["code"] == "no_drawer"
    till.caller = asking(ANY)
    assert "cash drawer" in refusal(till.call("/printers/till/drawer", {}))
    assert till.jobs() == []


def test_a_drawer_is_opened_ten_times_a_minute_and_repetitions_are_free(till: Rig) -> None:
    till.add_printer("bar", language="escpos")
    first = till.call("/printers/till/drawer", {}, headers={"Idempotency-Key": "k"})
    assert [till.call("/printers/till/drawer", {}).status for _ in range(9)] == [201] * 9
    over = till.call("/printers/till/drawer", {}, headers={"Idempotency-Key": "new"})
    assert over.status == 429 and 1 <= int(over.headers["Retry-After"]) <= 60 and over.json["error"]["remedy"]
    again = till.call("/printers/till/drawer", {}, headers={"Idempotency-Key": "k"})
    assert again.status == 200 and again.json["id"] == first.json["id"]
    assert till.call("/printers/bar/drawer", {}).status == 201
    assert till.call("/printers/bar/drawer", {}, headers={"Idempotency-Key": "k"}).status == 409
    assert len(till.jobs()) == 11


def test_a_page_opens_a_drawer_only_when_it_was_allowed_to(till: Rig) -> None:
    page = Principal(ORGANIZATION, "page", frozenset({"jobs"}), origin=SHOP, for_pages=True, grants=SAFE)
    till.caller = page
    refusal(till.call("/printers/till/drawer", {}))
    till.caller = replace(page, grants=SAFE_DRAWER)
    assert till.call("/printers/till/drawer", {}).status == 201
    assert till.call("/printers/till/pause", {}).json["error"]["code"] == "origin_not_allowed"


def test_a_name_made_of_control_characters_cannot_paint_on_the_screen() -> None:
    odd = commands.Command("\x1b[31m" + "x" * 500, 7, commands.Harm.UNKNOWN)
    with pytest.raises(Forbidden) as caught:
        Gate(lambda language, pieces: [odd]).check("zpl", b"x", SAFE, force=False)
    assert caught.value.text.isprintable() and len(caught.value.text) < 200
