"""Requests whose training takes a set time and no torch: workers are real, what trains is a script that sleeps.

`python toy_requests.py SHARED REQUEST SECONDS LEASE` is a worker; each training notes when it began and ended below
`SHARED/trained`, so that a test can count.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import SimpleNamespace

import msgspec

from assay.core import schemas
from assay.core.schemas import Environment, Part
from assay.core.work_records import SharedPaths, WorkRequest
from assay.core.work_stage_records import WorkerTask
from assay.replicates import sealed_records
from assay.runtime import files, parent_watch, shared_files
from assay.work import run_request, tree_pack, worker_data

TRAIN, EVALUATED = "a" * 32, "b" * 32


class ToyHead(msgspec.Struct):
    seconds: float


def entry(number: int) -> str:
    return files.digest(f"toy {number}".encode())


def payload(name: str, part: str) -> bytes:
    return hashlib.shake_128(f"{name} {part}".encode()).digest(2000)


def build(folder: Path, count: int, each: int = 1, execution: str = "sequential") -> tuple[Path, list[WorkRequest]]:
    """A shared folder with `count` replicates in requests of `each`."""
    shared = shared_files.checked(folder / "shared")
    tree = _tree(folder / "code", shared)
    for digest in (TRAIN, EVALUATED):
        part = folder / digest
        part.mkdir(parents=True)
        manifest = Part(part="train", examples=1, content=digest, arrays={})
        (part / "manifest.json").write_bytes(schemas.encode(manifest))
        worker_data.put_part(part, digest, shared)
    requests = []
    for start in range(0, count, each):
        numbers = list(range(start, min(start + each, count)))
        request = _request(tree, numbers, execution)
        shared_files.write(SharedPaths(shared).request(request.id), schemas.encode(request))
        requests.append(request)
    return shared, requests


def more(shared: Path, like: WorkRequest, first: int, count: int) -> list[WorkRequest]:
    """Requests of one replicate each, beginning with number `first`."""
    made = [_request(like.tree, [number], like.execution) for number in range(first, first + count)]
    for request in made:
        shared_files.write(SharedPaths(shared).request(request.id), schemas.encode(request))
    return made


def _tree(folder: Path, shared: Path) -> str:
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text("lr: 1\n")
    quiet = {"cwd": folder, "check": True, "capture_output": True, "text": True}
    subprocess.run(["git", "init", "-q"], **quiet)  # type: ignore[call-overload]
    subprocess.run(["git", "add", "."], **quiet)  # type: ignore[call-overload]
    tree = str(subprocess.run(["git", "write-tree"], **quiet).stdout.strip())  # type: ignore[call-overload]
    tree_pack.write(folder, tree, shared)
    return tree


def _request(tree: str, numbers: list[int], execution: str) -> WorkRequest:
    return WorkRequest(
        arm="candidate",
        tree=tree,
        object_format="sha1",
        commit="",
        project="",
        git={},
        parameters={"lr": 1},
        profile="full",
        purpose="candidate",
        seed=1,
        numbers=numbers,
        entries=[entry(number) for number in numbers],
        execution=execution,
        device="cpu",
        environment=Environment(device="cpu", machine="x86_64", system="Linux", packages={}),
        code="c",
        train=TRAIN,
        evaluated=EVALUATED,
        files={},
    )


def worker(shared: Path, request: str, seconds: float, lease: float = 300) -> subprocess.Popen[bytes]:
    """A worker in a process of its own."""
    command = [sys.executable, __file__, str(shared), request, str(seconds), str(lease)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def here(shared: Path, request: str, seconds: float = 0, lease: float = 300) -> int:
    """A worker in this process; its exit code."""
    before = run_request.library_fingerprint
    try:
        return main(shared, request, str(seconds), lease)
    finally:
        run_request.library_fingerprint = before


def trainings(shared: Path) -> dict[str, list[tuple[float, float]]]:
    """Entry → when each of its trainings began and ended; inf for one that was ended."""
    found: dict[str, list[tuple[float, float]]] = {}
    for path in sorted((shared / "trained").glob("*.json")):
        one = json.loads(path.read_bytes())
        found.setdefault(one["entry"], []).append((one["began"], one.get("ended", float("inf"))))
    return found


def is_right(shared: Path, name: str) -> bool:
    """Whether the sealed entry has the bytes that its address says."""
    for part in ("weights", EVALUATED):
        opened = sealed_records.opened(SharedPaths(shared).entry(name) / part, ToyHead)
        if opened is None or opened[1] != payload(name, part):
            return False
    return True


def train(task_file: Path, shared: Path, seconds: float) -> None:
    """Stands where a task trains: sleeps, then seals bytes that follow from the address."""
    parent_watch.hold()
    task = msgspec.json.decode(task_file.read_bytes(), type=WorkerTask)
    Path(task.begun).touch()
    for name in task.entries:
        note = shared / "trained" / f"{uuid.uuid4().hex}.json"
        note.parent.mkdir(exist_ok=True)
        said: dict[str, object] = {"entry": name, "began": time.time()}
        files.write_bytes(note, json.dumps(said).encode())
        time.sleep(seconds)
        if name in os.environ.get("TOY_FAILS", "").split(","):
            print("ValueError: the loss is a goat", flush=True)
            sys.exit(7)
        files.write_bytes(note, json.dumps(said | {"ended": time.time()}).encode())
        folder = Path(task.measure.cache) / "replicates" / name
        salt = os.environ.get("TOY_SALT", "")
        for part in (EVALUATED, "weights"):
            sealed_records.seal(folder / part, ToyHead(seconds), payload(name, part) + salt.encode())


def main(shared: Path, request: str, seconds: str, lease: float) -> int:
    def command(_stage: str, task: str) -> list[str]:
        return [sys.executable, __file__, "train", task, str(shared), seconds]

    run_request.library_fingerprint = SimpleNamespace(command=command)  # type: ignore[assignment]
    return run_request.run(shared, request, lambda line: print(line, flush=True), lease, ("TOY_FAILS", "TOY_SALT"))


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))
    else:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])))
