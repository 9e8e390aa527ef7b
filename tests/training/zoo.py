"""Small networks of every supported kind, as one task: `model.net` picks one."""

TASK = """
    import math
    import torch
    from torch import nn

    class Attention(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.qkv, self.out, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads
        def forward(self, x):
            batch, length, width = x.shape
            split = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
            q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
            weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
            return self.out((weights @ v).transpose(1, 2).reshape(batch, length, width))

    class Transformer(nn.Module):
        def __init__(self, outputs, width=16):
            super().__init__()
            self.embed, self.place = nn.Linear(8, width), nn.Parameter(torch.zeros(8, width))
            self.norm, self.attend = nn.LayerNorm(width), Attention(width, 2)
            self.mix = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 32), nn.GELU(), nn.Dropout(0.1),
                                     nn.Linear(32, width))
            self.out = nn.Linear(width, outputs)
        def forward(self, x):
            x = self.embed(x) + self.place
            x = x + self.attend(self.norm(x))
            return self.out((x + self.mix(x)).mean(1))

    class Recurrent(nn.Module):
        def __init__(self, outputs, width=16):
            super().__init__()
            self.inner, self.again = nn.Linear(8, 3 * width), nn.Linear(width, 3 * width)
            self.out, self.width = nn.Linear(width, outputs), width
        def forward(self, x):
            state = x.new_zeros(x.shape[0], self.width)
            for step in range(8):
                r, z, n = self.inner(x[:, step]).chunk(3, -1)
                a, b, c = self.again(state).chunk(3, -1)
                z = (z + b).sigmoid()
                state = (1 - z) * (n + (r + a).sigmoid() * c).tanh() + z * state
            return self.out(state)

    class Embedded(nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.table = nn.Embedding(17, 4, padding_idx=0)
            self.norm, self.out = nn.GroupNorm(4, 64), nn.Linear(256, outputs)
        def forward(self, x):
            return self.out(self.norm(self.table((x.flatten(1) * 16).long())).flatten(1))

    class Tied(nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.one, self.two, self.out = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, outputs)
            self.two.weight = self.one.weight
        def forward(self, x):
            return self.out(self.two(self.one(x.flatten(1)).relu()).relu())

    class Frozen(nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.one, self.out = nn.Linear(64, 16), nn.Linear(16, outputs)
            self.one.weight.requires_grad_(False)
        def forward(self, x):
            return self.out(self.one(x.flatten(1)).relu())

    class Reassigned(nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.out = nn.Linear(64, outputs)
            self.register_buffer("mean", torch.zeros(64))
        def forward(self, x):
            x = x.flatten(1)
            if self.training:
                self.mean = 0.9 * self.mean + 0.1 * x.mean(0).detach()
            return self.out(x - self.mean)

    class Attribute(nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.out, self.scale = nn.Linear(64, outputs), random.random()
        def forward(self, x):
            return self.out(x.flatten(1)) * self.scale

    class Branching(nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.out = nn.Linear(64, outputs)
        def forward(self, x):
            made = self.out(x.flatten(1))
            return made * 2 if made.mean() > 0 else made

    class Masking(nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.out = nn.Linear(64, outputs)
        def forward(self, x):
            made = self.out(x.flatten(1)).clone()
            made[made < 0] = 0.0
            return made

    class Noisy(nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.out = nn.Linear(64, outputs)
        def forward(self, x):
            return self.out(x.flatten(1)) + (random.random() if self.training else 0.0)

    class Library(nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.rnn, self.out = nn.GRU(8, 8, batch_first=True), nn.Linear(8, outputs)
        def forward(self, x):
            return self.out(self.rnn(x)[0][:, -1])

    import random

    def convolution(outputs):
        return nn.Sequential(nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(),
                             nn.Dropout2d(0.1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(80, outputs))

    def perceptron(outputs):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(inplace=True), nn.Dropout(0.2),
                             nn.Linear(24, outputs))

    def normalised(outputs):
        # widths that no vector divides; statistics that are kept, never were, or are no longer
        ceased = nn.BatchNorm1d(11)
        ceased.track_running_stats = False
        return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64, affine=False), nn.Linear(64, 13), nn.BatchNorm1d(13),
                             nn.ReLU(), nn.Linear(13, 11), nn.BatchNorm1d(11, track_running_stats=False),
                             nn.Linear(11, 11), ceased, nn.Linear(11, outputs))

    def sequence(outputs):
        # functions that torch computes by another formula where a tensor ends; lanes that lie inside of examples
        return nn.Sequential(nn.Conv1d(8, 7, 3), nn.BatchNorm1d(7), nn.SiLU(), nn.Linear(6, 7), nn.Sigmoid(),
                             nn.Flatten(), nn.Linear(49, 1), nn.Mish(), nn.Linear(1, outputs))

    NETS = dict(perceptron=perceptron, convolution=convolution, normalised=normalised, sequence=sequence,
                transformer=Transformer, recurrent=Recurrent, embedded=Embedded, tied=Tied, frozen=Frozen,
                reassigned=Reassigned, attribute=Attribute, branching=Branching, masking=Masking, noisy=Noisy,
                library=Library)

    def model(shape, outputs, net="perceptron"):
        return NETS[net](outputs)

    def loss(outputs, targets):
        return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()

    def preprocess(inputs):
        return inputs.float() / 16
"""

FUSABLE = (
    "perceptron",
    "convolution",
    "normalised",
    "sequence",
    "transformer",
    "recurrent",
    "embedded",
    "tied",
    "frozen",
)
#: what cannot be fused, and what the note must name
BREAKING = {
    "reassigned": "'mean'",
    "attribute": "the loss differs from the sequential twin's",
    "branching": "Branching",
    "masking": "Masking",
    "noisy": "global generators",
    "library": "GRU 'rnn'",
}
