"""What a watch is given and cannot look at: nested watches, threads, compiled models, exceptions, faults of its own."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from assay.doctor import watch
from assay.doctor.gradient_monitor import GradientMonitor
from support.watch_healthy import epochs, loader, net


def train(model: nn.Module, steps: int = 30, *, cleared: bool = True, break_at: int | None = None) -> None:
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step, (x, y) in enumerate(epochs(loader())):
        if cleared:
            optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        if step == break_at:
            raise ValueError("the user's own")
        if step == steps - 1:
            return


def failed(seen: Any) -> list[str]:
    return [one.check for one in seen.report.failed]


def test_arguments_of_the_wrong_kind() -> None:
    with pytest.raises(TypeError, match=r"allowed: a torch\.nn\.Module"):
        watch(lambda x: x)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="allowed: a whole number above 0"):
        watch(planned_steps=0)


def test_nothing_trains() -> None:
    with watch(net()) as seen:
        assert {one.reason for one in seen.report.findings} == {"the block has not ended"}
    assert {one.result for one in seen.report.findings} == {"not run"}
    assert "no optimizer of torch made a step" in seen.report.findings[0].reason


def test_an_exception_passes_on_and_the_report_is_there() -> None:
    with pytest.raises(ValueError, match="the user's own"), watch() as seen:
        train(net(), cleared=False, break_at=20)
    assert failed(seen) == ["gradients-not-cleared"]


def test_a_nan_that_ends_in_an_exception() -> None:
    model = net()
    with pytest.raises(FloatingPointError), watch(model) as seen:
        loss = F.cross_entropy(model(torch.full((16, 8), torch.nan)), torch.zeros(16).long())
        loss.backward()
        raise FloatingPointError
    assert failed(seen) == ["non-finite"]


def test_nested_watches_see_the_same() -> None:
    with watch() as outer:
        with watch() as inner:
            train(net(), cleared=False)
        train(net(), 10)
    assert failed(inner) == failed(outer) == ["gradients-not-cleared"]
    assert outer.loop.steps == 30


def test_a_watch_of_one_optimizer_leaves_others_alone() -> None:
    model, other = net(), net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(optimizer=optimizer) as seen, watch(model) as named:
        train(other, cleared=False)
        for x, y in epochs(loader(), 2):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    assert failed(seen) == failed(named) == []


def test_threads_are_heard_by_their_own_watch() -> None:
    reports: dict[bool, list[str]] = {}

    def watched(cleared: bool) -> None:
        with watch() as seen:
            train(net(), cleared=cleared)
        reports[cleared] = failed(seen)

    threads = [threading.Thread(target=watched, args=(one,)) for one in (True, False)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert reports == {True: [], False: ["gradients-not-cleared"]}
    with watch() as seen:
        inside = threading.Thread(target=train, args=(net(),), kwargs={"cleared": False})
        inside.start()
        inside.join()
    assert failed(seen) == ["gradients-not-cleared"]


def test_a_fault_of_its_own_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GradientMonitor, "backward_begins", lambda *_: 1 / 0)
    with watch() as seen:
        train(net(), cleared=False)
    results = {one.check: (one.result, one.reason) for one in seen.report.findings}
    assert results["gradients-not-cleared"] == ("not run", "ZeroDivisionError: division by zero")
    assert results["modes-restored"][0] == "pass"


def test_a_model_that_cannot_be_copied() -> None:
    class NoCopy(nn.Sequential):
        def __deepcopy__(self, memo: Any) -> NoCopy:
            raise TypeError("cannot be copied")

    model = NoCopy(*net())
    with watch(model) as seen:
        for step in range(8):
            x = torch.full((16, 8), torch.nan if step == 5 else 1.0)
            model.zero_grad()
            F.cross_entropy(model(x), torch.zeros(16).long()).backward()
            torch.optim.SGD(model.parameters(), 0.1).step()
    assert failed(seen)[0] == "non-finite"
    assert "cannot be copied" in seen.report.failed[0].reason


def test_outputs_and_batches_of_any_kind() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = net()

        def forward(self, *, x: torch.Tensor, extra: str) -> dict[str, Any]:
            return {"logits": self.body(x), "extra": extra, "none": None}

    model = Two()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch() as seen:
        for x, y in epochs(loader(), 3):
            optimizer.zero_grad()
            F.cross_entropy(model(x=x, extra="word")["logits"], y, reduction="none").backward(torch.ones(len(y)))
            optimizer.step()
    assert not failed(seen)
    assert not [str(one) for one in seen.report.findings if "Error" in one.reason]


def test_several_tensors_at_once_as_an_iterator() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch() as seen:
        for x, y in epochs(loader(), 3):
            optimizer.zero_grad()
            losses = [F.cross_entropy(model(part), label) for part, label in ((x[:8], y[:8]), (x[8:], y[8:]))]
            torch.autograd.backward(one for one in losses)
            optimizer.step()
    assert not failed(seen)


def test_a_parameter_without_a_module() -> None:
    weight = nn.Parameter(torch.zeros(8, 3))
    optimizer = torch.optim.Adam([weight], 1e-2)
    with watch() as seen:
        for x, y in epochs(loader(), 2):
            F.cross_entropy(x @ weight, y).backward()
            optimizer.step()
    assert failed(seen) == ["gradients-not-cleared"]
    assert next(one.result for one in seen.report.findings if one.check == "modes-restored") == "not applicable"


@pytest.mark.extra
def test_a_compiled_model_is_compiled_as_often() -> None:
    def compiled(around: Any) -> tuple[int, list[bytes]]:
        torch._dynamo.reset()
        counts = []

        def backend(graph: Any, _inputs: Any) -> Any:
            counts.append(1)
            return graph.forward

        torch.manual_seed(0)
        inner = net()
        model = torch.compile(inner, backend=backend)
        with around:
            train(model, 80)  # type: ignore[arg-type]
        return len(counts), [one.detach().numpy().tobytes() for one in inner.parameters()]

    seen = watch()
    assert compiled(seen) == compiled(torch.enable_grad())
    assert not failed(seen)


@pytest.mark.extra
def test_the_loops_of_lightning_and_trainer(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import lightning
    import transformers

    monkeypatch.chdir(tmp_path)

    class Lit(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def validation_step(self, batch: Any, index: int) -> None:
            self.net(batch[0])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), 1e-2)

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net(nn.Dropout(0.1))

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            output = self.net(x)
            return {"loss": F.cross_entropy(output, labels), "logits": output}

    def lit() -> list[bytes]:
        torch.manual_seed(0)
        model = Lit()
        trainer = lightning.Trainer(
            max_epochs=10, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu"
        )
        trainer.fit(model, loader(), loader(shuffle=False))
        return [one.detach().numpy().tobytes() for one in model.parameters()]

    def hugging() -> list[bytes]:
        torch.manual_seed(0)
        model = Tokens()
        data = [{"x": x, "labels": y} for x, y in loader().dataset]
        given = transformers.TrainingArguments(
            output_dir=str(tmp_path), max_steps=80, per_device_train_batch_size=8, report_to=[], use_cpu=True,
            save_strategy="no", eval_strategy="steps", eval_steps=20, gradient_accumulation_steps=2, disable_tqdm=True,
        )  # fmt: skip
        transformers.Trainer(model=model, args=given, train_dataset=data, eval_dataset=data[:40]).train()
        return [one.detach().numpy().tobytes() for one in model.parameters()]

    for run in (lit, hugging):
        plain = run()
        with watch() as seen:
            assert run() == plain
        assert not [str(one) for one in seen.report.failed]
        assert seen.loop.steps >= 80
