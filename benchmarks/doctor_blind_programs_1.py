"""Base programs of the first blind round: small tasks whose healthy version learns in a second of one core.

Each is a function of the seed; keyword arguments take the place of one piece, as a person would have written it wrong.
`test` is made as the validation loader is, so a fault in how data are read at evaluation shows in the score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

Net = Callable[[], nn.Module]


@dataclass
class Program:
    """The parts of one training, as `examine` takes them, and a held-out score: higher is better."""

    model: nn.Module
    loss: Any
    optimizer: Any
    train_loader: Any
    val_loader: Any
    test: Any
    epochs: int
    metric: Callable[[Tensor, Tensor], float]
    forward: Callable[[nn.Module, Any], tuple[Any, Any]] | None = None
    scheduler: Any = None
    scheduler_unit: str | None = None
    task: str | None = None
    batch_dim: int = 0
    pad_id: int | None = None
    accumulate: int = 1
    clip: float | None = None
    score: Callable[[Program], float] | None = None

    @property
    def planned_steps(self) -> int:
        return self.epochs * len(self.train_loader) // self.accumulate

    def step(self, batch: Any) -> tuple[Any, Any]:
        if self.forward is not None:
            output, target = self.forward(self.model, batch)
            return output, target
        return self.model(batch[0]), batch[1]


def held_out(program: Program) -> float:
    """The metric over the test part, in evaluation mode."""
    program.model.eval()
    with torch.no_grad():
        if program.score is not None:
            return program.score(program)
        pairs = [program.step(batch) for batch in program.test]
        outputs = torch.cat([output for output, _ in pairs])
        value = program.metric(outputs, torch.cat([target for _, target in pairs]))
    return value if np.isfinite(value) else -1e9


def accuracy(output: Tensor, target: Tensor) -> float:
    return float((output.argmax(1) == target).float().mean())


def balanced(output: Tensor, target: Tensor) -> float:
    right = output.argmax(1) == target
    return float(torch.stack([right[target == label].float().mean() for label in target.unique()]).mean())


def explained(output: Tensor, target: Tensor) -> float:
    """R², one number however the two are shaped."""
    output, target = output.reshape(-1), target.reshape(-1)
    return float(1 - (output - target).square().sum() / (target - target.mean()).square().sum())


def ranking(output: Tensor, target: Tensor) -> float:
    """AUROC, mean over labels."""
    values = []
    for column, label in zip(output.reshape(len(target), -1).T, target.reshape(len(target), -1).T, strict=True):
        above = column[label > 0.5, None] - column[None, label <= 0.5]
        values.append(((above > 0).float() + 0.5 * (above == 0).float()).mean())
    return float(torch.stack(values).mean())


def loaders(parts: list[Any], **keywords: Any) -> list[Any]:
    """Loaders over train, validation and test: the first shuffles unless told otherwise."""
    first = DataLoader(parts[0], **({"batch_size": 32, "shuffle": True} | keywords))
    return [first, *(DataLoader(part, 100) for part in parts[1:])]


def cut(*arrays: Any, train: int, val: int) -> list[Any]:
    places = (slice(0, train), slice(train, train + val), slice(train + val, None))
    return [[array[place] for array in arrays] for place in places]


def adam(rate: float, **keywords: Any) -> Callable[[nn.Module], torch.optim.Optimizer]:
    return lambda model: torch.optim.Adam(model.parameters(), lr=rate, **keywords)


def sgd(rate: float, **keywords: Any) -> Callable[[nn.Module], torch.optim.Optimizer]:
    return lambda model: torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, **keywords)


ADAM_01, ADAM_005, ADAM_003, ADAM_002 = adam(1e-2), adam(5e-3), adam(3e-3), adam(2e-3)
SGD_02 = sgd(0.02)


# MLP over a table: three classes.


class TableNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(6, 48)
        self.second = nn.Linear(48, 48)
        self.head = nn.Linear(48, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.second(F.relu(self.hidden(x)))))


def table_arrays(seed: int, rows: int = 1400) -> tuple[Tensor, Tensor]:
    chance = np.random.default_rng(seed)
    z = chance.normal(size=(rows, 6))
    signal = z[:, 0] * z[:, 1] + np.sin(2 * z[:, 2]) + 0.5 * z[:, 3]
    labels = np.digitize(signal, np.quantile(signal, [1 / 3, 2 / 3]))
    raw = z * np.array([1.0, 40.0, 0.2, 900.0, 1.0, 5.0]) + np.array([3.0, 100.0, 0.0, 4000.0, -1.0, 0.0])
    return torch.tensor(raw, dtype=torch.float32), torch.tensor(labels)


def standardized(x: Tensor, train: int) -> Tensor:
    return (x - x[:train].mean(0)) / x[:train].std(0)


def table(
    seed: int,
    net: Net = TableNet,
    loss: Any = None,
    optimizer: Any = ADAM_005,
    prepared: Callable[[Tensor], Tensor] = lambda x: standardized(x, 600),
    dataset: Callable[[Tensor, Tensor], Dataset[Any]] = TensorDataset,
    relabel: Callable[[Tensor], Tensor] = lambda y: y,
    epochs: int = 15,
    **keywords: Any,
) -> Program:
    x, y = table_arrays(seed)
    parts = cut(prepared(x), y, train=600, val=200)
    parts[0][1] = relabel(parts[0][1])
    model = net()
    train, val, test = loaders([dataset(*part) for part in parts], **keywords)
    return Program(
        model,
        loss or nn.CrossEntropyLoss(),
        optimizer(model),
        train,
        val,
        test,
        epochs,
        accuracy,
        task="classification",
    )


# MLP for prices: regression.


class PriceNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)).squeeze(1)


def prices(
    seed: int,
    net: Net = PriceNet,
    loss: Any = None,
    optimizer: Any = ADAM_003,
    scaled: bool = True,
    targets: Callable[[Tensor], Tensor] = lambda y: y,
    epochs: int = 20,
) -> Program:
    chance = np.random.default_rng(seed + 100)
    x = chance.normal(size=(1100, 8))
    value = x[:, 0] + 0.8 * np.abs(x[:, 1]) * x[:, 2] + 0.6 * np.sin(2 * x[:, 3]) + 0.1 * chance.normal(size=1100)
    y = value if scaled else 2e5 + 8e4 * value
    parts = cut(torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32), train=500, val=200)
    for part in parts[:2]:
        part[1] = targets(part[1])
    model = net()
    train, val, test = loaders([TensorDataset(*part) for part in parts])
    program = Program(model, loss or nn.MSELoss(), optimizer(model), train, val, test, epochs, explained)
    program.task = "regression"
    return program


# CNN with BatchNorm over small images, stored as bytes: four classes.


class ImageNet(nn.Module):
    def __init__(self, momentum: float = 0.1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8, momentum=momentum)
        self.conv2, self.bn2 = nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16, momentum=momentum)
        self.fc = nn.Linear(16 * 9, 4)

    def features(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        return F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x))


def image_arrays(
    seed: int, count: int = 900, classes: int = 4, noise: float = 40.0, shares: Any = None
) -> tuple[Tensor, Tensor]:
    """Bars, crosses and corners at random places: (N, 1, 12, 12) bytes."""
    chance = np.random.default_rng(seed + 200)
    labels = chance.choice(4, count, p=shares)
    images = chance.normal(60, noise, (count, 12, 12))
    for image, label, (i, j) in zip(images, labels, chance.integers(2, 10, (count, 2)), strict=True):
        if label in (0, 2):
            image[i, j - 2 : j + 3] += 120
        if label in (1, 2):
            image[i - 2 : i + 3, j] += 120
        if label == 3:
            image[i - 1 : i + 2, j - 1 : j + 2] += 70
    return torch.tensor(np.clip(images, 0, 255), dtype=torch.uint8).unsqueeze(1), torch.tensor(labels)


class Images(Dataset[Any]):
    """Bytes → floats around nought, example by example."""

    def __init__(self, x: Tensor, y: Tensor, transform: Callable[[Tensor], Tensor] | None = None) -> None:
        self.x, self.y, self.transform = x, y, transform or (lambda x: (x.float() / 255 - 0.3) / 0.25)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.x[index]), self.y[index]


def images(
    seed: int,
    net: Net = ImageNet,
    loss: Any = None,
    optimizer: Any = SGD_02,
    transform: Callable[[Tensor], Tensor] | None = None,
    val_transform: Callable[[Tensor], Tensor] | None = None,
    val_labels: Callable[[Tensor], Tensor] = lambda y: y,
    sort: bool = False,
    shares: Any = None,
    sampler: Any = None,
    missing: int | None = None,
    epochs: int = 10,
    scheduler: Any = None,
    scheduler_unit: str | None = None,
    metric: Any = accuracy,
    **keywords: Any,
) -> Program:
    x, y = image_arrays(seed, shares=shares)
    parts = cut(x, y, train=400, val=200)
    if missing is not None:
        parts[1:] = [[array[part[1] != missing] for array in part] for part in parts[1:]]
    if sampler is not None:
        keywords |= {"sampler": sampler(parts[0][1]), "shuffle": False}
    if callable(loss) and not isinstance(loss, nn.Module):
        loss = loss(parts[0][1])
    if sort:
        order = parts[0][1].argsort(stable=True)
        parts[0] = [array[order] for array in parts[0]]
    for part in parts[1:]:
        part[1] = val_labels(part[1])
    model = net()
    data = [Images(*parts[0], transform), *(Images(*part, val_transform or transform) for part in parts[1:])]
    train, val, test = loaders(data, **keywords)
    chosen = optimizer(model)
    program = Program(model, loss or nn.CrossEntropyLoss(), chosen, train, val, test, epochs, metric)
    program.scheduler = scheduler(chosen) if scheduler else None
    program.scheduler_unit, program.task = scheduler_unit, "classification"
    return program


# Residual network: regression of a signed quantity.


class Block(nn.Module):
    def __init__(self, width: int = 24, drop: float = 0.0) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop(self.down(F.relu(self.up(self.norm(x)))))


class ResidualNet(nn.Module):
    def __init__(self, drop: float = 0.0) -> None:
        super().__init__()
        self.stem = nn.Linear(10, 24)
        self.blocks = nn.ModuleList([Block(drop=drop) for _ in range(4)])
        self.head = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def residual(
    seed: int, net: Net = ResidualNet, loss: Any = None, optimizer: Any = ADAM_002, epochs: int = 15
) -> Program:
    chance = np.random.default_rng(seed + 300)
    x = chance.normal(size=(1400, 10))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * x[:, 3] + 0.1 * chance.normal(size=1400)
    y = (y - y.mean()) / y.std()
    arrays = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32).unsqueeze(1)
    train, val, test = loaders([TensorDataset(*part) for part in cut(*arrays, train=800, val=200)])
    model = net()
    program = Program(model, loss or nn.MSELoss(), optimizer(model), train, val, test, epochs, explained)
    program.task = "regression"
    return program


# Recurrent network over waves: which of three frequencies.


class WaveNet(nn.Module):
    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 24, batch_first=batch_first)
        self.head = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


def waves(
    seed: int,
    net: Net = WaveNet,
    optimizer: Any = ADAM_01,
    prepared: Callable[[Tensor], Tensor] = lambda x: x.transpose(1, 2),
    epochs: int = 10,
) -> Program:
    """Recordings are stored as (N, channels, time)."""
    chance = np.random.default_rng(seed + 400)
    labels, time = chance.integers(0, 3, 1000), np.arange(12)
    phase, speed = chance.uniform(0, 2 * np.pi, (1000, 1)), np.array([0.5, 0.9, 1.4])[labels][:, None]
    x = np.stack([np.sin(speed * time + phase), np.cos(speed * time + phase)], 1) + 0.5 * chance.normal(
        size=(1000, 2, 12)
    )
    arrays = prepared(torch.tensor(x, dtype=torch.float32)), torch.tensor(labels)
    train, val, test = loaders([TensorDataset(*part) for part in cut(*arrays, train=500, val=200)])
    model = net()
    program = Program(model, nn.CrossEntropyLoss(), optimizer(model), train, val, test, epochs, accuracy)
    program.task = "classification"
    return program


# Causal transformer over tokens: a language in which the next token follows from the last two.


class LanguageNet(nn.Module):
    def __init__(self, words: int = 10, width: int = 32) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(words, width), nn.Embedding(16, width)
        layer = nn.TransformerEncoderLayer(width, 2, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, words)

    def mask(self, length: int) -> Tensor:
        return torch.triu(torch.ones(length, length, dtype=torch.bool), diagonal=1)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        x = self.embed(tokens) + self.place(torch.arange(length))
        return self.head(self.encoder(x, mask=self.mask(length)))


def next_token(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    (tokens,) = batch
    return model(tokens[:, :-1]), tokens[:, 1:]


def token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))


def token_accuracy(logits: Tensor, targets: Tensor) -> float:
    return float((logits.argmax(-1) == targets).float().mean())


def continuation(program: Program) -> float:
    """Share of next tokens that are right where the model is given what came before, and nothing else."""
    right = []
    for (tokens,) in program.test:
        for length in (6, 10, 13):
            right.append((program.model(tokens[:, :length])[:, -1].argmax(-1) == tokens[:, length]).float().mean())
    return float(torch.stack(right).mean())


def language(
    seed: int,
    net: Net = LanguageNet,
    forward: Any = next_token,
    loss: Any = token_loss,
    optimizer: Any = ADAM_003,
    epochs: int = 12,
    scheduler: Any = None,
) -> Program:
    chance = np.random.default_rng(seed + 500)
    rule = chance.integers(0, 10, (10, 10))
    tokens = np.empty((900, 16), dtype=np.int64)
    tokens[:, :2] = chance.integers(0, 10, (900, 2))
    for t in range(2, 16):
        noise = chance.integers(0, 10, 900)
        tokens[:, t] = np.where(chance.uniform(size=900) < 0.15, noise, rule[tokens[:, t - 1], tokens[:, t - 2]])
    train, val, test = loaders([TensorDataset(*part) for part in cut(torch.tensor(tokens), train=500, val=200)])
    model = net()
    chosen = optimizer(model)
    program = Program(model, loss, chosen, train, val, test, epochs, token_accuracy, forward, score=continuation)
    program.scheduler, program.scheduler_unit = (scheduler(chosen), "step") if scheduler else (None, None)
    program.task = "tokens"
    return program


# Encoder with padding: which of three marker tokens comes first. 0 is padding.


class TextNet(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, width, padding_idx=0)
        self.pos = nn.Parameter(0.02 * torch.randn(1, 14, width))
        layer = nn.TransformerEncoderLayer(width, 2, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(width, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.embed(tokens) + self.pos[:, : tokens.shape[1]]
        hidden = self.encoder(hidden, src_key_padding_mask=tokens == 0)
        kept = (tokens != 0).unsqueeze(-1)
        return self.head((hidden * kept).sum(1) / kept.sum(1))


def texts(seed: int, net: Net = TextNet, optimizer: Any = ADAM_003, epochs: int = 12) -> Program:
    chance = np.random.default_rng(seed + 600)
    tokens, labels = np.zeros((1300, 14), dtype=np.int64), np.empty(1300, dtype=np.int64)
    for row in range(1300):
        length = int(chance.integers(4, 14))
        tokens[row, :length] = chance.integers(4, 20, length)
        places = np.sort(chance.choice(length, 3, replace=False))
        tokens[row, places] = chance.permutation([1, 2, 3])
        labels[row] = tokens[row, places[0]] - 1
    parts = cut(torch.tensor(tokens), torch.tensor(labels), train=800, val=200)
    train, val, test = loaders([TensorDataset(*part) for part in parts])
    model = net()
    return Program(
        model,
        nn.CrossEntropyLoss(),
        optimizer(model),
        train,
        val,
        test,
        epochs,
        accuracy,
        task="classification",
        pad_id=0,
    )


# Denoising or variational autoencoder.


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(40, 32), nn.ReLU(), nn.Linear(32, 6))
        self.decoder = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 40))

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class Variational(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(40, 32), nn.ReLU())
        self.mean, self.logvar = nn.Linear(32, 6), nn.Linear(32, 6)
        self.decoder = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 40))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.encoder(x)
        mean, logvar = self.mean(hidden), self.logvar(hidden)
        z = mean + torch.randn_like(mean) * (0.5 * logvar).exp() if self.training else mean
        return self.decoder(z), mean, logvar


def itself(model: nn.Module, batch: Any) -> tuple[Any, Tensor]:
    return model(batch[0]), batch[0]


def first_output(output: Any, target: Tensor) -> float:
    return explained(output[0] if isinstance(output, tuple) else output, target)


def rebuilt(program: Program) -> float:
    """R² of what comes back, against clean inputs."""
    values = [first_output(program.model(x), clean) for x, clean in program.test]
    return float(np.mean(values))


def codes(
    seed: int,
    net: Net = Autoencoder,
    loss: Any = None,
    forward: Any = itself,
    optimizer: Any = ADAM_003,
    noise: float = 0.0,
    epochs: int = 20,
) -> Program:
    chance = np.random.default_rng(seed + 700)
    factors = chance.normal(size=(1000, 5))
    x = np.tanh(factors @ chance.normal(size=(5, 40))) + 0.5 * factors @ chance.normal(size=(5, 40))
    clean = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
    noisy = clean + noise * torch.tensor(chance.normal(size=x.shape), dtype=torch.float32)
    train, val, test = loaders([TensorDataset(*part) for part in cut(noisy, clean, train=600, val=200)])
    model = net()
    program = Program(model, loss or nn.MSELoss(), optimizer(model), train, val, test, epochs, first_output, forward)
    program.score, program.task = rebuilt, "autoencoder"
    return program


# Two inputs: do both show the same of six things?


class PairNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16))
        self.head = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.head((self.encoder(left) - self.encoder(right)).abs()).squeeze(1)


def both(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    left, right, same = batch
    return model(left, right), same


def pairs(
    seed: int,
    net: Net = PairNet,
    loss: Any = None,
    forward: Any = both,
    optimizer: Any = ADAM_003,
    same: float = 0.5,
    epochs: int = 12,
) -> Program:
    chance = np.random.default_rng(seed + 800)
    things = chance.normal(size=(6, 16))
    left = chance.integers(0, 6, 1500)
    right = np.where(chance.uniform(size=1500) < same, left, (left + chance.integers(1, 6, 1500)) % 6)
    seen = [things[which] + 0.7 * chance.normal(size=(1500, 16)) for which in (left, right)]
    arrays = [*(torch.tensor(x, dtype=torch.float32) for x in seen), torch.tensor(left == right).float()]
    train, val, test = loaders([TensorDataset(*part) for part in cut(*arrays, train=800, val=200)])
    model = net()
    program = Program(
        model, loss or nn.BCEWithLogitsLoss(), optimizer(model), train, val, test, epochs, ranking, forward
    )
    program.task = "binary"
    return program


# Batches as dicts: several labels at once, some rare.


class TagNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kinds = nn.Embedding(8, 8)
        self.body = nn.Sequential(nn.Linear(18, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.head = nn.Linear(48, 6)

    def forward(self, numbers: Tensor, kind: Tensor) -> Tensor:
        return self.head(self.body(torch.cat([numbers, self.kinds(kind)], -1)))


class Records(Dataset[Any]):
    def __init__(self, numbers: Tensor, kind: Tensor, tags: Tensor) -> None:
        self.numbers, self.kind, self.tags = numbers, kind, tags

    def __len__(self) -> int:
        return len(self.tags)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"numbers": self.numbers[index], "kind": self.kind[index], "labels": self.tags[index]}


def from_dict(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    return model(batch["numbers"], batch["kind"]), batch["labels"]


def tags(
    seed: int, net: Net = TagNet, loss: Any = None, optimizer: Any = ADAM_003, epochs: int = 15, **keywords: Any
) -> Program:
    chance = np.random.default_rng(seed + 900)
    numbers, kind = chance.normal(size=(1500, 10)), chance.integers(0, 8, 1500)
    scores = np.tanh(numbers @ chance.normal(size=(10, 6))) * 2 + chance.normal(size=(8, 6))[kind]
    labels = scores > np.quantile(scores, 0.6, axis=0)
    arrays = torch.tensor(numbers, dtype=torch.float32), torch.tensor(kind), torch.tensor(labels).float()
    train, val, test = loaders([Records(*part) for part in cut(*arrays, train=700, val=200)], **keywords)
    model = net()
    program = Program(
        model, loss or nn.BCEWithLogitsLoss(), optimizer(model), train, val, test, epochs, ranking, from_dict
    )
    program.task = "multi-label"
    return program


# Segmentation: a class for each pixel. Background is class 0.


class MaskNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU())
        self.mid = nn.Sequential(nn.Conv2d(12, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU())
        self.out = nn.Conv2d(12, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.mid(self.down(x)))


class Masks(Dataset[Any]):
    """Images and their masks, flipped by chance while training."""

    def __init__(self, x: Tensor, y: Tensor, train: bool) -> None:
        self.x, self.y, self.train = x, y, train

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, mask = self.x[index], self.y[index]
        if self.train and torch.rand(()) < 0.5:
            image, mask = image.flip(-1), mask.flip(-1)
        return image, mask


def segments(
    seed: int, loss: Any = None, dataset: Any = Masks, net: Net = MaskNet, optimizer: Any = ADAM_005, epochs: int = 10
) -> Program:
    chance = np.random.default_rng(seed + 1000)
    images, masks = 0.4 * chance.normal(size=(600, 1, 12, 12)), np.zeros((600, 12, 12), dtype=np.int64)
    for image, mask in zip(images[:, 0], masks, strict=True):
        for label, height, width in ((1, 4, 4), (2, 2, 5)):
            i, j = chance.integers(0, 12 - height), chance.integers(0, 12 - width)
            image[i : i + height, j : j + width] = (1.0 if label == 1 else -1.0) + 0.4 * chance.normal(
                size=(height, width)
            )
            mask[i : i + height, j : j + width] = label
    parts = cut(torch.tensor(images, dtype=torch.float32), torch.tensor(masks), train=300, val=100)
    train, val, test = loaders([dataset(*part, train=k == 0) for k, part in enumerate(parts)])
    model = net()
    program = Program(model, loss or nn.CrossEntropyLoss(), optimizer(model), train, val, test, epochs, balanced)
    program.task = "segmentation"
    return program
