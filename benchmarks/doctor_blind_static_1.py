"""Static faults of the first blind round: silent mistakes in the parts of a training, each beside its healthy twin.

Written without reading a check of the doctor, and committed before the doctor saw any. `groups` and `places` are what a
finding should say first; a place is a pattern, several are equally right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from doctor_blind_programs_1 import (
    Autoencoder,
    Block,
    ImageNet,
    LanguageNet,
    MaskNet,
    Masks,
    PairNet,
    PriceNet,
    Program,
    ResidualNet,
    TableNet,
    TagNet,
    TextNet,
    Variational,
    WaveNet,
    adam,
    balanced,
    codes,
    images,
    itself,
    language,
    next_token,
    pairs,
    prices,
    residual,
    segments,
    sgd,
    standardized,
    table,
    tags,
    texts,
    token_loss,
    waves,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR, StepLR
from torch.utils.data import Dataset, WeightedRandomSampler


@dataclass(frozen=True)
class Static:
    name: str
    program: str
    groups: tuple[str, ...]
    places: tuple[str, ...]
    build: Callable[[int, bool], Program]


STATIC: dict[str, Static] = {}


def static(
    program: str, groups: str, places: str, into: dict[str, Static] = STATIC
) -> Callable[[Callable[[int, bool], Program]], Any]:
    def add(build: Callable[[int, bool], Program]) -> Callable[[int, bool], Program]:
        name = build.__name__
        into[name] = Static(name, program, tuple(groups.split("|")), tuple(places.split("|")), build)
        return build

    return add


# Examples, time steps and padding that get mixed.


class LowerMaskNet(LanguageNet):
    def mask(self, length: int) -> Tensor:
        return torch.tril(torch.ones(length, length, dtype=torch.bool), diagonal=-1)


@static("causal transformer", "mixing", "model|encoder*")
def lower_triangle_masked(seed: int, faulty: bool) -> Program:
    """True in a boolean mask blocks, so the lower triangle hides the past and shows the future."""
    return language(seed, LowerMaskNet if faulty else LanguageNet)


def same_token(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    (tokens,) = batch
    return model(tokens), tokens


@static("causal transformer", "data|mixing", "forward|train_loader targets|train_loader labels")
def targets_not_shifted(seed: int, faulty: bool) -> Program:
    return language(seed, forward=same_token if faulty else next_token)


@static("recurrent", "mixing", "lstm*|model")
def batch_first_forgotten(seed: int, faulty: bool) -> Program:
    return waves(seed, lambda: WaveNet(batch_first=not faulty))


class TwoWays(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 16, batch_first=True, bidirectional=True)
        self.head = nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(x)
        return self.head(hidden.permute(1, 0, 2).reshape(len(x), -1))


class TwoWaysViewed(TwoWays):
    def forward(self, x: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(x)
        return self.head(hidden.view(x.size(0), -1))


@static("recurrent", "mixing", "model|head*|lstm*")
def hidden_state_viewed(seed: int, faulty: bool) -> Program:
    """(directions, batch, width) viewed as (batch, …)."""
    return waves(seed, TwoWaysViewed if faulty else TwoWays)


class InvertedPadding(TextNet):
    def forward(self, tokens: Tensor) -> Tensor:
        mask = tokens != 0
        hidden = self.embed(tokens) + self.pos[:, : tokens.shape[1]]
        hidden = self.encoder(hidden, src_key_padding_mask=mask)
        kept = mask.unsqueeze(-1)
        return self.head((hidden * kept).sum(1) / kept.sum(1))


@static("encoder with padding", "mixing", "model|encoder*")
def padding_mask_inverted(seed: int, faulty: bool) -> Program:
    return texts(seed, InvertedPadding if faulty else TextNet)


class Unmasked(TextNet):
    def __init__(self, batch_first: bool, width: int = 32) -> None:
        super().__init__(width)
        layer = nn.TransformerEncoderLayer(width, 2, 64, dropout=0.0, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.encoder(self.embed(tokens) + self.pos[:, : tokens.shape[1]])
        kept = (tokens != 0).unsqueeze(-1)
        return self.head((hidden * kept).sum(1) / kept.sum(1))


@static("encoder", "mixing", "model|encoder*")
def attention_along_the_batch(seed: int, faulty: bool) -> Program:
    return texts(seed, lambda: Unmasked(batch_first=not faulty))


class SameTwice(PairNet):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        first, second = self.encoder(left), self.encoder(left)
        return self.head((first * second).relu()).squeeze(1)


class Products(PairNet):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        first, second = self.encoder(left), self.encoder(right)
        return self.head((first * second).relu()).squeeze(1)


@static("two inputs", "mixing|modes-layers", "model|forward|train_loader inputs")
def one_input_twice(seed: int, faulty: bool) -> Program:
    return pairs(seed, SameTwice if faulty else Products)


# What the loss is given.


class SoftmaxNet(ImageNet):
    def forward(self, x: Tensor) -> Tensor:
        return F.softmax(self.fc(self.features(x)), dim=1)


@static("cnn", "loss-contract", "model|fc*|loss")
def softmax_before_cross_entropy(seed: int, faulty: bool) -> Program:
    return images(seed, SoftmaxNet if faulty else ImageNet)


class ColumnNet(PriceNet):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


@static("mlp regression", "loss-contract", "loss|forward|model|head*|train_loader targets")
def column_against_row(seed: int, faulty: bool) -> Program:
    return prices(seed, ColumnNet if faulty else PriceNet)


def viewed_loss(logits: Tensor, targets: Tensor) -> Tensor:
    batch, length, words = logits.shape
    return F.cross_entropy(logits.view(batch, words, length), targets)


@static("causal transformer", "loss-contract|mixing", "loss")
def logits_viewed_not_transposed(seed: int, faulty: bool) -> Program:
    return language(seed, loss=viewed_loss if faulty else token_loss)


@static("mlp", "loss-contract", "loss|model|head*")
def nll_of_raw_logits(seed: int, faulty: bool) -> Program:
    return table(seed, loss=nn.NLLLoss() if faulty else nn.CrossEntropyLoss())


class TagProbabilities(TagNet):
    def forward(self, numbers: Tensor, kind: Tensor) -> Tensor:
        return super().forward(numbers, kind).sigmoid()


class TagShares(TagNet):
    def forward(self, numbers: Tensor, kind: Tensor) -> Tensor:
        return super().forward(numbers, kind).softmax(-1)


@static("dict batches", "loss-contract", "model|head*|loss")
def softmax_for_many_labels(seed: int, faulty: bool) -> Program:
    return tags(seed, TagShares if faulty else TagProbabilities, nn.BCELoss())


def evidence_bound(output: Any, target: Tensor) -> Tensor:
    rebuilt, mean, logvar = output
    divergence = -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum(1).mean()
    return F.mse_loss(rebuilt, target, reduction="none").sum(1).mean() + divergence


def uneven_bound(output: Any, target: Tensor) -> Tensor:
    rebuilt, mean, logvar = output
    return F.mse_loss(rebuilt, target) - 0.5 * torch.sum(1 + logvar - mean**2 - logvar.exp())


@static("autoencoder", "loss-contract", "loss")
def divergence_summed_over_the_batch(seed: int, faulty: bool) -> Program:
    """Mean of squared errors over all elements, sum of the divergence over batch and dimensions."""
    return codes(seed, Variational, uneven_bound if faulty else evidence_bound)


class PositiveNet(ResidualNet):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x))


@static("residual", "loss-contract", "model|head*|loss")
def relu_on_a_signed_target(seed: int, faulty: bool) -> Program:
    return residual(seed, PositiveNet if faulty else ResidualNet)


class SigmoidCodes(Autoencoder):
    def __init__(self) -> None:
        super().__init__()
        self.decoder.append(nn.Sigmoid())


@static("autoencoder", "loss-contract", "model|decoder*|loss")
def sigmoid_for_standardized_inputs(seed: int, faulty: bool) -> Program:
    return codes(seed, SigmoidCodes if faulty else Autoencoder)


@static("segmentation", "loss-contract|data", "loss")
def background_ignored(seed: int, faulty: bool) -> Program:
    """`ignore_index=0` where 0 is a class."""
    return segments(seed, nn.CrossEntropyLoss(ignore_index=0) if faulty else nn.CrossEntropyLoss())


SHARES = [0.6, 0.25, 0.1, 0.05]


@static("cnn", "loss-contract|data", "loss")
def class_weights_not_inverted(seed: int, faulty: bool) -> Program:
    def weighted(labels: Tensor) -> nn.Module:
        share = torch.bincount(labels, minlength=4) / len(labels)
        return nn.CrossEntropyLoss(weight=share if faulty else 1 / share)

    return images(seed, loss=weighted, shares=SHARES, metric=balanced)


# Weights before the first step.


class DeepTable(nn.Module):
    def __init__(self, activation: Any, init: Callable[[Tensor], Any] | None = None, depth: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(6, 48), activation()]
        for _ in range(depth - 1):
            layers += [nn.Linear(48, 48), activation()]
        self.body, self.head = nn.Sequential(*layers), nn.Linear(48, 3)
        for module in self.modules():
            if isinstance(module, nn.Linear) and init is not None:
                init(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


@static("mlp", "start", "model|*weight|body*")
def normal_init_of_deviation_one(seed: int, faulty: bool) -> Program:
    return table(
        seed, lambda: DeepTable(nn.Tanh, nn.init.normal_ if faulty else nn.init.xavier_normal_), optimizer=adam(2e-3)
    )


@static("mlp", "start", "model|*weight|body*|head*")
def constant_init(seed: int, faulty: bool) -> Program:
    def same(weight: Tensor) -> None:
        nn.init.constant_(weight, 0.05)

    return table(seed, lambda: DeepTable(nn.ReLU, same if faulty else nn.init.kaiming_uniform_, depth=2))


@static("mlp", "start", "model|*weight|body*|head*")
def deep_sigmoids(seed: int, faulty: bool) -> Program:
    return table(seed, lambda: DeepTable(nn.Sigmoid if faulty else nn.ReLU, depth=5), optimizer=sgd(0.05))


# Layers that are not there, or not in the mode they should be in.


class ListedNet(ResidualNet):
    def __init__(self) -> None:
        super().__init__()
        del self.blocks
        self.blocks = [Block() for _ in range(4)]  # type: ignore[assignment]


@static("residual", "modes-layers|optimisation", "model|blocks*")
def blocks_in_a_list(seed: int, faulty: bool) -> Program:
    return residual(seed, ListedNet if faulty else ResidualNet)


class UnregisteredPlaces(TextNet):
    def __init__(self, width: int = 32) -> None:
        super().__init__(width)
        del self.pos
        self.pos = torch.zeros(1, 14, width, requires_grad=True)  # type: ignore[assignment]


@static("encoder with padding", "modes-layers|optimisation", "model|pos")
def positions_not_a_parameter(seed: int, faulty: bool) -> Program:
    return texts(seed, UnregisteredPlaces if faulty else TextNet)


class AlwaysDropped(TableNet):
    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(F.relu(self.hidden(x)), 0.5)
        return self.head(F.dropout(F.relu(self.second(x)), 0.5))


class SometimesDropped(TableNet):
    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(F.relu(self.hidden(x)), 0.5, self.training)
        return self.head(F.dropout(F.relu(self.second(x)), 0.5, self.training))


@static("mlp", "modes-layers", "model|hidden*|second*")
def dropout_in_evaluation(seed: int, faulty: bool) -> Program:
    return table(seed, AlwaysDropped if faulty else SometimesDropped)


@static("residual", "modes-layers", "blocks.*.drop*|*Dropout*")
def share_kept_as_share_dropped(seed: int, faulty: bool) -> Program:
    return residual(seed, lambda: ResidualNet(drop=0.9 if faulty else 0.1))


class NoActivation(nn.Module):
    def __init__(self, between: Any) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 48), between(), nn.Linear(48, 48), between(), nn.Linear(48, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


@static("mlp", "modes-layers", "model|net*")
def no_activation(seed: int, faulty: bool) -> Program:
    return table(seed, lambda: NoActivation(nn.Identity if faulty else nn.ReLU))


# The optimizer and its schedule.


def transfer(faulty: bool) -> Callable[[nn.Module], torch.optim.Optimizer]:
    def build(model: Any) -> torch.optim.Optimizer:
        if faulty:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
            model.fc = nn.Linear(16 * 9, 4)
            return optimizer
        model.fc = nn.Linear(16 * 9, 4)
        return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    return build


@static("cnn", "optimisation", "fc*|model")
def head_replaced_after_the_optimizer(seed: int, faulty: bool) -> Program:
    return images(seed, optimizer=transfer(faulty))


class Detached(PairNet):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.head((self.encoder(left).detach() - self.encoder(right).detach()).abs()).squeeze(1)


@static("two inputs", "optimisation|modes-layers", "encoder*|model")
def features_detached(seed: int, faulty: bool) -> Program:
    return pairs(seed, Detached if faulty else PairNet)


@static("cnn", "optimisation", "optimizer lr")
def sgd_with_the_rate_of_adam(seed: int, faulty: bool) -> Program:
    return images(seed, optimizer=sgd(1e-4 if faulty else 0.02))


@static("causal transformer", "optimisation", "optimizer lr")
def adam_with_the_rate_of_sgd(seed: int, faulty: bool) -> Program:
    return language(seed, optimizer=adam(0.1 if faulty else 3e-3))


@static("mlp regression", "optimisation", "optimizer weight_decay")
def decay_of_adamw_in_adam(seed: int, faulty: bool) -> Program:
    return prices(seed, optimizer=adam(3e-3, weight_decay=0.1) if faulty else adam(3e-3))


@static("dict batches", "optimisation", "optimizer betas")
def betas_swapped(seed: int, faulty: bool) -> Program:
    return tags(seed, optimizer=adam(3e-3, betas=(0.999, 0.9)) if faulty else adam(3e-3))


@static("cnn", "optimisation", "scheduler")
def epochs_counted_in_steps(seed: int, faulty: bool) -> Program:
    """StepLR meant for epochs, stepped after every batch."""
    unit = "step" if faulty else "epoch"
    return images(seed, scheduler=lambda optimizer: StepLR(optimizer, 5, 0.1), scheduler_unit=unit)


@static("causal transformer", "optimisation", "scheduler")
def warm_up_of_another_run(seed: int, faulty: bool) -> Program:
    steps = 4000 if faulty else 20
    return language(seed, scheduler=lambda optimizer: LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / steps)))


# Data and their loaders.


@static("cnn", "data", "train_loader shuffle")
def sorted_and_not_shuffled(seed: int, faulty: bool) -> Program:
    return images(seed, sort=True, shuffle=not faulty)


@static("cnn", "data", "val_loader inputs")
def validation_not_normalized(seed: int, faulty: bool) -> Program:
    return images(seed, val_transform=(lambda x: x.float() / 255) if faulty else None, net=lambda: ImageNet())


class Rows(Dataset[Any]):
    """Rows of a table, standardised when they are read."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        reference = torch.tensor([[3.0, 100.0, 0.0, 4000.0, -1.0, 0.0], [1.0, 40.0, 0.2, 900.0, 1.0, 5.0]])
        self.x, self.y, (self.mean, self.std) = x, y, reference

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return (self.x[index] - self.mean) / self.std, self.y[index]


class RowsInPlace(Rows):
    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = self.x[index]
        row -= self.mean
        row /= self.std
        return row, self.y[index]


@static("mlp", "data", "train_loader inputs|train_loader dataset")
def rows_changed_in_place(seed: int, faulty: bool) -> Program:
    return table(seed, prepared=Tensor.clone, dataset=RowsInPlace if faulty else Rows)


@static("cnn", "data", "train_loader sampler|train_loader labels")
def sampler_weights_not_inverted(seed: int, faulty: bool) -> Program:
    def sampler(labels: Tensor) -> WeightedRandomSampler:
        counts = torch.bincount(labels, minlength=4).float()
        return WeightedRandomSampler((counts if faulty else 1 / counts)[labels].tolist(), len(labels))

    return images(seed, shares=[0.8, 0.1, 0.06, 0.04], sampler=sampler, metric=balanced, epochs=6)


@static("cnn", "data", "val_loader labels")
def classes_numbered_anew(seed: int, faulty: bool) -> Program:
    """The validation folder lacks a class, and numbers those that it has."""
    return images(seed, missing=1, val_labels=(lambda y: y - (y > 1).long()) if faulty else lambda y: y)


@static("mlp regression", "data|optimisation", "train_loader targets")
def prices_in_dollars(seed: int, faulty: bool) -> Program:
    return prices(seed, scaled=not faulty)


@static("mlp", "data", "train_loader inputs")
def columns_not_scaled(seed: int, faulty: bool) -> Program:
    return table(seed, prepared=Tensor.clone if faulty else lambda x: standardized(x, 600))


@static("mlp regression", "data", "train_loader targets")
def targets_cut_to_integers(seed: int, faulty: bool) -> Program:
    return prices(seed, targets=(lambda y: y.long().float()) if faulty else lambda y: y)


class MasksLeft(Masks):
    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, mask = self.x[index], self.y[index]
        if self.train and torch.rand(()) < 0.5:
            image = image.flip(-1)
        return image, mask


@static("segmentation", "data", "train_loader inputs|train_loader labels|train_loader targets|train_loader dataset")
def image_flipped_without_its_mask(seed: int, faulty: bool) -> Program:
    return segments(seed, dataset=MasksLeft if faulty else Masks)


@static("mlp", "data", "train_loader labels|train_loader targets")
def rows_shuffled_without_labels(seed: int, faulty: bool) -> Program:
    return table(seed, relabel=(lambda y: y[torch.randperm(len(y))]) if faulty else lambda y: y)


@static("recurrent", "data", "train_loader inputs")
def channels_reshaped(seed: int, faulty: bool) -> Program:
    return waves(seed, prepared=(lambda x: x.reshape(-1, 12, 2)) if faulty else lambda x: x.transpose(1, 2))


def noisy_itself(model: nn.Module, batch: Any) -> tuple[Any, Tensor]:
    noisy, clean = batch
    return model(noisy), clean


@static("autoencoder", "data|loss-contract", "forward|train_loader targets")
def noisy_input_as_target(seed: int, faulty: bool) -> Program:
    return codes(seed, forward=itself if faulty else noisy_itself, noise=1.0)


class EvaluatedBody(MaskNet):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.mid(self.down(x))
        return self.out(x)


@static("segmentation", "optimisation|modes-layers", "down*|mid*|model")
def body_without_gradient(seed: int, faulty: bool) -> Program:
    return segments(seed, net=EvaluatedBody if faulty else MaskNet)
