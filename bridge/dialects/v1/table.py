"""Every route of /v1, one row each. The blueprint and the OpenAPI document are both made of this table."""

from __future__ import annotations

from bridge.dialects.v1 import answers, bridge, events, jobs, keys, printers, wishes
from bridge.dialects.v1.route import Route

PNG = "image/png"
STREAM = "text/event-stream"

NEW = (201, 200)  # 200: made before, for the same Idempotency-Key
GONE = (204,)

ROUTES = (
    #     method    path                          view                scope       gives
    Route("GET",    "/hello",                     bridge.hello,       "none",     answers.Hello, web=True),
    Route("GET",    "/openapi.json",              bridge.openapi,     "none",     answers.OpenApi, web=True),
    Route("GET",    "/health",                    bridge.health,      "admin",    answers.Health, statuses=(200, 503)),
    Route("GET",    "/metrics",                   bridge.metrics,     "admin",    "text/plain"),
    Route("GET",    "/diagnostics",               bridge.diagnostics, "admin",    bridge.ZIP),
    Route("POST",   "/reload",                    bridge.reload,      "admin",    answers.Reloaded),
    Route("GET",    "/events",                    events.listing,     "admin",    answers.Events, wishes.EventsQuery),
    Route("GET",    "/events/stream",             events.stream,      "admin",    STREAM, wishes.StreamQuery),

    Route("GET",    "/printers",                  printers.listing,   "printers", answers.Printers),
    Route("POST",   "/printers",                  printers.add,       "admin",    answers.Printer, wishes.NewPrinter,
          statuses=NEW, creates=True),
    Route("GET",    "/printers/discover",         printers.discover,  "admin",    answers.Candidates,
          wishes.DiscoverQuery),
    Route("GET",    "/printers/<printer>",        printers.get,       "printers", answers.Printer),
    Route("PATCH",  "/printers/<printer>",        printers.change,    "admin",    answers.Printer,
          wishes.PrinterChanges),
    Route("DELETE", "/printers/<printer>",        printers.remove,    "admin",    None, wishes.RemovePrinter,
          statuses=GONE),
    Route("POST",   "/printers/<printer>/pause",  printers.pause,     "admin",    answers.Printer, wishes.Pause),
    Route("POST",   "/printers/<printer>/resume", printers.resume,    "admin",    answers.Printer),
    Route("POST",   "/printers/<printer>/test",   printers.test,      "jobs",     answers.Job, statuses=NEW,
          creates=True),

    Route("POST",   "/jobs",                      jobs.submit,        "jobs",     answers.Job, wishes.NewJob,
          statuses=NEW, creates=True, web=True, reads=True),
    Route("GET",    "/jobs",                      jobs.listing,       "jobs",     answers.Jobs, wishes.JobsQuery,
          web=True),
    Route("POST",   "/jobs/release",              jobs.release_all,   "admin",    answers.Released, wishes.HeldJobs),
    Route("POST",   "/jobs/discard",              jobs.discard_all,   "admin",    answers.Discarded, wishes.HeldJobs),
    Route("GET",    "/jobs/<job_id>",             jobs.get,           "jobs",     answers.JobStory, web=True),
    Route("POST",   "/jobs/<job_id>/cancel",      jobs.cancel,        "jobs",     answers.Job, web=True),
    Route("POST",   "/jobs/<job_id>/hold",        jobs.hold,          "jobs",     answers.Job, web=True),
    Route("POST",   "/jobs/<job_id>/release",     jobs.release,       "jobs",     answers.Job, web=True),
    Route("POST",   "/jobs/<job_id>/launch",      jobs.launch,        "jobs",     answers.Job, web=True),
    Route("POST",   "/jobs/<job_id>/resolve",     jobs.resolve,       "jobs",     answers.Job, wishes.Resolve,
          web=True),
    Route("POST",   "/jobs/<job_id>/move",        jobs.move,          "jobs",     answers.Job, wishes.Move, web=True),
    Route("POST",   "/jobs/<job_id>/reprint",     jobs.reprint,       "jobs",     answers.Job, wishes.Reprint,
          statuses=NEW, creates=True, web=True),
    Route("GET",    "/jobs/<job_id>/labels/<int:number>.png", jobs.label, "jobs", PNG, web=True),

    Route("GET",    "/keys",                      keys.listing,       "admin",    answers.Keys),
    Route("POST",   "/keys",                      keys.create,        "admin",    answers.NewKeyMade, wishes.NewKey,
          statuses=NEW, creates=True),
    Route("PATCH",  "/keys/<key_id>",             keys.change,        "admin",    answers.Key, wishes.KeyChanges),
    Route("DELETE", "/keys/<key_id>",             keys.revoke,        "admin",    None, statuses=GONE),
    Route("GET",    "/origins",                   keys.origins,       "admin",    answers.Origins),
    Route("POST",   "/origins",                   keys.bind,          "admin",    answers.Key, wishes.Binding),
    Route("DELETE", "/origins",                   keys.unbind,        "admin",    None, wishes.Unbinding,
          statuses=GONE),
)  # fmt: skip
