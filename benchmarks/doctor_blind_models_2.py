"""Static faults of the second blind round, in models and losses: each beside its healthy twin.

Written from public lists of faults (operators of DeepCrime and DEFault++, patterns of PySiassist, workloads of
TrainCheck, questions that people ask) without reading a check of the doctor, and committed before the doctor saw any.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import doctor_blind_static_1
import torch
from doctor_blind_programs_1 import (
    Autoencoder,
    Block,
    ImageNet,
    LanguageNet,
    PairNet,
    PriceNet,
    Program,
    ResidualNet,
    TableNet,
    TextNet,
    codes,
    explained,
    images,
    language,
    pairs,
    prices,
    ranking,
    residual,
    segments,
    sgd,
    table,
    texts,
)
from doctor_blind_static_1 import DeepTable, Static
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

MODELS: dict[str, Static] = {}
static = partial(doctor_blind_static_1.static, into=MODELS)


def one_by_one(program: Program) -> Program:
    """The program whose test part comes a row at a time, as in use."""
    program.test = DataLoader(program.test.dataset, 1)
    return program


# Examples, time steps and padding that get mixed.


class GatedNet(TableNet):
    def __init__(self, axis: int) -> None:
        super().__init__()
        self.gate, self.axis = nn.Linear(6, 48), axis

    def forward(self, x: Tensor) -> Tensor:
        share = F.softmax(self.gate(x), dim=self.axis)
        return self.head(F.relu(self.second(F.relu(self.hidden(x)) * share * 30)))


@static("mlp", "mixing", "model|gate*")
def gate_softmax_over_the_batch(seed: int, faulty: bool) -> Program:
    return one_by_one(table(seed, lambda: GatedNet(0 if faulty else 1)))


class NormalizingNet(TableNet):
    """Standardises what it is given: by the row, or by the batch."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.hidden(x)
        hidden = hidden - hidden.mean(self.axis, keepdim=True)
        hidden = hidden / (hidden.std(self.axis, keepdim=True, unbiased=False) + 1e-5)
        return self.head(F.relu(self.second(F.relu(hidden))))


@static("mlp", "mixing", "model|hidden*")
def normalized_by_the_batch(seed: int, faulty: bool) -> Program:
    return one_by_one(table(seed, lambda: NormalizingNet(0 if faulty else 1)))


class CausalBlock(nn.Module):
    """Attention of two heads and a small network, written by hand."""

    def __init__(self, fault: str, width: int = 32, heads: int = 2) -> None:
        super().__init__()
        self.fault, self.heads = fault, heads
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 64), nn.Linear(64, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        normed = F.layer_norm(x, x.shape[1:]) if self.fault == "norm" else self.before(x)
        q, k, v = (part.view(n, t, self.heads, -1).transpose(1, 2) for part in self.qkv(normed).chunk(3, -1))
        scores = q @ k.transpose(-1, -2) / math.sqrt(c / self.heads)
        scores = scores.masked_fill(torch.triu(torch.ones(t, t, dtype=torch.bool), 1), -math.inf)
        mixed = scores.softmax(-2 if self.fault == "softmax" else -1) @ v
        mixed = mixed.reshape(n, t, c) if self.fault == "merge" else mixed.transpose(1, 2).reshape(n, t, c)
        x = x + self.out(mixed)
        return x + self.down(F.relu(self.up(self.after(x))))


class AttentionNet(nn.Module):
    def __init__(self, fault: str = "", words: int = 10, width: int = 32) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(words, width), nn.Embedding(16, width)
        self.blocks = nn.Sequential(CausalBlock(fault), CausalBlock(fault))
        self.head = nn.Linear(width, words)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(tokens) + self.place(torch.arange(tokens.shape[1]))))


@static("causal transformer", "mixing", "model|blocks*")
def softmax_over_queries(seed: int, faulty: bool) -> Program:
    return language(seed, lambda: AttentionNet("softmax" if faulty else ""))


@static("causal transformer", "mixing", "model|blocks*")
def heads_merged_without_transpose(seed: int, faulty: bool) -> Program:
    return language(seed, lambda: AttentionNet("merge" if faulty else ""))


@static("causal transformer", "mixing", "model|blocks*")
def norm_over_time(seed: int, faulty: bool) -> Program:
    return language(seed, lambda: AttentionNet("norm" if faulty else ""))


class AddedMask(LanguageNet):
    def mask(self, length: int) -> Tensor:
        return torch.triu(torch.ones(length, length), diagonal=1)


@static("causal transformer", "mixing", "model|encoder*")
def mask_of_ones_added(seed: int, faulty: bool) -> Program:
    """A mask of floats is added to the scores: ones are not minus infinity."""
    return language(seed, AddedMask if faulty else LanguageNet)


class ConvolvedTokens(nn.Module):
    def __init__(self, both: bool, width: int = 32) -> None:
        super().__init__()
        self.both, self.embed = both, nn.Embedding(10, width)
        self.first, self.second = nn.Conv1d(width, width, 3), nn.Conv1d(width, width, 3)
        self.head = nn.Linear(width, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        x, around = self.embed(tokens).transpose(1, 2), (1, 1) if self.both else (2, 0)
        x = F.relu(self.first(F.pad(x, around)))
        x = F.relu(self.second(F.pad(x, around)))
        return self.head(x.transpose(1, 2))


@static("causal convolutions", "mixing", "model|first*|second*")
def convolution_padded_on_both_sides(seed: int, faulty: bool) -> Program:
    return language(seed, lambda: ConvolvedTokens(faulty))


class HalvesNet(PairNet):
    def __init__(self, viewed: bool) -> None:
        super().__init__()
        self.viewed = viewed

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        both = self.encoder(torch.cat([left, right]))
        first, second = both.view(len(left), 2, -1).unbind(1) if self.viewed else both.chunk(2)
        return self.head((first - second).abs()).squeeze(1)


@static("two inputs", "mixing", "model|head*|encoder*")
def halves_viewed(seed: int, faulty: bool) -> Program:
    """Both inputs go through in one batch, and come back as neighbours."""
    return pairs(seed, lambda: HalvesNet(faulty))


# What the loss is given.


class OneShare(PairNet):
    def __init__(self, softmax: bool) -> None:
        super().__init__()
        self.softmax = softmax

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        score = self.head((self.encoder(left) - self.encoder(right)).abs())
        return (score.softmax(1) if self.softmax else score.sigmoid()).squeeze(1)


@static("two inputs", "start|loss-contract", "model|head*|loss")
def softmax_of_one_output(seed: int, faulty: bool) -> Program:
    return pairs(seed, lambda: OneShare(faulty), nn.BCELoss())


class LogNet(TableNet):
    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(super().forward(x), dim=self.axis)


@static("mlp", "loss-contract|mixing", "model|head*|loss")
def log_softmax_over_the_batch(seed: int, faulty: bool) -> Program:
    return table(seed, lambda: LogNet(0 if faulty else 1), nn.NLLLoss())


class ShareNet(TableNet):
    def __init__(self, cut: bool) -> None:
        super().__init__()
        self.cut = cut

    def forward(self, x: Tensor) -> Tensor:
        scores = super().forward(x)
        positive = scores.relu() if self.cut else scores.exp()
        return torch.log(positive / positive.sum(1, keepdim=True))


@static("mlp", "modes-layers|loss-contract|in-flight", "model|head*|loss")
def log_of_shares_by_relu(seed: int, faulty: bool) -> Program:
    return table(seed, lambda: ShareNet(faulty), nn.NLLLoss())


def squared_probability(output: Tensor, target: Tensor) -> Tensor:
    return F.mse_loss(output.sigmoid(), target)


def squared_decision(output: Tensor, target: Tensor) -> Tensor:
    return F.mse_loss(output.sigmoid().round(), target)


@static("two inputs", "optimisation|loss-contract", "loss|model|head*")
def prediction_rounded(seed: int, faulty: bool) -> Program:
    return pairs(seed, loss=squared_decision if faulty else squared_probability)


def balanced_decision(output: Tensor, target: Tensor) -> float:
    said, same = output > 0, target > 0.5
    return float((said[same].float().mean() + (~said[~same]).float().mean()) / 2)


@static("two inputs", "loss-contract|data", "loss")
def positive_weight_inverted(seed: int, faulty: bool) -> Program:
    """One pair of ten is positive: the weight is the share of positives over that of negatives."""
    program = pairs(seed, loss=nn.BCEWithLogitsLoss(pos_weight=torch.tensor(1 / 9 if faulty else 9.0)), same=0.1)
    program.metric = balanced_decision
    return program


def soft(target: Tensor) -> Tensor:
    return 0.9 * F.one_hot(target, 3).float() + 0.1 / 3


def divergence_of_logarithms(output: Tensor, target: Tensor) -> Tensor:
    return F.kl_div(output.log_softmax(1), soft(target), reduction="batchmean")


def divergence_of_logits(output: Tensor, target: Tensor) -> Tensor:
    return F.kl_div(output, soft(target), reduction="batchmean")


@static("mlp", "loss-contract", "loss|model|head*")
def divergence_of_raw_logits(seed: int, faulty: bool) -> Program:
    return table(seed, loss=divergence_of_logits if faulty else divergence_of_logarithms, optimizer=sgd(0.05))


class UncertainNet(PriceNet):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def by_log_variance(output: Tensor, target: Tensor) -> Tensor:
    mean, spread = output.unbind(1)
    return 0.5 * (spread + (target - mean) ** 2 * (-spread).exp()).mean()


def by_log_variance_as_variance(output: Tensor, target: Tensor) -> Tensor:
    mean, spread = output.unbind(1)
    return 0.5 * (spread + (target - mean) ** 2 / spread).mean()


def explained_mean(output: Tensor, target: Tensor) -> float:
    return explained(output[:, 0], target)


@static("mlp regression", "loss-contract|modes-layers", "loss")
def log_variance_as_variance(seed: int, faulty: bool) -> Program:
    program = prices(seed, UncertainNet, by_log_variance_as_variance if faulty else by_log_variance)
    program.metric = explained_mean
    return program


def likeness(output: Tensor, target: Tensor) -> Tensor:
    return F.cosine_similarity(output, target, dim=1).mean()


def unlikeness(output: Tensor, target: Tensor) -> Tensor:
    return 1 - likeness(output, target)


@static("autoencoder", "loss-contract", "loss")
def similarity_minimized(seed: int, faulty: bool) -> Program:
    program = codes(seed, loss=likeness if faulty else unlikeness)
    program.score = lambda given: float(
        torch.stack([likeness(given.model(x), clean) for x, clean in given.test]).mean()
    )
    program.metric = lambda output, target: float(likeness(output, target))
    return program


def overlap(shares: Tensor, target: Tensor) -> Tensor:
    wanted = F.one_hot(target, 3).permute(0, 3, 1, 2).float()
    both, each = (shares * wanted).sum((0, 2, 3)), (shares + wanted).sum((0, 2, 3))
    return 1 - (2 * both / (each + 1e-6)).mean()


def overlap_of_shares(output: Tensor, target: Tensor) -> Tensor:
    return overlap(output.softmax(1), target)


@static("segmentation", "loss-contract", "loss|model|out*")
def overlap_of_raw_logits(seed: int, faulty: bool) -> Program:
    return segments(seed, overlap if faulty else overlap_of_shares)


class DistantNet(PairNet):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return ((self.encoder(left) - self.encoder(right)).square().sum(1) + 1e-8).sqrt()


def contrastive(same: Tensor, distance: Tensor) -> Tensor:
    return (same * distance**2 + (1 - same) * F.relu(2 - distance) ** 2).mean()


@static("two inputs", "loss-contract", "loss|train_loader labels|train_loader targets")
def contrastive_labels_swapped(seed: int, faulty: bool) -> Program:
    """In the paper 1 means dissimilar, in the data similar."""
    program = pairs(seed, DistantNet, lambda d, same: contrastive(1 - same if faulty else same, d))
    program.metric = lambda output, target: ranking(-output, target)
    return program


class SparseNet(Autoencoder):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        code = self.encoder(x)
        return self.decoder(code), code


@static("autoencoder", "optimisation|loss-contract", "loss")
def sparsity_dominates(seed: int, faulty: bool) -> Program:
    """The share of the penalty, 0.001, was forgotten."""
    share = 1.0 if faulty else 1e-3
    return codes(seed, SparseNet, lambda o, t: F.mse_loss(o[0], t) + share * o[1].abs().sum(1).mean())


# Weights before the first step.


class AdaptedNet(TableNet):
    """A frozen network beside low-rank factors, of which one starts at nought."""

    def __init__(self, both: bool) -> None:
        super().__init__()
        for parameter in self.parameters():
            parameter.requires_grad = False
        self.low, self.high = nn.Parameter(torch.zeros(48, 16)), nn.Parameter(torch.zeros(16, 48))
        if not both:
            nn.init.normal_(self.low, std=0.2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.hidden(x))
        return self.head(F.relu(self.second(hidden) + hidden @ self.low @ self.high))


@static("mlp", "start|optimisation", "model|low|high")
def both_factors_nought(seed: int, faulty: bool) -> Program:
    return table(seed, lambda: AdaptedNet(faulty))


@static("mlp", "start|optimisation", "model|*weight|body*")
def initialized_too_small(seed: int, faulty: bool) -> Program:
    def small(weight: Tensor) -> None:
        nn.init.normal_(weight, std=0.01)

    return table(
        seed, lambda: DeepTable(nn.ReLU, small if faulty else nn.init.kaiming_uniform_, depth=5), optimizer=sgd(0.02)
    )


# Layers that are not there, or not in the mode they should be in.


@static("cnn", "modes-layers", "model|bn*")
def momentum_of_another_library(seed: int, faulty: bool) -> Program:
    """0.99 keeps 99 % there; here it takes 99 % of the last batch."""
    return images(seed, lambda: ImageNet(0.99 if faulty else 0.01), batch_size=8, optimizer=sgd(5e-3))


class DroppedPrice(PriceNet):
    def __init__(self, last: bool) -> None:
        super().__init__()
        self.drop, self.last = nn.Dropout(0.5), last

    def forward(self, x: Tensor) -> Tensor:
        if self.last:
            return self.drop(self.head(self.body(x)).squeeze(1))
        return self.head(self.body(x)).squeeze(1)


@static("mlp regression", "modes-layers", "model|drop*")
def dropout_on_the_output(seed: int, faulty: bool) -> Program:
    return prices(seed, lambda: DroppedPrice(faulty))


class FrozenNorms(ImageNet):
    """The habit of fine-tuning, on a network that was never trained."""

    def train(self, mode: bool = True) -> FrozenNorms:
        super().train(mode)
        self.bn1.eval()
        self.bn2.eval()
        return self


@static("cnn", "modes-layers", "model|bn*")
def untrained_norms_frozen(seed: int, faulty: bool) -> Program:
    return images(seed, FrozenNorms if faulty else ImageNet, transform=Tensor.float)


class StraightBlock(Block):
    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.down(F.relu(self.up(self.norm(x)))))


class DeepResidual(ResidualNet):
    def __init__(self, block: Any) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([block() for _ in range(14)])


@static("residual", "modes-layers|optimisation|start", "model|blocks*")
def skip_connection_missing(seed: int, faulty: bool) -> Program:
    return residual(seed, lambda: DeepResidual(StraightBlock if faulty else Block))


class Unplaced(TextNet):
    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.encoder(self.embed(tokens), src_key_padding_mask=tokens == 0)
        kept = (tokens != 0).unsqueeze(-1)
        return self.head((hidden * kept).sum(1) / kept.sum(1))


@static("encoder with padding", "mixing|optimisation|modes-layers", "model|pos|encoder*")
def positions_never_added(seed: int, faulty: bool) -> Program:
    return texts(seed, Unplaced if faulty else TextNet)


class OneBlock(ResidualNet):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block()] * 4)


@static("residual", "modes-layers", "model|blocks*")
def one_block_four_times(seed: int, faulty: bool) -> Program:
    return residual(seed, OneBlock if faulty else ResidualNet)


class ThrownAway(ResidualNet):
    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            block(x)
        return self.head(x)


@static("residual", "optimisation|modes-layers", "model|blocks*")
def result_thrown_away(seed: int, faulty: bool) -> Program:
    return residual(seed, ThrownAway if faulty else ResidualNet)


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * gradients[0]


class SquareWrong(Square):
    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return 2 * gradients[0]


class SquareNet(TableNet):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.second(self.function.apply(self.hidden(x)))))


@static("mlp", "modes-layers", "model|hidden*")
def backward_without_the_input(seed: int, faulty: bool) -> Program:
    return table(seed, lambda: SquareNet(SquareWrong if faulty else Square))


class Channels(ImageNet):
    """Pools over channels where it should pool over places."""

    def __init__(self, wrong: bool) -> None:
        super().__init__()
        self.wrong, self.fc = wrong, nn.Linear(9 if wrong else 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x).view(len(x), 16, 9)
        return self.fc(x.mean(1) if self.wrong else x.amax(2))


@static("cnn", "modes-layers|optimisation", "model|fc*")
def pooled_over_channels(seed: int, faulty: bool) -> Program:
    return images(seed, lambda: Channels(faulty))
