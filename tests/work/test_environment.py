"""The environment that a request asks for: on another device than this machine's, and refused where it is another."""

from __future__ import annotations

import msgspec
import pytest

from assay.core.errors import IncomparableError
from assay.core.schemas import Environment, Hardware
from assay.runtime import accelerators, environment
from assay.runtime.accelerators import Accelerator
from assay.stages import answer_request, plan_requests

GPU = "NVIDIA H200"


def test_another_device_is_asked_for_as_its_machine_finds_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "versions", lambda _packages: {"torch": "2.13+cu128"})
    monkeypatch.setattr(accelerators, "visible", list)
    processor = environment.find("auto", [])
    monkeypatch.setattr(accelerators, "visible", lambda: [Accelerator(GPU, "", "0", "GPU-0")])
    gpu = environment.find("auto", [])
    assert plan_requests._environment(processor, GPU).key == gpu.key
    assert plan_requests._environment(gpu, "cpu").key == processor.key
    assert plan_requests._environment(gpu, GPU) is plan_requests._environment(gpu, "") is gpu


def test_a_refused_environment_is_told_with_all_that_differs() -> None:
    asked = Environment(device="cpu", machine="x86_64", system="Linux", packages={"torch": "2.12", "timm": "1"})
    asked = msgspec.structs.replace(asked, hardware=Hardware(instructions="AVX2", threads=8))
    here = msgspec.structs.replace(asked, packages={"torch": "2.13"}, hardware=Hardware(instructions="AVX2", threads=1))
    answer_request.check_environment(asked, asked)
    with pytest.raises(IncomparableError) as caught:
        answer_request.check_environment(here, asked)
    assert caught.value.problem == (
        "this machine's environment is not the one asked for: AVX2, 1 thread here and AVX2, 8 threads asked for; "
        "timm none here and 1 asked for; torch 2.13 here and 2.12 asked for"
    )
