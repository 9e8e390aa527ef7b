"""`assay.ready.padding`: examples of unequal lengths as one batch, and which of its places are theirs."""

from __future__ import annotations

import torch

from assay.ready import padding


def test_places_and_their_mask() -> None:
    batch = padding.collate([torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0])])
    assert batch["values"].tolist() == [[1, 2, 3], [4, 0, 0]]
    assert batch["mask"].tolist() == [[True, True, True], [True, False, False]]


def test_rows_of_several_numbers() -> None:
    batch = padding.collate([torch.ones(1, 2), 2 * torch.ones(2, 2)])
    assert batch["values"].tolist() == [[[1, 1], [0, 0]], [[2, 2], [2, 2]]]
    assert batch["mask"].tolist() == [[True, False], [True, True]]


def test_the_mask_of_a_dict_is_that_of_what_differs_in_length() -> None:
    one, two = ({"fixed": torch.zeros(2), "text": torch.ones(length)} for length in (3, 1))
    batch = padding.collate([one, two])
    assert batch["text"].tolist() == [[1, 1, 1], [1, 0, 0]] and batch["fixed"].shape == (2, 2)
    assert batch["mask"].tolist() == [[True, True, True], [True, False, False]]
