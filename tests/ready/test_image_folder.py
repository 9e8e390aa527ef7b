"""The ready task for images in folders, and all that can be wrong with such a folder: counted and named, file first."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from assay.core.errors import UsageError
from assay.data.encoded_file import EncodedFile
from assay.ready import image_files, image_folder
from support.broken_images import size_only_png


def photos(folder: Path, count: int = 12) -> Path:
    """Two classes: bright above, and bright below."""
    chance = np.random.default_rng(0)
    for label, name in enumerate(("above", "below")):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            shown = chance.integers(0, 100, (20 + number, 24, 3), dtype=np.uint8)
            shown[label * len(shown) // 2 :][: len(shown) // 2] += 150
            Image.fromarray(shown).save(folder / name / f"{number:03}.png")
    return folder


def cut_off(path: Path) -> None:
    whole = (path.parent / "003.png").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def linked_out(path: Path) -> None:
    target = path.parents[2] / "elsewhere.png"
    target.write_bytes((path.parent / "003.png").read_bytes())
    path.symlink_to(target)


def float_mode(path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(path.with_suffix(".tiff"))


BAD: list[tuple[str, Callable[[Path], object], str]] = [
    ("corrupt.png", lambda path: path.write_bytes(b"no image"), "images that are broken or cut off"),
    ("empty.jpg", lambda path: path.write_bytes(b""), "images that are broken or cut off"),
    ("cut.png", cut_off, "images that are broken or cut off"),
    ("bomb.png", lambda path: size_only_png(path, 9000, 9000), "images of more than 50,000,000 pixels"),
    ("larger.png", lambda path: size_only_png(path, 60000, 60000), "images of more than 50,000,000 pixels"),
    ("link.png", linked_out, "links that leave the folder"),
    ("float.tiff", float_mode, "images of a mode that has no colours"),
]


@pytest.mark.parametrize(("name", "make_bad", "reason"), BAD, ids=[one[0] for one in BAD])
def test_bad_images_are_named_and_refused_above_a_share(
    name: str, make_bad: Callable[[Path], object], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photos(tmp_path / "photos")
    make_bad(folder / "above" / name)
    with pytest.raises(UsageError) as error:
        image_folder.prepare(folder=str(folder))
    said = error.value.sentence
    assert said.startswith(f"{folder}/above/{name}") and f"one of 1 {reason}; 1 of 25 images cannot" in said
    assert "allowed: a share of 0.01 (data.unreadable); next: " in said
    assert "0x" not in said, "no address in memory"
    found = image_folder.prepare(folder=str(folder), unreadable=0.05)
    assert (
        len(found["inputs"]) == 24
        and f"left out: 1 {reason}, the first {folder}/above/{name}" in capsys.readouterr().out
    )


def test_a_class_that_is_a_link_out_of_the_folder(tmp_path: Path) -> None:
    """Its images are counted as any link that leaves, and not taken in silence."""
    folder = photos(tmp_path / "photos")
    shutil.copytree(folder / "above", tmp_path / "elsewhere")
    (folder / "linked").symlink_to("../elsewhere")
    with pytest.raises(UsageError, match=r"linked/000.png: one of 12 links that leave the folder; 12 of 36 images"):
        image_folder.prepare(folder=str(folder))


def test_what_is_no_image_is_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = photos(tmp_path / "photos")
    for name in (".DS_Store", "above/.hidden.png", "above/notes.txt", "labels.csv"):
        (folder / name).write_bytes(b"x")
    (folder / ".cache").mkdir()
    (folder / "above" / "more").mkdir()
    (folder / "above" / "000.png").rename(folder / "above" / "more" / "000.png")
    found = image_folder.prepare(folder=str(folder))
    assert found["classes"] == ["above", "below"] and len(found["inputs"]) == 24
    said = capsys.readouterr().out
    assert "3 hidden files" in said and "2 files that are no images by their ending" in said


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: (folder / "empty").mkdir(), r"1 of 3 classes have no image: .*empty; allowed: two images"),
        (lambda folder: [path.unlink() for path in sorted((folder / "above").iterdir())[1:]], "have a single image"),
        (lambda folder: (folder / "above").rename(folder.parent / "gone"), "has 1 folders of images"),
        (lambda folder: folder.rename(folder.parent / "gone"), "is no folder; next: set the path under data:"),
    ],
)
def test_folders_that_cannot_be_learned_from(change: Callable[[Path], object], sentence: str, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    change(folder)
    with pytest.raises(UsageError, match=sentence):
        image_folder.prepare(folder=str(folder))


def seen(path: Path, size: int = 8) -> torch.Tensor:
    return image_folder.decode(EncodedFile(path.name, path.read_bytes()), size=size)


def test_every_mode_and_size_becomes_the_same_colours(tmp_path: Path) -> None:
    """Whatever the file: a grey image of 200 is 200 in each colour; transparent is white."""
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"):
        path = tmp_path / f"{mode}.tiff" if mode in ("CMYK", "YCbCr") else tmp_path / f"{mode}.png"
        Image.new("RGB", (13, 31), (255,) * 3).convert(mode).save(path)
        assert seen(path).shape == (3, 8, 8) and seen(path).float().mean() > 250
    Image.fromarray(np.full((9, 9), 200 * 256, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert (seen(tmp_path / "deep.png") == 200).all()
    Image.new("RGBA", (5, 5), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (seen(tmp_path / "clear.png") == 255).all()


def test_an_image_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    upright = np.zeros((16, 16, 3), dtype=np.uint8)
    upright[:8] = 255  # bright above
    image = Image.fromarray(upright).rotate(90)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    image.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    made = seen(tmp_path / "turned.jpg", 16).float()
    assert made[:, :6].mean() > 240 and made[:, 10:].mean() < 15


def test_augment_mirrors_and_shifts() -> None:
    inputs = torch.arange(4 * 3 * 16 * 16).reshape(4, 3, 16, 16).float()
    made, targets = image_folder.augment(inputs, torch.arange(4), torch.Generator().manual_seed(0))
    assert made.shape == inputs.shape and targets.tolist() == [0, 1, 2, 3]
    assert {tuple(one.flatten().tolist()) for one in made} != {tuple(one.flatten().tolist()) for one in inputs}
    assert all(
        set(one.flatten().tolist()) <= set(two.flatten().tolist()) for one, two in zip(made, inputs, strict=True)
    )


def test_most_pixels_is_said_with_the_number() -> None:
    assert f"{image_files.MOST_PIXELS:,}" in image_files.HUGE
