"""Whose a Deployment is: by the mark, whatever case the repository's letters have, and never across a rename."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.deploy_ops.core.preview.ownership import find_former, find_previews, is_own
from tests.worlds.values.examples import PLANE, make_deployment, make_mark, make_project
from tests.worlds.values.generated import Owned, World


@pytest.mark.parametrize("written", ["acme/shop", "Acme/Shop", "ACME/SHOP"])
@pytest.mark.parametrize("named", ["acme/shop", "aCME/sHOP"])
def test_the_case_of_a_repositorys_letters_says_nothing(written: str, named: str) -> None:
    project = make_project(repository=named)
    deployment = make_deployment("dev-a", mark=make_mark("dev-a", repository=written))
    assert find_previews([deployment], PLANE, project).keys() == {"dev-a"}
    assert find_former([deployment], PLANE, project) == {}


def test_a_mark_of_another_name_is_not_ours_and_both_names_are_told() -> None:
    project = make_project(repository="acme/store")
    mark = make_mark("dev-a")
    deployment = make_deployment("dev-a", mark=mark)
    assert not is_own(mark, PLANE, project)
    (said,) = find_former([deployment], PLANE, project).values()
    assert said.startswith("'shop-dev-a' (")
    assert "it bears our mark for acme/shop; the policy names acme/store" in said
    assert find_former([deployment], "other-plane", project) == {}
    assert find_former([deployment], PLANE, make_project(name="orders", repository="acme/store")) == {}


@pytest.mark.parametrize("name", ["shop-dev-a", "renamed by hand"])
def test_after_a_rename_a_branch_is_held_and_gets_no_second_preview(name: str) -> None:
    deployment = make_deployment("dev-a", name=name)
    world = World({"main": "1" * 40, "dev-a": "2" * 40}, project=make_project(repository="acme/store"))
    seen = replace(world, astro=(Owned(deployment),))
    difference = seen.compare()
    assert difference.works == ()
    (held,) = difference.holds
    assert (held.environment, difference.live) == ("dev-a", 0)
    assert "adopt the project's previews by the form of orphans" in held.reason
    gone = replace(seen, heads={"main": "1" * 40}).compare()
    assert (gone.works, gone.holds) == ((), ())
