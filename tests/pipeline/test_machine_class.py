"""Hardware as a field of the environment: both arms of a comparison run on one class of machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from assay.core import schemas
from assay.core.errors import UsageError
from assay.core.schemas import Environment, Hardware
from assay.metrics import candidate_verdict
from assay.metrics.scored_arm import Scored
from assay.runtime import accelerators, environment, hardware
from assay.runtime.accelerators import Accelerator
from support.scored_arms import scored

A100, H100 = "NVIDIA A100-SXM4-40GB", "NVIDIA H100 80GB HBM3"


def test_instructions_are_those_that_torch_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hardware.instructions() == torch.backends.cpu.get_cpu_capability()
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    monkeypatch.setattr(hardware.platform, "machine", lambda: "x86_64")
    assert hardware.instructions(Path("/nowhere")) == "DEFAULT"


@pytest.mark.parametrize(
    ("flags", "asked", "found"),
    [
        ("fma avx2 avx512f avx512vl avx512bw avx512dq", "", "AVX512"),
        ("fma avx2 avx512f", "", "AVX2"),
        ("fma avx2 avx512f avx512vl avx512bw avx512dq", "avx2", "AVX2"),
        ("fma avx2", "avx512", "AVX2"),
        ("sse4_2", "", "DEFAULT"),
    ],
)
def test_instructions_follow_from_the_processor(
    flags: str, asked: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", asked)
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\n\nprocessor : 1\nflags\t\t: none\n")
    assert hardware.instructions(tmp_path / "cpuinfo") == found


def test_threads_and_pinned_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware.parent_watch, "processors", lambda: 4)
    for asked, threads in (("", 4), ("2", 2), ("64", 4), ("3,1", 3), ("nonsense", 4)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert hardware.of_cpu(pinned=False).threads == threads
    assert hardware.of_cpu(pinned=True).threads == 1


def test_records_of_before_keep_their_key() -> None:
    old = b'{"device": "cpu", "machine": "x86_64", "system": "Linux", "packages": {"torch": "2.13"}, "schema": 1}'
    found = schemas.decode(old, Environment, "old")
    assert found.key == "torch 2.13; cpu; x86_64; Linux"
    new = msgspec.structs.replace(found, hardware=Hardware(instructions="AVX2", threads=1))
    assert new.key == "torch 2.13; cpu; x86_64; Linux; AVX2, 1 thread"
    assert schemas.decode(schemas.encode(new), Environment, "new") == new


def on(name: str, device: str, **fields: object) -> Scored:
    found = scored(name, np.zeros((2, 3)))
    where = msgspec.structs.replace(found.arm.environment, device=device, hardware=Hardware(**fields))
    return replace(found, arm=msgspec.structs.replace(found.arm, environment=where))


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ((A100, {}), (H100, {}), f"hardware: baseline {A100} (m), candidate {H100} (m)"),
        ((A100, {"mig": "1g.5gb"}), (A100, {"mig": "3g.20gb"}), "MIG 1g.5gb), candidate NVIDIA A100"),
        ((A100, {"cudnn": "9.1"}), (A100, {"cudnn": "9.2"}), "cuDNN 9.1), candidate"),
        ((A100, {"torch_build": "CUDA 12"}), (A100, {"torch_build": "CUDA 13"}), "torch built for CUDA 13)"),
        (
            ("cpu", {"instructions": "AVX2"}),
            ("cpu", {"instructions": "AVX512"}),
            "cpu (m, AVX2), candidate cpu (m, AVX",
        ),
        (("cpu", {"threads": 1}), ("cpu", {"threads": 2}), "1 thread), candidate cpu (m, 2 threads)"),
    ],
)
def test_arms_on_two_classes_are_incomparable(
    one: tuple[str, dict[str, object]], other: tuple[str, dict[str, object]], said: str
) -> None:
    baseline, candidate = on("baseline", one[0], **one[1]), on("candidate", other[0], **other[1])
    found = candidate_verdict.untested(candidate, baseline)
    assert found is not None and found.verdict == "incomparable"
    assert said in found.reason and "environment" not in found.reason
    assert found.hint == "dvc repro -f -s baseline && dvc exp run"


def gpus(*kinds: tuple[str, str]) -> list[Accelerator]:
    return [Accelerator(name, mig, str(at), f"GPU-{at}") for at, (name, mig) in enumerate(kinds)]


def test_devices_of_two_kinds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators, "visible", lambda: gpus((A100, ""), (H100, ""), (H100, ""), (H100, "1g.10gb")))
    monkeypatch.setattr(environment, "versions", lambda _packages: {"torch": "2.13+cu128"})
    found = environment.find("auto", [], devices=[1, 2])
    assert found.device == H100 and isinstance(found.hardware, Hardware) and found.hardware.threads == 0
    assert environment.find("cuda:3", []).hardware.mig == "1g.10gb"
    with pytest.raises(
        UsageError, match=r"machine\.devices are of 3 kinds: \[0\] NVIDIA A100.*; \[1, 2\] NVIDIA H100"
    ) as told:
        environment.find("auto", [], devices="all")
    assert told.value.hint == "set machine.devices: [1, 2] in params.yaml"
    with pytest.raises(UsageError, match=r"names GPU 7, .*; allowed: all, or some of 0, 1, 2, 3"):
        environment.find("auto", [], devices=[7])
    assert environment.find("cpu", [], devices="all").device == "cpu"
