"""A check: whatever is not ok says what to do."""

from __future__ import annotations

import pytest

from include.deploy_ops.core.doctor.check import Area, Check, Status


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.OK])
def test_what_is_not_ok_needs_an_advice(status: Status) -> None:
    with pytest.raises(ValueError, match="says nothing of what to do"):
        Check(Area.HERE, "disk", status, "1 GB free")
    assert Check(Area.HERE, "disk", status, "1 GB free", "clean up").advice
