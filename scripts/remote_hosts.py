"""Hosts to reach by ssh, for the tests of the remote scripts: each is an sshd on this machine, with a folder of its own."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")


def missing():
    """What is missing for these tests; empty if nothing is."""
    return ", ".join(name for name in ["sshd", "ssh", "ssh-keygen", "rsync", "flock"] if not (
        SSHD if name == "sshd" else shutil.which(name)))


def build():
    """Builds `slt` without optimisation and returns the path of a stripped copy, which is fast to send."""
    environment = os.environ | {"SLT_DEBUG": "1"}
    environment.pop("SLT_BIN", None)
    subprocess.run([PACKAGE / "scripts/sqllogictest", "--version"], env=environment, check=True, stdout=subprocess.DEVNULL)
    binary = Path(os.environ.get("CARGO_TARGET_DIR", PACKAGE / "target")) / "debug/slt"
    small = binary.with_name("slt-to-send")
    # Tests that run at the same time make the same copy.
    partial = binary.with_name(f"slt-to-send-{os.getpid()}")
    subprocess.run(["strip", "-o", partial, binary], check=True)
    return partial.rename(small)


def free_port():
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Hosts:
    """A folder with keys, an `ssh` that knows the hosts, and sshd for each of them."""

    def __init__(self, enter=()):
        """`enter` is a command that runs another one, given as its arguments, where the hosts can be reached."""
        self.enter = list(enter)
        self.folder = Path(tempfile.mkdtemp(prefix="slt-hosts-"))
        for name in ["host_key", "key"]:
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True)
        (self.folder / "bin").mkdir()
        ssh = self.folder / "bin/ssh"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.folder}/config "$@"\n')
        ssh.chmod(0o755)
        (self.folder / "config").write_text("")
        self.servers = []

    def add(self, name, enter=(), address="127.0.0.1", programs=(), shell="bash"):
        """Starts sshd for a host. `enter` is a command that runs another one, given as its arguments, on that host.

        A user who logs in has a home folder for this host only, and the login shell `shell`. If `programs` are given, the
        host has no other programs.
        """
        port = free_port()
        home = self.folder / "homes" / name
        home.mkdir(parents=True)
        begin = f"export HOME={home} && cd"
        if programs:
            (home / "bin").mkdir()
            for program in programs:
                (home / "bin" / program).symlink_to(shutil.which(program))
            begin += f" && PATH={home}/bin"
        settings = self.folder / f"{name}.sshd"
        settings.write_text(
            f"Port {port}\nListenAddress {address}\nHostKey {self.folder}/host_key\n"
            f"AuthorizedKeysFile {self.folder}/key.pub\nStrictModes no\nPidFile none\nUsePAM no\n"
            f"PermitRootLogin prohibit-password\nForceCommand {begin} && exec {shutil.which(shell)} -c \"$SSH_ORIGINAL_COMMAND\"\n"
        )
        if os.geteuid() == 0:
            # Where sshd drops its privileges; normally created by the package's service, which does not run here.
            os.makedirs("/run/sshd", exist_ok=True)
        log = self.folder / f"{name}.log"
        command = [*enter, SSHD, "-D", "-f", settings, "-E", log]
        self.servers.append(subprocess.Popen(command))
        with (self.folder / "config").open("a") as config:
            config.write(
                f"Host {name}\n  HostName {address}\n  Port {port}\n  IdentityFile {self.folder}/key\n"
                "  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
            )
        deadline = time.monotonic() + 20
        while self.run("ssh", name, "true").returncode != 0:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    def environment(self, more):
        """An environment in which the hosts' names resolve, plus `more`."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SLT_REMOTE")} | more
        environment["PATH"] = f"{self.folder}/bin:{environment['PATH']}"
        return environment

    def run(self, *command, **more):
        """Runs a command and returns its output."""
        return subprocess.run([*self.enter, *command], env=self.environment(more), capture_output=True, text=True, timeout=120,
                              check=False)

    def start(self, *command, **more):
        """Starts a command whose standard output can be read."""
        return subprocess.Popen([*self.enter, *command], env=self.environment(more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True)

    def close(self):
        """Stops the servers and removes the folder."""
        for server in self.servers:
            server.terminate()
            server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
