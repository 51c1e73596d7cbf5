"""Signatures of webhooks, against numbers that others have published."""

from __future__ import annotations

import base64

import pytest

from bridge.access.signatures import new_secret, printix, standard

# The example of Standard Webhooks 1.0.0, as its libraries test it.
SECRET, MESSAGE, AT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
BODY, SIGNATURE = b'{"test": 2432232314}', "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

# RFC 4231, 4.3: HMAC-SHA-512 of test case 2.
JEFE, QUESTION = "Jefe", b"what do ya want for nothing?"
ANSWER = (
    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
)


def test_the_example_of_standard_webhooks_is_signed_as_published() -> None:
    assert standard([SECRET], MESSAGE, AT, BODY) == {
        "webhook-id": MESSAGE, "webhook-timestamp": str(AT), "webhook-signature": SIGNATURE,
    }  # fmt: skip


def test_each_secret_signs_the_newest_first() -> None:
    signed = standard([new_secret(), SECRET], MESSAGE, AT, BODY)["webhook-signature"].split(" ")
    assert len(set(signed)) == 2 and signed[1] == SIGNATURE


@pytest.mark.parametrize("secret", ["plain text", "whsec_not base64!", "whsec_"])
def test_a_secret_of_ones_own_signs_by_its_characters(secret: str) -> None:
    """Also one that says of itself that it is base64, and is not, or holds nothing."""
    wanted = standard(["whsec_" + base64.b64encode(secret.encode()).decode()], MESSAGE, AT, BODY)
    assert standard([secret], MESSAGE, AT, BODY) == wanted


def test_printix_gets_a_signature_for_each_of_its_two_secrets() -> None:
    found = printix([JEFE, "another", "a third"], QUESTION)
    assert found["X-Printix-Signature"] == found["X-Printix-Signature-1"] == ANSWER
    assert len(found["X-Printix-Signature-2"]) == 128 and found["X-Printix-Signature-2"] != ANSWER
    assert sorted(found) == ["X-Printix-Signature", "X-Printix-Signature-1", "X-Printix-Signature-2"]
    assert printix([], QUESTION) == {}
