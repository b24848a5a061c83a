//! `slt completions` and `slt man`: they describe the command line to shells and to `man`.

use std::fs;
use std::process::Command;

use crate::support::{Printed, command};

fn slt(arguments: &[&str]) -> Printed {
    // A password in a variable is written to no file.
    Printed::of(command(env!("CARGO_BIN_EXE_slt")).args(arguments).env("SLT_ENGINE", "postgres://me:hunter2@h"))
}

#[test]
fn every_shell_gets_completions_that_it_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let shells = [("bash", &["-n"][..]), ("zsh", &["-n"]), ("fish", &["--no-execute"]), ("elvish", &["-compileonly"])];
    for (shell, check) in shells.into_iter().chain([("powershell", &[][..])]) {
        let printed = slt(&["completions", shell]);
        assert!(
            printed.code == 0 && printed.out.contains("punchlist") && !printed.out.contains("hunter2"),
            "{printed:?}"
        );
        let path = folder.path().join(shell);
        fs::write(&path, &printed.out).unwrap();
        match Command::new(shell).args(check).arg(&path).output() {
            Ok(output) => assert!(output.status.success() && output.stderr.is_empty(), "{output:?}"),
            Err(_) => println!("{shell} is not on this machine: its completions are made, and not read"),
        }
    }
    let printed = slt(&["completions", "tcsh"]);
    assert!(printed.code == 2 && printed.err.contains("bash, elvish, fish, powershell, zsh"), "{printed:?}");
}

#[test]
fn bash_completes_commands_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slt.bash");
    fs::write(&path, slt(&["completions", "bash"]).out).unwrap();
    let complete = |words: &str| {
        let script = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _slt slt \"${{COMP_WORDS[-1]}}\" x; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            path.display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete("slt shr"), "shrink\n");
    assert_eq!(complete("slt fill --refer"), "--reference\n");
}

#[test]
fn the_manual_pages_can_be_shown() {
    let page = slt(&["man"]);
    assert!(page.code == 0 && page.out.contains(".TH slt 1") && !page.out.contains("hunter2"), "{page:?}");
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let printed = slt(&["man", pages.to_str().unwrap()]);
    assert!(
        printed.code == 0 && printed.out.starts_with("wrote ") && printed.out.contains(" pages to `"),
        "{printed:?}"
    );
    for (name, heading) in [("slt.1", "SUBCOMMANDS"), ("slt-run.1", "OPTIONS"), ("slt-fill.1", "OPTIONS")] {
        let path = pages.join(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(heading) && !text.contains("hunter2"), "{text}");
        let shown = Command::new("groff").args(["-k", "-man", "-Tutf8"]).arg(&path).output();
        match shown {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
                // Bold text is printed twice, so look for text that is not bold.
                assert!(text.contains("  slt run select   ") || name != "slt.1", "{text}");
                assert!(text.contains("Exit codes: 0 "), "{text}");
            }
            Err(_) => println!("groff is not on this machine: the pages are written, and not shown"),
        }
    }
    let printed = slt(&["man", "/dev/null/x"]);
    assert!(printed.code == 4 && printed.err.contains("cannot write `/dev/null/x`"), "{printed:?}");
}
