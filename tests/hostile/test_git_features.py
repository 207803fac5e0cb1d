"""Features of Git that a branch, or whoever serves it, may use: what is checked out are the commit's files."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.checkout import worktree as worktree_module
from include.deploy_ops.checkout.worktree import DEPTH_MAX, Contents, checkout
from include.deploy_ops.core.errors import DeployOpsError, PermanentError
from include.deploy_ops.process.git_settings import make_git_environment
from tests.hostile.conftest import within
from tests.hostile.test_working_folder import ask_git, embed_repository, fetch
from tests.worlds.doubles.git_host import TOKEN, GitHost, run_git

if TYPE_CHECKING:
    from pathlib import Path

SECONDS_MAX = 20.0


def write_object(server: GitHost, kind: str, content: bytes) -> str:
    """Write an object as it stands, also one that Git would never make."""
    return run_git("hash-object", "-t", kind, "--literally", "-w", "--stdin", cwd=server.repository, given=content)


def write_tree(server: GitHost, entries: list[tuple[str, bytes, str]]) -> str:
    """Return a tree of modes, names and ids, in the order given."""
    packed = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(sha) for mode, name, sha in entries)
    return write_object(server, "tree", packed)


def commit_dags(server: GitHost, entries: list[tuple[str, bytes, str]]) -> str:
    """Return a commit whose `dags/` has these entries beside an honest file."""
    honest = write_object(server, "blob", b"1\n")
    dags = write_tree(server, [("100644", b"a.py", honest), *entries])
    commit = run_git("commit-tree", write_tree(server, [("40000", b"dags", dags)]), "-m", "x", cwd=server.repository)
    run_git("update-ref", "refs/heads/dev-a", commit, cwd=server.repository)
    return commit


MODES = ["10644", "20000", "60000", "140000", "104755", "100777", "106755", "177777", "0", "0100644", "40755", "120777"]


@pytest.mark.parametrize("mode", MODES)
def test_odd_modes_make_no_special_file(server: GitHost, tmp_path: Path, mode: str) -> None:
    blob = write_object(server, "blob", b"a.py")
    commit = commit_dags(server, [(mode, b"odd.py", blob)])
    with within(SECONDS_MAX):
        try:
            with fetch(server, commit, tmp_path, Contents.DAGS) as worktree:
                found = [path.lstat().st_mode for path in (worktree.project / "dags").rglob("*")]
                assert all(stat.S_ISREG(each) or stat.S_ISDIR(each) or stat.S_ISLNK(each) for each in found)
                assert not any(each & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX) for each in found)
        except DeployOpsError:
            pass  # refused is as good
    assert list((tmp_path / "scratch").iterdir()) == []


ODD_NAMES = [b"..", b".", b"", b"../../canary", b"/canary", b"x/y.py", b"..\\canary", b".git", b"a\0b", b"a.py"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_that_lead_elsewhere_write_nothing_there(
    server: GitHost, tmp_path: Path, canary: Path, name: bytes
) -> None:
    blob = write_object(server, "blob", b"evil\n")
    tree = write_tree(server, [("100644", b"canary", blob), ("100644", b"config", blob)])
    commit = commit_dags(server, [("100644", name, blob), ("40000", name, tree)])
    with within(SECONDS_MAX):
        try:
            with fetch(server, commit, tmp_path, Contents.DAGS) as worktree:
                written = {path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"evil\n"}
                assert all(path.is_relative_to(worktree.project / "dags") for path in written)
                assert not any(".git" in path.relative_to(worktree.project).parts for path in written)
        except DeployOpsError:
            pass
    assert not list(tmp_path.parent.glob("canary"))


@pytest.mark.parametrize("contents", list(Contents))
def test_a_folder_behind_a_link_of_the_same_name_is_not_written_through(
    server: GitHost, tmp_path: Path, canary: Path, contents: Contents
) -> None:
    canary.with_name("outside").mkdir()
    link = write_object(server, "blob", os.fsencode(canary.with_name("outside")))
    inside = write_tree(server, [("100644", b"evil.py", write_object(server, "blob", b"1\n"))])
    for entries in (
        [("120000", b"x", link), ("40000", b"x", inside)],
        [("40000", b"x", inside), ("120000", b"x", link)],
        [("120000", b"X", link), ("40000", b"x", inside)],
    ):
        commit = commit_dags(server, entries)
        with (
            within(SECONDS_MAX),
            contextlib.suppress(DeployOpsError),
            fetch(server, commit, tmp_path, contents) as made,
        ):
            assert not any(path.is_symlink() for path in (made.project / "dags").iterdir())
    assert list(canary.with_name("outside").iterdir()) == []


@pytest.mark.parametrize("depth", [DEPTH_MAX + 1, 1_500])
def test_folders_in_one_another_are_refused_and_leave_nothing(server: GitHost, tmp_path: Path, depth: int) -> None:
    commit = server.commit({"dags/a.py": "1\n", f"dags/{'d/' * depth}a.py": "1\n"})
    with (
        within(SECONDS_MAX),
        pytest.raises(PermanentError, match="lies in over"),
        fetch(server, commit, tmp_path, Contents.DAGS),
    ):
        pass
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("length", [300, 5_000, 70_000, 200_000])
def test_long_names_are_refused_for_good(server: GitHost, tmp_path: Path, length: int) -> None:
    name = b"blob " + b"1" * 40 + b" " + b"n" * length
    commit = commit_dags(server, [("100644", name, write_object(server, "blob", b"1\n"))])
    with (
        within(SECONDS_MAX),
        pytest.raises(PermanentError, match="shorten it"),
        fetch(server, commit, tmp_path, Contents.DAGS),
    ):
        pass
    assert list((tmp_path / "scratch").iterdir()) == []


def test_names_that_look_like_keys_hide_no_depth(server: GitHost, tmp_path: Path) -> None:
    nested = "-----BEGIN PRIVATE KEY-----/" + "d/" * (DEPTH_MAX + 50)
    commit = server.commit({"dags/a.py": "1\n", f"dags/{nested}a.py": "1\n"})
    with pytest.raises(PermanentError, match="lies in over"), fetch(server, commit, tmp_path, Contents.DAGS):
        pass


BRANCHES = [
    *(
        "-x",
        "--upload-pack=touch {canary}",
        "--help",
        "-c",
        "--template={canary}",
        "-",
        "--",
        "@{{-1}}",
        "HEAD",
        "a..b",
    ),
    *(
        "refs/heads/../../config",
        "../../../canary",
        "a\nb",
        "x.lock",
        "$(touch {canary})",
        "`touch {canary}`",
        "'; touch",
    ),
]


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_branch_named_like_an_option_or_a_path_is_a_name(
    server: GitHost, tmp_path: Path, canary: Path, branch: str
) -> None:
    commit = server.commit({"dags/a.py": "1\n"})
    with within(SECONDS_MAX):
        try:
            with checkout(
                clone_url=server.clone_url,
                token=TOKEN,
                commit=commit,
                branch=branch.format(canary=canary),
                root=".",
                contents=Contents.DAGS,
                timeout_s=SECONDS_MAX,
                scratch=tmp_path / "scratch",
            ) as worktree:
                assert (worktree.project / "dags/a.py").read_text() == "1\n"
                assert run_git("rev-parse", "HEAD", cwd=worktree.path) == commit
        except DeployOpsError:
            pass
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    "commit", ["--upload-pack=touch x", "-x", "HEAD", "dev-a", "1" * 39, "1" * 41, "A" * 40, "1" * 40 + "\n"]
)
def test_a_commit_is_an_id_and_nothing_else(server: GitHost, tmp_path: Path, commit: str) -> None:
    server.commit({"dags/a.py": "1\n"})
    with pytest.raises(PermanentError, match="no commit id"), fetch(server, commit, tmp_path, Contents.DAGS):
        pass
    assert server.asked == []


@pytest.mark.parametrize("kind", ["commit", "tree", "blob"])
def test_replacements_on_the_server_replace_nothing(server: GitHost, tmp_path: Path, kind: str) -> None:
    other = server.commit({"dags/a.py": "evil\n"}, branch="evil")
    commit = server.commit({"dags/a.py": "honest\n"})
    suffix = {"commit": "", "tree": ":dags", "blob": ":dags/a.py"}[kind]
    ids = [run_git("rev-parse", f"{each}{suffix}", cwd=server.repository) for each in (commit, other)]
    run_git("update-ref", f"refs/replace/{ids[0]}", ids[1], cwd=server.repository)
    (server.repository / "info").mkdir(exist_ok=True)
    (server.repository / "info" / "grafts").write_text(f"{commit} {other}\n")
    with within(SECONDS_MAX), fetch(server, commit, tmp_path, Contents.DAGS) as worktree:
        assert (worktree.project / "dags/a.py").read_text() == "honest\n"
        assert run_git("for-each-ref", "refs/replace", "refs/tags", cwd=worktree.path) == ""
        assert run_git("rev-list", "HEAD", cwd=worktree.path) == commit


def test_alternates_of_the_branch_lend_no_object(server: GitHost, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    run_git("init", "--quiet", "--bare", ".", cwd=secret)
    kept = run_git("hash-object", "-w", "--stdin", cwd=secret, given=b"secret\n")
    lines = f"{secret / 'objects'}\n../../../../secret/objects\n"
    names = ["objects/info/alternates", "objects/info/http-alternates", "info/grafts", "shallow", "commondir", "gitdir"]
    files = {f"{where}{name}": lines for where in ("", "dags/") for name in names}
    commit = server.commit({"dags/a.py": "1\n", **files, **embed_repository("dags/x/", "true")})
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **make_git_environment()}
    with within(SECONDS_MAX), fetch(server, commit, tmp_path, Contents.PROJECT) as worktree:
        for folder in (worktree.project, worktree.project / "dags", worktree.project / "dags/x"):
            asked = subprocess.run(["git", "cat-file", "-e", kept], cwd=folder, env=environment, check=False)
            assert asked.returncode != 0
        assert not (worktree.path / ".git/objects/info/alternates").exists()


CONFIGS = {
    "include": "[include]\n\tpath = {evil}\n",
    "include if": '[includeIf "gitdir:/"]\n\tpath = {evil}\n',
    "include by branch": '[includeIf "onbranch:**"]\n\tpath = {evil}\n',
    "alias": "[alias]\n\tdiff = !touch {canary}\n\tlog = !touch {canary}\n\tstatus = !touch {canary}\n",
    "credentials": "[credential]\n\thelper = !touch {canary}\n",
    "askpass": "[core]\n\taskPass = touch {canary}\n\teditor = touch {canary}\n\tattributesFile = {evil}\n",
    "text conversion": '[diff "x"]\n\ttextconv = touch {canary}\n\tcommand = touch {canary}\n[core]\n\tbare = true\n',
    "another URL": '[url "ext::touch {canary} "]\n\tinsteadOf = http://\n',
    "signatures": "[gpg]\n\tprogram = touch {canary}\n[log]\n\tshowSignature = true\n",
}


@pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS)
def test_configurations_in_the_branch_are_files(server: GitHost, tmp_path: Path, canary: Path, text: str) -> None:
    evil = f"[core]\n\tfsmonitor = touch {canary}\n\tpager = touch {canary}\n\tsshCommand = touch {canary}\n"
    config = text.format(evil="../evil", canary=canary)
    names = ["config", "config.worktree", ".gitconfig", ".config/git/config", "etc/gitconfig", "info/attributes"]
    files = {f"{where}{name}": config for where in ("", "dags/", "dags/x/") for name in names}
    files |= {"evil": evil, "dags/evil": evil, "dags/x/HEAD": "ref: refs/heads/main\n", "dags/x/objects/keep": ""}
    files |= {"dags/a.py": "1\n", "dags/x/refs/keep": "", ".gitattributes": "* diff=x merge=x\n"}
    with within(SECONDS_MAX), fetch(server, server.commit(files), tmp_path, Contents.PROJECT) as worktree:
        for folder in ("", "dags", "dags/x"):
            ask_git(worktree.project / folder)


OWN_FILES = [b".gitmodules", b".gitattributes", b".gitignore", b".mailmap", b".lfsconfig"]


@pytest.mark.parametrize("to", ["/etc/passwd", "a.py", "../../../canary", "/dev/zero"])
def test_git_reads_no_file_of_its_own_through_a_link(server: GitHost, tmp_path: Path, canary: Path, to: str) -> None:
    link = write_object(server, "blob", to.encode())
    for name in OWN_FILES:
        commit = commit_dags(server, [("120000", name, link)])
        with (
            within(SECONDS_MAX),
            contextlib.suppress(DeployOpsError),
            fetch(server, commit, tmp_path, Contents.PROJECT) as worktree,
        ):
            ask_git(worktree.project)
            assert (worktree.project / "dags/a.py").read_text() == "1\n"
            assert (worktree.project / "dags" / name.decode()).resolve().is_relative_to(worktree.project / "dags")


@pytest.mark.parametrize(
    "name", [".gitmodules ", ".GitModules", "gitmod~1", ".gi\u200ctmodules", ".gitmodules::$INDEX"]
)
def test_twins_of_gitmodules_fetch_nothing(server: GitHost, tmp_path: Path, canary: Path, name: str) -> None:
    text = f'[submodule "m"]\n\tpath = dags/m\n\turl = ext::touch {canary}\n\tupdate = !touch {canary}\n'
    commit = server.commit({"dags/a.py": "1\n", name: text, f"dags/{name}": text}, links={"dags/m": "1" * 40})
    with within(SECONDS_MAX):
        try:
            with fetch(server, commit, tmp_path, Contents.PROJECT) as worktree:
                ask_git(worktree.project)
                assert list((worktree.project / "dags/m").iterdir()) == []
        except PermanentError:
            pass
    assert {path.partition("?")[0].rpartition("/")[2] for path, _ in server.asked} <= {"refs", "git-upload-pack"}


def test_a_server_that_keeps_files_back_is_an_error_of_ours(
    server: GitHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = "1" * 40
    monkeypatch.setattr(worktree_module, "_list_settings", lambda *_: [missing])
    commit = server.commit({"dags/a.py": "1\n"})
    with pytest.raises(DeployOpsError), fetch(server, commit, tmp_path, Contents.PROJECT):
        pass


def test_a_thousand_attributes_and_ignores_take_no_time(server: GitHost, tmp_path: Path) -> None:
    files = {f"dags/{number}/.gitattributes": "**/*a*a*a*a*a*b text eol=crlf ident\n" * 50 for number in range(100)}
    files |= {f"dags/{number}/.gitignore": "**/*a*a*a*a*b\n" * 50 for number in range(100)}
    commit = server.commit({"dags/a.py": "1\n", f"dags/{'a' * 200}.py": "1\n", **files})
    begun = time.monotonic()
    with fetch(server, commit, tmp_path, Contents.PROJECT) as worktree:
        ask_git(worktree.project)
    assert time.monotonic() - begun < SECONDS_MAX
