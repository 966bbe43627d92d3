"""A bare Debian in a folder: debootstrap creates it, bubblewrap runs commands in it."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from include.contracts.errors import PrerequisiteError, TerminalError

USER, USER_ID = "shop", 1_000
MIRROR = Path("/opt/python-mirror")
HOST_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/uv/uv.toml")
HOST_HOME_FILES = (".m2/settings.xml", ".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml")
HOST_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_", "UV_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "MAVEN_")
LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")
CACHES = (".cache/uv", ".cache/pip", ".m2/repository")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Account:
    """A user of the machine."""

    uid: int
    home: Path


ROOT = Account(0, Path("/root"))
ORDINARY = Account(USER_ID, Path("/home") / USER)


def require_tools() -> None:
    """Raise PrerequisiteError unless the caller is root and debootstrap and bubblewrap are installed."""
    if os.geteuid() != 0:
        raise PrerequisiteError("it must run as root", "run it with sudo")
    missing = [
        package for package, tool in (("debootstrap", "debootstrap"), ("bubblewrap", "bwrap")) if not which(tool)
    ]
    if missing:
        raise PrerequisiteError(f"{' and '.join(missing)} missing", f"run: apt-get install -y {' '.join(missing)}")


def which(tool: str) -> str | None:
    """Return the path of an administrator's tool, which may not be on the caller's PATH."""
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:{PATH}")


class Machine:
    """One bare Debian.

    Args:
        tree: Its root folder; `create` makes it.
        caches: Folder of package managers' caches, kept between machines.
        mirror: Folder that is visible as MIRROR, or None.
    """

    def __init__(self, tree: Path, caches: Path, mirror: Path | None = None) -> None:
        self._tree = tree
        self._caches = caches
        self._mirror = mirror
        self._archives = caches

    def create(self, suite: str) -> None:
        """Install a minimal Debian, with the host's configuration of network and package registries."""
        self._archives = self._caches / f"apt-{suite}"
        (self._archives / "partial").mkdir(parents=True, exist_ok=True)
        cached = f"--cache-dir={self._archives}"
        _checked(
            [which("debootstrap") or "", "--variant=minbase", cached, suite, str(self._tree)], f"debootstrap {suite}"
        )
        for name in HOST_FILES:
            _copy(Path(name), self._tree / name[1:])
        settings = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=False).stdout
        (self._tree / "etc/apt/apt.conf.d/90host").write_text(settings)
        add = f"useradd --uid {USER_ID} --create-home --shell /bin/bash {USER}"
        self.check(["bash", "-c", add], ROOT, f"creation of user {USER}")
        for account in (ROOT, ORDINARY):
            for name in HOST_HOME_FILES:
                _copy(Path.home() / name, self.inside(account.home / name), account)
        certificates = sorted(LOCAL_CERTIFICATES.glob("*.crt")) if LOCAL_CERTIFICATES.is_dir() else []
        for certificate in certificates:
            _copy(certificate, self.inside(certificate))
        if certificates:
            install = "apt-get update -q && apt-get install -y --no-install-recommends ca-certificates"
            self.check(["bash", "-c", install], ROOT, "installation of this computer's certificates")

    def inside(self, path: Path) -> Path:
        """Return the host's path of a path on the machine."""
        return self._tree / path.relative_to("/")

    def copy_project(self, source: Path, folder: Path, account: Account) -> None:
        """Copy a checkout's files, tracked and untracked but not ignored, as a clone would."""
        listed = ["git", "-C", str(source), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, capture_output=True, check=True).stdout.split(b"\0")
        for name in (os.fsdecode(name) for name in names if name):
            if (source / name).exists():
                _copy(source / name, self.inside(folder) / name)
        _own(self.inside(folder), account)

    @contextmanager
    def process(
        self, command: Sequence[str], account: Account, variables: Mapping[str, str] | None = None
    ) -> Iterator["subprocess.Popen[str]"]:
        """Start a command; kill its remaining processes at the end. Its output is one text stream."""
        with subprocess.Popen(
            [*self._bubblewrap(account, variables or {}), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    def check(self, command: Sequence[str], account: Account, title: str) -> None:
        """Run a command. Raises TerminalError with its last lines if it fails."""
        with self.process(command, account) as process:
            output = process.communicate()[0]
        if process.returncode != 0:
            raise TerminalError(f"{title} failed: {' '.join(output.split())[-400:]}", "check the network")

    def _bubblewrap(self, account: Account, variables: Mapping[str, str]) -> list[str]:
        host = {
            name: value
            for name, value in os.environ.items()
            # A working directory of the host does not exist on the machine.
            if name.upper().startswith(HOST_VARIABLES) and not Path(value).is_dir()
        }
        environment = {
            **host,
            **{"PATH": PATH, "HOME": str(account.home), "USER": "root" if account == ROOT else USER, "TERM": "dumb"},
            # Caches are on another mount, so hard links to them are impossible.
            "UV_LINK_MODE": "copy",
            **variables,
        }
        bound: list[str] = []
        for name in CACHES:
            cache = self._caches / str(account.uid) / name
            _make(cache, self._caches, account)
            _make(self.inside(account.home / name), self.inside(account.home), account)
            bound += ["--bind", str(cache), str(account.home / name)]
        if self._mirror:
            bound += ["--ro-bind", str(self._mirror), str(MIRROR)]
        identity = ["setpriv", f"--reuid={account.uid}", f"--regid={account.uid}", "--init-groups"]
        return [
            *(which("bwrap") or "", "--bind", str(self._tree), "/", "--dev", "/dev", "--proc", "/proc"),
            *("--perms", "1777", "--tmpfs", "/dev/shm", "--tmpfs", "/run"),
            *("--bind", str(self._archives), "/var/cache/apt/archives"),
            *bound,
            *("--unshare-pid", "--unshare-ipc", "--die-with-parent", "--cap-add", "ALL", "--clearenv"),
            *(word for name, value in environment.items() for word in ("--setenv", name, value)),
            *("--chdir", str(account.home)),
            *(identity if account != ROOT else ()),
        ]


def _copy(source: Path, target: Path, owner: Account = ROOT) -> None:
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copy2(source, target)
        os.chown(target, owner.uid, owner.uid)


def _make(folder: Path, below: Path, account: Account) -> None:
    """Create a folder and its parents below another folder, owned by the account."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder, *folder.parents):
        if path != below and path.is_relative_to(below):
            os.chown(path, account.uid, account.uid)


def _own(folder: Path, account: Account) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.uid, account.uid, follow_symlinks=False)


def _checked(command: Sequence[str], title: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise TerminalError(
            f"{title} failed: {' '.join(done.stdout.split())[-400:]}", "check that Debian's mirror responds"
        )
