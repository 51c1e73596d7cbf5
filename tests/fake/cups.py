"""A real CUPS of a test's own: its own folder, port and queues; the machine's CUPS is not touched.

    with PrivateCups() as cups:
        cups.add("dock", printer.port)          # a raw queue to a fake TCP printer
        ... print to cups.uri("dock") ...
        cups.run("cupsdisable", "-r", "out for repair", "dock")
"""

from __future__ import annotations

import getpass
import grp
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from tests.serving import free_port

_CUPSD = "/usr/sbin/cupsd"

_CONF = """
LogLevel debug
MaxLogSize 0
Listen 127.0.0.1:{port}
Browsing No
DefaultAuthType None
WebInterface No
JobRetryInterval 1
MultipleOperationTimeout 5
DefaultShared No
ErrorPolicy {policy}
PreserveJobHistory {history}
<Location />
  Order allow,deny
  Allow localhost
</Location>
<Policy default>
  JobPrivateAccess default
  <Limit Send-Document Cancel-Job>
    Require user @OWNER
    Order deny,allow
  </Limit>
  <Limit All>
    Order deny,allow
  </Limit>
</Policy>
"""
_FILES = """
ServerRoot {root}
DataDir /usr/share/cups
ServerBin /usr/lib/cups
CacheDir {root}/cache
StateDir {root}/state
RequestRoot {root}/spool
TempDir {root}/spool/tmp
DocumentRoot {root}
ErrorLog {root}/error_log
AccessLog {root}/access_log
PageLog {root}/page_log
User {user}
Group {group}
SystemGroup {system}
FatalErrors config
"""


class PrivateCups:
    """policy: what CUPS does when its back end fails: stop-printer, retry-job, abort-job. history: Yes or No."""

    def __init__(self, *, policy: str = "stop-printer", history: str = "Yes") -> None:
        assert os.path.exists(_CUPSD) and shutil.which("lpadmin"), (
            "CUPS is missing: apt-get install cups (bash .ci/test does it)"
        )
        # Not below pytest's folders: those are closed to others, and CUPS's back ends run as lp.
        self.root = Path(tempfile.mkdtemp(prefix="print-bridge-cups."))
        self.root.chmod(0o755)
        self.policy, self.history = policy, history
        self.port = free_port()
        self.server = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PrivateCups:
        self._write()
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        shutil.rmtree(self.root)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(
            [_CUPSD, "-f", "-c", str(self.root / "cupsd.conf"), "-s", str(self.root / "cups-files.conf")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None and time.monotonic() < end, self.log()
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def log(self) -> str:
        path = self.root / "error_log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else "cupsd has written no log"

    # -- queues

    def add(self, name: str, port: int, options: str = "waiteof=true") -> None:
        """A raw queue to a TCP printer on this machine."""
        self.run("lpadmin", "-p", name, "-E", "-v", f"socket://127.0.0.1:{port}/?{options}")

    def run(self, command: str, *words: str) -> str:
        """One of CUPS's own commands, for this server; its output."""
        done = subprocess.run(
            [shutil.which(command, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or command, *words],
            env={**os.environ, "CUPS_SERVER": self.server, "LC_ALL": "C"}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, (command, words, done.stderr, self.log())
        return done.stdout

    def uri(self, name: str) -> str:
        return f"queue://{quote(name, safe='')}?server={self.server}"

    def _write(self) -> None:
        for folder in ("cache", "state", "spool/tmp", "ppd", "ssl"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        root = os.geteuid() == 0
        user, group = ("lp", "lp") if root else (getpass.getuser(), grp.getgrgid(os.getegid()).gr_name)
        (self.root / "cups-files.conf").write_text(
            _FILES.format(root=self.root, user=user, group=group, system="lpadmin" if root else group)
        )
        (self.root / "cupsd.conf").write_text(_CONF.format(port=self.port, policy=self.policy, history=self.history))
