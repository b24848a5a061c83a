//! Finds which commit and branch are checked out: from the variables of a CI system, otherwise from git's own files.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The variables of CI systems for the commit and the branch; those of a pull request come first.
const VARIABLES: [(&[&str], &[&str]); 6] = [
    (&["GITHUB_SHA"], &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"]),
    (&["CI_COMMIT_SHA"], &["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"]),
    (&["BUILDKITE_COMMIT"], &["BUILDKITE_BRANCH"]),
    (&["CIRCLE_SHA1"], &["CIRCLE_BRANCH"]),
    (&["BUILD_SOURCEVERSION"], &["SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCHNAME"]),
    (&["GIT_COMMIT"], &["CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"]),
];

/// The longest name of a branch that is kept.
const LONGEST: usize = 255;

/// A checkout is the commit and the branch of a run's sources; empty if unknown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checkout {
    pub(super) commit: String,
    pub(super) branch: String,
}

impl Checkout {
    /// The checkout of the current folder.
    pub(super) fn here() -> Checkout {
        let folder = env::current_dir().unwrap_or_default();
        Checkout::of_ci(|name| env::var(name).ok()).or_else(|| Checkout::of(&folder)).unwrap_or_default()
    }

    fn of_ci(variable: impl Fn(&str) -> Option<String>) -> Option<Checkout> {
        VARIABLES.iter().find_map(|(commits, branches)| {
            let first = |names: &[&str]| names.iter().filter_map(|name| variable(name)).find(|value| !value.is_empty());
            let commit = first(commits).filter(|commit| is_commit(commit))?;
            Some(Checkout { commit, branch: first(branches).map_or_else(String::new, |branch| named(&branch)) })
        })
    }

    /// The checkout that a folder is in.
    fn of(folder: &Path) -> Option<Checkout> {
        let git = folder.ancestors().map(|folder| folder.join(".git")).find(|path| path.exists())?;
        // In a linked work tree, `.git` is a file that names the folder.
        let git = match fs::read_to_string(&git) {
            Ok(text) => git.parent()?.join(text.strip_prefix("gitdir:")?.trim()),
            Err(_) => git,
        };
        let shared = fs::read_to_string(git.join("commondir")).map_or(git.clone(), |path| git.join(path.trim()));
        let head = fs::read_to_string(git.join("HEAD")).ok()?;
        match head.trim().strip_prefix("ref:").map(str::trim) {
            None => is_commit(head.trim()).then(|| Checkout { commit: head.trim().to_owned(), branch: String::new() }),
            Some(name) => {
                let commit = commit_of(name, &[git, shared]).unwrap_or_default();
                Some(Checkout { commit, branch: named(name) })
            }
        }
    }
}

/// The commit that a name such as `refs/heads/main` points to.
fn commit_of(name: &str, folders: &[PathBuf]) -> Option<String> {
    if !name.starts_with("refs/") || name.split('/').any(|part| part == "..") {
        return None;
    }
    let loose = folders.iter().find_map(|folder| fs::read_to_string(folder.join(name)).ok());
    let packed = || {
        let text = fs::read_to_string(folders.last()?.join("packed-refs")).ok()?;
        text.lines().find_map(|line| line.strip_suffix(name)?.strip_suffix(' ').map(str::to_owned))
    };
    loose.or_else(packed).map(|commit| commit.trim().to_owned()).filter(|commit| is_commit(commit))
}

/// The short name of a branch.
fn named(name: &str) -> String {
    let short = name.strip_prefix("refs/heads/").unwrap_or(name);
    short.chars().filter(|char| !char.is_control()).take(LONGEST).collect()
}

fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn ci_tells_the_commit_and_the_branch() {
        let of = |variables: &[(&str, &str)]| {
            Checkout::of_ci(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let github = [("GITHUB_SHA", COMMIT), ("GITHUB_HEAD_REF", ""), ("GITHUB_REF_NAME", "main")];
        assert_eq!(of(&github), Some(Checkout { commit: COMMIT.into(), branch: "main".into() }));
        let merge =
            [("CI_COMMIT_SHA", COMMIT), ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "fix"), ("CI_COMMIT_REF_NAME", "7")];
        assert_eq!(of(&merge).unwrap().branch, "fix");
        assert_eq!(of(&[("GITHUB_SHA", "not a commit")]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn gits_files_tell_it_in_a_checkout_in_a_linked_one_and_where_refs_are_packed() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let of = |name: &str| Checkout::of(&folder.path().join(name)).unwrap();
        let on = |branch: &str| Checkout { commit: COMMIT.into(), branch: branch.into() };
        write("main/.git/HEAD", "ref: refs/heads/a/b\n");
        write("main/.git/refs/heads/a/b", &format!("{COMMIT}\n"));
        write("main/.git/packed-refs", &format!("# pack-refs\n{COMMIT} refs/heads/packed\n"));
        write("main/.git/worktrees/w/HEAD", "ref: refs/heads/packed\n");
        write("main/.git/worktrees/w/commondir", "../..\n");
        write("linked/.git", "gitdir: ../main/.git/worktrees/w\n");
        write("main/deep/file", "");
        write("detached/.git/HEAD", &format!("{COMMIT}\n"));
        assert_eq!((of("main/deep"), of("linked"), of("detached")), (on("a/b"), on("packed"), on("")));
        write("detached/.git/HEAD", "ref: refs/../../secret\n");
        assert_eq!(of("detached").commit, "");
        write("detached/.git/HEAD", "ref: refs/heads/unborn\n");
        assert_eq!(of("detached"), Checkout { commit: String::new(), branch: "unborn".into() });
    }
}
