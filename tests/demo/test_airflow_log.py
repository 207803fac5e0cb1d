"""What a failure's report tells of Airflow's log: errors with their cause, whole or cut, and no token."""

from __future__ import annotations

from demo.airflow_log import LINES, list_errors, tell_errors

LOCKED = """\
scheduler  | 2026-01-01T00:00:00.000000Z [info     ] Adopting or resetting orphaned tasks
api-server | 2026-01-01T00:00:01.000000Z [error    ] Error with id Ab12, statement: INSERT INTO log
scheduler  | Traceback (most recent call last):
api-server | File "common.py", line 1, in flush
scheduler  | sqlite3.OperationalError: database is locked
scheduler  | The above exception was the direct cause of the following exception:
scheduler  | Traceback (most recent call last):
scheduler  | sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is locked
api-server | cursor.execute(statement, parameters)
scheduler  | 2026-01-01T00:00:02.000000Z [info     ] Exited
api-server | 2026-01-01T00:00:02.000000Z [warning  ] slow
triggerer  | Traceback? No, a sentence
"""


def test_components_that_write_at_the_same_time_are_told_apart() -> None:
    of_api, of_scheduler = list_errors(LOCKED)
    assert [line.partition("| ")[2] for line in of_api] == [
        "2026-01-01T00:00:01.000000Z [error    ] Error with id Ab12, statement: INSERT INTO log",
        'File "common.py", line 1, in flush',
        "cursor.execute(statement, parameters)",
    ]
    assert len(of_scheduler) == 5
    assert of_scheduler[-1].endswith("(sqlite3.OperationalError) database is locked")


def test_a_component_that_was_started_alone_writes_no_name() -> None:
    (error,) = list_errors("2026-01-01T00:00:00Z [critical ] gone\nwhy\n2026-01-01T00:00:01Z [info     ] on\n")
    assert error == ["2026-01-01T00:00:00Z [critical ] gone", "why"]


def test_a_long_error_keeps_its_beginning_and_its_end() -> None:
    frames = "".join(f"frame {number}\n" for number in range(100))
    told = tell_errors(f"Traceback (most recent call last):\n{frames}ValueError: no\n").splitlines()
    assert told[:3] == ["Traceback (most recent call last):", "frame 0", "… 94 lines …"]
    assert told[-1] == "ValueError: no"


def test_of_many_errors_the_newest_are_told() -> None:
    told = tell_errors("".join(f"2026-01-01T00:00:00Z [error    ] number {n}\n" for n in range(200))).splitlines()
    assert len(told) == LINES
    assert told[-1].endswith("number 199")


def test_no_token_is_told() -> None:
    token = "eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiIwMTkifQ.c2lnbmF0dXJl"  # noqa: S105 - one that opens nothing
    said = f"2026-01-01T00:00:00Z [error    ] {token} 'Bearer abc' x:sandbox-github-token@host"
    assert tell_errors(said) == "2026-01-01T00:00:00Z [error    ] *** 'Bearer *** x:***@host"


def test_a_log_without_errors_tells_nothing() -> None:
    assert tell_errors("scheduler  | 2026-01-01T00:00:00Z [info     ] 0 errors\n") == ""
