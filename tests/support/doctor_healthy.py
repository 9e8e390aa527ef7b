"""Healthy training programs in many styles, half of them odd but right: the doctor has to stay quiet on each.

Each function builds a small program and returns the arguments of `assay.doctor.examine`.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

PROGRAMS: dict[str, Any] = {}


def program(build):
    PROGRAMS[build.__name__] = build
    return build


def parts(model, loss, *data, size=16, rate=1e-3, **others):
    """Model, loss, Adam over what needs a gradient, a shuffled loader."""
    needed = [one for one in model.parameters() if one.requires_grad]
    loader = DataLoader(TensorDataset(*data), batch_size=size, shuffle=True)
    return {"model": model, "loss": loss, "optimizer": torch.optim.Adam(needed, rate), "train_loader": loader, **others}


def rows(count=96, width=8, classes=3):
    x = torch.randn(count, width)
    return x, (x @ torch.randn(width, classes)).argmax(1)


def mlp(inputs=8, outputs=3, hidden=16):
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def pictures(count=64):
    y = torch.arange(count) % 2
    return torch.randn(count, 3, 8, 8) + y[:, None, None, None], y


class Block(nn.Module):
    """A transformer block with pre-norm, causal or not."""

    def __init__(self, width=16, causal=False):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.causal = causal

    def forward(self, x, mask=None):
        q, k, v = (one.unsqueeze(1) for one in self.qkv(self.norm1(x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, mask, is_causal=self.causal).squeeze(1))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Language(nn.Module):
    def __init__(self, tied=False, vocabulary=11):
        super().__init__()
        self.embed, self.place = nn.Embedding(vocabulary, 16), nn.Embedding(32, 16)
        self.block, self.norm = Block(causal=True), nn.LayerNorm(16)
        self.head = nn.Linear(16, vocabulary, bias=False)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(self.norm(self.block(self.embed(x) + self.place(torch.arange(x.shape[1])))))


def flat(output, target):
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


@program
def plain_classifier():
    return parts(mlp(), F.cross_entropy, *rows())


@program
def loss_is_a_module_with_label_smoothing():
    return parts(mlp(), nn.CrossEntropyLoss(label_smoothing=0.1), *rows())


@program
def balanced_class_weights():
    x, y = rows(classes=2)
    y[:72] = 0
    counts = torch.bincount(y, minlength=2).float()
    return parts(mlp(outputs=2), nn.CrossEntropyLoss(weight=counts.sum() / counts), x, y)


@program
def zero_initialised_head():
    model = mlp()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    return parts(model, F.cross_entropy, *rows())


class Lora(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(2, base.in_features) * 0.1)
        self.b = nn.Parameter(torch.zeros(base.out_features, 2))

    def forward(self, x):
        return self.base(x) + F.linear(F.linear(x, self.a), self.b)


@program
def lora():
    model = nn.Sequential(Lora(nn.Linear(8, 16)), nn.ReLU(), Lora(nn.Linear(16, 3)))
    return parts(model, F.cross_entropy, *rows())


@program
def adaptive_norm_zero():
    class Adaptive(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.inner = nn.Linear(8, 8), nn.Linear(8, 8)
            self.modulation, self.last = nn.Linear(4, 24), nn.Linear(8, 8)
            for one in (self.modulation, self.last):
                nn.init.zeros_(one.weight)
                nn.init.zeros_(one.bias)

        def forward(self, x, time):
            shift, scale, gate = self.modulation(F.silu(time)).chunk(3, -1)
            x = self.embed(x)
            x = x + gate * self.inner(F.layer_norm(x, (8,)) * (1 + scale) + shift)
            return self.last(x)

    x = torch.randn(64, 8)
    return parts(Adaptive(), F.mse_loss, x, torch.randn(64, 4), torch.randn(64, 8))


@program
def zero_gamma_residual_net():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.conv1, self.conv2 = (nn.Conv2d(n, 8, 3, padding=1) for n in (3, 8, 8))
            self.norm1, self.norm2, self.head = nn.BatchNorm2d(8), nn.BatchNorm2d(8), nn.Linear(8, 2)
            nn.init.zeros_(self.norm2.weight)

        def forward(self, x):
            x = self.stem(x)
            x = F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)), inplace=True))))
            return self.head(x.mean((2, 3)))

    return parts(Residual(), F.cross_entropy, *pictures())


@program
def tied_language_model():
    text = torch.randint(0, 11, (48, 13))
    return parts(Language(tied=True), flat, text[:, :-1], text[:, 1:])


@program
def language_model_that_shifts_in_its_loss():
    text = torch.randint(0, 11, (48, 12))
    return parts(Language(), lambda o, t: flat(o[:, :-1], t[:, 1:]), text, text)


@program
def frozen_encoder():
    encoder = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = nn.Sequential(encoder.requires_grad_(False).eval(), nn.Linear(8, 2))
    return parts(model, F.cross_entropy, *pictures())


@program
def extractor_left_out_of_the_optimizer():
    model = mlp()
    found = parts(model, F.cross_entropy, *rows())
    return {**found, "optimizer": torch.optim.SGD(model[2].parameters(), 0.1, momentum=0.9)}


@program
def two_optimizers():
    model = mlp()
    found = parts(model, F.cross_entropy, *rows())
    given = [torch.optim.SGD(model[0].parameters(), 0.1), torch.optim.Adam(model[2].parameters())]
    return {**found, "optimizer": given}


@program
def group_norm_segmentation():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.SiLU(), nn.Conv2d(8, 3, 1))
    masks = torch.randint(0, 3, (32, 8, 8))
    masks[:, :2] = 255
    return parts(model, nn.CrossEntropyLoss(ignore_index=255), torch.randn(32, 3, 8, 8), masks)


@program
def dice_loss():
    def dice(output, target):
        p = output.sigmoid()
        return 1 - (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)

    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
    return parts(model, dice, torch.randn(32, 3, 8, 8), (torch.rand(32, 1, 8, 8) > 0.7).float())


@program
def autoencoder():
    model = nn.Sequential(nn.Linear(8, 3), nn.ReLU(), nn.Linear(3, 8))
    return parts(model, F.mse_loss, torch.randn(64, 8), forward=lambda model, batch: (model(batch[0]), batch[0]))


@program
def linear_autoencoder():
    model = nn.Sequential(nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False))
    x = torch.randn(64, 8)
    return parts(model, F.mse_loss, x, x)


@program
def variational_autoencoder():
    class Variational(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.mean, self.spread = nn.Linear(8, 16), nn.Linear(16, 2), nn.Linear(16, 2)
            self.decode = mlp(2, 8)

        def forward(self, x):
            h = F.relu(self.encode(x))
            mean, spread = self.mean(h), self.spread(h)
            z = mean + torch.randn_like(mean) * (spread / 2).exp()
            return torch.sigmoid(self.decode(z)), mean, spread

    def elbo(output, target):
        made, mean, spread = output
        distance = -0.5 * (1 + spread - mean**2 - spread.exp()).sum(1).mean()
        return F.binary_cross_entropy(made, target, reduction="sum") / len(target) + distance

    x = torch.rand(64, 8)
    return parts(Variational(), elbo, x, x)


@program
def contrastive_pairs():
    class Pairs(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right, self.scale = mlp(8, 4), mlp(8, 4), nn.Parameter(torch.tensor(2.0))

        def forward(self, a, b):
            a, b = F.normalize(self.left(a), dim=-1), F.normalize(self.right(b), dim=-1)
            return a @ b.T * self.scale.exp()

    def symmetric(output, _):
        same = torch.arange(len(output))
        return (F.cross_entropy(output, same) + F.cross_entropy(output.T, same)) / 2

    a = torch.randn(64, 8)
    return parts(Pairs(), symmetric, a, a + torch.randn(64, 8) / 5, torch.zeros(64))


@program
def supervised_triplets():
    def hardest(output, target):
        far = torch.cdist(output, output)
        same = target[:, None] == target[None]
        return F.relu((far * same).amax(1) - (far + 1e3 * same).amin(1) + 0.5).mean()

    return parts(mlp(outputs=4), hardest, *rows())


@program
def regression_with_sum_and_percent_metric():
    def percent(output, target):
        return 100 * ((output - target).abs() / target.abs().clamp_min(0.1)).mean()

    x = torch.randn(64, 8)
    return parts(mlp(outputs=1), nn.MSELoss(reduction="sum"), x, x.sum(1, keepdim=True), metric=percent)


@program
def squeezed_regression():
    x = torch.randn(64, 8)
    return parts(mlp(outputs=1), lambda o, t: F.smooth_l1_loss(o.squeeze(1), t), x, x.sum(1))


@program
def counts_with_poisson():
    x = torch.randn(64, 8)
    return parts(mlp(outputs=1), nn.PoissonNLLLoss(), x, torch.poisson(x[:, :1].exp()))


@program
def sigmoid_regression_in_range():
    model = nn.Sequential(mlp(outputs=2), nn.Sigmoid())
    x = torch.randn(64, 8)
    return parts(model, F.mse_loss, x, torch.rand(64, 2))


@program
def multi_label():
    x, _ = rows()
    weight = torch.tensor([3.0, 3.0, 3.0, 3.0])
    return parts(mlp(outputs=4), nn.BCEWithLogitsLoss(pos_weight=weight), x, (torch.rand(96, 4) > 0.75).float())


@program
def log_softmax_and_nll():
    return parts(nn.Sequential(mlp(), nn.LogSoftmax(1)), F.nll_loss, *rows())


@program
def soft_targets_with_kl():
    x, y = rows()
    soft = F.softmax(3 * F.one_hot(y, 3).float(), 1)
    return parts(nn.Sequential(mlp(), nn.LogSoftmax(1)), nn.KLDivLoss(reduction="batchmean"), x, soft)


@program
def mixed_targets():
    x, y = rows()
    return parts(mlp(), F.cross_entropy, x, 0.7 * F.one_hot(y, 3) + 0.3 * F.one_hot(y.roll(1), 3))


@program
def focal_loss():
    def focal(output, target):
        each = F.cross_entropy(output, target, reduction="none")
        return ((1 - (-each).exp()) ** 2 * each).mean()

    return parts(mlp(), focal, *rows())


@program
def speech_with_ctc():
    class Speech(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent, self.head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 4)

        def forward(self, x):
            return self.head(self.recurrent(x)[0]).log_softmax(-1)

    def ctc(output, target):
        lengths = torch.full((len(output),), output.shape[1])
        return F.ctc_loss(output.transpose(0, 1), target, lengths, torch.full((len(output),), target.shape[1]))

    return parts(Speech(), ctc, torch.randn(32, 12, 5), torch.randint(1, 4, (32, 3)))


@program
def time_first_recurrent_net():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent, self.head = nn.LSTM(5, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.recurrent(x)[0][-1])

    model = Last()
    data = [(torch.randn(6, 5), one % 2) for one in range(32)]

    def collate(chosen):
        return torch.stack([x for x, _ in chosen], 1), torch.tensor([y for _, y in chosen])

    loader = DataLoader(data, batch_size=8, shuffle=True, collate_fn=collate)
    return {
        "model": model,
        "loss": F.cross_entropy,
        "optimizer": torch.optim.Adam(model.parameters()),
        "train_loader": loader,
    }


class Padded(nn.Module):
    """A bag of words that leaves padding out, with attention over the rest."""

    def __init__(self):
        super().__init__()
        self.embed, self.block, self.head = nn.Embedding(11, 16, padding_idx=0), Block(), nn.Linear(16, 2)

    def forward(self, x):
        real = x != 0
        h = self.block(self.embed(x), real[:, None, None])
        return self.head((h * real[..., None]).sum(1) / real.sum(1, keepdim=True))


@program
def encoder_with_padding():
    x = torch.randint(1, 11, (48, 9))
    for row in range(48):
        x[row, 3 + row % 5 :] = 0
    return parts(Padded(), F.cross_entropy, x, x[:, 0] % 2, pad_id=0)


@program
def dict_batches():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.head = nn.EmbeddingBag(11, 8), nn.Linear(10, 2)

        def forward(self, words, numbers):
            return {"logits": self.head(torch.cat([self.words(words), numbers], 1))}

    model = Two()
    data = [{"words": torch.randint(0, 11, (5,)), "numbers": torch.randn(2), "labels": one % 2} for one in range(32)]
    loader = DataLoader(data, batch_size=8, shuffle=True)
    given = {"loss": lambda o, t: F.cross_entropy(o["logits"], t), "optimizer": torch.optim.AdamW(model.parameters())}
    return {"model": model, "train_loader": loader, **given}


@program
def graph_of_one_batch():
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x, links):
            return self.two(links @ F.relu(self.one(links @ x)))

    x, y = rows(24)
    links = (torch.rand(24, 24) > 0.8).float() + torch.eye(24)
    model = Graph()
    given = {"model": model, "loss": F.cross_entropy, "optimizer": torch.optim.Adam(model.parameters())}
    return {**given, "train_loader": [(x, links / links.sum(1, keepdim=True), y)]}


@program
def critic_of_a_gan():
    critic, made = mlp(2, 1), nn.Linear(4, 2)

    def forward(model, batch):
        fake = made(torch.randn(len(batch[0]), 4)).detach()
        return model(torch.cat([batch[0], fake])), torch.cat([torch.ones(len(fake), 1), torch.zeros(len(fake), 1)])

    return parts(critic, F.binary_cross_entropy_with_logits, torch.randn(64, 2), forward=forward, task="gan")


@program
def policy_gradient():
    def reinforce(output, target):
        chosen = torch.distributions.Categorical(logits=output)
        action = chosen.sample()
        return -(chosen.log_prob(action) * (action == target).float().sub(0.3)).mean() - 0.01 * chosen.entropy().mean()

    return parts(mlp(), reinforce, *rows())


@program
def self_distillation_with_a_teacher():
    class Taught(nn.Module):
        def __init__(self):
            super().__init__()
            self.student = mlp()
            self.teacher = [copy.deepcopy(self.student).requires_grad_(False)]

        def forward(self, x):
            with torch.no_grad():
                aim = self.teacher[0](x)
            return self.student(x), aim

    def distil(output, target):
        made, aim = output
        return F.cross_entropy(made, target) + F.kl_div((made / 2).log_softmax(1), (aim / 2).softmax(1))

    return parts(Taught(), distil, *rows())


@program
def quantised_codes():
    class Codes(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.decode, self.codes = nn.Linear(8, 4), nn.Linear(4, 8), nn.Parameter(torch.randn(6, 4))

        def forward(self, x):
            z = self.encode(x)
            code = self.codes[torch.cdist(z, self.codes).argmin(1)]
            kept = F.mse_loss(code, z.detach()) + 0.25 * F.mse_loss(z, code.detach())
            return self.decode(z + (code - z).detach()), kept

    x = torch.randn(64, 8)
    return parts(Codes(), lambda o, t: F.mse_loss(o[0], t) + o[1], x, x)


@program
def modules_used_by_some_batches():
    class Routed(nn.Module):
        def __init__(self):
            super().__init__()
            self.experts, self.gate = nn.ModuleList(mlp() for _ in range(4)), nn.Linear(8, 4)

        def forward(self, x):
            weight, chosen = self.gate(x).softmax(1).max(1)
            made = torch.zeros(len(x), 3)
            for number, expert in enumerate(self.experts):
                at = chosen == number
                if at.any():
                    made[at] = expert(x[at])
            return made * weight[:, None]

    return parts(Routed(), F.cross_entropy, *rows())


@program
def warm_up_from_zero():
    found = parts(mlp(), F.cross_entropy, *rows())
    schedule = torch.optim.lr_scheduler.LambdaLR(found["optimizer"], lambda step: min(step / 10, 1))
    return {**found, "scheduler": schedule, "scheduler_unit": "step"}


@program
def soft_capped_logits():
    class Capped(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def forward(self, x):
            return 30 * torch.tanh(self.inner(x) / 30)

    return parts(Capped(), F.cross_entropy, *rows())


@program
def missing_values_behind_a_mask():
    class Filled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp(16)

        def forward(self, x):
            return self.inner(torch.cat([x.nan_to_num(), x.isnan().float()], 1))

    x, y = rows()
    x[torch.rand_like(x) > 0.9] = torch.nan
    return parts(Filled(), F.cross_entropy, x, y)


@program
def small_tables_with_repeats():
    x = torch.randint(0, 2, (128, 4)).float()
    y = (x.sum(1) % 2).long()
    validation = DataLoader(TensorDataset(x[96:], y[96:]), batch_size=16)
    return parts(mlp(4, 2), F.cross_entropy, x[:96], y[:96], val_loader=validation)


@program
def stream_without_a_length():
    class Stream(IterableDataset):
        def __iter__(self):
            while True:
                x = torch.randn(8)
                yield x, (x[0] > 0).long()

    model = mlp(outputs=2)
    loader = DataLoader(Stream(), batch_size=16)
    return {
        "model": model,
        "loss": F.cross_entropy,
        "optimizer": torch.optim.Adam(model.parameters()),
        "train_loader": loader,
    }


@program
def forecasting_in_bidirectional_context():
    """The future is given as an input of its own, known beforehand, as calendars are."""

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent, self.head = nn.GRU(3, 8, batch_first=True, bidirectional=True), nn.Linear(16, 1)

        def forward(self, x):
            return self.head(self.recurrent(x)[0])

    x = torch.randn(48, 7, 3)
    return parts(Both(), F.l1_loss, x, x.cumsum(1)[..., :1])


@program
def texts_beside_numbers():
    """Texts differ where numbers repeat, in validation as in training."""
    model = nn.EmbeddingBag(64, 2)
    data = [{"text": f"case {one}", "length": 6, "labels": one % 2} for one in range(96)]

    def collate(chosen):
        codes = [[ord(letter) % 64 for letter in one["text"][-6:].ljust(6)] for one in chosen]
        return torch.tensor(codes), torch.tensor([one["labels"] for one in chosen])

    loaders = [DataLoader(part, batch_size=8, shuffle=True, collate_fn=collate) for part in (data[:64], data[64:])]
    given = {"model": model, "loss": F.cross_entropy, "optimizer": torch.optim.SGD(model.parameters(), 0.1)}
    return {**given, "train_loader": loaders[0], "val_loader": loaders[1]}


@program
def target_before_the_index():
    x, y = rows()
    return parts(mlp(), F.cross_entropy, x, y, torch.arange(96))


@program
def negatives_from_the_same_batch():
    class Ranked(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp(outputs=4)

        def forward(self, x):
            z = F.normalize(self.inner(x), dim=1)
            near = F.normalize(self.inner(x + 0.1 * torch.randn_like(x)), dim=1)
            return torch.stack([(z * near).sum(1), (z * near.roll(1, 0)).sum(1)], 1) * 5

    x = torch.randn(64, 8)
    return parts(Ranked(), lambda o, _: F.cross_entropy(o, torch.zeros(len(o)).long()), x, torch.zeros(64))


@program
def mask_beside_the_result():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def forward(self, x):
            return torch.ones(len(x), 4), self.inner(x)

    return parts(Both(), lambda o, t: F.cross_entropy(o[1], t), *rows())


@program
def masked_language_model():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.block, self.head = nn.Embedding(11, 16), Block(), nn.Linear(16, 11)

        def forward(self, x):
            return self.head(self.block(self.embed(x)))

    text = torch.randint(1, 11, (48, 12))
    hidden = torch.rand(48, 12) < 0.3
    loss = lambda o, t: F.cross_entropy(o.flatten(0, 1), t.flatten(), ignore_index=-100)  # noqa: E731
    return parts(Masked(), loss, text.masked_fill(hidden, 0), text.masked_fill(~hidden, -100))
