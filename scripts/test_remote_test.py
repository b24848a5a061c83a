"""Tests remote_test.sh and remote_quick.sh on a host that is this machine, reached by ssh."""

import os
import re
import shutil
import signal
import subprocess
import time
import unittest

import remote_hosts
from remote_hosts import PACKAGE, Hosts

SCRIPT = PACKAGE / "scripts/remote_test.sh"
QUICK = PACKAGE / "scripts/remote_quick.sh"
SLOW = "statement ok\nWITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT max(i) FROM n\n"


class CommandLine(unittest.TestCase):
    """Errors are reported before any host is contacted."""

    def says(self, words, *arguments, code=2, **environment):
        hosts = Hosts()
        self.addCleanup(hosts.close)
        printed = hosts.run(*arguments, **environment)
        self.assertEqual((printed.returncode, printed.stdout), (code, ""))
        self.assertIn(words, printed.stderr)

    def test_no_host_is_built_in(self):
        self.says("no host: name one with `--host`, or in the variable `SLT_REMOTE_HOST`", SCRIPT, "--run")
        self.says("no host", QUICK, "sync")

    def test_several_hosts_need_a_queue_without_a_password_in_its_flag(self):
        self.says("several hosts share one queue", SCRIPT, "--host", "a", "--host", "b", "--run")
        self.says("several hosts share one queue", SCRIPT, "--run", SLT_REMOTE_HOST="a b")
        self.says("host `a` is named twice", SCRIPT, "--host", "a", "--host", "a", "--status")
        self.says("the queue that hosts share is in PostgreSQL", SCRIPT, "--host", "a", "--queue", "/tmp/queue")
        for url in ["postgres://me:pass@word@h/db", "postgres://h/db?password=pass"]:
            self.says("in the variable `SLT_REMOTE_QUEUE` instead", SCRIPT, "--host", "a", "--queue", url)

    def test_flags_that_cannot_be_used_are_named(self):
        self.says("unknown flag `--wrong`", SCRIPT, "--wrong")
        self.says("`--workers` is `0`", SCRIPT, "--host", "h", "--workers", "0")
        self.says("`--time` needs a value", SCRIPT, "--host", "h", "--time")
        self.says("`-oProxyCommand=x` is no host", SCRIPT, "--host", "-oProxyCommand=x")
        self.says("`..` is no host", SCRIPT, "--host", "..")
        self.says("`-x` is not a folder", SCRIPT, "--host", "h", "--repo-path", "-x")
        self.says("no such program: `/`", SCRIPT, "--host", "h", "--binary", "/")
        self.says("no such folder: `absent`", SCRIPT, "--host", "h", "--corpus", "absent")
        self.says("usage:", QUICK, "wrong")

    def test_what_several_hosts_say_is_shown_once_but_for_their_results(self):
        once = re.search(r"(?ms)^once\(\) \{.*?^\}", SCRIPT.read_text())[0]
        printed = "[a] test 1.slt ... ok\n[b] test 1.slt ... ok\n[b] test result: ok\n[a] test result: ok\n"
        shown = subprocess.run(["bash", "-c", f"{once}\nonce"], input=printed, capture_output=True, text=True, check=True)
        self.assertEqual(shown.stdout, printed.replace("[b] test 1.slt ... ok\n", ""))

    def test_a_host_that_cannot_be_reached_is_named(self):
        self.says("host `absent.invalid` was lost or could not be reached", SCRIPT, "--host", "absent.invalid", "--run",
                  code=4)


@unittest.skipIf(remote_hosts.missing() and not os.environ.get("CI"), f"missing here: {remote_hosts.missing()}")
class OneHost(unittest.TestCase):
    """The steps, on one host."""

    @classmethod
    def setUpClass(cls):
        cls.binary = remote_hosts.build()
        cls.hosts = Hosts()
        cls.addClassCleanup(cls.hosts.close)
        cls.hosts.add("one")

    def setUp(self):
        name = self.id().rsplit(".", maxsplit=1)[-1]
        self.repo = self.hosts.folder / "homes/one" / name
        self.common = ["--host", "one", "--repo-path", name, "--binary", self.binary]

    def corpus(self, count):
        """A folder of scripts that take a while."""
        folder = self.hosts.folder / f"{self.repo.name}-corpus"
        folder.mkdir()
        for number in range(count):
            (folder / f"{number}.test").write_text(SLOW)
        return folder

    def does(self, code, *arguments):
        printed = self.hosts.run(SCRIPT, *self.common, *arguments)
        self.assertEqual(printed.returncode, code, printed.stdout + printed.stderr)
        return printed.stdout + printed.stderr

    def until(self, words, *arguments):
        deadline = time.monotonic() + 60
        while words not in (printed := self.does(0, *arguments)):
            self.assertLess(time.monotonic(), deadline, printed)
            time.sleep(0.1)

    def test_files_are_copied_run_and_their_results_fetched(self):
        printed = self.does(0, "--sync", "--run", "--fetch-results", "--workers", "2", "select/")
        self.assertRegex(printed, r"test result: ok\. \d\d passed")
        self.assertIn("results of one: target/remote/one", printed)
        self.assertTrue((PACKAGE / "target/remote/one/history.jsonl").exists())
        self.assertFalse((self.repo / ".git").exists(), "what git ignores stays here")
        self.assertIn("ended with exit code 0", self.does(0, "--status"))
        self.assertIn("removed", self.does(0, "--clean"))
        self.assertFalse(self.repo.exists())

    def test_a_file_that_fails_makes_101(self):
        corpus = self.corpus(1)
        (corpus / "bad.test").write_text("query I\nSELECT 1\n----\n2\n")
        self.assertIn("bad.test:1", self.does(101, "--sync", "--run", "--corpus", corpus))

    def test_sync_runs_nothing(self):
        self.assertNotIn("test result", self.does(0, "--sync"))
        self.assertIn("nothing was run yet", self.does(0, "--status"))

    def test_a_path_may_hold_blanks_and_quotes(self):
        self.repo = self.repo.parent / "a b" / "it's c"
        self.common[3] = "a b/it's c"
        self.assertRegex(self.does(0, "select/"), r"test result: ok\. \d\d passed")
        self.assertIn("removed `a b/it's c`", self.does(0, "--clean"))
        self.assertEqual(os.listdir(self.repo.parent), [])

    def test_the_login_shell_there_may_be_any(self):
        for shell in ["dash", "tcsh", "fish"]:
            if not shutil.which(shell):
                self.assertNotIn("CI", os.environ, f"{shell} is missing")
                continue
            with self.subTest(shell):
                self.hosts.add(f"with-{shell}", shell=shell)
                self.common[1] = f"with-{shell}"
                self.common[3] = "it's $HOME; `x` (a)"
                self.assertRegex(self.does(0, "--sync", "--run", "select/joins"), r"test result: ok\. \d+ passed")
                self.assertIn("ended with exit code 0", self.does(0, "--status"))
                self.assertIn("removed", self.does(0, "--clean"))

    def test_what_git_names_is_copied_whatever_its_rules(self):
        checkout = self.hosts.folder / "checkout"
        shutil.copytree(PACKAGE / "scripts", checkout / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ["kept/bad.test", "kept/lost.tmp", "forced.tmp", "new [*]?.test", "gone.test", "target/built"]:
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_text("")
        (checkout / ".gitignore").write_text("/target\n*.test\n!bad.test\n!new*\n!gone.test\n*.tmp\n")
        git = ["git", "-C", checkout, "-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "add", "-f", "forced.tmp", "gone.test", "kept/bad.test"], check=True)
        script = [checkout / "scripts/remote_test.sh", *self.common, "--sync"]
        printed = self.hosts.run(*script)
        self.assertEqual(printed.returncode, 0, printed.stderr)

        def there():
            files = (path.relative_to(self.repo) for path in self.repo.rglob("*") if path.is_file())
            return sorted(str(path) for path in files if path.parts[0] not in ("scripts", "target"))

        kept = [".gitignore", ".slt-remote", "forced.tmp", "gone.test", "kept/bad.test", "new [*]?.test"]
        self.assertEqual(there(), kept)
        # A file that is deleted here is deleted there too, and builds there stay.
        (self.repo / "target/built-there").write_text("")
        (checkout / "gone.test").unlink()
        self.assertEqual(self.hosts.run(*script).returncode, 0)
        self.assertEqual(there(), [name for name in kept if name != "gone.test"])
        self.assertTrue((self.repo / "target/built-there").exists())
        self.assertFalse((self.repo / "target/built").exists())

    def test_what_a_host_lacks_is_named(self):
        self.hosts.add("bare", programs=["bash", "uname", "ls", "mkdir", "touch", "flock"])
        self.common[1] = "bare"
        printed = self.does(4, "--sync")
        self.assertRegex(printed, r"error: \S+ has no rsync: install it there")
        self.assertRegex(self.does(4, "--setup"), r"missing on \S+: rsync: install the package rsync")

    def test_nothing_is_there_before_the_first_copy(self):
        self.assertIn("no copy at", self.does(0, "--status"))
        self.assertIn("nothing at", self.does(0, "--clean"))
        self.assertIn("use --sync first", self.does(4, "--run"))
        self.assertIn("no results could be copied from `one`", self.does(4, "--fetch-results"))

    def test_a_folder_of_somebody_else_is_left_alone(self):
        self.repo.mkdir()
        (self.repo / "precious").write_text("")
        self.assertIn("left alone", self.does(4, "--sync"))
        self.assertIn("left alone", self.does(4, "--clean"))
        self.assertIn("no copy made by this script", self.does(4, "--run"))
        self.assertTrue((self.repo / "precious").exists())

    def test_ctrl_c_stops_the_run_there(self):
        self.does(0, "--sync", "--corpus", corpus := self.corpus(200))
        run = self.hosts.start(SCRIPT, *self.common, "--corpus", corpus, "--workers", "1")
        for line in run.stdout:
            if line.rstrip().endswith("... ok"):
                break
        run.send_signal(signal.SIGINT)
        rest, _ = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 3, rest)
        self.assertIn("not run (interrupted)", rest)
        self.assertIn("ended with exit code 3", self.does(0, "--status"))

    def test_the_end_of_this_script_however_it_comes_stops_the_run_there(self):
        self.does(0, "--sync", "--corpus", corpus := self.corpus(200))
        run = self.hosts.start(SCRIPT, *self.common, "--corpus", corpus, "--workers", "1")
        for line in run.stdout:
            if line.rstrip().endswith("... ok"):
                break
        run.kill()
        run.communicate(timeout=60)
        self.until("ended with exit code 3", "--status")

    def test_a_detached_run_goes_on(self):
        printed = self.does(0, "--sync", "--detach", "--corpus", corpus := self.corpus(20), "--workers", "1")
        self.assertIn("started on", printed)
        again = self.does(4, "--run", "--corpus", corpus)
        self.assertIn("a run is in progress", again)
        self.assertIn("must end before anything is copied", self.does(4, "--sync", "--corpus", corpus))
        self.assertIn("a run is in progress", self.does(0, "--status"))
        self.assertIn("must end first", self.does(4, "--clean"))
        self.until("ended with exit code 0", "--status")
        self.assertTrue(re.search("20 passed", self.does(0, "--status")))


if __name__ == "__main__":
    unittest.main()
