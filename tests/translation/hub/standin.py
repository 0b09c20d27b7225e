"""What huggingface_hub asks of the Hub when it pushes and fetches, answered on this machine.

Accounts, private and gated repositories, branches, commits in NDJSON, large files by git LFS,
files by redirect with the headers that the cache lives by. Learnt from the client; what
it asks beyond that gets 501, so that a test fails rather than passes by chance.
"""

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKENS = {"hf_ann_may_write": ("ann", True), "hf_bob_may_read": ("bob", False)}
"""Whose they are, and whether they may write there."""
LARGE = (".safetensors", ".png", ".pth", ".bin")


@dataclass
class Repo:
    private: bool = False
    gated: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: dict[str, bytes], message: str = "", branch: str = "main") -> str:
        sha = hashlib.sha1(f"{len(self.commits)}{message}".encode()).hexdigest()
        self.commits[sha], self.branches[branch] = files, sha
        self.messages.append(message)
        return sha

    def files(self, revision: str = "main") -> dict[str, bytes]:
        return self.commits[self.branches.get(revision, revision)]


@dataclass
class Hub:
    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """ "GET /api/models/ann/a" """
    fails: dict[str, int] = field(default_factory=dict)
    """Status by a pattern that what is asked fits."""
    claims: dict[str, int] = field(default_factory=dict)
    """Sizes that are told instead of the files' own."""
    cut: int = 0
    """Bytes that are missing at the end of large files."""

    def make(self, name: str, files: dict[str, bytes] | None = None, **facts: bool) -> Repo:
        repo = self.repos[name] = Repo(**facts)
        repo.commit(files or {".gitattributes": b""})
        return repo


class Refused(Exception):  # noqa: N818 - an answer, no mistake
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.headers = status, {"X-Error-Code": code, "X-Error-Message": message}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        self.handle_one()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def handle_one(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(size)
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.body = b"".join(iter(self.chunk, b""))
        address = urlsplit(self.path)
        self.where, self.query = unquote(address.path), parse_qs(address.query)
        asked = f"{self.command} {self.where}"
        self.hub.asked.append(asked)
        try:
            for pattern, status in self.hub.fails.items():
                if re.search(pattern, asked):
                    raise Refused(status)
            self.route(asked)
        except Refused as refused:
            self.send(refused.status, b"<html>no JSON</html>", refused.headers)

    def chunk(self) -> bytes:
        size = int(self.rfile.readline(), 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def route(self, asked: str) -> None:
        for pattern, answer in ROUTES.items():
            if found := re.fullmatch(pattern, asked):
                return answer(self, **found.groupdict())
        raise Refused(501)

    def send(self, status: int, content: object = b"", headers: dict[str, str] | None = None):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data)

    def who(self) -> tuple[str, bool]:
        """The account, and whether it may write."""
        given = self.headers.get("Authorization", "")
        if not given:
            return "", False
        if given.removeprefix("Bearer ") not in TOKENS:
            raise Refused(401, message="Invalid credentials in Authorization header")
        return TOKENS[given.removeprefix("Bearer ")]

    def repo(self, name: str, writing: bool = False) -> Repo:
        user, may_write = self.who()
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and user != name.split("/")[0]):
            raise Refused(404 if user else 401, "RepoNotFound")
        if writing and not (may_write and user == name.split("/")[0]):
            raise Refused(403 if user else 401, message="You don't have the rights")
        if repo.gated and user != name.split("/")[0]:
            raise Refused(403 if user else 401, "GatedRepo")
        return repo

    def files(self, name: str, revision: str | None) -> tuple[str, dict[str, bytes]]:
        repo = self.repo(name)
        sha = repo.branches.get(revision or "main", revision or "main")
        if sha not in repo.commits:
            raise Refused(404, "RevisionNotFound")
        return sha, repo.commits[sha]

    def described(self, path: str, content: bytes) -> dict:
        size = self.hub.claims.get(path, len(content))
        about = {"oid": git_oid(content), "size": size}
        if path.endswith(LARGE):
            about["lfs"] = {"oid": sha256(content), "sha256": sha256(content), "size": size}
            about["lfs"]["pointerSize"] = 128
        return about

    def create(self) -> None:
        asked = json.loads(self.body)
        user, may_write = self.who()
        name = f"{asked['organization'] or user}/{asked['name']}"
        if not user:
            raise Refused(401, message="Invalid username or password.")
        if not may_write or user != name.split("/")[0]:
            raise Refused(403, message="You don't have the rights")
        if name in self.hub.repos:
            return self.send(409, {"error": "exists", "url": f"{self.hub.url}/{name}"})
        self.hub.make(name, private=asked.get("visibility") == "private" or asked.get("private"))
        return self.send(200, {"url": f"{self.hub.url}/{name}"})

    def info(self, name: str, revision: str | None = None) -> None:
        sha, files = self.files(name, revision)
        siblings = []
        for path, content in files.items():
            about = self.described(path, content)
            blob = {"size": about["size"], "blobId": about["oid"], "lfs": about.get("lfs")}
            siblings.append({"rfilename": path, **(blob if "blobs" in self.query else {})})
        facts = {"id": name, "modelId": name, "sha": sha, "siblings": siblings}
        facts |= {"private": self.hub.repos[name].private, "gated": False, "tags": []}
        self.send(200, facts)

    def tree(self, name: str, revision: str) -> None:
        _, files = self.files(name, revision)
        entries = [{"type": "file", "path": p, **self.described(p, c)} for p, c in files.items()]
        self.send(200, entries)

    def valid(self) -> None:
        if "license: mine\n" in json.loads(self.body)["content"]:
            wrong = {
                "warnings": [],
                "errors": [{"message": '"license" must be one of [apache-2.0]'}],
            }
            return self.send(400, wrong)
        return self.send(200, {"warnings": [], "errors": []})

    def branch(self, name: str, revision: str) -> None:
        repo = self.repo(name, writing=True)
        if revision in repo.branches:
            raise Refused(409)
        repo.branches[revision] = repo.branches["main"]
        self.send(200, {})

    def preupload(self, name: str, revision: str) -> None:
        files = self.repo(name, writing=True).files(revision)
        modes = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
                "oid": git_oid(files[one["path"]]) if one["path"] in files else None,
            }
            for one in json.loads(self.body)["files"]
        ]
        self.send(200, {"files": modes})

    def batch(self, name: str) -> None:
        self.repo(name, writing=True)
        objects = []
        for one in json.loads(self.body)["objects"]:
            if one["oid"] not in self.hub.large:
                upload = {"href": f"{self.hub.url}/lfs/{one['oid']}", "header": {}}
                verify = {"href": f"{self.hub.url}/verify/{name}", "header": {}}
                one["actions"] = {"upload": upload, "verify": verify}
            objects.append(one)
        self.send(200, {"transfer": "basic", "objects": objects})

    def put(self, oid: str) -> None:
        assert sha256(self.body) == oid
        self.hub.large[oid] = self.body
        self.send(200)

    def verify(self, name: str) -> None:
        self.repo(name, writing=True)
        asked = json.loads(self.body)
        if len(self.hub.large[asked["oid"]]) != asked["size"]:
            raise Refused(400)
        self.send(200, {})

    def commit(self, name: str, revision: str) -> None:
        repo = self.repo(name, writing=True)
        files, summary = dict(repo.files(revision)), ""
        for line in self.body.splitlines():
            value = json.loads(line)["value"]
            match json.loads(line)["key"]:
                case "header":
                    summary = value["summary"]
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.large[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
                case _:
                    raise Refused(501)
        sha = repo.commit(files, summary, revision)
        url = f"{self.hub.url}/{name}/commit/{sha}"
        self.send(200, {"commitUrl": url, "commitOid": sha, "success": True})

    def resolve(self, name: str, revision: str, path: str) -> None:
        sha, files = self.files(name, revision)
        if path not in files:
            raise Refused(404, "EntryNotFound")
        headers, content = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes"}, files[path]
        if not path.endswith(LARGE):
            return self.send(200, content, {**headers, "ETag": f'"{git_oid(content)}"'})
        self.hub.large[oid := sha256(content)] = content
        headers |= {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content))}
        elsewhere = self.hub.url.replace("127.0.0.1", "localhost")  # as the Hub's files are
        headers["Location"] = f"{elsewhere}/cdn/{oid}"
        return self.send(302, b"", headers)

    def content(self, oid: str) -> None:
        content = self.hub.large[oid]
        content, wanted = content[: len(content) - self.hub.cut], self.headers.get("Range", "")
        start = int(wanted[6:].partition("-")[0]) if wanted else 0
        headers = {"ETag": f'"{oid}"'}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.send(206 if start else 200, content[start:], headers)

    def log_message(self, *arguments: object) -> None:
        pass


REPO = r"(?P<name>[^/ ]+/[^/ ]+)"
ROUTES = {
    r"POST /api/repos/create": Handler.create,
    rf"GET /api/models/{REPO}": Handler.info,
    rf"GET /api/models/{REPO}/revision/(?P<revision>.+)": Handler.info,
    rf"GET /api/models/{REPO}/tree/(?P<revision>.+)": Handler.tree,
    r"POST /api/validate-yaml": Handler.valid,
    rf"POST /api/models/{REPO}/branch/(?P<revision>.+)": Handler.branch,
    rf"POST /api/models/{REPO}/preupload/(?P<revision>.+)": Handler.preupload,
    rf"POST /{REPO}\.git/info/lfs/objects/batch": Handler.batch,
    r"PUT /lfs/(?P<oid>\w+)": Handler.put,
    rf"POST /verify/{REPO}": Handler.verify,
    rf"POST /api/models/{REPO}/commit/(?P<revision>.+)": Handler.commit,
    rf"(GET|HEAD) /{REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)": Handler.resolve,
    r"(GET|HEAD) /cdn/(?P<oid>\w+)": Handler.content,
}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextlib.contextmanager
def serving() -> Iterator[Hub]:
    """The Hub, on a free port of this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
