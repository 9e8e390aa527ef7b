"""Static faults of the third blind round: each beside its healthy twin.

Drawn from questions and mended issues in public projects, written without reading a check of the doctor and committed
before the doctor saw any. `groups` and `places` are what a finding should say first.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import doctor_blind_programs_3 as base
import numpy as np
import torch
from doctor_blind_programs_1 import Program, explained, sgd
from doctor_blind_static_1 import Static, static
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

STATIC: dict[str, Static] = {}
fault = partial(static, into=STATIC)


# Pictures and how they are read.


class FlippedPhotos(base.Photos):
    """Mirrored by chance, as in every recipe, although left and right are the classes."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x, y = super().__getitem__(index)
        return (x.flip(-1) if self.train and torch.rand(()) < 0.5 else x), y


class JitteredPhotos(base.Photos):
    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x, y = super().__getitem__(index)
        return (x.flip(-2) if self.train and torch.rand(()) < 0.5 else x), y


@fault("cnn", "data|one-batch", "train_loader *")
def mirrored_left_and_right(seed: int, faulty: bool) -> Program:
    return base.photos(seed, dataset=FlippedPhotos if faulty else JitteredPhotos)


class WrappedPhotos(base.Photos):
    """A byte minus 125 is a byte still."""

    def scaled(self, picture: np.ndarray) -> np.ndarray:
        return (picture - np.uint8(125)) / np.float32(40)


@fault("cnn", "data", "train_loader inputs|train_loader dataset")
def bytes_wrap_around(seed: int, faulty: bool) -> Program:
    return base.photos(seed, dataset=WrappedPhotos if faulty else base.Photos)


class ListedPhotos(base.Photos):
    """Pictures in the order of their file names, which sorts 10 before 2; labels in the order of a table."""

    def __init__(self, pictures: np.ndarray, labels: np.ndarray, train: bool) -> None:
        super().__init__(pictures, labels, train)
        names = sorted(f"picture_{k}.png" for k in range(len(pictures)))
        if train:
            self.pictures = pictures[[int(name[8:-4]) for name in names]]


@fault("cnn", "data", "train_loader labels|train_loader targets|train_loader inputs|train_loader dataset")
def files_sorted_as_text(seed: int, faulty: bool) -> Program:
    return base.photos(seed, dataset=ListedPhotos if faulty else base.Photos)


class ViewedStripNet(base.StripNet):
    def columns(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), x.shape[3], -1)


@fault("cnn and gru", "modes-layers|mixing|one-batch|data", "model|rnn*|conv*|forward")
def columns_viewed_not_permuted(seed: int, faulty: bool) -> Program:
    return base.strips(seed, net=ViewedStripNet if faulty else base.StripNet)


# Sequences.


class PlacedByBatch(base.EventNet):
    """The line of a tutorial whose batch comes second."""

    def placed(self, x: Tensor) -> Tensor:
        return x + self.pe[: x.shape[0]].unsqueeze(1)


def of_sixty_four(program: Program) -> Program:
    """Loaders whose batches fit the table of places."""
    program.train_loader = DataLoader(program.train_loader.dataset, 32, shuffle=True)
    program.val_loader = DataLoader(program.val_loader.dataset, 50)
    program.test = DataLoader(program.test.dataset, 50)
    return program


@fault("transformer", "mixing", "model|pe*|tokens*|cls*|norm1*|forward")
def position_by_batch(seed: int, faulty: bool) -> Program:
    return of_sixty_four(base.events(seed, net=PlacedByBatch if faulty else base.EventNet))


class Multiplied(base.EventNet):
    def scaled(self, scores: Tensor) -> Tensor:
        return scores * math.sqrt(32)


@fault("transformer", "modes-layers|start|optimisation", "qkv*|model|proj*|norm1*")
def scores_multiplied(seed: int, faulty: bool) -> Program:
    return base.events(seed, net=Multiplied if faulty else base.EventNet)


class Packed(base.ReviewNet):
    """Rows sorted by length for the packing, and, in the right one, put back."""

    def __init__(self, back: bool = True) -> None:
        super().__init__()
        self.back = back

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        lengths, order = lengths.sort(descending=True)
        packed = nn.utils.rnn.pack_padded_sequence(self.embedding(words[order]), lengths, batch_first=True)
        _, (hidden, _) = self.lstm(packed)
        logits = self.fc(hidden[-1]).squeeze(1)
        return logits[order.argsort()] if self.back else logits


@fault("recurrent with padding", "mixing|data|loss-contract", "model|lstm*|fc*|forward|embedding*")
def sorted_and_not_back(seed: int, faulty: bool) -> Program:
    return base.reviews(seed, net=partial(Packed, not faulty))


# Tables.


@fault("table with categories", "data", "val_loader inputs|val_loader dataset|val_loader *")
def codes_fitted_apart(seed: int, faulty: bool) -> Program:
    """Category names get their numbers in the order in which each part's rows show them."""
    cats, nums, y = base.click_arrays(seed)
    parts = base.click_parts(cats, nums, y)
    if faulty:
        for part in parts:
            for column in range(2):
                seen = list(dict.fromkeys(part[0][:, column].tolist()))
                part[0][:, column] = torch.tensor([seen.index(value) for value in part[0][:, column].tolist()])
    return base.clicks(seed, parts=parts)


def positives_only(output: Tensor, target: Tensor) -> Tensor:
    return -(target * torch.log(torch.sigmoid(output) + 1e-7)).mean()


def both_terms(output: Tensor, target: Tensor) -> Tensor:
    share = torch.sigmoid(output)
    return -(target * torch.log(share + 1e-7) + (1 - target) * torch.log(1 - share + 1e-7)).mean()


@fault("table with categories", "loss-contract", "loss|model|out*")
def negatives_left_out(seed: int, faulty: bool) -> Program:
    return base.clicks(seed, loss=positives_only if faulty else both_terms)


def focal(output: Tensor, target: Tensor) -> Tensor:
    plain = F.binary_cross_entropy_with_logits(output, target, reduction="none")
    return ((1 - torch.exp(-plain)) ** 2 * plain).mean()


def focal_reversed(output: Tensor, target: Tensor) -> Tensor:
    plain = F.binary_cross_entropy_with_logits(output, target, reduction="none")
    return (torch.exp(-plain) ** 2 * plain).mean()


@fault("table with categories", "loss-contract", "loss|out*|model")
def focal_on_the_easy(seed: int, faulty: bool) -> Program:
    return base.clicks(seed, loss=focal_reversed if faulty else focal)


@fault("table with categories", "data", "train_loader inputs|train_loader labels|train_loader *")
def label_left_in_the_table(seed: int, faulty: bool) -> Program:
    """`df.values` with the column of the answer, which nobody knows in use."""
    cats, nums, y = base.click_arrays(seed)
    extra = y.copy() if faulty else np.zeros_like(y)
    extra[1050:] = 0
    parts = base.click_parts(cats, np.concatenate([nums, extra[:, None]], 1), y)
    return base.clicks(seed, parts=parts, net=partial(base.ClickNet, 7))


def weighed(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    return model(batch[0]), batch[1]


def weighed_rows(output: Tensor, target: Tensor) -> Tensor:
    return (target[:, 1] * (output - target[:, 0]) ** 2).mean()


def weighed_columns(output: Tensor, target: Tensor) -> Tensor:
    """Prices as a row of n, weights as a column: n by n products."""
    return (target[:, 1:] * (output - target[:, 0]) ** 2).mean()


def explained_first(output: Tensor, target: Tensor) -> float:
    return explained(output, target[:, 0])


@fault("regression", "loss-contract", "loss")
def weights_as_a_column(seed: int, faulty: bool) -> Program:
    """Half of the rows are wrong readings whose weight is nought: the broken product gives all the same weight."""
    x, y = base.house_arrays(seed)
    chance = torch.Generator().manual_seed(seed)
    bad = (torch.rand(len(y), generator=chance) < 0.5) & (torch.arange(len(y)) < 900)
    y = torch.where(bad, 2 - 2 * y, y)
    target = torch.stack([y, (~bad).float()], 1)
    loss = weighed_columns if faulty else weighed_rows
    return base.houses(seed, (x, target), loss=loss, metric=explained_first)


@fault("regression", "data", "val_loader targets|val_loader labels|val_loader *")
def log_target_only_in_train(seed: int, faulty: bool) -> Program:
    x, y = base.house_arrays(seed)
    raw = torch.exp(1.2 * y)
    logged = torch.log1p(raw)
    target = torch.where(torch.arange(len(y)) < 700, logged, raw) if faulty else logged
    return base.houses(seed, (x, target))


@fault("regression", "data|optimisation|start", "train_loader inputs")
def seconds_since_1970(seed: int, faulty: bool) -> Program:
    x, y = base.house_arrays(seed)
    if faulty:
        x = torch.cat([x[:, :6], 1.6e9 + 3e7 * x[:, 6:]], 1)
    return base.houses(seed, (x, y))


class DroppedOutput(base.HouseNet):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(*self.net, nn.Dropout(0.5))


class DroppedHidden(base.HouseNet):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(*self.net[:-1], nn.Dropout(0.1), self.net[-1])


@fault("regression", "modes-layers|one-batch", "net.5*|net.4*|model")
def dropout_after_the_head(seed: int, faulty: bool) -> Program:
    return base.houses(seed, net=DroppedOutput if faulty else DroppedHidden)


class ManyLayers(nn.Module):
    def __init__(self, forgets: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 12, 1)
        self.layers = nn.ModuleList(nn.Conv2d(12, 12, 3, padding=1) for _ in range(3))
        self.last, self.forgets = nn.Conv2d(12, 3, 1), forgets

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        out = x
        for layer in self.layers:
            out = F.relu(layer(x if self.forgets else out))
        return self.last(out)


@fault("segmentation", "optimisation|modes-layers", "layers.0*|layers.1*")
def loop_forgets_the_result(seed: int, faulty: bool) -> Program:
    return base.streets(seed, net=partial(ManyLayers, faulty))


def scaled_by_batch(rows: list[Any]) -> tuple[Tensor, Tensor]:
    x, y = torch.stack([row[0] for row in rows]), torch.stack([row[1] for row in rows])
    return (x - x.mean(0)) / (x.std(0, unbiased=False) + 1e-6), y


@fault("regression", "data|mixing", "train_loader *|val_loader *")
def collate_scales_the_batch(seed: int, faulty: bool) -> Program:
    """Each batch is standardised by itself; in use a row comes alone."""
    program = base.houses(seed)
    if faulty:
        for name, size in (("train_loader", 32), ("val_loader", 100), ("test", 1)):
            data = getattr(program, name).dataset
            setattr(program, name, DataLoader(data, size, name == "train_loader", collate_fn=scaled_by_batch))
    return program


@fault("counts", "loss-contract", "loss|model|net*")
def rates_for_logarithms(seed: int, faulty: bool) -> Program:
    return base.counts(seed, nn.PoissonNLLLoss(log_input=faulty))


# Likeness and retrieval.


class OverTheBatch(base.Towers):
    def unit(self, z: Tensor) -> Tensor:
        return F.normalize(z, dim=0)


@fault("two towers", "mixing", "model|query*|doc*")
def normalized_over_the_batch(seed: int, faulty: bool) -> Program:
    program = base.towers(seed, net=OverTheBatch if faulty else base.Towers)
    program.test = DataLoader(TensorDataset(*program.test.dataset.tensors), 25)
    return program


class ColdTowers(base.Towers):
    def scaled(self, likeness: Tensor) -> Tensor:
        return likeness * 0.07


@fault("two towers", "loss-contract|start|one-batch", "model|loss|forward|query*|doc*")
def temperature_multiplied(seed: int, faulty: bool) -> Program:
    return base.towers(seed, net=ColdTowers if faulty else base.Towers)


def all_match_the_first(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    query, doc = batch
    return model(query, doc), torch.zeros(len(query), dtype=torch.long)


@fault("two towers", "data|loss-contract|mixing", "train_loader labels|train_loader targets|forward|loss|model")
def first_answer_for_all(seed: int, faulty: bool) -> Program:
    return base.towers(seed, forward=all_match_the_first if faulty else base.matched)


def two_views(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    return model(batch[0], batch[1]), batch[2]


def cosine_pairs(output: Tensor, target: Tensor) -> Tensor:
    return F.cosine_embedding_loss(output[:, 0], output[:, 1], target, margin=0.2)


@fault("siamese", "loss-contract|data", "loss|train_loader labels|train_loader targets|model")
def noughts_for_unlike_pairs(seed: int, faulty: bool) -> Program:
    """The loss wants 1 and -1; the table says 1 and 0."""
    signs = (lambda alike: alike.float()) if faulty else (lambda alike: 2 * alike.float() - 1)
    return base.likeness(seed, cosine_pairs, two_views, signs, triple=False)


def three_views(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    return model(*batch), torch.zeros(len(batch[0]))


def triplets(output: Tensor, target: Tensor) -> Tensor:
    return F.triplet_margin_loss(output[:, 0], output[:, 1], output[:, 2], margin=0.5)


def triplets_swapped(output: Tensor, target: Tensor) -> Tensor:
    anchor, positive, negative = output.unbind(1)
    return F.triplet_margin_loss(anchor, negative, positive, margin=0.5)


@fault("siamese", "loss-contract|one-batch|optimisation|start", "loss|model|forward")
def positive_and_negative_swapped(seed: int, faulty: bool) -> Program:
    return base.likeness(seed, triplets_swapped if faulty else triplets, three_views, lambda alike: alike, triple=True)


# Masks, heads, series.


class DividedMasks(base.Streets):
    """As a transform for pictures does it: bytes to shares of 255, and then to integers."""

    def mask(self, mask: np.ndarray) -> Tensor:
        return torch.from_numpy(mask / np.float32(255)).long()


@fault("segmentation", "data|loss-contract", "train_loader labels|train_loader targets")
def mask_divided_by_255(seed: int, faulty: bool) -> Program:
    return base.streets(seed, dataset=DividedMasks if faulty else base.Streets)


class TurnedMasks(base.Streets):
    """Width before height in one library, after it in the other."""

    def mask(self, mask: np.ndarray) -> Tensor:
        return torch.from_numpy(mask.T.copy()).long()


@fault("segmentation", "data|one-batch", "train_loader labels|train_loader targets|train_loader dataset")
def mask_transposed(seed: int, faulty: bool) -> Program:
    return base.streets(seed, dataset=TurnedMasks if faulty else base.Streets)


@fault("two heads", "optimisation|loss-contract|data|start", "loss*|train_loader targets|heads.driven*|model")
def kilometres_beside_classes(seed: int, faulty: bool) -> Program:
    return base.cars(seed, unit=5000.0 if faulty else 1.0)


@fault("two heads", "optimisation", "heads*|model")
def heads_in_a_dict(seed: int, faulty: bool) -> Program:
    class Kept(base.TwoHeads):
        def __init__(self) -> None:
            super().__init__()
            heads = dict(self.heads.items())
            if faulty:
                del self.heads
                self.heads = heads

    return base.cars(seed, net=Kept)


@fault("forecast", "data", "train_loader targets|train_loader labels|train_loader inputs|train_loader dataset")
def target_is_the_last_input(seed: int, faulty: bool) -> Program:
    return base.forecasts(seed, ahead=0 if faulty else 1)


# Values, graphs, noise, actions.


def taken_column(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    state, action, value = batch
    return model(state).gather(1, action.unsqueeze(1)), value


@fault("q values", "loss-contract", "loss|forward|model|fc*")
def gathered_column(seed: int, faulty: bool) -> Program:
    return base.values(seed, forward=taken_column if faulty else base.taken)


@fault("graph", "mixing|data", "model|train_loader *|forward|self1*|near1*")
def edges_not_offset(seed: int, faulty: bool) -> Program:
    return base.graphs(seed, collate=partial(base.joined, offset=not faulty))


def diffused_twice(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    (x,) = batch
    t = torch.rand(len(x), 1)
    return model((1 - t).sqrt() * x + t.sqrt() * torch.randn_like(x), t), torch.randn_like(x)


@fault("diffusion", "data|loss-contract|one-batch", "forward|train_loader targets|model|loss")
def noise_drawn_twice(seed: int, faulty: bool) -> Program:
    return base.diffusion(seed, forward=diffused_twice if faulty else base.diffused)


class Unbound(base.Actor):
    bound = 1.0


@fault("behaviour cloning", "loss-contract", "model|mu*|loss|forward")
def tanh_without_the_bound(seed: int, faulty: bool) -> Program:
    return base.imitation(seed, net=Unbound if faulty else base.Actor)


# The optimizer and its schedule.


@fault("transformer", "optimisation", "scheduler|optimizer lr")
def warm_up_returns_the_rate(seed: int, faulty: bool) -> Program:
    """The function should say a factor, and says the rate itself."""

    def schedule(optimizer: Any) -> LambdaLR:
        return LambdaLR(optimizer, lambda step: (3e-3 if faulty else 1.0) * min(1.0, (step + 1) / 30))

    return base.events(seed, scheduler=schedule, scheduler_unit="step")


@fault("regression", "optimisation", "optimizer lr|model|loss|optimizer*")
def clipped_to_a_thousandth(seed: int, faulty: bool) -> Program:
    return base.houses(seed, optimizer=sgd(0.05), clip=1e-3 if faulty else 1.0)
