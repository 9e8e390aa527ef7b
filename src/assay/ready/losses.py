"""Ready losses, by name: `loss.name: focal` in params.yaml, or from here in a task's own learning.py.

Each is `(outputs, targets, *, options) -> scalar`, the mean over the entries of a batch, as torch.nn has it where torch
has it; each works in lanes. Targets of classes are numbers (B, …), where -1 among more than one dimension is padding
and does not count, or probabilities (B, …, K), as mixup makes them. Outputs have the classes in the last place, or in
the second, as convolutions have them. Not covered: which loss suits which problem (docs/recipe.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

#: keeps the cosine of a vector of zeros finite, as in torch.nn.CosineEmbeddingLoss
SMALLEST = 1e-12


def cross_entropy(
    outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0, class_weights: Sequence[float] | None = None
) -> Tensor:
    """Nats from logits (`nn.CrossEntropyLoss`); smoothing after Szegedy et al. 2016, section 7."""
    logits = _classes_last(outputs, targets)
    chances, count = logits.log_softmax(-1), logits.shape[-1]
    weights = None if class_weights is None else chances.new_tensor(class_weights)
    if targets.is_floating_point():
        goals = targets * (1 - label_smoothing) + label_smoothing / count if label_smoothing else targets
        each = -chances * goals if weights is None else -chances * goals * weights
        return each.sum(-1).mean()
    labels = targets.clamp(min=0)
    nats = -chances.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    if weights is None and not label_smoothing and targets.ndim == 1:
        return nats.mean()
    counted = _counted(targets, nats)
    share = counted if weights is None else counted * weights[labels]
    total = share.sum()
    loss = (nats * share).sum() / total
    if not label_smoothing:
        return loss
    everywhere = -(chances if weights is None else chances * weights).sum(-1)
    return (1 - label_smoothing) * loss + label_smoothing / count * (everywhere * counted).sum() / total


def focal(
    outputs: Tensor, targets: Tensor, *, gamma: float = 2.0, class_weights: Sequence[float] | None = None
) -> Tensor:
    """Cross-entropy times (1 - p)^gamma: what is right already counts less (Lin et al. 2017, eq. 5, by softmax)."""
    logits = _classes_last(outputs, targets)
    chances = logits.log_softmax(-1)
    each = -chances * (-chances.expm1()) ** gamma
    if class_weights is not None:
        each = each * chances.new_tensor(class_weights)
    if targets.is_floating_point():
        return (each * targets).sum(-1).mean()
    chosen = each.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return _mean(chosen, targets)


def bce(outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0, pos_weight: float = 1.0) -> Tensor:
    """Binary cross-entropy from logits (`nn.BCEWithLogitsLoss`): each output a yes or no of its own.

    Numbers of classes count as one yes among K outputs; padding does not count. Smoothing moves 0 and 1 to eps/2 and
    1 - eps/2.
    """
    whole = not targets.is_floating_point()
    if whole and outputs.ndim == targets.ndim + 1 and outputs.shape[-1] != 1:
        outputs = _classes_last(outputs, targets)
        goals = _one_hot(targets, outputs)
    else:
        outputs = outputs.reshape(targets.shape)
        goals = targets.to(outputs.dtype)
    if label_smoothing:
        goals = goals * (1 - label_smoothing) + label_smoothing / 2
    yes, no = functional.logsigmoid(outputs), functional.logsigmoid(-outputs)
    each = -(pos_weight * goals * yes + (1 - goals) * no)
    if not whole or each.ndim == targets.ndim:
        return each.mean()
    return _mean(each.mean(-1), targets)


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error (`nn.MSELoss`)."""
    return (outputs.reshape(targets.shape) - targets).square().mean()


def mae(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error (`nn.L1Loss`)."""
    return (outputs.reshape(targets.shape) - targets).abs().mean()


def huber(outputs: Tensor, targets: Tensor, *, delta: float = 1.0) -> Tensor:
    """Squared up to `delta`, absolute beyond it (Huber 1964; `nn.HuberLoss`)."""
    error = (outputs.reshape(targets.shape) - targets).abs()
    return torch.where(error <= delta, 0.5 * error.square(), delta * (error - 0.5 * delta)).mean()


def hinge(outputs: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    """How far each other class comes within `margin` of the right one (`nn.MultiMarginLoss`)."""
    scores = _classes_last(outputs, targets)
    right = scores.gather(-1, targets.clamp(min=0).unsqueeze(-1))
    over = (margin - right + scores).clamp(min=0).sum(-1) - margin  # less the right class itself
    return _mean(over / scores.shape[-1], targets)


def dice(outputs: Tensor, targets: Tensor, *, smooth: float = 1.0) -> Tensor:
    """1 - mean over the classes of soft Dice, 2 |A and B| / (|A| + |B|), over a batch (Milletari et al. 2016, eq. 3,
    without squares)."""
    chances = _classes_last(outputs, targets).softmax(-1)
    soft = targets.is_floating_point()
    goals = targets if soft else _one_hot(targets, chances)
    if not soft:
        chances = chances * _counted(targets, chances).unsqueeze(-1)
    chances, goals = chances.flatten(0, -2), goals.flatten(0, -2)
    both, sizes = (chances * goals).sum(0), chances.sum(0) + goals.sum(0)
    return 1 - ((2 * both + smooth) / (sizes + smooth)).mean()


def kl(outputs: Tensor, targets: Tensor) -> Tensor:
    """Kullback-Leibler divergence of predicted probabilities from those in the targets, in nats (`nn.KLDivLoss`)."""
    chances = _classes_last(outputs, targets).log_softmax(-1)
    soft = targets.is_floating_point()
    goals = targets if soft else _one_hot(targets, chances)
    each = (torch.special.xlogy(goals, goals) - goals * chances).sum(-1)
    return each.mean() if soft else _mean(each, targets)


def cosine(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 - cosine between vectors (`nn.CosineEmbeddingLoss` of pairs that belong together)."""
    made = outputs.reshape(targets.shape)
    squares = (made.square().sum(-1) + SMALLEST) * (targets.square().sum(-1) + SMALLEST)
    return (1 - (made * targets).sum(-1) / squares.sqrt()).mean()


def contrastive(outputs: Tensor, targets: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Pulls outputs (B, D) of one class together and others apart (supervised, Khosla et al. 2020, eq. 2).

    An example without another of its class in the batch does not count.
    """
    ways = functional.normalize(outputs, dim=-1)
    alike = ways @ ways.T / temperature
    itself = torch.eye(len(alike), dtype=torch.bool, device=alike.device)
    among = alike.masked_fill(itself, -torch.inf).logsumexp(1, keepdim=True)
    partner = (targets[:, None] == targets[None, :]) & ~itself
    partners = partner.sum(1)
    each = -torch.where(partner, alike - among, 0.0).sum(1) / partners.clamp(min=1)
    return each.sum() / (partners > 0).sum().clamp(min=1)


def _classes_last(outputs: Tensor, targets: Tensor) -> Tensor:
    """`outputs` with the classes in the last place."""
    if targets.is_floating_point() or outputs.shape[:-1] == targets.shape:
        return outputs
    return outputs.movedim(1, -1)


def _one_hot(targets: Tensor, like: Tensor) -> Tensor:
    """(…, K) 1 at each class, 0 everywhere for padding."""
    classes = torch.arange(like.shape[-1], device=targets.device)
    return (targets.unsqueeze(-1) == classes).to(like.dtype)


def _counted(targets: Tensor, like: Tensor) -> Tensor:
    """1 for each entry that counts, 0 for padding."""
    return (targets >= 0).to(like.dtype)


def _mean(each: Tensor, targets: Tensor) -> Tensor:
    """Mean over the entries that count."""
    if targets.ndim == 1:
        return each.mean()
    counted = _counted(targets, each)
    return (each * counted).sum() / counted.sum().clamp(min=1)
