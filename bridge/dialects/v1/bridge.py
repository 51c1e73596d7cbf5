"""The routes about the bridge itself: who it is, how it is, and what it tells monitors and people who help."""

from __future__ import annotations

import time

from flask import Response, jsonify

from bridge import VERSION, dialects
from bridge.dialects import Desk
from bridge.dialects.v1.wishes import Nothing

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
ZIP = "application/zip"


def hello(desk: Desk, wish: Nothing) -> Response:
    """Who answers here.

    No key is needed, so there is nothing in it that a stranger must not know. A web page finds out with it whether
    there is a bridge on this machine.
    """
    return jsonify(product="print-bridge", version=VERSION, api=["v1"], dialects=list(dialects.names()), ws=desk.ws_url)


def openapi(desk: Desk, wish: Nothing) -> Response:
    """This document."""
    from bridge.dialects.v1.openapi import document  # it is made of the table, and the table has this view

    return jsonify(document())


def health(desk: Desk, wish: Nothing) -> Response:
    """What is alive, and what is not as it should be.

    503 only when a loop is dead, for monitors that look at nothing but the status.
    """
    health = desk.health()
    response = jsonify(health)
    response.status_code = 200 if all(health.get("loops", {}).values()) else 503
    return response


def metrics(desk: Desk, wish: Nothing) -> Response:
    """The same for Prometheus, text format 0.0.4."""
    return Response(desk.metrics(), content_type=PROMETHEUS)


def diagnostics(desk: Desk, wish: Nothing) -> Response:
    """Everything somebody needs who is to help, as a zip: no documents, no secrets."""
    name = time.strftime("print-bridge-%Y%m%d-%H%M%S.zip", time.localtime())
    return Response(desk.diagnostics(), mimetype=ZIP, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def reload(desk: Desk, wish: Nothing) -> Response:
    """Read the configuration again, without dropping a job.

    A configuration that is broken changes nothing and is refused with 422 bad_config.
    """
    return jsonify(desk.reload())
