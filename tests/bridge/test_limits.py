"""The plans as sliding windows; the test holds the clock."""

from __future__ import annotations

import threading

import pytest

from bridge.access.limits import KEYS_MAX, PLANS, Allowance, Limiter, Plan


@pytest.mark.parametrize("plan", ["standard", "pro"])
def test_no_window_of_any_position_ever_holds_more_than_its_plan_allows(plan: Plan) -> None:
    limiter, let_through = Limiter(PLANS[plan]), []
    for step in range(40_000):  # a request every 0.15 s for 100 minutes, or 40 a second
        now = step * (0.15 if plan == "standard" else 0.12)
        if limiter.take("k", now).retry_after_s is None:
            let_through.append(now)
    for window in PLANS[plan]:
        first = 0
        for last, stamp in enumerate(let_through):
            while let_through[first] <= stamp - window.span_s:
                first += 1
            assert last - first + 1 <= window.limit
    assert len(let_through) >= PLANS[plan][-1].limit


def test_whoever_waits_as_long_as_told_is_let_through() -> None:
    limiter, now, waits = Limiter(PLANS["standard"]), 0.0, 0
    for _ in range(3_000):
        answer = limiter.take("k", now)
        if answer.retry_after_s is not None:
            waits += 1
            now += answer.retry_after_s
            assert limiter.take("k", now).retry_after_s is None
    assert waits > 100


def test_the_tightest_window_is_told() -> None:
    limiter = Limiter(PLANS["standard"])
    assert limiter.take("k", 0) == Allowance(20, 19)
    for _ in range(19):
        limiter.take("k", 0)
    assert limiter.take("k", 3) == Allowance(20, 0, 7)
    for second in range(10, 50):
        limiter.take("k", second), limiter.take("k", second)
    assert limiter.take("k", 55) == Allowance(100, 0, 5)


def test_each_key_has_its_own_and_off_has_none() -> None:
    limiter = Limiter(PLANS["standard"])
    for _ in range(30):
        limiter.take("a", 0)
    assert limiter.take("b", 0).retry_after_s is None
    assert all(Limiter(PLANS["off"]).take("k", 0) == Allowance() for _ in range(2_000))


def test_the_memory_is_bounded() -> None:
    limiter = Limiter(PLANS["standard"])
    for number in range(KEYS_MAX * 3):
        limiter.take(f"key {number}", 0)
    assert len(limiter._keys) == KEYS_MAX


def test_threads_share_one_allowance() -> None:
    limiter, through = Limiter(PLANS["standard"]), []

    def ask() -> None:
        for _ in range(100):
            if limiter.take("k", 5.0).retry_after_s is None:
                through.append(1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(through) == 20
