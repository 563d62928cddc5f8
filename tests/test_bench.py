"""The benchmark's own logic: what it makes of numbers, logs and answers. No times are asserted."""

from datetime import UTC, datetime
from typing import Any

import pytest
from bench import answers, plans, profile
from bench.answers import AnswerError
from bench.data import Shape, organisation_id
from bench.document import _table
from bench.figures import Aim, Figure, geometric_mean
from bench.report import aims, shown
from bench.wrk import Request

RATES = {"Tenantry": [30.0, 20.0, 90.0], "Hono": [10.0, 20.0, 10.0]}


def test_a_ratio_is_taken_round_by_round_and_its_median_counts() -> None:
    figure = Figure("Reads", "GET", "requests/s", RATES)
    assert figure.ratios("Hono") == [3.0, 1.0, 9.0]
    assert figure.ratio("Hono") == 3.0


@pytest.mark.parametrize(
    ("aim", "met"),
    [
        (Aim(least=3, against="Hono"), True),
        (Aim(least=3.1, against="Hono"), False),
        (Aim(most=3, against="Hono"), True),
        (Aim(most=2.9, against="Hono"), False),
        (Aim(least=30), True),
        (Aim(most=29), False),
    ],
)
def test_an_aim_is_for_the_ratio_or_for_the_median(aim: Aim, met: bool) -> None:
    [(_, _, verdict)] = Figure("Reads", "GET", "requests/s", RATES, [aim]).verdicts()
    assert verdict is met


def test_an_aim_against_somebody_who_did_not_take_part_is_not_judged() -> None:
    figure = Figure("Reads", "GET", "requests/s", RATES, [Aim(least=4, against="FastAPI")])
    assert figure.verdicts() == []
    assert aims([figure]) is None


def test_the_ratio_of_geometric_means_is_the_mean_of_the_ratios() -> None:
    twice = Figure("Reads", "a", "", {"Tenantry": [20.0], "Hono": [10.0]})
    eight_times = Figure("Reads", "b", "", {"Tenantry": [8.0], "Hono": [1.0]})
    mean = geometric_mean("Reads", "mean", [twice, eight_times], [])
    assert mean.ratio("Hono") == pytest.approx(4)


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (99.94, "99.9"), (1.234, "1.23"), (0.0, "0.00")]
)
def test_numbers_are_shown_with_the_digits_that_say_something(value: float, text: str) -> None:
    assert shown(value) == text


def test_the_document_has_median_spread_and_ratio_of_each() -> None:
    figure = Figure("Reads", "GET", "requests/s", RATES, [Aim(least=2, against="Hono")])
    assert list(_table("Reads", [figure.as_json()])) == [
        "| Reads | Tenantry | Hono | aim |",
        "| --- | ---: | ---: | --- |",
        "| GET, requests/s | 30.0 (20.0–90.0) | 10.0 (10.0–20.0) **3.00×** | ≥ 2× Hono: met |",
    ]


def test_measured_organisations_are_spread_over_all() -> None:
    shape = Shape(measured=4, members=10, activities=60, others=996, other_activities=15)
    assert shape.organisations == 1000
    assert shape.numbers == [250, 500, 750, 1000]
    assert shape.all_activities == 4 * 60 + 996 * 15
    assert organisation_id(250) == "01970000-0001-7000-8000-0000000000fa"


def test_a_request_is_a_line_for_wrk() -> None:
    request = Request("POST", "/api/users/invite", "Authorization: Bearer t", {"email": "a@b.c"})
    expected = 'POST\t/api/users/invite\tAuthorization: Bearer t\t{"email":"a@b.c"}'
    assert request.line() == expected


LOG = """\
2026-01-01 10:00:00.000 UTC [7] LOG:  duration: 0.010 ms  bind __asyncpg_stmt_1__: SELECT 1
2026-01-01 10:00:00.001 UTC [7] LOG:  duration: 0.010 ms  execute __asyncpg_stmt_1__:
\tSELECT name, ':x'::text
\t  FROM organisations
\t WHERE id = $1 AND role = $10 AND name IS NOT DISTINCT FROM $2

2026-01-01 10:00:00.001 UTC [7] DETAIL:  Parameters: $1 = '01', $2 = NULL, $10 = 'it''s'
2026-01-01 10:00:00.002 UTC [7] LOG:  duration: 0.010 ms  statement: BEGIN;
"""


def test_statements_are_read_from_the_log_with_their_parameters() -> None:
    [statement] = plans.statements(LOG)
    assert " ".join(statement.split()) == (
        "SELECT name, ':x'::text FROM organisations "
        "WHERE id = '01' AND role = 'it''s' AND name IS NOT DISTINCT FROM NULL"
    )


def test_a_sample_belongs_to_the_innermost_part() -> None:
    shares = profile.shares(
        [
            "run (uvicorn/server.py:1);list (tenantry/users/members.py:9) 3",
            "run (uvicorn/server.py:1);list (tenantry/users/members.py:9);fetch (asyncpg/x.py:5) 6",
            "run (uvicorn/server.py:1);Runner.run (asyncio/runners.py:118) 1",
        ]
    )
    assert shares["handler and its JSON"] == pytest.approx(0.3)
    assert shares["asking PostgreSQL"] == pytest.approx(0.6)
    assert shares[profile.REST] == pytest.approx(0.1)


def answer(**changes: Any) -> dict[str, Any]:
    organisation = {
        "id": organisation_id(1),
        "name": "Organisation 1",
        "slug": "organisation-1",
        "subscriptionPlan": "ENTERPRISE",
        "memberCount": 10,
        "memberLimit": None,
        "createdAt": "2026-01-01T00:00:00Z",
    }
    return {"success": True, "message": "", "data": organisation | changes}


def test_answers_are_the_same_whatever_is_added_and_however_times_are_written() -> None:
    path = "/api/organisations"
    ours = answers.by_contract(path, answer(requiresSecondFactor=False))
    theirs = answers.by_contract(path, answer(createdAt="2026-01-01T00:00:00.000Z"))
    assert ours["createdAt"] == datetime(2026, 1, 1, tzinfo=UTC)
    answers.compare(path, {"Tenantry": ours, "Hono": theirs})
    answers.check(path, ours, 1, Shape(measured=1, members=10, activities=60))


def test_a_contender_that_answers_otherwise_ends_the_run() -> None:
    path = "/api/organisations"
    ours, theirs = (answers.by_contract(path, answer(name=name)) for name in ("a", "b"))
    with pytest.raises(AnswerError, match="Hono answers"):
        answers.compare(path, {"Tenantry": ours, "Hono": theirs})


def test_an_answer_that_all_give_and_that_is_wrong_ends_the_run() -> None:
    path = "/api/organisations"
    found = answers.by_contract(path, answer(memberCount=9))
    with pytest.raises(AnswerError, match="right is"):
        answers.check(path, found, 1, Shape(measured=1, members=10, activities=60))
