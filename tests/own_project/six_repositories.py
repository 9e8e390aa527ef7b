"""Repositories as their authors would have written them, who never heard of Assay, and what is edited in each.

Covers: files, data, the commands of the day, and the lines that the author adds. Not covered: running them
(`test_six_repositories`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Foreign:
    """`edits` are made after `assay init`: file → (old text, new text) pairs."""

    kind: str
    build: Callable[[Path], None]
    init: str
    most_lines: int
    edits: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    run: str = "dvc exp run"
    packages: tuple[str, ...] = ()


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def photos(root: Path) -> None:
    from PIL import Image

    chance = np.random.default_rng(0)
    for channel, name in enumerate(("rust", "clean")):
        (root / "photos" / name).mkdir(parents=True)
        for number in range(40):
            shown = chance.integers(0, 130, (30 + number % 5, 40, 3))
            shown[..., 2 * channel] += 20
            Image.fromarray(shown.astype(np.uint8)).save(root / "photos" / name / f"IMG_{number:04}.jpg")
    write(root, "README.md", "Photos of pipes.\n")


def customers(root: Path) -> None:
    chance = random.Random(0)
    lines = ["customer_id,plan,age,churned,signup,spend"]
    for number in range(400):
        age, spend = chance.randint(18, 80), chance.uniform(5, 90)
        churned = "yes" if (age < 45 and spend < 60) or chance.random() < 0.1 else "no"
        gaps = (chance.random() < 0.1, chance.random() < 0.2)
        plan = "" if gaps[0] else chance.choice(["free", "pro", "team"])
        day = f"2025-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
        lines.append(f"{1000 + number},{plan},{'' if gaps[1] else age},{churned},{day},{spend:.2f}")
    write(root, "data/customers.csv", "\n".join(lines) + "\n")
    write(root, "notebooks/look.py", "import pandas\n\nprint(pandas.read_csv('data/customers.csv').describe())\n")


SCRIPT = """
import argparse, json, os, random
import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_digits

def main():
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=0.1)
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--seed", type=int, default=42)
    p.add_argument("--output_dir", default="runs/last")
    args = p.parse_args()
    random.seed(args.seed); np.random.seed(args.seed); torch.manual_seed(args.seed)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y)
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    opt = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(args.epochs):
        for i in torch.randperm(1400).split(64):
            opt.zero_grad()
            nn.functional.cross_entropy(net(x[i]), y[i]).backward()
            opt.step()
        print("epoch", epoch)
    acc = (net(x[1400:]).argmax(1) == y[1400:]).float().mean().item()
    os.makedirs(args.output_dir, exist_ok=True)
    json.dump({"test": {"acc": acc}}, open(os.path.join(args.output_dir, "results.json"), "w"))

if __name__ == "__main__":
    main()
"""

LOOP = """
import numpy as np
import torch
from torch import nn

EPOCHS, LR, BATCH = 15, 3e-3, 32

def load_data():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(600, 2)).astype("float32")
    return x, (x[:, 0] * x[:, 1] > 0).astype("int64")

class Net(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 2))

    def forward(self, x):
        return self.body(x)

def train(net, x, y, lr=LR, epochs=EPOCHS):
    opt = torch.optim.AdamW(net.parameters(), lr=lr)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, lr * 5, total_steps=epochs)
    for epoch in range(epochs):
        for idx in torch.randperm(len(x)).split(BATCH):
            loss = nn.functional.cross_entropy(net(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
        sched.step()
    return net

if __name__ == "__main__":
    x, y = map(torch.tensor, load_data())
    net = train(Net(), x[:500], y[:500])
    print("accuracy", (net(x[500:]).argmax(1) == y[500:]).float().mean().item())
"""

LIGHTNING = """
import lightning as L
import torch
from sklearn.datasets import load_iris
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

class LitIris(L.LightningModule):
    def __init__(self, lr=0.01):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)

def loader(x, y):
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    return DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True)

def trainer(epochs):
    return L.Trainer(max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
                     enable_progress_bar=False, enable_model_summary=False)

def main():
    x, y = load_iris(return_X_y=True)
    trainer(20).fit(LitIris(), loader(x, y))

if __name__ == "__main__":
    main()
"""

TRAINER = """
import tempfile
import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

def load_data():
    rng = np.random.default_rng(3)
    ids = rng.integers(5, 40, size=(300, 12))
    return ids, (ids[:, :6].sum(1) > ids[:, 6:].sum(1)).astype("int64")

class Rows(torch.utils.data.Dataset):
    def __init__(self, ids, labels):
        self.ids, self.labels = torch.tensor(ids), torch.tensor(labels)

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {"input_ids": self.ids[i], "labels": self.labels[i]}

def fine_tune(ids, labels, lr=1e-3, epochs=1):
    config = BertConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    model = BertForSequenceClassification(config)
    args = TrainingArguments(output_dir=tempfile.mkdtemp(), num_train_epochs=epochs, learning_rate=lr, use_cpu=True,
                             per_device_train_batch_size=16, report_to=[], save_strategy="no", disable_tqdm=True)
    Trainer(model=model, args=args, train_dataset=Rows(ids, labels)).train()
    return model.eval()

if __name__ == "__main__":
    ids, labels = load_data()
    fine_tune(ids[:250], labels[:250])
"""


def one_file(name: str, text: str) -> Callable[[Path], None]:
    return lambda root: write(root, name, text.lstrip())


def replaced(prepare: str, fit: str) -> dict[str, list[tuple[str, str]]]:
    """What the author writes into the task.py of the template `loop`: everything between imports and the metric."""
    return {"task.py": [("def prepare()…def accuracy", f"{prepare}\n\n\n{fit}\n\n\ndef accuracy")]}


REPOSITORIES = [
    Foreign("image folder", photos, "assay init photos", 0),
    Foreign(
        "table with gaps",
        customers,
        "assay init --template table data/customers.csv",
        1,
        {"params.yaml": [("  target: spend ", "  target: churned ")]},
    ),
    Foreign(
        "argparse script",
        one_file("train.py", SCRIPT),
        "assay init --template script train.py",
        5,
        {
            "params.yaml": [
                (
                    "command: python train.py --seed {seed} --out {out}",
                    "command: python train.py --lr {lr} --seed {seed} --output_dir {out}",
                ),
                (
                    '{file: "{out}/metrics.json", key: accuracy,',
                    '{file: "{out}/results.json", key: test.acc,',
                ),
                ("ruler: [] ", "ruler: [train.py] "),
                ("floor: null ", "floor: 0.9 "),
                ("replicates: 5 ", "lr: 0.1\nreplicates: 5 "),
            ]
        },
    ),
    Foreign(
        "plain loop",
        one_file("train.py", LOOP),
        "assay init --template loop",
        8,
        replaced(
            "import train\n\n\ndef prepare():\n    inputs, targets = train.load_data()\n"
            '    return {"inputs": inputs, "targets": targets, "classes": ["odd", "even"]}',
            "def fit(params, data, seed, log):\n"
            "    return train.train(train.Net(), data.train.inputs, data.train.targets, params['lr'])",
        ),
    ),
    Foreign(
        "Lightning",
        one_file("lit.py", LIGHTNING),
        "assay init --template loop",
        8,
        replaced(
            "import lit\n\n\ndef prepare():\n    found = lit.load_iris()\n"
            '    return {"inputs": found.data, "targets": found.target, "classes": list(found.target_names)}',
            "def fit(params, data, seed, log):\n    net = lit.LitIris(params['lr'])\n"
            "    lit.trainer(params['train']['epochs']).fit(net, lit.loader(data.train.inputs, data.train.targets))\n"
            "    return net",
        ),
        packages=("lightning",),
    ),
    Foreign(
        "Trainer",
        one_file("finetune.py", TRAINER),
        "assay init --template loop",
        8,
        replaced(
            "import finetune\n\n\ndef prepare():\n    ids, labels = finetune.load_data()\n"
            '    return {"inputs": ids, "targets": labels, "classes": ["second", "first"]}',
            "def fit(params, data, seed, log):\n"
            "    return finetune.fine_tune(data.train.inputs, data.train.targets, params['lr'])",
        ),
        packages=("transformers", "accelerate"),
    ),
]
