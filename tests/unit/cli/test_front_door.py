"""The script `./showroom` on machines with missing prerequisites, with stubs of the programs it calls."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from local.project import ROOT, SAFE_PATH

TOOLS = [
    "bash",
    "cat",
    "chmod",
    "cp",
    "cut",
    "dirname",
    "env",
    "flock",
    "grep",
    "ln",
    "mkdir",
    "readlink",
    "rm",
    "sed",
    "sha256sum",
    "stat",
    "tail",
    "touch",
    "tr",
]

PYTHON = """\
#!/usr/bin/env bash
# A Python {version}; without venv where that is "".
case "$*" in
  *"!= (3, 11)"*) [[ "{version} {venv}" == "3.11 venv" ]] ;;
  *"< (3, 8)"*) [[ "{venv}" == venv ]] ;;
  *_base_executable*) echo "$0" ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip "*) cp "$STUBS/uv" "$(dirname "$0")/uv" ;;
  "-P -m cli"*) echo "python=$0 root=$PYTHONPATH java=$JAVA_HOME" ;;
  *) exit 3 ;;
esac
"""
UV = """\
#!/usr/bin/env bash
echo "uv $*" >>"$CALLS"
case "$*" in
  --version) ;;
  "python install"*)
    [[ -z ${UV_FAILS-} ]] || { echo "error: $UV_FAILS" >&2; exit 1; }
    mkdir -p "$UV_PYTHON_INSTALL_DIR/cpython-3.11.9-linux/bin"
    cp "$STUBS/python-3.11" "$UV_PYTHON_INSTALL_DIR/cpython-3.11.9-linux/bin/python3.11"
    ;;
  venv*) mkdir -p "${@: -1}/bin" && cp "$STUBS/python-3.11" "${@: -1}/bin/python" ;;
  "pip sync"*) ;;
  *) exit 3 ;;
esac
"""
APT_CACHE = """\
#!/usr/bin/env bash
candidate="(none)"
[[ " $OFFERED " == *" $2 "* ]] && candidate=1.0
echo "$2:
  Installed: (none)
  Candidate: $candidate"
"""
APT_GET = """\
#!/usr/bin/env bash
echo "apt-get $*" >>"$CALLS"
[[ $1 == install ]] || exit 0
[[ -z ${APT_FAILS-} ]] || exit 100
for package in "$@"; do
  case $package in
    python3.11-venv) cp "$STUBS/python-3.11" "$BIN/python3.11" ;;
    python3-venv) cp "$STUBS/python-3.13" "$BIN/python3" ;;
    openjdk-*) version=${package#openjdk-} && "$STUBS/add-java" "${version%%-*}" ;;
    maven) touch "$BIN/mvn" && chmod +x "$BIN/mvn" ;;
    redis-server) touch "$BIN/redis-server" && chmod +x "$BIN/redis-server" ;;
  esac
done
"""
ADD_JAVA = """\
#!/usr/bin/env bash
mkdir -p "$JVMS/java-$1/bin"
echo "JAVA_VERSION=\\"$1.0.1\\"" >"$JVMS/java-$1/release"
touch "$JVMS/java-$1/bin/java"
chmod +x "$JVMS/java-$1/bin/java"
"""
DEBIAN_12 = "python3.11 python3.11-venv python3-venv openjdk-17-jre-headless maven redis-server"
DEBIAN_13 = "python3-venv openjdk-21-jre-headless openjdk-25-jre-headless maven redis-server"


class Result(NamedTuple):
    code: int
    output: str
    error: str

    @property
    def last(self) -> str:
        return self.error.strip().splitlines()[-1]


class Machine:
    """A machine with only the tools of every Debian, and a copy of the script `showroom`."""

    def __init__(self, folder: Path, project: str = "project") -> None:
        self.bin, self.stubs, self.jvms = folder / "bin", folder / "stubs", folder / "jvm"
        self.project, self.links, self.calls = folder / project, folder / "links", folder / "calls"
        for path in (self.bin, self.stubs, self.jvms, self.project / "requirements", self.links):
            path.mkdir(parents=True)
        for tool in TOOLS:
            result = shutil.which(tool)
            assert result is not None, tool
            (self.bin / tool).symlink_to(result)
        self._stub(self.stubs / "python-3.11", PYTHON.format(version="3.11", venv="venv"))
        self._stub(self.stubs / "python-3.13", PYTHON.format(version="3.13", venv="venv"))
        self._stub(self.stubs / "python-3.13-without-venv", PYTHON.format(version="3.13", venv=""))
        self._stub(self.stubs / "uv", UV)
        self._stub(self.stubs / "add-java", ADD_JAVA)
        self._stub(self.bin / "apt-get", APT_GET)
        self._stub(self.bin / "apt-cache", APT_CACHE)
        self.calls.touch()
        for lock in ("bootstrap", "dev"):
            (self.project / "requirements" / f"{lock}.txt").write_text("a lock\n")
        self._stub(self.project / "showroom", self._script())

    def _script(self) -> str:
        """Return the real script with the paths and variables replaced that a test cannot set."""
        text = (ROOT / "showroom").read_text()
        for old, new in (("/tmp/", f"{self.links}/"), ("/usr/lib/jvm", str(self.jvms)), ("EUID", "AS_USER")):
            assert old in text
            text = text.replace(old, new)
        return text

    @staticmethod
    def _stub(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def add(self, *programs: str) -> "Machine":
        for program in programs:
            self._stub(self.bin / program, "#!/usr/bin/env bash\n")
        return self

    def add_python(self, stub: str, name: str) -> "Machine":
        shutil.copy(self.stubs / stub, self.bin / name)
        return self

    def add_java(self, version: int, *, on_path: bool = False) -> Path:
        home = self.jvms / f"java-{version}"
        subprocess.run([self.stubs / "add-java", str(version)], env=self._environment(), check=True)
        if on_path:
            (self.bin / "java").symlink_to(home / "bin" / "java")
        return home

    def run(self, offered: str = "", *, root: bool = True, **variables: str) -> Result:
        environment = self._environment() | {"OFFERED": offered, "AS_USER": "0" if root else "1000"}
        done = subprocess.run(
            [self.project / "showroom", "status"],
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def called(self, program: str) -> list[str]:
        return [line for line in self.calls.read_text().splitlines() if line.startswith(program)]

    def _environment(self) -> dict[str, str]:
        return {
            **{"PATH": str(self.bin), "HOME": str(self.links), "LC_ALL": "C", "CALLS": str(self.calls)},
            **{"STUBS": str(self.stubs), "BIN": str(self.bin), "JVMS": str(self.jvms)},
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


INSTALL = "apt-get install -y --no-install-recommends"


def test_script_with_everything_installed_calls_no_package_manager(machine: Machine) -> None:
    machine.add("mvn", "redis-server").add_python("python-3.11", "python3.11")
    java = machine.add_java(17, on_path=True)

    result = machine.run(DEBIAN_12)

    assert (result.code, machine.called("apt-get")) == (0, [])
    assert f"root={machine.project} java={java}" in result.output


def test_script_on_bare_debian_12_installs_python_and_java_by_apt(machine: Machine) -> None:
    result = machine.run(DEBIAN_12)

    assert result.code == 0, result.error
    packages = "python3.11 python3.11-venv openjdk-17-jre-headless maven redis-server"
    assert machine.called("apt-get") == ["apt-get update -q", f"{INSTALL} {packages}"]
    assert machine.called("uv python") == []


def test_script_on_bare_debian_13_installs_python_by_uv_and_java_21(machine: Machine) -> None:
    result = machine.run(DEBIAN_13)

    assert result.code == 0, result.error
    packages = "python3 python3-venv openjdk-21-jre-headless maven redis-server"
    assert machine.called("apt-get") == ["apt-get update -q", f"{INSTALL} {packages}"]
    assert machine.called("uv python") == ["uv python install 3.11"]
    assert f"java={machine.jvms / 'java-21'}" in result.output
    assert not (machine.project / ".showroom" / "venvs" / "uv").exists()
    machine.calls.write_text("")
    assert machine.run(DEBIAN_13).code == 0
    assert machine.calls.read_text() == ""


def test_script_without_right_to_install_names_the_exact_command(machine: Machine) -> None:
    result = machine.run(DEBIAN_13, root=False)

    packages = "python3 python3-venv openjdk-21-jre-headless maven redis-server"
    missing = "Python 3.11, Java, Maven, redis-server"
    assert result.error.splitlines() == [f"showroom: missing: {missing}, run: sudo {INSTALL} {packages}"]
    assert (result.code, machine.called("apt-get")) == (1, [])


def test_script_without_package_lists_names_apt_get_update(machine: Machine) -> None:
    result = machine.run(root=False)

    assert result.code == 1
    assert result.error.count("\n") == 1
    assert "run: sudo apt-get update, then the same command again" in result.error


def test_script_without_right_to_install_gets_python_by_uv(machine: Machine) -> None:
    machine.add("mvn", "redis-server").add_python("python-3.13", "python3")
    machine.add_java(21, on_path=True)

    result = machine.run(DEBIAN_13, root=False)

    assert result.code == 0, result.error
    assert machine.called("apt-get") == []


def test_script_with_a_python_without_venv_installs_venv(machine: Machine) -> None:
    machine.add("mvn", "redis-server").add_python("python-3.13-without-venv", "python3")
    machine.add_java(21, on_path=True)

    result = machine.run(DEBIAN_13)

    assert result.code == 0, result.error
    assert machine.called("apt-get install") == [f"{INSTALL} python3 python3-venv"]


def test_script_with_unreachable_uv_names_alternatives_for_python(machine: Machine) -> None:
    result = machine.run(DEBIAN_13, UV_FAILS="no route to host")

    assert result.code == 1
    assert "uv python install 3.11 failed (error: no route to host)" in result.last
    assert "pyenv install 3.11" in result.last
    assert "UV_PYTHON_INSTALL_MIRROR" in result.last
    assert "apt-get" not in result.last


def test_script_when_apt_fails_names_an_alternative(machine: Machine) -> None:
    result = machine.run(DEBIAN_12, APT_FAILS="yes")

    assert result.code == 1
    assert "failed" in result.last
    assert "by other means" in result.last
    assert "run:" not in result.last


def test_script_with_java_25_first_on_path_uses_java_21(machine: Machine) -> None:
    machine.add("mvn", "redis-server").add_python("python-3.11", "python3")
    machine.add_java(25, on_path=True)
    java = machine.add_java(21)

    result = machine.run(DEBIAN_13)

    assert f"java={java}" in result.output
    assert machine.called("apt-get") == []


def test_script_with_java_home_uses_that_java(machine: Machine) -> None:
    machine.add("mvn", "redis-server").add_python("python-3.11", "python3")
    machine.add_java(21, on_path=True)
    java = machine.add_java(17)

    assert f"java={java}\n" in machine.run(DEBIAN_13, JAVA_HOME=str(java)).output


def test_script_with_java_home_too_new_is_one_line(machine: Machine) -> None:
    machine.add("mvn", "redis-server").add_python("python-3.11", "python3")
    java = machine.add_java(25)

    result = machine.run(DEBIAN_13, JAVA_HOME=str(java))

    remedy = "unset JAVA_HOME, or set it to such a Java"
    assert result.error.splitlines() == [f"showroom: JAVA_HOME is {java}, which is not Java 17 to 23: {remedy}"]
    assert (result.code, machine.called("apt-get")) == (1, [])


def test_script_without_a_supported_java_in_apt_names_java_home(machine: Machine) -> None:
    machine.add("mvn", "redis-server").add_python("python-3.11", "python3")

    result = machine.run("openjdk-25-jre-headless maven")

    assert result.code == 1
    assert result.last.startswith("showroom: missing: Java: apt does not offer it")
    assert "set JAVA_HOME" in result.last


def test_script_in_a_folder_with_spaces_runs_through_a_plain_link(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "my shop ü")
    machine.add("mvn", "redis-server").add_python("python-3.11", "python3")
    machine.add_java(17, on_path=True)

    result = machine.run()

    assert result.code == 0, result.error
    root = result.output.split("root=")[1].split(" java=")[0]
    assert SAFE_PATH.fullmatch(root)
    assert Path(root).resolve() == machine.project
    assert machine.run().output == result.output


def test_script_with_a_link_of_another_user_fails(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "my shop")
    machine.add("mvn", "redis-server").add_python("python-3.11", "python3")
    machine.add_java(17, on_path=True)
    assert machine.run().code == 0
    (holder,) = machine.links.glob("showroom-*")
    holder.rename(tmp_path / "elsewhere")
    holder.symlink_to(tmp_path / "elsewhere")

    result = machine.run()

    assert result.code == 1
    assert result.error.count("\n") == 1
    assert f"remove it, or rename {machine.project}" in result.error
