"""The change type as a table: what runs, what a push changes, and which deploy follows, by which path and rule.

Each row starts from one small project that is deployed as a whole. Read a row as: "<name>: these files differ, so this
deploy, because of this path, by this rule." Below the table, each row is also shown to depend on what it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from include.deploy_ops.core.change.change_type import ChangeRules, Snapshot, classify_change
from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.history import read_history
from include.deploy_ops.core.model import ChangeDecision, ChangeType, Deploy, DeployKind, DeployStatus
from tests.worlds.values.examples import OWNER
from tests.worlds.values.git_store import FILE, LINK, MODULE, TOOL, GitStore, Leaf

NONE, DAGS, IMAGE = ChangeType.NONE, ChangeType.DAGS, ChangeType.IMAGE
DEPLOYED, FAILED, INITIALIZED = DeployStatus.DEPLOYED, DeployStatus.FAILED, DeployStatus.INITIALIZED
GONE = ("gone", "")

Content = str | Leaf
Files = Mapping[str, Content]

PROJECT: Files = {
    ".astro/config.yaml": "project: {name: shop}",
    ".dockerignore": ".git",
    ".gitignore": "*.pyc",
    "Dockerfile": "FROM runtime",
    "README.md": "Shop",
    "dags/.airflowignore": "lib",
    "dags/lib/sql.py": "1",
    "dags/load.py": "1",
    "dags/notes.md": "1",
    "docs/schema.sql": "1",
    "docs/usage.md": "1",
    "include/orders.py": "1",
    "packages.txt": "git",
    "plugins/menu.py": "1",
    "requirements.txt": "pandas",
    "tests/test_dags.py": "1",
}
RULES = ChangeRules(".", ("*.md", "docs/", "tests/", ".github/"))

# A repository with the project in a sub-folder, beside others.
NESTED = ChangeRules("services/shop", ("*.md",), also_watch=("shared/libs", "constraints.txt"))
MONOREPO: Files = {
    **{f"services/shop/{path}": content for path, content in PROJECT.items()},
    "services/crm/dags/load.py": "1",
    "shared/libs/db.py": "1",
    "shared/libs/README.md": "1",
    "constraints.txt": "1",
    "dags/load.py": "1",
}


@dataclass(frozen=True)
class Record:
    """One of Astro's deploy records; `files` is what it deployed, None where nobody knows the commit.

    `undoes` makes it a rollback to the record of that number, from 0.
    """

    kind: DeployKind
    files: Files | None
    status: DeployStatus = DEPLOYED
    undoes: int | None = None


def image(files: Files | None, status: DeployStatus = DEPLOYED) -> Record:
    return Record(DeployKind.IMAGE_AND_DAG, files, status)


def dags(files: Files | None, status: DeployStatus = DEPLOYED) -> Record:
    return Record(DeployKind.DAG_ONLY, files, status)


@dataclass(frozen=True)
class Case:
    """A row. `path` and `rule` are those of the record's first, deciding line; without one, `rule` is the reason."""

    name: str
    change: Files
    expected: ChangeType
    path: str = ""
    rule: str = ""
    deployed: Files = field(default_factory=lambda: PROJECT)
    rules: ChangeRules = RULES
    has_dag_deploys: bool = True
    history: tuple[Record, ...] | None = None  # None: `deployed`, as one image deploy

    def __str__(self) -> str:
        return self.name

    @property
    def wanted(self) -> Files:
        return lay_over(self.deployed, self.change)


def lay_over(files: Files, change: Files) -> Files:
    return {path: content for path, content in {**files, **change}.items() if content != GONE}


V2: Files = lay_over(PROJECT, {"dags/load.py": "2"})
V2_IMAGE: Files = lay_over(PROJECT, {"requirements.txt": "polars"})
V3: Files = lay_over(V2_IMAGE, {"dags/load.py": "2"})
NOTHING = "nothing differs from"
UNKNOWN = "no successful deploy with a known commit"
BELOW, OUTSIDE = "below dags/", "outside dags/"

CASES = [
    # --- DAGs alone ---------------------------------------------------------------------------------------------------
    Case("nothing", {}, NONE, "", NOTHING),
    Case("a DAG", {"dags/load.py": "2"}, DAGS, "dags/load.py", BELOW),
    Case("a new DAG", {"dags/new.py": "1"}, DAGS, "dags/new.py", BELOW),
    Case("a module in a folder of DAGs", {"dags/lib/sql.py": "2"}, DAGS, "dags/lib/sql.py", BELOW),
    Case("a DAG is removed", {"dags/load.py": GONE}, DAGS, "dags/load.py", BELOW),
    Case("the last file of dags/ is removed",
         {path: GONE for path in PROJECT if path.startswith("dags/")}, DAGS, "dags/.airflowignore", BELOW),
    Case("a DAG is renamed inside dags/", {"dags/load.py": GONE, "dags/sub/load.py": "1"}, DAGS, "dags/load.py", BELOW),
    Case("a DAG becomes executable", {"dags/load.py": (TOOL, "1")}, DAGS, "dags/load.py", BELOW),
    Case("a DAG becomes a link", {"dags/load.py": (LINK, "lib/sql.py")}, DAGS, "dags/load.py", BELOW),
    Case("a submodule in dags/ moves", {"dags/vendor": (MODULE, "2")}, DAGS, "dags/vendor", BELOW,
         deployed={**PROJECT, "dags/vendor": (MODULE, "1")}),
    Case("a DAG folder becomes a file", {"dags/lib/sql.py": GONE, "dags/lib": "1"}, DAGS, "dags/lib", BELOW),
    Case("a DAG's line ends become CRLF", {"dags/load.py": "1\r\n"}, DAGS, "dags/load.py", BELOW,
         deployed={**PROJECT, "dags/load.py": "1\n"}),
    Case("what .airflowignore of dags/ says", {"dags/.airflowignore": "x"}, DAGS, "dags/.airflowignore", BELOW),
    Case("a nested dags/ folder", {"dags/dags/load.py": "1"}, DAGS, "dags/dags/load.py", BELOW),
    Case("a DAG with a blank in its name", {"dags/my load.py": "1"}, DAGS, "dags/my load.py", BELOW),
    Case("a DAG with a line break in its name", {"dags/my\nload.py": "1"}, DAGS, "dags/my\nload.py", BELOW),
    Case("a DAG with an accent in its name", {"dags/caf\xe9.py": "1"}, DAGS, "dags/caf\xe9.py", BELOW),
    Case("a DAG whose name is no UTF-8", {"dags/caf\udce9.py": "1"}, DAGS, "dags/caf\udce9.py", BELOW),
    Case("case twins of a DAG", {"dags/Load.py": "1"}, DAGS, "dags/Load.py", BELOW),
    # --- ignore rules never touch dags/ -------------------------------------------------------------------------------
    Case("a Markdown file in dags/", {"dags/notes.md": "2"}, DAGS, "dags/notes.md", BELOW),
    Case("a docs/ folder in dags/", {"dags/docs/a.txt": "1"}, DAGS, "dags/docs/a.txt", BELOW),
    Case("a rule that names dags/ itself", {"dags/load.py": "2"}, DAGS, "dags/load.py", BELOW,
         rules=ChangeRules(".", ("dags/", "/dags/**"))),
    # --- what an image carries ----------------------------------------------------------------------------------------
    Case("requirements", {"requirements.txt": "polars"}, IMAGE, "requirements.txt", OUTSIDE),
    Case("the Dockerfile", {"Dockerfile": "FROM runtime:2"}, IMAGE, "Dockerfile", OUTSIDE),
    Case("system packages", {"packages.txt": "curl"}, IMAGE, "packages.txt", OUTSIDE),
    Case("include/", {"include/orders.py": "2"}, IMAGE, "include/orders.py", OUTSIDE),
    Case("plugins/", {"plugins/menu.py": GONE}, IMAGE, "plugins/menu.py", OUTSIDE),
    Case("the CLI's settings", {".astro/config.yaml": "project: {name: x}"}, IMAGE, ".astro/config.yaml", OUTSIDE),
    Case(".dockerignore", {".dockerignore": "include"}, IMAGE, ".dockerignore", OUTSIDE),
    Case(".gitignore, which ignores nothing here", {".gitignore": "*"}, IMAGE, ".gitignore", OUTSIDE),
    Case(".airflowignore outside dags/", {".airflowignore": "*"}, IMAGE, ".airflowignore", OUTSIDE),
    Case("a file that is merely called dags.py", {"dags.py": "1"}, IMAGE, "dags.py", OUTSIDE),
    Case("a folder that begins like dags", {"dags2/load.py": "1"}, IMAGE, "dags2/load.py", OUTSIDE),
    Case("case twins of dags/", {"Dags/load.py": "1"}, IMAGE, "Dags/load.py", OUTSIDE),
    Case("a dags/ folder below include/", {"include/dags/load.py": "1"}, IMAGE, "include/dags/load.py", OUTSIDE),
    Case("requirements become executable", {"requirements.txt": (TOOL, "pandas")}, IMAGE, "requirements.txt", OUTSIDE),
    Case("a link points elsewhere", {"include/link": (LINK, "b")}, IMAGE, "include/link", OUTSIDE,
         deployed={**PROJECT, "include/link": (LINK, "a")}),
    Case("a file becomes a link with its content", {"packages.txt": (LINK, "git")}, IMAGE, "packages.txt", OUTSIDE),
    Case("a submodule moves", {"vendor": (MODULE, "2")}, IMAGE, "vendor", OUTSIDE,
         deployed={**PROJECT, "vendor": (MODULE, "1")}),
    Case("line ends of the Dockerfile become CRLF", {"Dockerfile": "FROM runtime\r\n"}, IMAGE, "Dockerfile", OUTSIDE),
    Case("a file with a line break in its name", {"include/a\nb": "1"}, IMAGE, "include/a\nb", OUTSIDE),
    Case("everything is removed", dict.fromkeys(PROJECT, GONE), IMAGE, ".astro/config.yaml", OUTSIDE),
    Case("the first file of an empty repository", {"Dockerfile": "1"}, IMAGE, "Dockerfile", OUTSIDE, deployed={}),
    # --- across the border --------------------------------------------------------------------------------------------
    Case("DAGs and requirements", {"dags/load.py": "2", "requirements.txt": "x"}, IMAGE, "requirements.txt", OUTSIDE),
    Case("a DAG moves out to include/", {"dags/load.py": GONE, "include/load.py": "1"},
         IMAGE, "include/load.py", OUTSIDE),
    Case("a module moves in from include/", {"include/orders.py": GONE, "dags/orders.py": "1"},
         IMAGE, "include/orders.py", OUTSIDE),
    Case("an ignored file moves into dags/", {"docs/schema.sql": GONE, "dags/schema.sql": "1"},
         DAGS, "dags/schema.sql", BELOW),
    Case("dags/ becomes a link", {**{path: GONE for path in PROJECT if path.startswith("dags/")}, "dags": (LINK, "x")},
         IMAGE, "dags", "'dags' is no folder"),
    Case("dags/ becomes a file", {**{path: GONE for path in PROJECT if path.startswith("dags/")}, "dags": "1"},
         IMAGE, "dags", "'dags' is no folder"),
    Case("dags/ is a submodule that moves", {"dags": (MODULE, "2")}, IMAGE, "dags", "'dags' is no folder",
         deployed={"Dockerfile": "1", "dags": (MODULE, "1")}),
    Case("dags/ was a link", {"dags": GONE, "dags/load.py": "1"}, IMAGE, "dags", "'dags' is no folder",
         deployed={"Dockerfile": "1", "dags": (LINK, "x")}),
    # --- what is ignored ----------------------------------------------------------------------------------------------
    Case("the README", {"README.md": "2"}, NONE, "README.md", "ignored by '*.md'"),
    Case("documentation", {"docs/usage.md": "2", "docs/new.txt": "1"}, NONE, "docs/", "ignored by 'docs/'"),
    Case("tests and CI", {"tests/new.py": "1", ".github/ci.yaml": "1"}, NONE, ".github/", "ignored by '.github/'"),
    Case("the README becomes executable", {"README.md": (TOOL, "Shop")}, NONE, "README.md", "ignored by '*.md'"),
    Case("the README moves to docs/", {"README.md": GONE, "docs/README.md": "Shop"},
         NONE, "README.md", "ignored by '*.md'"),
    Case("a Markdown file deep in include/", {"include/a/b/c.md": "1"}, NONE, "include/a/b/c.md", "ignored by '*.md'"),
    Case("a Markdown file with an accent", {"caf\xe9.md": "1"}, NONE, "caf\xe9.md", "ignored by '*.md'"),
    Case("a Markdown file whose name is no UTF-8", {"caf\udce9.md": "1"}, NONE, "caf\udce9.md", "ignored by '*.md'"),
    Case("a Markdown file with a line break", {"a\nb.md": "1"}, NONE, "a\nb.md", "ignored by '*.md'"),
    Case("a Markdown ending in capitals", {"README.MD": "1"}, IMAGE, "README.MD", OUTSIDE),
    Case("an ignored submodule", {"docs": (MODULE, "2")}, NONE, "docs", "ignored by 'docs/'",
         deployed={"Dockerfile": "1", "docs": (MODULE, "1")}),
    Case("a file that is called like an ignored folder", {"include/tests": "1"}, IMAGE, "include/tests", OUTSIDE),
    Case("re-included below an ignored folder: stays ignored", {"docs/schema.sql": "2"},
         NONE, "docs/", "ignored by 'docs/'", rules=ChangeRules(".", ("docs/", "!docs/schema.sql"))),
    Case("re-included among ignored files: counts", {"docs/schema.sql": "2"},
         IMAGE, "docs/schema.sql", OUTSIDE, rules=ChangeRules(".", ("docs/*", "!docs/schema.sql"))),
    Case("a rule for the top alone", {"include/README.md": "1"}, IMAGE, "include/README.md", OUTSIDE,
         rules=ChangeRules(".", ("/*.md",))),
    Case("a rule with a CRLF line end", {"docs/usage.md": "2"}, NONE, "docs/", "ignored by 'docs/\r'",
         rules=ChangeRules(".", ("docs/\r",))),
    Case("ignored beside a DAG", {"README.md": "2", "dags/load.py": "2"}, DAGS, "dags/load.py", BELOW),
    # --- the project in a sub-folder ----------------------------------------------------------------------------------
    Case("its DAG", {"services/shop/dags/load.py": "2"}, DAGS, "services/shop/dags/load.py", BELOW,
         deployed=MONOREPO, rules=NESTED),
    Case("its Dockerfile", {"services/shop/Dockerfile": "2"}, IMAGE, "services/shop/Dockerfile", OUTSIDE,
         deployed=MONOREPO, rules=NESTED),
    Case("its README", {"services/shop/README.md": "2"}, NONE, "services/shop/README.md", "ignored by '*.md'",
         deployed=MONOREPO, rules=NESTED),
    Case("another project's DAG", {"services/crm/dags/load.py": "2"}, NONE, "services/crm/", "outside the root",
         deployed=MONOREPO, rules=NESTED),
    Case("a dags/ folder at the top", {"dags/load.py": "2"}, NONE, "dags/", "outside the root",
         deployed=MONOREPO, rules=NESTED),
    Case("a folder that begins like the root", {"services/shop2/x": "1"}, NONE, "services/shop2/", "outside the root",
         deployed=MONOREPO, rules=NESTED),
    Case("a watched folder", {"shared/libs/db.py": "2"}, IMAGE, "shared/libs/db.py", "also_watch 'shared/libs'",
         deployed=MONOREPO, rules=NESTED),
    Case("a Markdown file in a watched folder", {"shared/libs/README.md": "2"},
         IMAGE, "shared/libs/README.md", "also_watch 'shared/libs'", deployed=MONOREPO, rules=NESTED),
    Case("a watched file", {"constraints.txt": GONE}, IMAGE, "constraints.txt", "also_watch 'constraints.txt'",
         deployed=MONOREPO, rules=NESTED),
    Case("beside a watched folder", {"shared/other.py": "1"}, NONE, "shared/other.py", "outside the root",
         deployed=MONOREPO, rules=NESTED),
    # --- DAG deploys are off: the image carries the DAGs --------------------------------------------------------------
    Case("a DAG, without DAG deploys", {"dags/load.py": "2"},
         IMAGE, "dags/load.py", "below dags/, and DAG deploys are off", has_dag_deploys=False),
    Case("the README, without DAG deploys", {"README.md": "2"}, NONE, "README.md", "ignored by '*.md'",
         has_dag_deploys=False),
    # --- what runs is not what was pushed last ------------------------------------------------------------------------
    Case("first deploy", {}, IMAGE, "", UNKNOWN, history=()),
    Case("DAGs were deployed since the image", {}, NONE, "", NOTHING, deployed=V2, history=(image(PROJECT), dags(V2))),
    Case("back to the image's DAGs", {}, DAGS, "dags/load.py", BELOW, history=(image(PROJECT), dags(V2))),
    Case("a DAG push after an image deploy that failed", {}, IMAGE, "requirements.txt", OUTSIDE, deployed=V3,
         history=(image(PROJECT), image(V2_IMAGE, FAILED))),
    Case("DAGs forced over a missing image", {}, IMAGE, "requirements.txt", OUTSIDE, deployed=V3,
         history=(image(PROJECT), dags(V3))),
    Case("a DAG deploy that failed", {}, DAGS, "dags/load.py", BELOW, deployed=V2,
         history=(image(PROJECT), dags(V2, FAILED))),
    Case("a DAG deploy that never ended", {}, DAGS, "dags/load.py", BELOW, deployed=V2,
         history=(image(PROJECT), dags(V2, INITIALIZED))),
    Case("an image alone was deployed since", {}, DAGS, "dags/load.py", BELOW, deployed=V3,
         history=(image(PROJECT), Record(DeployKind.IMAGE_ONLY, V3))),
    Case("a dbt bundle was deployed since", {}, NONE, "", NOTHING,
         history=(image(PROJECT), Record(DeployKind.BUNDLE, V3))),
    Case("a rollback restored the old image", {}, IMAGE, "requirements.txt", OUTSIDE, deployed=V3,
         history=(image(PROJECT), image(V3), Record(DeployKind.IMAGE_AND_DAG, None, undoes=0))),
    Case("a rollback restored what is wanted", {}, NONE, "", NOTHING,
         history=(image(PROJECT), image(V3), Record(DeployKind.IMAGE_AND_DAG, None, undoes=0))),
    Case("a rollback to a record that is unknown", {}, IMAGE, "", UNKNOWN,
         history=(image(PROJECT), Record(DeployKind.IMAGE_AND_DAG, None, undoes=9))),
    Case("a stranger's image without a commit", {}, IMAGE, "", UNKNOWN, history=(image(PROJECT), image(None))),
    Case("a stranger's DAGs without a commit", {}, IMAGE, "", UNKNOWN, history=(image(PROJECT), dags(None))),
    Case("no image was ever deployed", {}, IMAGE, "", UNKNOWN, history=(dags(PROJECT),)),
]  # fmt: skip

REFUSED = [
    ("the root is a link", {"services/shop": (LINK, "../crm")}, "'services/shop' is a symbolic link"),
    ("the root is a submodule", {"services/shop": (MODULE, "1")}, "'services/shop' is a submodule"),
    ("the way to the root is a file", {"services": "1"}, "'services' is a file"),
    ("the root is missing", {"Dockerfile": "1"}, "'services' is missing"),
]


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitStore]:
    """Give a repository: names beyond ASCII are believed only where the trees' own ids prove them."""
    with GitStore(tmp_path_factory.mktemp("table") / "bare.git") as store:
        yield store


def snap(git: GitStore, files: Files) -> Snapshot:
    leaves = {path: (FILE, content) if isinstance(content, str) else content for path, content in files.items()}
    return git.write_history([leaves])[0]


def decide(git: GitStore, case: Case) -> ChangeDecision:
    """Decide as the change type step does: from Astro's records to the wanted commit."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    deploys, snapshots = [], {}
    for number, record in enumerate((image(case.deployed),) if case.history is None else case.history):
        snapshot = None if record.files is None else snap(git, record.files)
        if snapshot is not None:
            snapshots[snapshot.commit] = snapshot
        deploy = Deploy(
            f"deploy-{number}",
            "deployment",
            record.status,
            record.kind,
            start + timedelta(minutes=number),
            git_commit=snapshot.commit if snapshot else None,
            rollback_from_id=None if record.undoes is None else f"deploy-{record.undoes}",
        )
        deploys.append(deploy)
    history = read_history(deploys, OWNER)
    return classify_change(
        target=snap(git, case.wanted),
        image_base=snapshots.get(history.image_commit or ""),
        dags_base=snapshots.get(history.dags_commit or ""),
        rules=case.rules,
        read_tree=git.read_tree,
        is_dag_deploy_enabled=case.has_dag_deploys,
        missing_base=UNKNOWN,
    )


def list_cases(*, has_history: bool | None = None, rule: str = "") -> list[Case]:
    """List the rows whose deciding rule begins so."""
    return [case for case in CASES if case.rule.startswith(rule) and has_history in {None, case.history is not None}]


@pytest.mark.parametrize("case", list_cases(), ids=str)
def test_table(git: GitStore, case: Case) -> None:
    decision = decide(git, case)
    first = next(iter(decision.paths), None)
    assert decision.change_type is case.expected
    assert (first.path if first else "") == case.path
    assert (first.rule == case.rule) if first else decision.reason.startswith(case.rule)


@pytest.mark.parametrize(("name", "files", "said"), REFUSED)
def test_root_that_is_no_folder(git: GitStore, name: str, files: Files, said: str) -> None:
    with pytest.raises(PermanentError, match=said):
        decide(git, Case(name, files, IMAGE, deployed={}, rules=NESTED))


# Each row depends on what it names.


def test_rows_are_many_and_differ() -> None:
    assert len(CASES) >= 48
    assert len({case.name for case in CASES}) == len(CASES)
    told = [(case.deployed, case.change, case.rules, case.has_dag_deploys, case.history) for case in CASES]
    assert all(row not in told[:number] for number, row in enumerate(told))


@pytest.mark.parametrize("case", list_cases(has_history=False), ids=str)
def test_without_its_change_a_row_deploys_nothing(git: GitStore, case: Case) -> None:
    assert decide(git, replace(case, change={})).reason.startswith(NOTHING)


@pytest.mark.parametrize("case", list_cases(has_history=False), ids=str)
def test_the_way_back_needs_the_same_deploy(git: GitStore, case: Case) -> None:
    there, back = decide(git, case), decide(git, replace(case, deployed=case.wanted, change=undo(case)))
    assert back.change_type is there.change_type
    assert back.paths == there.paths


def undo(case: Case) -> Files:
    return {path: case.deployed.get(path, GONE) for path in case.change}


@pytest.mark.parametrize("case", list_cases(rule="ignored by"), ids=str)
def test_without_ignore_rules_what_was_ignored_asks_for_an_image(git: GitStore, case: Case) -> None:
    assert decide(git, replace(case, rules=replace(case.rules, ignore=()))).change_type is IMAGE


@pytest.mark.parametrize("case", list_cases(rule="also_watch"), ids=str)
def test_without_also_watch_what_was_watched_is_outside(git: GitStore, case: Case) -> None:
    assert decide(git, replace(case, rules=replace(case.rules, also_watch=()))).change_type is NONE


@pytest.mark.parametrize("case", list_cases(rule=BELOW), ids=str)
def test_with_dag_deploys_turned_dags_are_decided_otherwise(git: GitStore, case: Case) -> None:
    turned = decide(git, replace(case, has_dag_deploys=not case.has_dag_deploys))
    assert {turned.change_type, case.expected} == {DAGS, IMAGE}


@pytest.mark.parametrize("case", [case for case in list_cases(has_history=True) if case.history], ids=str)
def test_with_the_wanted_commit_deployed_last_nothing_is_left(git: GitStore, case: Case) -> None:
    assert case.history is not None
    assert decide(git, replace(case, history=(*case.history, image(case.wanted)))).change_type is NONE
