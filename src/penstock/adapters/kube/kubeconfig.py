"""How to reach a cluster, read from a kubeconfig or from the pod we run in.

In: a kubeconfig file (or its parsed content) and a context name. Out: an `Access` value, which `credentials` and
`client` turn into connections. Reading never contacts a cluster and never runs a program.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.model.errors import InputError, Place, Problem, RemoteError

_RUNS_OR_READS_USER = ("exec", "auth-provider", "tokenFile", "client-certificate", "client-key")
_RUNS_OR_READS_CLUSTER = ("certificate-authority", "insecure-skip-tls-verify")
IN_CLUSTER_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlugin:
    """A program that prints an ExecCredential (client.authentication.k8s.io)."""

    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    api_version: str = "client.authentication.k8s.io/v1"
    provide_cluster_info: bool = False
    folder: Path | None = None
    """Where a relative command is looked up: the kubeconfig's folder."""
    install_hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One cluster as one identity."""

    name: str
    """The context's name, for people."""
    server: str
    """https://host:port[/path], without a slash at the end."""
    namespace: str = "default"
    ca: bytes | None = field(default=None, repr=False)
    """PEM; None trusts the system's authorities."""
    insecure: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    exec: ExecPlugin | None = None
    impersonate_user: str = ""
    impersonate_groups: tuple[str, ...] = ()
    impersonate_uid: str = ""
    impersonate_extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


def load(path: Path | str | None = None, context: str | None = None) -> Access:
    """Read a kubeconfig file, or the list in $KUBECONFIG, or ~/.kube/config, or the pod's own account, in this order.

    Raises InputError when a file is not a kubeconfig or has no such context, RemoteError when there is none at all.
    """
    if path is not None:
        return parse(_read(Path(path)), context, folder=Path(path).parent, name=str(path))
    if listed := [Path(item) for item in os.environ.get("KUBECONFIG", "").split(os.pathsep) if item]:
        present = [item for item in listed if item.exists()]
        if present:
            return _merged(present, context)
    home = Path.home() / ".kube" / "config"
    if home.exists():
        return parse(_read(home), context, folder=home.parent, name=str(home))
    if context is None and (access := in_cluster()) is not None:
        return access
    raise RemoteError("no kubeconfig found", hint="pass --kubeconfig FILE or set KUBECONFIG", code="NoKubeconfig")


def in_cluster(folder: Path = IN_CLUSTER_FOLDER) -> Access | None:
    """The service account of the pod we run in, or None outside a cluster."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    token, ca = folder / "token", folder / "ca.crt"
    if not host or not port or not token.exists():
        return None
    namespace = folder / "namespace"
    return Access(
        name="in-cluster",
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        ca=ca.read_bytes() if ca.exists() else None,
        token_file=token,
    )


def contexts(path: Path | str) -> tuple[str, ...]:
    """The names of a kubeconfig's contexts, in file order."""
    return tuple(str(entry.get("name", "")) for entry in _entries(_read(Path(path)), "contexts"))


def parse(
    content: Mapping[str, Any],
    context: str | None = None,
    *,
    folder: Path | None = None,
    name: str = "kubeconfig",
    inline_only: bool = False,
) -> Access:
    """The access a parsed kubeconfig gives; relative files are looked up in `folder`.

    inline_only: refuse whatever would run a program, read a file or trust anybody here: for a kubeconfig that somebody
    else wrote.
    """
    reader = _Reader(content, folder, name)
    if inline_only:
        reader.refuse_what_is_not_inline(context if context is not None else str(content.get("current-context") or ""))
    return reader.access(context if context is not None else str(content.get("current-context") or ""))


class _Reader:
    def __init__(self, content: Mapping[str, Any], folder: Path | None, name: str) -> None:
        self.content = content
        self.folder = folder
        self.name = name

    def access(self, context: str) -> Access:
        if not context:
            raise self._wrong("no context chosen and no current-context set", hint=self._choices())
        about = self._named("contexts", context, "context")
        cluster_name = str(about.get("cluster") or "")
        cluster = self._named("clusters", cluster_name, "cluster")
        user = self._named("users", str(about["user"]), "user") if about.get("user") else {}
        server = str(cluster.get("server") or "").rstrip("/")
        if not server.startswith(("https://", "http://")):
            raise self._wrong(f"cluster {cluster_name!r} has no usable server address")
        token_file = user.get("tokenFile")
        return Access(
            name=context,
            server=server,
            namespace=str(about.get("namespace") or "default"),
            ca=self._data(cluster, "certificate-authority"),
            insecure=cluster.get("insecure-skip-tls-verify") is True,
            tls_server_name=str(cluster.get("tls-server-name") or ""),
            proxy_url=str(cluster.get("proxy-url") or ""),
            certificate=self._data(user, "client-certificate"),
            key=self._data(user, "client-key"),
            token=str(user.get("token") or ""),
            token_file=self._path(str(token_file)) if token_file else None,
            username=str(user.get("username") or ""),
            password=str(user.get("password") or ""),
            exec=self._exec(user.get("exec")),
            impersonate_user=str(user.get("as") or ""),
            impersonate_groups=tuple(str(group) for group in user.get("as-groups") or ()),
            impersonate_uid=str(user.get("as-uid") or ""),
            impersonate_extra=tuple(
                (str(key), tuple(str(value) for value in values)) for key, values in (user.get("as-user-extra") or {}).items()
            ),
        )

    def refuse_what_is_not_inline(self, context: str) -> None:
        """Raises InputError naming every field of the context's user and cluster that is not allowed."""
        about = self._named("contexts", context, "context")
        cluster = self._named("clusters", str(about.get("cluster") or ""), "cluster")
        user = self._named("users", str(about["user"]), "user") if about.get("user") else {}
        found = [f"users[].user.{field}" for field in _RUNS_OR_READS_USER if user.get(field)]
        found += [f"clusters[].cluster.{field}" for field in _RUNS_OR_READS_CLUSTER if cluster.get(field)]
        if str(cluster.get("server") or "").startswith("http://"):
            found.append("clusters[].cluster.server without TLS")
        if found:
            raise self._wrong(
                f"the kubeconfig may not have {', '.join(found)}",
                hint="embed certificates and tokens (`kubectl config view --raw --flatten`); programs, files and "
                "unchecked certificates are refused",
            )

    def _named(self, section: str, name: str, singular: str) -> Mapping[str, Any]:
        for entry in _entries(self.content, section):
            if entry.get("name") == name:
                value = entry.get(singular)
                return value if isinstance(value, Mapping) else {}
        hint = self._choices() if singular == "context" else None
        raise self._wrong(f"no {singular} named {name!r}", hint=hint)

    def _choices(self) -> str:
        names = [str(entry.get("name", "")) for entry in _entries(self.content, "contexts")]
        return f"contexts here: {', '.join(names)}" if names else "the file has no contexts"

    def _data(self, section: Mapping[str, Any], key: str) -> bytes | None:
        if inline := section.get(f"{key}-data"):
            try:
                return base64.b64decode(str(inline), validate=True)
            except binascii.Error:
                raise self._wrong(f"{key}-data is not base64") from None
        if file := section.get(key):
            path = self._path(str(file))
            try:
                return path.read_bytes()
            except OSError as error:
                raise self._wrong(f"{key}: {path}: {error.strerror}") from None
        return None

    def _path(self, text: str) -> Path:
        path = Path(text)
        return path if path.is_absolute() or self.folder is None else self.folder / path

    def _exec(self, about: object) -> ExecPlugin | None:
        if not isinstance(about, Mapping):
            return None
        if not about.get("command"):
            raise self._wrong("exec has no command")
        return ExecPlugin(
            command=str(about["command"]),
            args=tuple(str(argument) for argument in about.get("args") or ()),
            env=tuple((str(entry["name"]), str(entry["value"])) for entry in about.get("env") or ()),
            api_version=str(about.get("apiVersion") or "client.authentication.k8s.io/v1"),
            provide_cluster_info=about.get("provideClusterInfo") is True,
            folder=self.folder,
            install_hint=str(about.get("installHint") or ""),
        )

    def _wrong(self, what: str, hint: str | None = None) -> InputError:
        return InputError([Problem(what=what, where=Place(path=self.name), hint=hint, code="KubeconfigInvalid")])


def _entries(content: Mapping[str, Any], section: str) -> list[Mapping[str, Any]]:
    found = content.get(section)
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def _merged(paths: list[Path], context: str | None) -> Access:
    """kubectl's rule for several files: the first file that names a thing wins. Each access is read with its own
    file's folder, so the sections of the winning files are looked up file by file."""
    if len(paths) == 1:
        return parse(_read(paths[0]), context, folder=paths[0].parent, name=str(paths[0]))
    merged: dict[str, Any] = {"contexts": [], "clusters": [], "users": []}
    for path in paths:
        content = _read(path)
        if content.get("current-context") and "current-context" not in merged:
            merged["current-context"] = content["current-context"]
        for section in ("contexts", "clusters", "users"):
            names = {entry.get("name") for entry in merged[section]}
            merged[section] += [
                _anchored(entry, path.parent) for entry in _entries(content, section) if entry.get("name") not in names
            ]
    return parse(merged, context, name=os.pathsep.join(str(path) for path in paths))


def _anchored(entry: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """The entry with its file names made absolute, so that it can be read away from its file."""
    copy: dict[str, Any] = dict(entry)
    for singular in ("cluster", "user"):
        if isinstance(about := copy.get(singular), Mapping):
            changed = dict(about)
            for key in ("certificate-authority", "client-certificate", "client-key", "tokenFile"):
                if changed.get(key):
                    changed[key] = str(folder / str(changed[key]))
            plugin = changed.get("exec")
            if isinstance(plugin, Mapping) and "/" in str(plugin.get("command")):
                changed["exec"] = {**plugin, "command": str(folder / str(plugin["command"]))}
            copy[singular] = changed
    return copy


def _read(path: Path) -> Mapping[str, Any]:
    import yaml

    where = Place(path=str(path))
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise InputError([Problem(what=error.strerror or "cannot be read", where=where, code="KubeconfigInvalid")]) from None
    except yaml.YAMLError:
        # the parser's own message quotes the file, which holds credentials
        raise InputError([Problem(what="not a YAML file", where=where, code="KubeconfigInvalid")]) from None
    if not isinstance(content, Mapping):
        raise InputError([Problem(what="not a kubeconfig", where=where, code="KubeconfigInvalid")])
    return content
