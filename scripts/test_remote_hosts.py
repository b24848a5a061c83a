"""Tests remote_test.sh on several hosts that share one run, as network namespaces of this machine."""

import json
import os
import re
import signal
import threading
import time
import unittest
from pathlib import Path

import remote_hosts
import remote_net
from remote_hosts import PACKAGE
from remote_net import PASSWORD, Net

SCRIPT = PACKAGE / "scripts/remote_test.sh"
MISSING = remote_net.missing()


class Titles(threading.Thread):
    """Watches the command lines of all processes until stopped, and keeps those that contain a secret."""

    def __init__(self, secret):
        super().__init__()
        self.secret = secret.encode()
        self.own = str(os.getpid())
        self.looks = 0
        self.received = []
        self.end = threading.Event()
        self.start()

    def run(self):
        while not self.end.wait(0.02):
            for title in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    text = title.read_bytes()
                except OSError:
                    continue
                if self.secret in text and title.parent.name != self.own:
                    self.received.append(text)
            self.looks += 1

    def stop(self):
        """Stops it and returns what it has found."""
        self.end.set()
        self.join()
        assert self.looks > 10, "it has looked"
        return self.received


@unittest.skipIf(MISSING and not os.environ.get("CI"), f"missing here: {MISSING}")
class SeveralHosts(unittest.TestCase):
    """The steps, on hosts that can be disconnected."""

    @classmethod
    def setUpClass(cls):
        cls.binary = remote_hosts.build()
        cls.net = Net(["a", "b", "c"])
        cls.addClassCleanup(cls.net.close)
        cls.secret = {"SLT_REMOTE_QUEUE": cls.net.server.url}

    def setUp(self):
        self.name = self.id().rsplit(".", maxsplit=1)[-1]
        self.hosts = ["--host", "a", "--host", "b", "--host", "c", "--repo-path", self.name]
        self.common = [*self.hosts, "--binary", self.binary, "--workers", "1"]

    def corpus(self, count):
        """A folder of scripts that take a fifth of a second each."""
        folder = self.net.hosts.folder / f"{self.name}-corpus"
        folder.mkdir()
        for number in range(count):
            (folder / f"{number}.slt").write_text(f"system ok\nsleep 0.2\n\nquery I\nSELECT {number}\n----\n{number}\n")
        return folder

    def home(self, host):
        """The copy on a host."""
        return self.net.hosts.folder / "homes" / host / self.name

    def ran(self, host):
        """The files that a host's workers have started."""
        logs = (self.home(host) / "target/remote/results/workers").rglob("*.log")
        return [name for log in logs for name in re.findall(r"\b\d+\.slt\b", log.read_text())]

    def does(self, code, *arguments):
        """Runs the script and returns its output."""
        printed = self.net.hosts.run(SCRIPT, *self.common, *arguments, **self.secret)
        self.assertEqual(printed.returncode, code, printed.stdout + printed.stderr)
        return printed.stdout + printed.stderr

    def start(self, *arguments):
        """Starts the script."""
        return self.net.hosts.start(SCRIPT, *self.common, *arguments, **self.secret)

    def whole(self, results, count):
        """Checks that every file has one outcome there, and passed; returns the results."""
        results = json.loads((results / "results.json").read_text())
        names = [outcome["name"] for outcome in results["outcomes"] if outcome["verdict"] in ("passed", "flaky")]
        self.assertEqual(sorted(names), sorted(f"{number}.slt" for number in range(count)))
        self.assertEqual((results["total"]["planned"], len(results["outcomes"])), (count, count))
        return results

    def until_all_run(self):
        """Waits until every host has started a file."""
        deadline = time.monotonic() + 40
        while not all(self.ran(host) for host in "abc"):
            self.assertLess(time.monotonic(), deadline, {host: self.ran(host) for host in "abc"})
            time.sleep(0.02)

    def test_three_hosts_run_one_suite_together(self):
        titles = Titles(PASSWORD)
        self.addCleanup(titles.end.set)
        printed = self.does(0, "--sync", "--run", "--fetch-results", "--corpus", self.corpus(30), "--", "--allow-system")
        self.assertEqual(titles.stop(), [], "nobody can read the password")
        self.assertNotIn(PASSWORD, printed)
        runs = {self.whole(PACKAGE / f"target/remote/{host}", 30)["run_id"] for host in "abc"}
        self.assertEqual(len(runs), 1)
        self.assertIn(f"run `{runs.pop()}` on 3 hosts", printed)
        begun = [name for host in "abc" for name in self.ran(host)]
        self.assertEqual(len(begun), 30, "each file was begun once, on one of them")
        self.assertGreaterEqual(sum(bool(self.ran(host)) for host in "abc"), 2)
        for number in range(30):
            self.assertEqual(len(re.findall(rf"\] test {number}\.slt +\.\.\. ok$", printed, re.M)), 1, printed)
        for host in "abc":
            self.assertRegex(printed, rf"(?m)^\[{host}\] test result: ok\. 30 passed")
        for path in (self.net.hosts.folder / "homes").rglob("*"):
            if path.is_file() and path.name != "slt" and "remote" in path.parts:
                self.assertNotIn(PASSWORD.encode(), path.read_bytes(), path)

    def test_a_host_that_is_cut_off_is_named_and_the_others_finish(self):
        corpus = self.corpus(60)
        run = self.start("--sync", "--run", "--fetch-results", "--corpus", corpus, "--", "--allow-system")
        self.until_all_run()
        self.net.cut("c")
        self.addCleanup(self.net.repair, "c")
        printed, _ = run.communicate(timeout=55)
        self.assertEqual(run.returncode, 0, printed)
        self.assertIn("warning: host `c` was lost", printed)
        for host in "ab":
            results = self.whole(PACKAGE / f"target/remote/{host}", 60)
        # An attempt that ended with its host does not count, so no outcome is a second attempt.
        self.assertTrue(all(outcome["attempt"] == 1 for outcome in results["outcomes"]), results["outcomes"])
        begun = [name for host in "abc" for name in self.ran(host)]
        self.assertGreater(len(begun), 60, "what c was running ran again")
        self.assertNotIn(PASSWORD, printed)

    def test_ctrl_c_stops_all_hosts(self):
        run = self.start("--sync", "--run", "--corpus", self.corpus(300), "--", "--allow-system")
        self.until_all_run()
        run.send_signal(signal.SIGINT)
        printed, _ = run.communicate(timeout=55)
        self.assertEqual(run.returncode, 3, printed)
        self.assertIn("not run (interrupted)", printed)
        status = self.net.hosts.run(SCRIPT, *self.hosts, "--status").stdout
        self.assertEqual(status.count("the last run ended with exit code 3"), 3, status)

    def test_a_detached_run_is_asked_for_on_all_hosts(self):
        printed = self.does(0, "--sync", "--detach", "--corpus", self.corpus(20), "--", "--allow-system")
        asks = lambda step: self.net.hosts.run(SCRIPT, *self.hosts, step)
        for host in "abc":
            self.assertIn(f"[{host}] started on {host}", printed)
        deadline = time.monotonic() + 50
        while (status := asks("--status").stdout).count("ended with exit code 0") < 3:
            self.assertLess(time.monotonic(), deadline, status)
            time.sleep(0.1)
        self.assertEqual(asks("--fetch-results").returncode, 0)
        self.whole(PACKAGE / "target/remote/b", 20)
        self.assertEqual(asks("--clean").stdout.count(f"removed `{self.name}`"), 3)

    def test_a_host_that_is_not_there_is_named_before_anything_runs(self):
        self.net.cut("b")
        self.addCleanup(self.net.repair, "b")
        printed = self.does(4, "--sync", "--run", "--corpus", self.corpus(1), "--", "--allow-system")
        self.assertIn("error: host `b` was lost or could not be reached", printed)
        self.assertNotIn("test result", printed)


if __name__ == "__main__":
    unittest.main()
