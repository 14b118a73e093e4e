"""What a network says of images, as objects: classes, and values of its layers."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from slim_resnet.common import html_tables
from slim_resnet.common.html_tables import UNKNOWN, Cell
from slim_resnet.common.rows import MOST_SHOWN, Column, Rows
from slim_resnet.common.text import printable
from slim_resnet.end_points.keys import choose_one
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.display import thumbnails
from slim_resnet.images.given import Pixels
from slim_resnet.images.sources import ImageFiles

# Images that notebooks show small, and the longer side of such a picture in pixels.
MOST_PICTURES, PICTURE_SIZE = 24, 96
# Maps that notebooks show: of so many images, end points and channels.
_IMAGES_WITH_MAPS, _KEYS_WITH_MAPS, _CHANNELS = 2, 4, 32


def first_images(sources: Iterable[ImageFiles | Pixels]) -> list[str | np.ndarray]:
    """Returns the first images, at most `MOST_PICTURES`, for their pictures in notebooks.

    Args:
      sources: What `images.given.sources_of` returned.

    Returns:
      Files; and of pixels copies that are small, so that the images themselves are not kept.
    """
    images = []
    for source in sources:
        number = min(source.num_images, MOST_PICTURES - len(images))
        images += source.files[:number] if isinstance(source, ImageFiles) else [
            _reduced(pixels) for pixels in source.pixels[:number]]
    return images


def _reduced(pixels):
    every = math.ceil(max(pixels.shape[:2]) / (4 * PICTURE_SIZE))
    return pixels[::every, ::every].copy()


def _picture_cells(images, names):
    """Returns a cell of a table for each image: its picture, or nothing for None."""
    made = thumbnails([image for image in images if image is not None], PICTURE_SIZE)
    pngs = [None if image is None else next(made) for image in images]
    return [Cell(printable(name) if png else "", is_known=png is not None, picture=png)
            for name, png in zip(names, pngs)]


class Results(Rows):
    """What `loaded.LoadedNetwork.classify` returns: a list of `classification.Result`.

    A notebook shows the images small beside their classes.
    """

    noun = "images"
    columns = (
        Column("image", lambda row: printable(row.path)),
        Column("class", lambda row: _class_text(row, 0)),
        Column("probability", lambda row: row.probabilities[0] if row.probabilities else None,
               "{:.4f}".format),
        Column("next", lambda row: "; ".join(
            f"{_class_text(row, rank)} {row.probabilities[rank]:.4f}"
            for rank in range(1, len(row.classes))) or None))

    def __init__(self, rows: Iterable[Any] = (), images: Iterable[str | np.ndarray] = ()) -> None:
        super().__init__(rows)
        # By result, as lists are sorted and cut.
        self._images = dict(zip(self, images))

    def like(self, rows: list) -> "Results":
        same = Results(rows)
        same._images = self._images
        return same

    def about(self) -> str:
        shown = [f"{printable(row.path)} {_class_text(row, 0) or 'unreadable'}"
                 for row in self[:3]]
        return ", ".join(shown) + (", ..." if len(self) > len(shown) else "")

    def records(self) -> list[dict[str, Any]]:
        """Returns a dict for each class of each image, ``rank`` 1 the most probable.

        An unreadable image has one, whose ``cause`` says why.
        """
        records = []
        for row in self:
            best = list(zip(row.classes, row.names, row.probabilities)) or [(None, None, None)]
            records += [{"path": row.path, "rank": rank if row.cause is None else None,
                         "class": number, "name": name, "probability": probability,
                         "cause": row.cause}
                        for rank, (number, name, probability) in enumerate(best, 1)]
        return records

    def table(self, rows: Sequence[Any]) -> str:
        pictures = _picture_cells(
            [self._images.get(row) if row.cause is None else None for row in rows],
            [row.path for row in rows])
        cells = [[picture, *(column.cell(row) for column in self.columns)]
                 for picture, row in zip(pictures, rows)]
        return html_tables.table(["", *(column.header for column in self.columns)], cells)


def _class_text(row, rank):
    """Returns a class of a `classification.Result` in words; an unreadable image's cause."""
    if row.cause is not None:
        return f"cannot be read: {printable(row.cause)}"
    if row.names[rank] is None:
        return f"class {row.classes[rank]}"
    return f"{printable(row.names[rank])} ({row.classes[rank]})"


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Features:
    """Values of end points for images; ``features[key]`` is an end point's array.

    ``numpy.asarray(features)`` is the array of the only one.

    Attributes:
      names: Of the images, one for each row of the arrays: paths, and ``image 0``, ... for
        pixels, see `images.given.sources_of`.
      arrays: Maps whole keys to float32 ``[images, height, width, channels]``, or what the
        end point is; rows of unreadable images are NaN.
      causes: Why each image is unreadable, one line; None for one that was read.
      precision: What they were computed in, one of `environment.PRECISIONS`.
      images: The first images, see `first_images`, for notebooks.
      known: All end points of the network, which a name may be of.
    """

    names: list[str]
    arrays: dict[str, np.ndarray]
    causes: list[str | None]
    precision: str
    images: list[str | np.ndarray]
    known: list[str]

    def __getitem__(self, key: str) -> np.ndarray:
        # Among all: the same name is not to mean something else in a part.
        chosen = choose_one(key, self.known)
        if chosen not in self.arrays:
            raise SlimResnetError(f"there are no features of {chosen}; there are those of "
                                  f"{', '.join(self.arrays)}")
        return self.arrays[chosen]

    def __len__(self) -> int:
        return len(self.names)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if len(self.arrays) != 1:
            raise SlimResnetError(f"there are features of {len(self.arrays)} end points; take one, "
                                  f"such as features[{next(iter(self.arrays))!r}]")
        array, = self.arrays.values()
        return np.array(array, dtype) if copy else np.asarray(array, dtype)

    def __repr__(self) -> str:
        arrays = ", ".join(f"{key} {list(array.shape)}" for key, array in self.arrays.items())
        unreadable = sum(cause is not None for cause in self.causes)
        images = f"{len(self)} image{'s' * (len(self) != 1)}"
        return printable(f"<features of {images}, {self.precision}: {arrays}"
                         f"{f'; {unreadable} unreadable' if unreadable else ''}>")

    def _repr_html_(self) -> str:
        shown = range(min(len(self), MOST_SHOWN))
        headers = ["", "image", *(f"{what} of {key}" for key in self.arrays
                                  for what in ("mean", "std", "min", "max", "zeros %"))]
        images = [None if cause else image for cause, image in zip(self.causes, self.images)]
        images += [None] * (len(shown) - len(images))
        pictures = _picture_cells(images, self.names)
        rows = [[picture, Cell(printable(self.names[row])), *self._cells(row)]
                for row, picture in zip(shown, pictures)]
        return (html_tables.paragraph(repr(self).strip("<>")) + html_tables.table(headers, rows)
                + self._maps())

    def _cells(self, row: int) -> list[Cell]:
        if self.causes[row] is not None:
            return [Cell(UNKNOWN, is_known=False)] * (5 * len(self.arrays))
        values = [value for array in self.arrays.values() for value in (
            float(array[row].mean(dtype=np.float64)), float(array[row].std(dtype=np.float64)),
            float(array[row].min()), float(array[row].max()),
            100 * float((array[row] == 0).mean()))]
        return [Cell(f"{value:.4g}", value) for value in values]

    def _maps(self) -> str:
        """Returns pictures of the first images' maps; none without matplotlib."""
        from slim_resnet.pictures import drawing, feature_maps
        try:
            drawing.figure_class()
        except SlimResnetError:
            return ""
        rows = [row for row, cause in enumerate(self.causes) if cause is None][:_IMAGES_WITH_MAPS]
        keys = [key for key, array in self.arrays.items()
                if array.ndim == 4 and array.shape[1] * array.shape[2] > 1][:_KEYS_WITH_MAPS]
        return "".join(html_tables.folded(
            f"Maps of {key} for {self.names[row]}",
            html_tables.picture(drawing.encoded(feature_maps.draw(
                self.arrays[key][row], key, max_channels=_CHANNELS)), f"maps of {key}"))
            for row in rows for key in keys)
