"""What people read of an import error, with tracebacks as a real dag-processor of Airflow 3.3.2 gave them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.verification.facts import ImportFault
from include.deploy_ops.core.verification.faults import (
    ERROR_MAX,
    FILE_MAX,
    identify_fault,
    list_failures,
    read_fault,
    tell_apart,
)

AT = datetime(2026, 5, 1, tzinfo=UTC)

MISSING = """Traceback (most recent call last):
  File "<frozen importlib._bootstrap>", line 241, in _call_with_frames_removed
  File "/usr/local/airflow/dags/sub/orders.py", line 2, in <module>
    import nothere
ModuleNotFoundError: No module named 'nothere'
"""
SYNTAX = """Traceback (most recent call last):
  File "<frozen importlib._bootstrap_external>", line 1004, in source_to_code
  File "<frozen importlib._bootstrap>", line 241, in _call_with_frames_removed
  File "/usr/local/airflow/dags/sub/orders.py", line 12
    def f(:
          ^
SyntaxError: invalid syntax
"""
BY_ANOTHER_FILE = """Traceback (most recent call last):
  File "/usr/local/airflow/dags/lib2.py", line 3, in <module>
    f()
  File "/usr/local/airflow/dags/lib2.py", line 2, in f
    import gone_lib
ModuleNotFoundError: No module named 'gone_lib'
"""
BY_THE_PROJECT = BY_ANOTHER_FILE.replace("dags/lib2.py", "include/shop/db.py")
BY_A_LIBRARY = BY_ANOTHER_FILE.replace("airflow/dags/", "lib/python3.12/site-packages/dags/")
ELSEWHERE = BY_ANOTHER_FILE.replace("/usr/local/airflow/", "/home/ann/shop/")
WITHOUT_FRAMES = "AirflowTimetableInvalid: Exactly 5, 6 or 7 columns has to be specified for iterator expression.\n"
CHAINED = f"""{BY_ANOTHER_FILE}
During handling of the above exception, another exception occurred:

{MISSING.replace("ModuleNotFoundError: No module named 'nothere'", "shop.errors.ShopError: closed")}"""
OF_MANY_LINES = f"{MISSING}first reason\nsecond reason\n"
REDACTED = "REDACTED - you do not have read permission on all Dags in the file\n"


def fault(trace: str, file: str = "sub/orders.py") -> ImportFault:
    return ImportFault(file, AT, trace)


@pytest.mark.parametrize(
    ("trace", "line", "error", "public"),
    [
        (MISSING, 2, "ModuleNotFoundError: No module named 'nothere'", "ModuleNotFoundError"),
        (SYNTAX, 12, "SyntaxError: invalid syntax", "SyntaxError"),
        (
            BY_ANOTHER_FILE,
            0,
            "ModuleNotFoundError: No module named 'gone_lib' (dags/lib2.py, line 2)",
            "ModuleNotFoundError (dags/lib2.py, line 2)",
        ),
        (
            BY_THE_PROJECT,
            0,
            "ModuleNotFoundError: No module named 'gone_lib' (include/shop/db.py, line 2)",
            "ModuleNotFoundError (include/shop/db.py, line 2)",
        ),
        (BY_A_LIBRARY, 0, "ModuleNotFoundError: No module named 'gone_lib'", "ModuleNotFoundError"),
        (
            ELSEWHERE,
            0,
            "ModuleNotFoundError: No module named 'gone_lib' (dags/lib2.py, line 2)",
            "ModuleNotFoundError (dags/lib2.py, line 2)",
        ),
        (WITHOUT_FRAMES, 0, WITHOUT_FRAMES.strip(), "AirflowTimetableInvalid"),
        (CHAINED, 2, "shop.errors.ShopError: closed", "ShopError"),
        (OF_MANY_LINES, 2, "second reason", "ModuleNotFoundError"),
        (REDACTED, 0, REDACTED.strip(), "REDACTED"),
        ("", 0, "an error without a name", "an error without a name"),
        ("\n \n", 0, "an error without a name", "an error without a name"),
        ("/ ! ?", 0, "/ ! ?", "an error without a name"),
    ],
)
def test_fault_is_read(trace: str, line: int, error: str, public: str) -> None:
    read = read_fault(fault(trace))
    assert (read.file, read.line, read.error) == ("sub/orders.py", line, error)
    told = read_fault(fault(trace), is_public=True)
    assert (told.file, told.line, told.error, told.identity) == ("sub/orders.py", line, public, read.identity)


def test_a_file_whose_name_ends_alike_is_another_one() -> None:
    trace = MISSING.replace("sub/orders.py", "sub/reorders.py")
    assert read_fault(fault(trace, "orders.py")).line == 0
    assert read_fault(fault(MISSING, "orders.py")).line == 2  # a DAG folder may lie anywhere


def test_the_same_error_is_told_by_its_message_but_not_by_numbers() -> None:
    same = [MISSING, MISSING.replace("line 2", "line 7"), MISSING.replace("/usr/local/airflow", "/home/x")]
    assert len({identify_fault(fault(each)) for each in same}) == 1
    objects = [f"{MISSING}<Object at {address}> took {seconds}" for address, seconds in (("0x7f01", 3), ("0x8e", 41))]
    assert len({identify_fault(fault(each)) for each in objects}) == 1
    others = [fault(MISSING), fault(SYNTAX), fault(MISSING, "b.py"), fault(MISSING.replace("nothere", "nowhere"))]
    assert len({identify_fault(each) for each in others}) == 4


def test_what_is_there_too_and_what_is_muted_is_told_apart() -> None:
    faults = [fault(MISSING, "c.py"), fault(SYNTAX, "b.py"), fault(WITHOUT_FRAMES, "a.py")]
    broken = [read_fault(each) for each in faults]
    told = tell_apart(broken, [faults[0], fault(MISSING, "b.py")], {identify_fault(faults[2])})
    assert [(each.file, each.is_shared, each.is_muted) for each in told] == [
        ("a.py", False, True),
        ("b.py", False, False),
        ("c.py", True, False),
    ]
    assert [each.file for each in list_failures(told)] == ["b.py"]


@given(st.text(), st.text(max_size=400))
def test_any_text_becomes_one_short_line(trace: str, file: str) -> None:
    for is_public in (False, True):
        read = read_fault(fault(trace, file), is_public=is_public)
        assert len(read.error) <= ERROR_MAX + FILE_MAX + 30
        assert len(read.file) <= FILE_MAX
        assert all(each.isprintable() for each in (read.error, read.file))
        assert len(read.identity) == 16
