"""Worker processes: copies of this one where that is safe, started afresh where it is not."""

from __future__ import annotations

import errno
import multiprocessing
import os
import sys
import threading
from typing import Any

import pytest
import torch
from miniature import Make
from test_fused import plan_of
from zoo import TASK

from assay.core.errors import AssayError
from assay.runtime import tracked_code_check
from assay.training import autotune_execution, device, run_replicates, thread_count, worker_processes
from assay.training.autotune_execution import Way

needs_fork = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux only")


class Kept:
    """A cache with nothing in it."""

    notes: list[str] = []  # noqa: RUF012


class Silent:
    """Is told, and tells nobody."""

    def points(self, rows: object) -> None: ...

    def log(self, line: str) -> None: ...

    def finished(self, outcome: object) -> None: ...


@needs_fork
def test_a_process_with_threads_is_not_copied() -> None:
    with device.threads(2):
        assert not worker_processes.forks()
    with device.threads(1):
        assert worker_processes.forks()
        stop = threading.Event()
        other = threading.Thread(target=stop.wait)
        other.start()
        try:
            assert not worker_processes.forks()
        finally:
            stop.set()
            other.join()


@pytest.mark.parametrize("copied", [True, False])
def test_lanes_in_workers_are_the_lanes_here(make: Make, monkeypatch: pytest.MonkeyPatch, copied: bool) -> None:
    """To the last bit, with dropout, whichever worker has them; the record says what decides the bits."""
    monkeypatch.setattr(worker_processes, "forks", lambda: copied)
    project = make(TASK, model={"net": "transformer"})
    project.measure([0, 1, 2, 3, 4], "here", execution="fused")
    monkeypatch.setattr(autotune_execution, "way", lambda *_asked, **_more: Way(3, 2))
    answer = project.measure([0, 1, 2, 3, 4], "there", execution="auto")
    assert {one.execution for one in answer.replicates} == {"fused"}
    assert "3 at a time in each of 2 processes" in (project.root / "there" / "train.log").read_text()
    for number in range(5):
        assert project.weights(number, "here") == project.weights(number, "there")


def test_brief_trainings_are_spread_where_a_copy_is_enough(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second of training: worth a tenth of a second, and no interpreter's start."""
    project = make(TASK, train={"epochs": 20})
    monkeypatch.setattr(autotune_execution, "_times", lambda plan, group, chunks, room: dict.fromkeys(chunks, 0.001))
    for copied, spread in ((True, True), (False, False)):
        monkeypatch.setattr(worker_processes, "forks", lambda copied=copied: copied)
        monkeypatch.setattr(autotune_execution.parent_watch, "processors", lambda: 2)
        project.measure([0, 1, 2, 3], "out", execution="auto")
        assert ("2 processes" in (project.root / "out" / "train.log").read_text()) == spread
    monkeypatch.setattr(worker_processes, "forks", lambda: True)
    monkeypatch.setenv("ASSAY_BESIDE", "1")
    project.measure([0, 1, 2, 3], "beside", execution="auto")
    assert "processes" not in (project.root / "beside" / "train.log").read_text(), "the other arm has the other one"


def test_what_a_worker_imports_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper under a computed name, imported by the worker that trains replicate 1 and by nobody else."""
    monkeypatch.setattr(tracked_code_check, "_met", set())
    source = (
        TASK
        + """
    import importlib, os, sys

    def augment(inputs, targets, generator):
        if os.getpid() != int(os.environ["PARENT"]):
            importlib.import_module(__name__.rpartition(".")[0] + "." + "helper")
        return inputs, targets
    """
    )
    project = make(source)
    folder = project.root / "src" / "tasks" / project.task
    (folder / "helper.py").write_text("")
    monkeypatch.setenv("PARENT", str(os.getpid()))
    monkeypatch.setattr(autotune_execution, "way", lambda *_asked, **_more: Way(1, 2))
    project.measure([0, 1], execution="auto")
    assert f"src/tasks/{project.task}/helper.py" in tracked_code_check.imported(project.root)


@needs_fork
def test_a_copy_works_after_torch_has_used_threads(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading large data does, before a small model is held to one thread."""
    with device.threads(2):
        large = torch.ones(1000, 1000, requires_grad=True)
        (large @ large).exp().sum().backward()  # type: ignore[no-untyped-call]
    monkeypatch.setattr(autotune_execution, "way", lambda *_asked, **_more: Way(2, 2))
    answer = make(TASK, model={"net": "convolution"}).measure([0, 1, 2, 3], execution="auto")
    assert {one.execution for one in answer.replicates} == {"fused"}


@needs_fork
def test_a_process_that_sees_an_accelerator_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    with device.threads(1):
        assert not worker_processes.forks()


def test_a_thread_that_a_task_leaves_running_is_not_waited_for(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        TASK
        + """
    import os, threading

    def augment(inputs, targets, generator):
        if os.getpid() != int(os.environ["PARENT"]):
            threading.Thread(target=threading.Event().wait, args=(600,)).start()
        return inputs, targets
    """
    )
    monkeypatch.setenv("PARENT", str(os.getpid()))
    monkeypatch.setattr(autotune_execution, "way", lambda *_asked, **_more: Way(1, 2))
    answer = make(source, train={"epochs": 1}).measure([0, 1], execution="auto")
    assert [one.execution for one in answer.replicates] == ["processes", "processes"]


def test_a_worker_that_cannot_start_is_one_sentence(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_asked: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", refused)
    monkeypatch.setattr(autotune_execution, "way", lambda *_asked, **_more: Way(1, 2))
    with pytest.raises(AssayError, match=r"a worker process could not be started .*; next: set machine.execution"):
        make(TASK).measure([0, 1], execution="auto")


def test_what_is_left_of_a_spread_group_runs_with_the_threads_of_a_worker(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads can change last bits: one replicate that is missing must not get those of all workers."""
    seen: list[int] = []
    real = run_replicates.here

    def watched(*given: Any) -> Any:
        seen.append(torch.get_num_threads())
        return real(*given)

    monkeypatch.setattr(run_replicates, "here", watched)
    monkeypatch.setattr(thread_count, "SMALL", 0)
    monkeypatch.setattr(thread_count.parent_watch, "processors", lambda: 4)
    monkeypatch.setattr(autotune_execution, "way", lambda *_asked, **_more: Way(1, 2))
    project = make(TASK)
    with device.threads(4):
        run_replicates.run(plan_of(project), [0, 1], [1], "processes", Silent(), Kept())
    assert seen == [2]
