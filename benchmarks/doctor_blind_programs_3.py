"""Base programs of the third blind round: small tasks in the manner of the scripts that people post.

Each is a function of the seed; a keyword argument takes the place of one piece. `test` is what the program meets in
use.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from doctor_blind_programs_1 import (
    ADAM_003,
    ADAM_005,
    ADAM_01,
    Net,
    Program,
    accuracy,
    cut,
    explained,
    loaders,
    ranking,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

# Colour photographs as bytes, height by width by channel: which half of the picture shines, and in which colour.


class PhotoNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 24, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
        )
        self.classifier = nn.Linear(96, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


def photo_arrays(seed: int, rows: int = 700) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed + 3000)
    pictures = chance.integers(60, 190, (rows, 12, 12, 3))
    labels = chance.integers(0, 4, rows)
    for picture, label in zip(pictures, labels, strict=True):
        top, left = chance.integers(0, 8), chance.integers(0, 3) + (6 if label % 2 else 0)
        picture[top : top + 4, left : left + 3, 0 if label < 2 else 2] += 65
    return pictures.astype(np.uint8), labels


class Photos(Dataset[Any]):
    """A folder's pictures with their labels."""

    def __init__(self, pictures: np.ndarray, labels: np.ndarray, train: bool) -> None:
        self.pictures, self.labels, self.train = pictures, labels, train

    def __len__(self) -> int:
        return len(self.pictures)

    def scaled(self, picture: np.ndarray) -> np.ndarray:
        return (picture.astype(np.float32) - 125) / 40

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        scaled = torch.as_tensor(self.scaled(self.pictures[index]), dtype=torch.float32)
        return scaled.permute(2, 0, 1), int(self.labels[index])


def photos(
    seed: int, dataset: Any = Photos, net: Net = PhotoNet, optimizer: Any = ADAM_003, epochs: int = 10
) -> Program:
    parts = cut(*photo_arrays(seed), train=400, val=100)
    train, val, test = loaders([dataset(*part, train=k == 0) for k, part in enumerate(parts)])
    model = PhotoNet()
    return Program(model, nn.CrossEntropyLoss(), ADAM_003(model), train, val, test, 10, accuracy)


# A strip of writing, read column by column after a convolution: which of three strokes comes first.


class StripNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, padding=1)
        self.rnn = nn.GRU(6 * 6, 32, batch_first=True)
        self.fc = nn.Linear(32, 3)

    def columns(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 1, 2).flatten(2)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.rnn(self.columns(F.relu(self.conv(x))))
        return self.fc(out[:, -1])


def strips(seed: int, net: Net = StripNet) -> Program:
    chance = np.random.default_rng(seed + 3100)
    pictures, labels = 0.3 * chance.normal(size=(1000, 1, 6, 14)), np.empty(1000, dtype=np.int64)
    strokes = np.zeros((3, 6, 2))
    strokes[0, :3], strokes[1, 3:], strokes[2, ::2] = 1.5, 1.5, 1.5
    for row in range(1000):
        places = np.sort(chance.choice(6, 3, replace=False)) * 2 + chance.integers(0, 2)
        order = chance.permutation(3)
        for place, stroke in zip(places, order, strict=True):
            pictures[row, 0, :, place : place + 2] += strokes[stroke]
        labels[row] = order[0]
    parts = cut(torch.tensor(pictures, dtype=torch.float32), torch.tensor(labels), train=300, val=150)
    train, val, test = loaders([TensorDataset(*part) for part in parts])
    model = net()
    return Program(model, nn.CrossEntropyLoss(), ADAM_005(model), train, val, test, 12, accuracy)


# Logs of events for a transformer with a token of its own for the class; is the first event's like seen again late?


class EventNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(12, 32)
        self.cls = nn.Parameter(0.1 * torch.randn(1, 1, 32))
        position = torch.arange(64).unsqueeze(1)
        rate = torch.exp(torch.arange(0, 32, 2) * (-math.log(100.0) / 32))
        table = torch.zeros(64, 32)
        table[:, 0::2], table[:, 1::2] = torch.sin(position * rate), torch.cos(position * rate)
        self.register_buffer("pe", table)
        self.qkv, self.proj = nn.Linear(32, 96), nn.Linear(32, 32)
        self.norm1, self.norm2 = nn.LayerNorm(32), nn.LayerNorm(32)
        self.mlp = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))
        self.head = nn.Linear(32, 2)

    def placed(self, x: Tensor) -> Tensor:
        return x + self.pe[: x.shape[1]]

    def scaled(self, scores: Tensor) -> Tensor:
        return scores / math.sqrt(32)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.placed(torch.cat([self.cls.expand(len(x), -1, -1), self.tokens(x)], 1))
        q, k, v = self.qkv(self.norm1(hidden)).chunk(3, -1)
        hidden = hidden + self.proj(F.softmax(self.scaled(q @ k.transpose(1, 2)), -1) @ v)
        hidden = hidden + self.mlp(self.norm2(hidden))
        return self.head(hidden[:, 0])


def events(seed: int, net: Net = EventNet, optimizer: Any = ADAM_003, epochs: int = 12, **more: Any) -> Program:
    """The class says whether event 3 comes within the first half."""
    chance = np.random.default_rng(seed + 3200)
    x = chance.integers(0, 12, (1200, 10))
    x[x == 3] = 4
    first = chance.integers(0, 2, 1200)
    x[np.arange(1200), np.where(first == 1, chance.integers(0, 5, 1200), chance.integers(5, 10, 1200))] = 3
    parts = cut(torch.tensor(x), torch.tensor(first), train=700, val=200)
    train, val, test = loaders([TensorDataset(*part) for part in parts])
    model = net()
    made = optimizer(model)
    return Program(
        model,
        nn.CrossEntropyLoss(),
        made,
        train,
        val,
        test,
        epochs,
        accuracy,
        **{key: value(made) if key == "scheduler" else value for key, value in more.items()},
    )


# Reviews of words, padded in the batch; a recurrent net reads them: is the last opinion good?


class ReviewNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 16, padding_idx=0)
        self.lstm = nn.LSTM(16, 32, batch_first=True)
        self.fc = nn.Linear(32, 1)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        out, _ = self.lstm(self.embedding(words))
        return self.fc(out[torch.arange(len(words)), lengths - 1]).squeeze(1)


def padded(rows: list[Any]) -> tuple[Tensor, Tensor, Tensor]:
    words = nn.utils.rnn.pad_sequence([row[0] for row in rows], batch_first=True)
    return words, torch.tensor([len(row[0]) for row in rows]), torch.tensor([row[1] for row in rows])


def review(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    words, lengths, label = batch
    return model(words, lengths), label


def decided(output: Tensor, target: Tensor) -> float:
    return float(((output > 0) == (target > 0.5)).float().mean())


def reviews(seed: int, net: Net = ReviewNet, forward: Any = review) -> Program:
    chance = np.random.default_rng(seed + 3300)
    rows: list[Any] = []
    for _ in range(1100):
        words = chance.integers(3, 30, int(chance.integers(4, 40)))
        opinions = chance.choice(len(words), 3, replace=False)
        words[opinions] = chance.integers(1, 3, 3)
        rows.append((torch.tensor(words), float(words[opinions.max()] == 1)))
    parts = [rows[:700], rows[700:850], rows[850:]]
    train = DataLoader(parts[0], 32, shuffle=True, collate_fn=padded)
    val, test = (DataLoader(part, 100, collate_fn=padded) for part in parts[1:])
    model = net()
    program = Program(model, nn.BCEWithLogitsLoss(), ADAM_005(model), train, val, test, 10, decided, forward)
    program.pad_id = 0
    return program


# Clicks: categories by name and numbers, few of them clicked.


class ClickNet(nn.Module):
    def __init__(self, numbers: int = 6) -> None:
        super().__init__()
        self.emb_site, self.emb_device = nn.Embedding(20, 8), nn.Embedding(6, 4)
        self.bn = nn.BatchNorm1d(numbers)
        self.fc1, self.fc2, self.out = nn.Linear(numbers + 12, 64), nn.Linear(64, 32), nn.Linear(32, 1)

    def forward(self, cats: Tensor, nums: Tensor) -> Tensor:
        x = torch.cat([self.emb_site(cats[:, 0]), self.emb_device(cats[:, 1]), self.bn(nums)], 1)
        return self.out(F.relu(self.fc2(F.relu(self.fc1(x)))))


def clicked(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    cats, nums, y = batch
    return model(cats, nums), y.unsqueeze(1)


def click_arrays(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed + 3400)
    site, device = chance.integers(0, 20, 1500), chance.integers(0, 6, 1500)
    nums = chance.normal(size=(1500, 6))
    score = chance.normal(size=20)[site] * 2 + chance.normal(size=6)[device] * nums[:, 0] + nums[:, 1]
    return np.stack([site, device], 1), nums, (score > np.quantile(score, 0.75)).astype(np.float32)


def click_parts(cats: np.ndarray, nums: np.ndarray, y: np.ndarray) -> list[Any]:
    return cut(torch.tensor(cats), torch.tensor(nums, dtype=torch.float32), torch.tensor(y), train=800, val=250)


def clicks(seed: int, loss: Any = None, parts: Any = None, net: Net = ClickNet) -> Program:
    train, val, test = loaders([TensorDataset(*part) for part in parts or click_parts(*click_arrays(seed))])
    model = net()
    score = ranking if loss is None else decided
    return Program(
        model, loss or nn.BCEWithLogitsLoss(), ADAM_003(model), train, val, test, 10, score, clicked, task="binary"
    )


# Houses: a price from a table of seven numbers.


class HouseNet(nn.Module):
    def __init__(self, columns: int = 7) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(columns, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).squeeze(-1)


def house_arrays(seed: int) -> tuple[Tensor, Tensor]:
    chance = np.random.default_rng(seed + 3500)
    x = chance.normal(size=(1200, 7))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * x[:, 3] + 0.1 * chance.normal(size=1200)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y / y.std(), dtype=torch.float32)


def houses(
    seed: int,
    arrays: Any = None,
    net: Net = HouseNet,
    loss: Any = None,
    metric: Any = explained,
    optimizer: Any = ADAM_005,
    epochs: int = 15,
    **more: Any,
) -> Program:
    parts = cut(*(arrays or house_arrays(seed)), train=700, val=200)
    train, val, test = loaders([TensorDataset(*part) for part in parts])
    model = net()
    return Program(model, loss or nn.MSELoss(), optimizer(model), train, val, test, epochs, metric, **more)


# Counts of rare events.


class RateNet(HouseNet):
    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(self.net(x).squeeze(-1))


def counts(seed: int, loss: Any) -> Program:
    x, _ = house_arrays(seed)
    torch.manual_seed(seed + 7)
    rate = torch.exp(1.2 * x[:, 0] + 0.6 * torch.sin(2 * x[:, 1]) - 1.2)
    program = houses(seed, (x, torch.poisson(rate)), net=RateNet, loss=loss)
    program.task = "counts"
    return program


# Retrieval: questions and answers, each with a tower; the right answer is found among a batch's.


class Towers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 16))
        self.doc = nn.Sequential(nn.Linear(20, 48), nn.ReLU(), nn.Linear(48, 16))

    def unit(self, z: Tensor) -> Tensor:
        return F.normalize(z, dim=-1)

    def scaled(self, likeness: Tensor) -> Tensor:
        return likeness / 0.07

    def forward(self, query: Tensor, doc: Tensor) -> Tensor:
        return self.scaled(self.unit(self.query(query)) @ self.unit(self.doc(doc)).T)


def matched(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    query, doc = batch
    return model(query, doc), torch.arange(len(query))


def found_first(program: Program) -> float:
    """The share of questions whose own answer comes first among 50."""
    hits = []
    for query, doc in program.test:
        likeness = program.model(query, doc)
        hits.append((likeness.argmax(1) == torch.arange(len(query))).float().mean())
    return float(torch.stack(hits).mean())


def towers(seed: int, net: Net = Towers, forward: Any = matched) -> Program:
    chance = np.random.default_rng(seed + 3600)
    topic = chance.normal(size=(1200, 6))
    query = np.tanh(topic @ chance.normal(size=(6, 12))) + 0.1 * chance.normal(size=(1200, 12))
    doc = np.tanh(topic @ chance.normal(size=(6, 20))) + 0.1 * chance.normal(size=(1200, 20))
    arrays = (torch.tensor(each, dtype=torch.float32) for each in (query, doc))
    parts = [TensorDataset(*part) for part in cut(*arrays, train=700, val=200)]
    train = DataLoader(parts[0], 50, shuffle=True, drop_last=True)
    val, test = (DataLoader(part, 50) for part in parts[1:])
    model = net()
    program = Program(
        model, nn.CrossEntropyLoss(), ADAM_003(model), train, val, test, 15, accuracy, forward, score=found_first
    )
    program.task = "retrieval"
    return program


# Likeness of two pictures' features by one encoder.


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 8))

    def forward(self, *views: Tensor) -> Tensor:
        return torch.stack([self.layers(view) for view in views], 1)


def class_points(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    chance = np.random.default_rng(seed + 3700)
    kinds, labels = chance.normal(size=(5, 2)), chance.integers(0, 5, rows)
    hidden = kinds[labels] + 0.25 * chance.normal(size=(rows, 2))
    features = np.concatenate([hidden @ chance.normal(size=(2, 4)), chance.normal(size=(rows, 6)) * 2], 1)
    return features, labels, chance


def nearest(program: Program) -> float:
    """The share of test pictures whose nearest neighbour is of their own class."""
    x, labels = program.test
    z = program.model(x)[:, 0]
    apart = torch.cdist(F.normalize(z, dim=-1), F.normalize(z, dim=-1)) + 10 * torch.eye(len(z))
    return float((labels[apart.argmin(1)] == labels).float().mean())


def likeness(seed: int, loss: Any, forward: Any, targets: Callable[[Tensor], Tensor], triple: bool) -> Program:
    features, labels, chance = class_points(seed, 900)
    x = torch.tensor(features, dtype=torch.float32)
    own = np.array([chance.choice(np.flatnonzero(labels == label)) for label in labels])
    other = np.array([chance.choice(np.flatnonzero(labels != label)) for label in labels])
    alike = chance.random(900) < 0.5
    second = own if triple else np.where(alike, own, other)
    third = x[torch.tensor(other)] if triple else targets(torch.tensor(alike))
    parts = [TensorDataset(*part) for part in cut(x, x[torch.tensor(second)], third, train=600, val=150)]
    train, val, _ = loaders(parts)
    model = Encoder()
    test = x[750:], torch.tensor(labels[750:])
    program = Program(model, loss, ADAM_005(model), train, val, test, 20, explained, forward, score=nearest)
    program.metric = None  # type: ignore[assignment]
    program.task = "metric-learning"
    return program


# Street scenes with a class a pixel, the mask read from a file of bytes.


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU())
        self.mid = nn.Sequential(
            nn.MaxPool2d(2), nn.Conv2d(12, 16, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2)
        )
        self.dec = nn.Sequential(nn.Conv2d(28, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        e = self.enc(x)
        return self.dec(torch.cat([e, self.mid(e)], 1))


class Streets(Dataset[Any]):
    def __init__(self, scenes: np.ndarray, masks: np.ndarray) -> None:
        self.scenes, self.masks = scenes, masks

    def __len__(self) -> int:
        return len(self.scenes)

    def mask(self, mask: np.ndarray) -> Tensor:
        return torch.from_numpy(mask).long()

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.scenes[index], dtype=torch.float32), self.mask(self.masks[index])


def per_class(output: Tensor, target: Tensor) -> float:
    right = output.argmax(1) == target
    return float(torch.stack([right[target == label].float().mean() for label in target.unique()]).mean())


def streets(seed: int, dataset: Any = Streets, net: Net = UNet) -> Program:
    chance = np.random.default_rng(seed + 3800)
    scenes, masks = 0.4 * chance.normal(size=(450, 1, 12, 12)), np.zeros((450, 12, 12), dtype=np.uint8)
    for scene, mask in zip(scenes[:, 0], masks, strict=True):
        for label, height, width in ((1, 3, 6), (2, 6, 3)):
            i, j = chance.integers(0, 13 - height), chance.integers(0, 13 - width)
            scene[i : i + height, j : j + width] = 1.2 + 0.4 * chance.normal(size=(height, width))
            mask[i : i + height, j : j + width] = label
    parts = cut(scenes, masks, train=250, val=80)
    train, val = loaders([dataset(*part) for part in parts[:2]])
    test = DataLoader(Streets(*parts[2]), 100)
    model = net()
    weight = torch.tensor([0.3, 1.0, 1.0])
    return Program(
        model, nn.CrossEntropyLoss(weight=weight), ADAM_01(model), train, val, test, 8, per_class, task="segmentation"
    )


# Two heads over one trunk: what kind of car, and how far it has been driven, in kilometres.


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 48), nn.ReLU())
        self.heads: Any = nn.ModuleDict({"kind": nn.Linear(48, 4), "driven": nn.Linear(48, 1)})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        shared = self.trunk(x)
        return {"kind": self.heads["kind"](shared), "driven": self.heads["driven"](shared).squeeze(-1)}


def car_loss(output: dict[str, Tensor], target: dict[str, Tensor]) -> Tensor:
    return F.cross_entropy(output["kind"], target["kind"]) + F.mse_loss(output["driven"], target["driven"])


def car(model: nn.Module, batch: Any) -> tuple[Any, Any]:
    x, kind, driven = batch
    return model(x), {"kind": kind, "driven": driven}


def car_score(program: Program) -> float:
    x, kind, driven = (torch.cat(each) for each in zip(*program.test, strict=True))
    output = program.model(x)
    return accuracy(output["kind"], kind) + max(0.0, explained(output["driven"], driven))


def cars(seed: int, unit: float = 1.0, net: Net = TwoHeads, optimizer: Any = ADAM_005) -> Program:
    chance = np.random.default_rng(seed + 3900)
    x = chance.normal(size=(1100, 8))
    kind = (x @ chance.normal(size=(8, 4)) + np.abs(x[:, :4])).argmax(1)
    driven = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * chance.normal(size=1100)
    arrays = torch.tensor(x, dtype=torch.float32), torch.tensor(kind), torch.tensor(unit * driven, dtype=torch.float32)
    train, val, test = loaders([TensorDataset(*part) for part in cut(*arrays, train=700, val=150)])
    model = net()
    program = Program(model, car_loss, optimizer(model), train, val, test, 15, None, car, score=car_score)  # type: ignore
    program.task = "multi-task"
    return program


# The next value of a noisy series, from a window of twelve.


class Forecaster(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(1, 24, batch_first=True)
        self.fc = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.rnn(x)
        return self.fc(out[:, -1])


def windows(series: np.ndarray, ahead: int) -> tuple[Tensor, Tensor]:
    starts = range(len(series) - 14)
    x = np.stack([series[k : k + 12] for k in starts])
    y = np.stack([series[k + 11 + ahead] for k in starts])
    return torch.tensor(x, dtype=torch.float32).unsqueeze(-1), torch.tensor(y, dtype=torch.float32).unsqueeze(-1)


def forecasts(seed: int, ahead: int = 1) -> Program:
    chance = np.random.default_rng(seed + 4000)
    t = np.arange(1300)
    series = np.sin(t * 1.1) + np.sin(t * 1.9 + 1) + 0.1 * chance.normal(size=1300)
    made = [TensorDataset(*windows(series[part], k)) for part, k in ((slice(800), ahead), (slice(800, 1000), ahead))]
    train, val = loaders(made)
    test = DataLoader(TensorDataset(*windows(series[1000:], 1)), 100)
    model = Forecaster()
    program = Program(model, nn.MSELoss(), ADAM_01(model), train, val, test, 8, explained)
    program.task = "forecasting"
    return program


# Values of actions from logged transitions: the value of the action taken goes to the logged return.


class QNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 3))

    def forward(self, state: Tensor) -> Tensor:
        return self.fc(state)


def taken(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    state, action, value = batch
    return model(state).gather(1, action.unsqueeze(1)).squeeze(1), value


def value_arrays(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    chance = np.random.default_rng(seed + 4100)
    state, action = chance.normal(size=(1200, 4)), chance.integers(0, 3, 1200)
    values = np.stack([np.sin(2 * state[:, 0]), state[:, 1] * state[:, 2], np.cos(2 * state[:, 3])], 1)
    value = values[np.arange(1200), action] + 0.1 * chance.normal(size=1200)
    return torch.tensor(state, dtype=torch.float32), torch.tensor(action), torch.tensor(value, dtype=torch.float32)


def values(seed: int, forward: Any = taken) -> Program:
    parts = cut(*value_arrays(seed), train=800, val=150)
    train, val, test = loaders([TensorDataset(*part) for part in parts])
    model = QNet()
    program = Program(model, nn.SmoothL1Loss(), ADAM_005(model), train, val, test, 15, explained, forward)
    program.task = "q-learning"
    return program


# Actions of an expert between -2 and 2, to be imitated.


class Actor(nn.Module):
    bound = 2.0

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.mu = nn.Linear(3, 48), nn.Linear(48, 48), nn.Linear(48, 1)

    def forward(self, state: Tensor) -> Tensor:
        return self.bound * torch.tanh(self.mu(F.relu(self.fc2(F.relu(self.fc1(state))))))


def imitation(seed: int, net: Net = Actor) -> Program:
    chance = np.random.default_rng(seed + 4200)
    state = chance.normal(size=(1000, 3))
    action = np.clip(2.5 * np.sin(2 * state[:, :1]) + state[:, 1:2], -2, 2)
    arrays = (torch.tensor(each, dtype=torch.float32) for each in (state, action))
    train, val, test = loaders([TensorDataset(*part) for part in cut(*arrays, train=600, val=150)])
    model = net()
    return Program(model, nn.MSELoss(), ADAM_005(model), train, val, test, 12, explained, task="behaviour cloning")


# Graphs of some atoms each: nodes, pairs that are bound, and to which graph a node belongs.


class GraphNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self1, self.near1 = nn.Linear(5, 32), nn.Linear(5, 32)
        self.self2, self.near2 = nn.Linear(32, 32), nn.Linear(32, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, nodes: Tensor, edges: Tensor, owner: Tensor, graphs: int) -> Tensor:
        for own, near in ((self.self1, self.near1), (self.self2, self.near2)):
            got = torch.zeros_like(nodes).index_add(0, edges[1], nodes[edges[0]])
            nodes = F.relu(own(nodes) + near(got))
        pooled = torch.zeros(graphs, nodes.shape[1]).index_add(0, owner, nodes)
        return self.out(pooled).squeeze(-1)


def molecule(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    nodes, edges, owner, y = batch
    return model(nodes, edges, owner, len(y)), y


def joined(rows: list[Any], offset: bool = True) -> tuple[Tensor, ...]:
    nodes, edges, owner, first = [], [], [], 0
    for k, (node, edge, _) in enumerate(rows):
        nodes.append(node)
        edges.append(edge + first if offset else edge)
        owner.append(torch.full((len(node),), k))
        first += len(node)
    return torch.cat(nodes), torch.cat(edges, 1), torch.cat(owner), torch.stack([row[2] for row in rows])


def graphs(seed: int, collate: Any = joined) -> Program:
    chance = np.random.default_rng(seed + 4300)
    rows = []
    for _ in range(800):
        size = int(chance.integers(4, 8))
        kinds = chance.integers(0, 5, size)
        edges = chance.integers(0, size, (2, size + 2))
        bound = ((kinds[edges[0]] + kinds[edges[1]]) % 3 == 0).sum() - (size + 2) / 3
        rows.append((F.one_hot(torch.tensor(kinds), 5).float(), torch.tensor(edges), torch.tensor(float(bound))))
    parts = [rows[:500], rows[500:600], rows[600:]]
    train = DataLoader(parts[0], 32, shuffle=True, collate_fn=collate)
    val, test = DataLoader(parts[1], 50, collate_fn=collate), DataLoader(parts[2], 50, collate_fn=collate)
    model = GraphNet()
    return Program(model, nn.MSELoss(), ADAM_005(model), train, val, test, 15, explained, molecule, task="graphs")


# Denoising: which noise was added? Points on two circles, as in a diffusion model.


class NoiseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.net(torch.cat([x, t], 1))


def diffused(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    (x,) = batch
    t = torch.rand(len(x), 1)
    noise = torch.randn_like(x)
    return model((1 - t).sqrt() * x + t.sqrt() * noise, t), noise


def noise_found(program: Program) -> float:
    torch.manual_seed(0)
    outputs, targets = zip(*[diffused(program.model, batch) for batch in program.test], strict=True)
    return explained(torch.cat(outputs), torch.cat(targets))


def diffusion(seed: int, forward: Any = diffused) -> Program:
    chance = np.random.default_rng(seed + 4400)
    angle, radius = chance.uniform(0, 2 * np.pi, 1400), chance.choice([0.6, 1.6], 1400)
    points = torch.tensor(np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None], dtype=torch.float32)
    train, val, test = loaders([TensorDataset(*part) for part in cut(points, train=900, val=200)])
    model = NoiseNet()
    return Program(
        model,
        nn.MSELoss(),
        ADAM_005(model),
        train,
        val,
        test,
        10,
        explained,
        forward,
        score=noise_found,
        task="diffusion",
    )
