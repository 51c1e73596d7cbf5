"""Every route, one row each. The blueprint, the OpenAPI document and what is open to whom are made of this table."""

from __future__ import annotations

from bridge.dialects.printcloud import account, answers, computers, handover, jobs, printers, webhooks, wishes
from bridge.dialects.printcloud.route import Route
from bridge.intake.openapi import OpenApi

ANYBODY = None
ADMIN: frozenset[str] = frozenset()
LOOK = frozenset({"printers", "read"})
JOBS = frozenset({"jobs"})
PRINT = frozenset({"jobs", "print"})
LOOK_AT_JOBS = frozenset({"jobs", "read"})
READ = frozenset({"read"})

MADE = (201,)
NEW = (201, 200)  # 200: made before, for the same Idempotency-Key

IDS = list[str]

ROUTES = (
    #     method    path                                view                  scopes        gives
    Route("GET",    "/printers",                        printers.listing,     LOOK,         list[answers.Printer],
          web=True),
    Route("GET",    "/computers/<computer_id>/printers", printers.of_computer, LOOK,        list[answers.Printer]),
    Route("POST",   "/printjobs",                       jobs.create,          PRINT,        str, wishes.NewPrintJob,
          statuses=NEW, creates=True, web=True),
    Route("GET",    "/printjobs",                       jobs.listing,         LOOK_AT_JOBS, list[answers.PrintJob],
          wishes.JobsQuery, web=True),
    Route("GET",    "/printjobs/<job_id>",              jobs.get,             LOOK_AT_JOBS, answers.PrintJobStory,
          web=True, ours=True),
    Route("GET",    "/printjobs/<job_id>/states",       jobs.states,          LOOK_AT_JOBS, list[answers.Step],
          web=True, ours=True),
    Route("DELETE", "/printjobs/<job_id>",              jobs.remove,          JOBS,         IDS),
    Route("GET",    "/computers",                       computers.listing,    LOOK,         list[answers.Computer]),
    Route("DELETE", "/computers/<computer_ids>",        computers.remove,     ADMIN,        IDS),
    Route("GET",    "/webhooks",                        webhooks.listing,     READ,         list[answers.Webhook],
          ours=True),
    Route("POST",   "/webhooks",                        webhooks.create,      ADMIN,        answers.NewWebhookMade,
          wishes.NewWebhook, statuses=MADE),
    Route("DELETE", "/webhooks/<webhook_ids>",          webhooks.remove,      ADMIN,        IDS, ours=True),
    Route("POST",   "/account/apikeys",                 account.create_key,   ADMIN,        answers.ApiKeyMade,
          wishes.NewApiKey, statuses=MADE),
    Route("DELETE", "/account/apikeys/<key_id>",        account.revoke_key,   ADMIN,        IDS),
    Route("POST",   "/client/login",                    account.login,        ANYBODY,      answers.LoggedIn,
          wishes.Login),
    Route("GET",    "/client/jobs",                     handover.pending,     JOBS,         list[answers.HandedJob],
          wishes.PendingQuery, ours=True),
    Route("POST",   "/client/jobs/<job_id>/state",      handover.report,      JOBS,         answers.Reported,
          wishes.Report, ours=True),
    Route("GET",    "/openapi.json",                    account.openapi,      ANYBODY,      OpenApi, ours=True),
)  # fmt: skip
