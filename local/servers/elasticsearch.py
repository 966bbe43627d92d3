"""Elasticsearch, one node; under another user if the caller is root, because it refuses to run as root."""

import os
import shutil
from pathlib import Path

import httpx

from include.contracts.errors import PrerequisiteError
from include.contracts.health import ELASTICSEARCH_PATH, check_elasticsearch
from include.contracts.settings import LOOPBACK, LocalSettings
from local.config_files import render
from local.install import java
from local.layout import PRIVATE, Layout
from local.program import Program

NOBODY = 65_534
OTHERS_EXECUTE = 0o001
CAP_DAC_READ_SEARCH = 1 << 2
HEAP = "-Xms512m -Xmx512m"
PROBE_TIMEOUT_S = 3.0


def program(settings: LocalSettings, layout: Layout) -> Program:
    """Define the node's process."""
    conf, data, tmp = (layout.elasticsearch / name for name in ("conf", "data", "tmp"))
    home = java.elasticsearch_home()
    main, logging, options = conf / "elasticsearch.yml", conf / "log4j2.properties", conf / "jvm.options"
    return Program(
        name="elasticsearch",
        title="Elasticsearch",
        command=(*_as_user(layout, home), str(home / "bin" / "elasticsearch")),
        priority=300,
        probe=lambda: probe(settings),
        address=f"http://{LOOPBACK}:{settings.ports.elasticsearch}",
        environment={
            "ES_JAVA_HOME": str(java.java_home()),
            "ES_JAVA_OPTS": f"{HEAP} -XX:-UsePerfData",
            # The launcher creates a folder at each start and does not delete it.
            "CLI_JAVA_OPTS": f"-XX:-UsePerfData {java.scratch(tmp)}",
            "ES_PATH_CONF": str(conf),
            "ES_TMPDIR": str(tmp),
            "TMPDIR": str(tmp),
            "HOME": str(tmp),
        },
        ports={
            "Elasticsearch": settings.ports.elasticsearch,
            "Elasticsearch's transport": settings.ports.elasticsearch_transport,
        },
        files=lambda: {
            main: _conf(settings, layout, data),
            logging: render("elasticsearch/log4j2.properties"),
            options: (home / "config" / "jvm.options").read_text(),
        },
        prepare=lambda: _own_folders(layout, conf, data, tmp),
        stop_wait_s=60,
    )


def probe(settings: LocalSettings) -> str | None:
    """Probe the cluster's health: it must be yellow or better, with every primary shard available."""
    url = f"http://{LOOPBACK}:{settings.ports.elasticsearch}{ELASTICSEARCH_PATH}"
    return check_elasticsearch(httpx.get(url, timeout=PROBE_TIMEOUT_S).raise_for_status().json()["status"])


def _conf(settings: LocalSettings, layout: Layout, data: Path) -> str:
    variables = {
        "ES_NODE_NAME": "local",
        "ES_DATA_PATH": data,
        "ES_LOGS_PATH": layout.elasticsearch / "tmp",
        "ES_NETWORK_HOST": LOOPBACK,
        "ES_HTTP_PORT": settings.ports.elasticsearch,
        "ES_TRANSPORT_PORT": settings.ports.elasticsearch_transport,
        "ES_SECURITY": "false",
    }
    return render("elasticsearch/elasticsearch.yml", variables)


def _own_folders(layout: Layout, conf: Path, data: Path, tmp: Path) -> None:
    """Create the node's folders, owned by its user; take over the data of an earlier version."""
    earlier = layout.data / "elasticsearch"
    if earlier.exists() and not data.exists():
        earlier.rename(data)
    for folder in (layout.elasticsearch, conf, data, tmp):
        folder.mkdir(exist_ok=True)
        folder.chmod(PRIVATE)
    for path in (layout.elasticsearch, *layout.elasticsearch.rglob("*")) if os.geteuid() == 0 else ():
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def _as_user(layout: Layout, home: Path) -> tuple[str, ...]:
    """Return the command prefix that drops root."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PrerequisiteError("setpriv is not installed", "apt-get install util-linux")
    command = (setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    closed = next((path for path in _ancestors(layout.root, home) if not path.stat().st_mode & OTHERS_EXECUTE), None)
    if closed is None:
        return command
    if not _may_grant_search():
        raise PrerequisiteError(
            f"Elasticsearch must not run as root, and another user may not enter {closed}",
            f"chmod o+x {closed}, or move the project",
        )
    # The folder is not accessible for others, so this process alone gets a capability to read through it. access(2),
    # which Java calls before a read, respects the capability only without the set-user-id fix-up.
    return (
        *(*command, "--securebits=+no_setuid_fixup"),
        *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
    )


def _ancestors(*paths: Path) -> set[Path]:
    """Return all folders on these paths; a project behind a link is reached by the folders of its real path."""
    variants = [variant for path in paths for variant in (path, path.resolve())]
    return {parent for variant in variants for parent in (variant, *variant.parents) if parent.exists()}


def _may_grant_search() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return bool(int(line.split()[1], 16) & CAP_DAC_READ_SEARCH)
    return False
