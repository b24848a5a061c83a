"""Hosts that are network namespaces of this machine, and a PostgreSQL server that all of them can reach."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import remote_hosts
from remote_hosts import Hosts

PASSWORD = "only-the-queue-may-know"

IP = shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin")


def postgres():
    """The folder of the newest PostgreSQL programs; None if there are none."""
    return max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)


def missing():
    """What is missing for these tests; empty if nothing is."""
    lacks = [remote_hosts.missing()] if remote_hosts.missing() else []
    lacks += [name for name, path in {"ip": IP, "unshare": shutil.which("unshare")}.items() if not path]
    if not postgres():
        lacks.append("a PostgreSQL server")
    if os.geteuid() != 0:
        lacks.append("the rights of root")
    elif IP:
        probe = f"slt-{os.getpid()}-probe"
        if subprocess.run([IP, "netns", "add", probe], capture_output=True, check=False).returncode == 0:
            ip("netns", "del", probe)
        else:
            lacks.append("the right to make network namespaces")
    return ", ".join(lacks)


def ip(*words):
    """Runs `ip`."""
    subprocess.run([IP, *words], check=True)


class Net:
    """A bridge in its own namespace, from which the hosts and the server can be reached; nothing outside changes."""

    def __init__(self, names):
        self.names = names
        self.spaces = []
        self.server = None
        self.hosts = None
        try:
            self.open()
        except BaseException:
            self.close()
            raise

    def space(self, name):
        """The namespace of a host."""
        return f"slt-{os.getpid()}-{name}"

    def enter(self, name):
        """A command that runs another one, given as its arguments, in a host's namespace."""
        return [IP, "netns", "exec", self.space(name)]

    def make(self, name):
        """Creates a namespace."""
        ip("netns", "add", self.space(name))
        self.spaces.append(name)
        ip("-n", self.space(name), "link", "set", "dev", "lo", "up")

    def open(self):
        """Creates the namespaces, and starts the servers in them."""
        self.make("hub")
        hub = self.space("hub")
        ip("-n", hub, "link", "add", "name", "bridge", "type", "bridge")
        ip("-n", hub, "address", "add", "10.99.0.1/24", "dev", "bridge")
        ip("-n", hub, "link", "set", "dev", "bridge", "up")
        for number, name in enumerate(self.names, 2):
            self.make(name)
            ip("-n", hub, "link", "add", "name", name, "type", "veth", "peer", "name", "uplink", "netns", self.space(name))
            ip("-n", hub, "link", "set", "dev", name, "master", "bridge", "up")
            ip("-n", self.space(name), "address", "add", f"10.99.0.{number}/24", "dev", "uplink")
            ip("-n", self.space(name), "link", "set", "dev", "uplink", "up")
        self.server = Server(self.enter("hub"))
        self.hosts = Hosts(self.enter("hub"))
        for number, name in enumerate(self.names, 2):
            # Each host has its own host name, which its `slt` reports.
            own = [*self.enter(name), "unshare", "--uts", "sh", "-c", f'hostname {name} && exec "$@"', "sh"]
            self.hosts.add(name, own, f"10.99.0.{number}")

    def cut(self, name):
        """Disconnects a host."""
        ip("-n", self.space("hub"), "link", "set", "dev", name, "down")

    def repair(self, name):
        """Reconnects a host."""
        ip("-n", self.space("hub"), "link", "set", "dev", name, "up")

    def close(self):
        """Ends all processes in the namespaces, and removes them."""
        if self.hosts:
            self.hosts.close()
        if self.server:
            self.server.close()
        for name in self.spaces:
            while pids := subprocess.run([IP, "netns", "pids", self.space(name)], capture_output=True, text=True,
                                         check=False).stdout.split():
                for pid in pids:
                    try:
                        os.kill(int(pid), signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                time.sleep(0.01)
            subprocess.run([IP, "netns", "del", self.space(name)], check=False)


class Server:
    """PostgreSQL in its own folder, with password authentication."""

    def __init__(self, enter):
        self.folder = Path(tempfile.mkdtemp(prefix="slt-server-"))
        self.process = None
        # PostgreSQL refuses to run as root.
        shutil.chown(self.folder, "postgres", "postgres")
        (self.folder / "password").write_text(PASSWORD)
        shutil.chown(self.folder / "password", "postgres", "postgres")
        programs, data = postgres().parent, self.folder / "data"
        common = {"cwd": self.folder, "env": os.environ | {"LC_ALL": "C.UTF-8", "HOME": str(self.folder)}}
        subprocess.run(
            [programs / "initdb", "--no-sync", "--auth", "scram-sha-256", "--username", "slt", "--encoding", "UTF8",
             "--pwfile", self.folder / "password", "--pgdata", data],
            check=True, stdout=subprocess.DEVNULL, user="postgres", group="postgres", extra_groups=[], **common)
        command = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", programs / "postgres",
                   "-D", data, "-k", self.folder, "-h", "10.99.0.1", "-F"]
        # Only a password gives access.
        (data / "pg_hba.conf").write_text("host all all 10.99.0.0/24 scram-sha-256\n")
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen([*enter, *command], stdout=log, stderr=log, **common)
        deadline = time.monotonic() + 60
        while "ready to accept connections" not in (self.folder / "log").read_text():
            assert time.monotonic() < deadline and self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)
        # The short lease means that a silent client is soon declared lost.
        self.url = f"postgres://slt:{PASSWORD}@10.99.0.1/postgres?slt_lease=3"

    def log(self):
        """The server's log."""
        return (self.folder / "log").read_text()

    def close(self):
        """Stops the server, and removes its folder."""
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
