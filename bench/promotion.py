"""One promotion by the operator of the real DAG: requests and bytes grow with the change, not with the repository.

One repository per size in the sandbox's GitHub, ten entries a folder; so many pull requests into staging are open, each
of which changes two DAGs in folders of their own. Each measured run starts cold. Bytes are counted in both directions
by a relay in front of the sandbox, which compresses no JSON, as GitHub does. "Again" is the same promotion once more,
which finds nothing to do; "clone" is what a bare clone of the deploy branch alone takes.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from bench.change_type import REPOSITORY, SIZES, Bench, Cost, git, start_relay
from bench.table import print_table
from sandbox.identity import ASTRO_TOKEN, GITHUB_TOKEN, ORGANIZATION_ID, WORKSPACE_ID
from tests.sandbox.conftest import start_sandbox
from tests.worlds.values.large_repository import import_all, list_paths, write_commit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.deploy_ops.run.scope import Scope

PULLS = (1, 10)
"""How many pull requests are open."""
QUIET = {"ci_delay_s": 1_000_000, "mergeability_s": 1_000_000}
"""Neither the CI nor test merges take time from what is measured."""
CHANGED = 2
"""DAGs that each changes."""
POLICY = f"""
control_plane: bench
projects:
  - name: shop
    repository: {REPOSITORY}
    image: [reuse]
    promotion: {{from: ["dev-*"], into: staging, deploy_branch: astro_deploy}}
"""


def read_scope() -> Scope:
    """Return the project."""
    from include.deploy_ops.core.policy.file import load_policy
    from include.deploy_ops.run.scope import Scope

    (project,) = load_policy(POLICY, "policy.yaml").policy.projects
    return Scope("bench", is_dry=False, project=project, targets=frozenset())


def promote(scope: Scope) -> dict[str, Any]:
    """Play the promote task of a run that holds its claim, in a new operator with a new hook."""
    from dags.promotion import make_promotion_dag
    from include.deploy_ops.core.plan.work import Verb
    from include.deploy_ops.operators.sealed import RESULT_KEY, SEAL_PREFIX
    from include.deploy_ops.run.job import Job, dump_job
    from include.deploy_ops.run.seals import WORK, Place, Seals
    from tests.worlds.doubles.airflow import FakeAirflow, FakeStores, FakeTaskInstance

    task: Any = make_promotion_dag(scope).task_dict["promote"]
    job = Job(Verb.PROMOTE, "astro_deploy", "0" * 40, "", "", "to measure", work="bench")
    place = Place(task.dag_id, "bench", f"claim.{RESULT_KEY}")
    seal = Seals(scope.control_plane, (ASTRO_TOKEN,)).make(WORK, place, dump_job(job))
    claimed = {"claim": {RESULT_KEY: dump_job(job), SEAL_PREFIX + RESULT_KEY: seal}}
    context = {
        "ti": FakeTaskInstance(FakeAirflow(), claimed, "promote", 1, task.dag_id),
        "dag_run": SimpleNamespace(run_id="bench"),
        "asset_state_store": FakeStores({}, task),
    }
    with closing(task.github):
        found: dict[str, Any] = task.execute(context)
    return found


def write_repository(bench: Bench, size: int, pulls: int) -> None:
    """Import one commit of `size` files for staging and the deploy branch, and a branch per pull request; open them."""
    half = size // 2
    stream = [*write_commit("refs/heads/staging", "", [*list_paths(half, range(half))], seed=0)]
    stream.append(b"reset refs/heads/astro_deploy\nfrom refs/heads/staging\n\n")
    for number in range(pulls):
        changed = [(number * CHANGED + each) * half // (pulls * CHANGED) for each in range(CHANGED)]
        paths = [path for path in list_paths(half, changed) if path.startswith("dags/")]
        start = "from refs/heads/staging\n"
        stream.extend(write_commit(f"refs/heads/dev-{number}", start, paths, seed=number + 1))
    import_all(bench.git_dir, stream)
    ask(bench, "git/refs", ref="refs/heads/seen", sha=git(bench.git_dir, "rev-parse", "staging").strip())
    for number in range(pulls):
        ask(bench, "pulls", title=f"Change {number}", head=f"dev-{number}", base="staging")


def ask(bench: Bench, path: str, **body: str) -> None:
    """Send a write to GitHub's API as a person would; after the first one, GitHub has seen what was imported."""
    headers = {"authorization": f"Bearer {GITHUB_TOKEN}"}
    address = f"/github/api/v3/repos/{REPOSITORY}/{path}"
    bench.sandbox.client.post(address, json=body, headers=headers).raise_for_status()


def measure(bench: Bench, scope: Scope, pulls: int) -> tuple[Cost, Cost, Cost]:
    """Measure the promotion, the same once more, and a clone; fail where the commit is not the expected one."""

    def take(_: str) -> frozenset[str]:
        found = promote(scope)
        if len(found["pulls"]) != pulls:
            raise RuntimeError(f"{found['pulls']} took part, not {pulls}")
        return frozenset({found["commit"]})

    first, again = bench.measure(take, ""), bench.measure(take, "")
    names = git(bench.git_dir, "diff", "--name-only", "staging", "astro_deploy").split()
    if again.paths != {""} or len(names) != pulls * CHANGED:
        raise RuntimeError(f"the deploy branch has {names}, and a second promotion made {again.paths}")
    return first, again, bench.measure(bench.clone, "astro_deploy")


def measure_size(bench: Bench, scope: Scope, size: int) -> Iterator[tuple[str, ...]]:
    """Return a row for each of PULLS."""
    for pulls in PULLS:
        bench.sandbox.client.post("/sandbox/reset").raise_for_status()
        bench.sandbox.client.post("/sandbox/settings", json=QUIET).raise_for_status()
        write_repository(bench, size, pulls)
        costs = measure(bench, scope, pulls)
        yield (f"{size:,}", str(pulls), *(cell for cost in costs for cell in cost.show()))


def main() -> None:
    """Print the table."""
    ways = ("promotion", "again", "clone")
    columns = ["files", "pull requests", *(f"{way}: {unit}" for way in ways for unit in ("requests", "kB", "s"))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"AIRFLOW_HOME": str(folder / "airflow"), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
        with start_sandbox(folder / "data") as sandbox, start_relay(sandbox) as relay:
            connection = {
                "conn_type": "github",
                "host": f"http://{relay.host}/github/api/v3",
                "password": GITHUB_TOKEN,
            }
            os.environ["AIRFLOW_CONN_GITHUB_DEFAULT"] = json.dumps(connection)
            # The claim that the task reads is sealed by Astro's token.
            extra = {"organization_id": ORGANIZATION_ID, "workspace_id": WORKSPACE_ID}
            astro = {"conn_type": "http", "host": f"{sandbox.url}/astro", "password": ASTRO_TOKEN, "extra": extra}
            os.environ["AIRFLOW_CONN_ASTRO_DEFAULT"] = json.dumps(astro)
            from airflow.sdk.bases.operator import ExecutorSafeguard

            ExecutorSafeguard.test_mode = True  # a task is played outside Airflow's task runner
            scope = read_scope()
            promote(scope)  # imports Airflow and the hook's libraries
            bench = Bench(sandbox, relay, folder / "data/github/repositories" / f"{REPOSITORY}.git", folder)
            rows = [row for size in SIZES for row in measure_size(bench, scope, size)]
    print_table("Promotion: what it takes to bring the deploy branch to the open pull requests", columns, rows)


if __name__ == "__main__":
    main()
