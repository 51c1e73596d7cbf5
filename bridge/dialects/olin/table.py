"""Every route of the Olin API, one row each. The blueprint and the OpenAPI document are both made of this table."""

from __future__ import annotations

from bridge.dialects.olin import account, answers, computers, jobs, openapi, printers, submission, wishes
from bridge.dialects.olin.openapi import BYTES
from bridge.dialects.olin.route import Route
from bridge.intake.openapi import OpenApi

ANY: frozenset[str] = frozenset()
PRINT = frozenset({"jobs", "print"})
LOOK = frozenset({"jobs", "read"})
JOBS = frozenset({"jobs"})
SEE_PRINTERS = frozenset({"printers", "read"})
PRINTERS = frozenset({"printers"})

GET, POST, DELETE = ("GET",), ("POST",), ("DELETE",)
REPORT = ("POST", "PUT", "PATCH")  # the documentation names no method, and clients try these

NEW = (201, 200)  # 200: made before, for the same Idempotency-Key

ROUTES = (
    #     methods path                            view                 scopes        gives
    Route(POST,   "/login",                       account.login,       None,         answers.AccountAnswer,
          wishes.Login),
    Route(POST,   "/register",                    account.register,    None,         answers.AccountAnswer,
          wishes.Register, statuses=(201,)),
    Route(GET,    "/openapi.json",                openapi.show,        None,         OpenApi),
    Route(GET,    "/user",                        account.me,          ANY,          answers.AccountAnswer),

    Route(GET,    "/printers",                    printers.listing,    SEE_PRINTERS, answers.PrintersAnswer),
    Route(POST,   "/printers/sync",               computers.sync,      PRINTERS,     answers.SyncAnswer, wishes.Sync),
    Route(POST,   "/printers/heartbeat",          computers.heartbeat, PRINTERS,     answers.HeartbeatAnswer,
          wishes.Heartbeat),
    Route(POST,   "/printers/<printer>/test-page", jobs.test_print,    PRINT,        answers.TestPageAnswer,
          statuses=NEW, creates=True),

    Route(POST,   "/print-jobs",                  submission.submit,   PRINT,        answers.SubmitAnswer,
          wishes.NewJob, statuses=NEW, creates=True, web=True, reads=True),
    Route(GET,    "/print-jobs",                  jobs.listing,        LOOK,         answers.PrintJobsAnswer,
          wishes.JobsQuery, web=True),
    Route(GET,    "/print-jobs/pending",          jobs.pending,        LOOK,         answers.PendingAnswer,
          wishes.PendingQuery),
    Route(GET,    "/print-jobs/<job_id>",         jobs.get,            LOOK,         answers.PrintJobAnswer, web=True),
    Route(DELETE, "/print-jobs/<job_id>",         jobs.delete,         JOBS,         answers.Done),
    Route(GET,    "/print-jobs/<job_id>/download", jobs.download,      LOOK,         BYTES),
    Route(REPORT, "/print-jobs/<job_id>/status",  jobs.status,         JOBS,         answers.PrintJobAnswer,
          wishes.NewStatus),
    Route(POST,   "/print-jobs/<job_id>/cancel",  jobs.cancel,         JOBS,         answers.PrintJobAnswer, web=True),
)  # fmt: skip
