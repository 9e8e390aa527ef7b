"""`assay doctor run`: scripts in several styles without an edit, their exit codes, the same weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assay.cli import doctor as command_line
from assay.commands.doctor import Examined
from assay.commands.watch_script import WatchedRun, watch_script
from assay.core.errors import UsageError
from assay.runtime import watched_script

#: all at the top, as a notebook that became a script
FLAT = """
import os, sys
os.environ["OMP_NUM_THREADS"] = "1"
assert "torch" not in sys.modules  # variables that torch reads at its start still count
import argparse
import torch
from torch import nn
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--json", action="store_true")
rate = parser.parse_args().lr
torch.manual_seed(0)
x = torch.randn(96, 8)
y = (x @ torch.randn(8, 3)).argmax(1)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), rate)
for step in range(30):
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
torch.save(model.state_dict(), "weights.pt")
print("trained")
"""
#: a package with a trainer class, relative imports, a loader with worker processes
TRAINER = """
import torch
from torch import nn
from torch.utils.data import DataLoader
from .data import Rows

class Trainer:
    def __init__(self):
        self.model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))
        self.optimizer = torch.optim.Adam(self.model.parameters(), 1e-2)
        self.train, self.validation = DataLoader(Rows(64), 8, shuffle=True, num_workers=1), DataLoader(Rows(32), 8)

    def evaluate(self):
        self.model.eval()  # and never again train()
        with torch.no_grad():
            for x, y in self.validation:
                self.model(x)

    def fit(self):
        for epoch in range(3):
            for x, y in self.train:
                self.optimizer.zero_grad()
                nn.functional.cross_entropy(self.model(x), y).backward()
                self.optimizer.step()
            self.evaluate()

if __name__ == "__main__":
    torch.manual_seed(0)
    trainer = Trainer()
    trainer.fit()
    torch.save(trainer.model.state_dict(), "weights.pt")
"""
ROWS = """
import torch
from torch.utils.data import Dataset

class Rows(Dataset):
    def __init__(self, count):
        generator = torch.Generator().manual_seed(count)
        self.x = torch.randn(count, 8, generator=generator)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], int(self.x[index].sum() > 0)
"""
#: a main() that leaves with a code of its own
LEAVES = """
import sys
from pathlib import Path
import torch
import helper

def main():
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(5):
        optimizer.zero_grad(set_to_none=True)
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
    torch.save(model.state_dict(), "weights.pt")
    return helper.CODE

if __name__ == "__main__":
    sys.exit(main())
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "assay", "doctor", "run", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8")


def weights_without(folder: Path, *words: str) -> bytes:
    (folder / "weights.pt").unlink(missing_ok=True)
    subprocess.run([sys.executable, *words], cwd=folder, capture_output=True)
    return (folder / "weights.pt").read_bytes()


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {one["check"]: one for one in json.loads(done.stdout)["findings"]}


@pytest.mark.extra
def test_a_flat_script(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(FLAT, "utf-8")
    done = run(tmp_path, "--json", "train.py", "--lr", "0.1", "--json")
    assert done.returncode == 5 and "trained" in done.stderr
    found = findings(done)["gradients-not-cleared"]
    line = FLAT.splitlines().index("    optimizer.step()") + 1
    assert found["result"] == "fail" and found["places"][0] == f"train.py:{line}"


@pytest.mark.extra
def test_the_weights_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(FLAT, "utf-8")
    plain = weights_without(tmp_path, "train.py", "--lr", "0.1")
    assert run(tmp_path, "--require", "never", "train.py", "--lr", "0.1").returncode == 0
    assert (tmp_path / "weights.pt").read_bytes() == plain


@pytest.mark.extra
def test_a_package_with_a_trainer(tmp_path: Path) -> None:
    package = tmp_path / "pkg"
    package.mkdir()
    for name, text in (("__init__.py", ""), ("data.py", ROWS), ("train.py", TRAINER)):
        (package / name).write_text(text, "utf-8")
    plain = weights_without(tmp_path, "-m", "pkg.train")
    done = run(tmp_path, "--json", "-m", "pkg.train")
    assert done.returncode == 5 and (tmp_path / "weights.pt").read_bytes() == plain
    found = findings(done)["modes-restored"]
    line = next(number for number, text in enumerate(TRAINER.splitlines(), 1) if "model.eval()" in text)
    assert found["places"] == [f"train.py:{line}"]
    text = run(tmp_path, "-m", "pkg.train").stdout
    assert text.startswith("doctor: 1 finding, ") and f"at train.py:{line}" in text


@pytest.mark.extra
def test_a_script_with_a_code_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/train.py").write_text(LEAVES, "utf-8")
    (tmp_path / "sub/helper.py").write_text("CODE = 3\n", "utf-8")
    plain = weights_without(tmp_path, "sub/train.py")
    done = run(tmp_path, "sub/train.py")
    assert done.returncode == 3 and done.stdout.startswith("doctor: 0 findings")
    assert (tmp_path / "weights.pt").read_bytes() == plain
    (tmp_path / "sub/helper.py").write_text("raise KeyError('gone')\n", "utf-8")
    raised = run(tmp_path, "sub/train.py")
    assert raised.returncode == 1 and "KeyError: 'gone'" in raised.stderr
    assert "sub/helper.py" in raised.stderr and "watched_script.py" not in raised.stderr


def test_a_watch_that_cannot_begin_ends_no_script(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("name = 'another torch'\n", "utf-8")
    (tmp_path / "train.py").write_text("import sys, torch\nprint(torch.name, sys.argv)\nsys.exit(4)\n", "utf-8")
    command = [sys.executable, watched_script.__file__, str(tmp_path / "report"), "train.py", "--lr", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert done.returncode == 4 and done.stdout == "another torch ['train.py', '--lr', '1']\n"
    assert "the watch could not begin" in done.stderr and not (tmp_path / "report").read_text("utf-8")


def test_whose_code_goes_first() -> None:
    bad = Examined({"findings": [{"level": "error", "result": "fail"}]}, 0)
    assert [WatchedRun(bad, 0).exit_code(one) for one in ("error", "never")] == [5, 0]
    assert WatchedRun(bad, 3).exit_code("error") == 3


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"there is no file 'nothing\.py'"):
        watch_script(["nothing.py"])
    with pytest.raises(UsageError, match="no script was named"):
        watch_script(["-m"])
    Path("empty.py").write_text("print('no torch')\n", "utf-8")
    with pytest.raises(UsageError, match="left no report"):
        watch_script(["empty.py"], output_to_stderr=True)


def test_many_checks_with_one_reason_share_a_line() -> None:
    found = [{"check": f"check-{n}", "result": "not run", "reason": "why", "level": "error"} for n in range(5)]
    assert command_line._text(Examined({"findings": found}, 0)).splitlines()[1:] == ["  5 checks  not run: why"]
