"""The rest of a loop, at the end of a tensor, is no replicate's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from miniature import Make
from test_fused import plan_of, steps
from torch import Tensor
from torch.nn import functional
from zoo import TASK

from assay.learning import device, spare, trust

Function = Callable[[Tensor], Tensor]

SAME: dict[str, Function] = {
    "relu": torch.relu,
    "leaky_relu": functional.leaky_relu,
    "hardswish": functional.hardswish,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
    "exp": torch.exp,
    "log": torch.log,
    "square": lambda x: x.pow(2),
    "rsqrt": torch.rsqrt,
    "softmax": lambda x: x.softmax(-1),
    "layer_norm": lambda x: functional.layer_norm(x, x.shape),
}
OTHERS: dict[str, Function] = {
    name: getattr(owner, name)
    for owner, names in (
        (torch, "atanh cosh exp2 sinh sigmoid erfc expm1 log1p sin cos asinh lgamma digamma erfinv logit i0"),
        (functional, "silu softplus elu selu celu mish logsigmoid softsign hardsigmoid tanhshrink"),
    )
    for name in names.split()
} | {
    "elu of negative numbers": lambda x: functional.elu(-x),
    "celu of negative numbers": lambda x: functional.celu(-x),
    "glu of negative numbers": lambda x: functional.glu(torch.cat([x, -x]), 0),
    "logsigmoid of negative numbers": lambda x: functional.logsigmoid(-x),
    "gelu by tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "glu": lambda x: functional.glu(torch.cat([x, 1 - x]), 0),
    "power": lambda x: x**1.5,
    "power of the gradient": lambda x: x**-0.5,
    **{f"power of {one}": lambda x, one=one: x.pow(one) for one in (0, 1, 3, 0.5, -1, -2)},
    "own exponent": lambda x: x**x,
    "binary cross-entropy": lambda x: functional.binary_cross_entropy_with_logits(x, 0.3 * x, reduction="none"),
    "logaddexp": lambda x: torch.logaddexp(x, 0.3 * x),
    "atan2": lambda x: torch.atan2(x, x + 1),
    "hypot": lambda x: torch.hypot(x, x + 1),
    "xlogy": lambda x: torch.xlogy(x, x),
    "poisson": lambda x: functional.poisson_nll_loss(x, x, reduction="none"),
}
EXAMPLES = 31


def passed(function: Function, rows: Tensor, place: int = 0) -> tuple[Tensor, Tensor, bool | None]:
    """(lanes, …) values and gradients of lanes, and whether they were seen to need spare ones.

    With `place` 1 lanes lie inside of examples in memory, as behind a convolution.
    """
    rest, leaf = spare.Rest(), rows.movedim(0, place).contiguous().movedim(place, 0).requires_grad_()
    with rest.watched():
        made = torch.vmap(function)(leaf)
        (gradient,) = torch.autograd.grad((made * made.detach().cos()).sum(), leaf)
    return made.detach(), gradient, rest.other


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("name", [*SAME, *OTHERS])
def test_whatever_differs_where_a_tensor_ends_is_seen(name: str, place: int, dtype: torch.dtype) -> None:
    function = {**SAME, **OTHERS}[name]
    rows = torch.rand(640, EXAMPLES, dtype=dtype, generator=torch.Generator().manual_seed(1)) * 0.9 + 0.05
    with device.threads(1):
        *whole, _ = passed(function, rows, place)
        for start in range(0, 640, 8):
            *few, seen = passed(function, rows[start : start + 3], place)
            for found, expected in zip(few, whole, strict=True):
                assert seen or torch.equal(found, expected[start : start + 3])


@pytest.mark.parametrize("name", SAME)
def test_common_functions_cost_no_lane(name: str) -> None:
    assert passed(SAME[name], torch.rand(3, EXAMPLES))[-1] is False


@pytest.mark.parametrize("examples", [1, 2, 3, 8, 31, 33, 41, 50, 64, 100])
def test_spare_lanes_hold_a_whole_rest(examples: int) -> None:
    lanes = spare.Rest().lanes(examples)
    for real in range(1, 40):
        for width in range(1, 40):
            rest = (real + lanes) * examples * width % spare.LOOP
            assert rest <= lanes * examples * width


@pytest.mark.parametrize("net", ["sequence", "convolution", "transformer", "recurrent"])
def test_watching_changes_nothing(make: Make, net: str) -> None:
    plan = plan_of(make(TASK, model={"net": net}))
    ends = []
    for known in (None, True):
        lanes = trust.fused(plan, [0, 1, 2])
        for rest in lanes.rests.values():
            rest.other = known
        ends.append((steps(plan, lanes, [0, 1, 2], 12), lanes.outputs(plan.evaluate.inputs)))
    assert all(torch.equal(one, two) for one, two in zip(*ends, strict=True))


def test_a_net_without_such_a_function_trains_no_spare_lanes(make: Make) -> None:
    counted = {}
    for net in ("perceptron", "sequence"):
        plan = plan_of(make(TASK, model={"net": net}))
        lanes = trust.fused(plan, [0, 1, 2])
        steps(plan, lanes, [0, 1, 2], 12)
        counted[net] = lanes.rests["training"].lanes(8)
    assert counted == {"perceptron": 0, "sequence": 4}
