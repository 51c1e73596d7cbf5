"""The wall clock: believed as long as nothing speaks against it, and again once it goes on evenly."""

from __future__ import annotations

import pytest

from bridge.clock import DOUBT_S, LEAP_S, SETTLE_S, Clock

NOON = 1_790_000_000.0  # in September 2026
HOUR, DAY = 3600.0, 86400.0


class Machine:
    """Two clocks, and the program that looks at them once a minute."""

    def __init__(self, wall: float = NOON, newest: float | None = NOON - HOUR) -> None:
        self.wall, self.monotonic = wall, 1000.0
        self.clock = Clock(wall=wall, monotonic=self.monotonic, newest=newest)

    def runs(self, seconds: float, *, observed_every: float = 60.0) -> None:
        while seconds > 0:
            step = min(seconds, observed_every)
            self.wall, self.monotonic, seconds = self.wall + step, self.monotonic + step, seconds - step
            self.clock.observe(wall=self.wall, monotonic=self.monotonic)

    def is_set(self, by: float) -> None:
        self.wall += by
        self.clock.observe(wall=self.wall, monotonic=self.monotonic)


def test_a_clock_that_goes_on_evenly_is_believed() -> None:
    for newest in (None, NOON - HOUR, NOON, NOON - 300 * DAY):
        machine = Machine(newest=newest)
        machine.runs(3 * DAY, observed_every=600)
        assert (machine.clock.trusted, machine.clock.status, machine.clock.text) == (True, "ok", "")


def test_a_few_seconds_of_ntp_are_not_worth_a_word() -> None:
    machine = Machine()
    for by in (50.0, -50.0, 0.5):
        machine.is_set(by)
        machine.runs(60)
        assert machine.clock.trusted


def test_a_pi_that_starts_in_1970_waits_for_its_clock_and_one_hour_more() -> None:
    machine = Machine(wall=100.0)
    assert machine.clock.text == (
        "the clock says 1970-01-01 00:01 UTC, which is before this program was made: it has not been set yet"
    )
    machine.runs(3 * DAY, observed_every=600)
    assert not machine.clock.trusted  # however long: it cannot be right
    machine.is_set(NOON + 3 * DAY - machine.wall)
    assert machine.clock.text.startswith("the clock was moved 57 years on, to 2026-09-")
    machine.runs(SETTLE_S - 60)
    assert not machine.clock.trusted
    machine.runs(60)
    assert machine.clock.trusted


def test_a_clock_behind_the_newest_event_is_not_believed_until_it_has_passed_it() -> None:
    machine = Machine(newest=NOON + 5 * HOUR)
    assert machine.clock.text.endswith("the newest event is of 2026-09-21 19:13 UTC: it is behind")
    machine.runs(4 * HOUR)
    assert not machine.clock.trusted
    machine.runs(HOUR)
    assert machine.clock.trusted


def test_a_clock_far_behind_is_believed_after_a_day_because_the_event_may_be_the_one_that_is_wrong() -> None:
    machine = Machine(newest=NOON + 10 * 365 * DAY)
    machine.runs(DOUBT_S - 60, observed_every=600)
    assert not machine.clock.trusted
    machine.runs(60)
    assert machine.clock.trusted
    machine.runs(DAY, observed_every=600)
    assert machine.clock.trusted


def test_more_than_a_year_since_the_newest_event_is_doubted_for_a_day() -> None:
    machine = Machine(newest=NOON - LEAP_S - HOUR)
    assert "more than a year after the newest event" in machine.clock.text
    machine.runs(DOUBT_S - 60, observed_every=600)
    assert not machine.clock.trusted
    machine.runs(60)
    assert machine.clock.trusted


@pytest.mark.parametrize(("by", "patience"), [(-DAY, DOUBT_S), (10 * 365 * DAY, DOUBT_S), (8 * HOUR, SETTLE_S)])
def test_a_clock_that_is_set_while_we_run_is_doubted_for_as_long_as_its_time_is_likely(
    by: float, patience: float
) -> None:
    machine = Machine()
    machine.runs(HOUR)
    machine.is_set(by)
    assert machine.clock.status == "suspect"
    assert "the clock was moved" in machine.clock.text
    machine.runs(patience - 120, observed_every=600)
    assert not machine.clock.trusted
    machine.runs(180)
    assert machine.clock.trusted


def test_set_wrong_and_set_right_again_is_doubted_an_hour() -> None:
    machine = Machine()
    machine.is_set(10 * 365 * DAY)
    machine.runs(HOUR)
    machine.is_set(-10 * 365 * DAY)
    machine.runs(SETTLE_S)
    assert machine.clock.trusted


def test_a_time_no_calendar_knows_is_still_told() -> None:
    assert "s since 1970" in Machine(wall=1e18).clock.text
