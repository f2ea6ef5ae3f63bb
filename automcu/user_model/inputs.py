"""Inputs for a model that somebody else made, from whatever form of data its owner has.

`--calibrate`, `--data` and `bench --data` take the same: a data set by name, a folder of pictures,
a CSV of windows, or arrays in a `.npz` or `.npy`, with labels or without.
"""

from dataclasses import dataclass
from math import isclose, prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.boards.project import LabelledSet, class_counts
from automcu.compiler import Graph, optimise, quantise_inputs, run_reference
from automcu.compiler.graph import FileLayout
from automcu.compiler.project import TensorInfo, describe_tensor
from automcu.datasets.images import load_pictures
from automcu.datasets.load import load_dataset
from automcu.datasets.npz import array_names, read_array, read_arrays
from automcu.datasets.record import Dataset, resized
from automcu.errors import WrongInputError
from automcu.report.record import accuracy_warnings

_INPUTS = ("x", "inputs", "images", "data", "x_train")
_LABELS = {"x": "y", "inputs": "labels", "images": "labels", "data": "target", "x_train": "y_train"}
_IMAGE_CHANNELS = (1, 3)
BYTE_MAXIMUM = np.float32(255)
_LOWEST, _HIGHEST = -128, 127  # what begins at 0 has the lowest as its zero point
_IMAGE_AXES, _SEQUENCE_AXES = 3, 2
_CALIBRATION_SHARE = 8  # one input in so many, where there is no training split


@dataclass(frozen=True)
class ModelInputs:
    """Inputs [n, ...] that calibrate, and those that are compared, perhaps with their classes.

    They are the same array where the data has no test split. Pixels are in [0, 1] and
    channels-last; integers of type int8 are the compiled network's own; other values are as the
    model takes them. `notes` tell what was done to the data.
    """

    calibrating: NDArray[np.generic]
    compared: NDArray[np.generic]
    labels: NDArray[np.int64] | None
    are_pixels: bool
    notes: tuple[str, ...] = ()

    @property
    def has_test_split(self) -> bool:
        """Whether nothing that calibrates is compared."""
        return self.compared is not self.calibrating

    @property
    def are_integers(self) -> bool:
        """Whether the inputs are int8, as the compiled network takes them."""
        return self.compared.dtype == np.int8


def load_model_inputs(
    name_or_path: str, shape: tuple[int, ...], *, split_pixels: bool = False
) -> ModelInputs:
    """Load data for a model whose input has this shape, without the batch.

    With `split_pixels` a labelled archive of images is a data set even where it holds floats, as
    it is for training: its test split is compared.

    Raises:
        WrongInputError: there is no such data, or it cannot be read.
    """
    path = Path(name_or_path).expanduser()
    if path.suffix.lower() == ".npy" and path.is_file():
        values = read_array(path)
        return _of_arrays(path, values, values, None)
    if path.suffix.lower() == ".npz" and path.is_file():
        found = _of_archive(path, split_pixels)
        if found is not None:
            return found
    image = _image(shape)
    if path.is_dir() and image is not None and not _has_folders(path):
        pictures, notes = load_pictures(path, image[0], image[2])
        pixels = pictures.astype(np.float32) / BYTE_MAXIMUM
        return ModelInputs(pixels, pixels, None, True, notes)
    side = image[0] if path.is_dir() and image is not None and image[0] == image[1] else None
    signals = _signals(path, shape)
    return _of_dataset(load_dataset(name_or_path, image_side=side, window_channels=signals), image)


@dataclass(frozen=True)
class LabelledInputs:
    """`calibration` and `test` are int8 [n, height, width, channels]; `labels` are the test's."""

    calibration: NDArray[np.int8]
    test: NDArray[np.int8]
    labels: NDArray[np.int64]

    def outputs(self, graph: Graph) -> NDArray[np.int8]:
        """What the integer reference gives for the test inputs, [n, values]."""
        return run_reference(optimise(graph), self.test)

    def accuracy(self, outputs: NDArray[np.int8]) -> float:
        """Share of the test inputs of which the largest output is the label."""
        return float((outputs.argmax(axis=1) == self.labels).mean())

    def warnings(self, outputs: NDArray[np.int8]) -> tuple[str, ...]:
        """A sentence for each reason why that accuracy is no result."""
        counts = class_counts(outputs, self.labels)
        correct = int((outputs.argmax(axis=1) == self.labels).sum())
        return accuracy_warnings(correct, counts["label_counts"], counts["answer_counts"], ())


def load_labelled_inputs(name_or_path: str, graph: Graph) -> LabelledInputs:
    """Load data as the input of `graph`: whatever `--calibrate` takes, or its own int8.

    The training split calibrates; where there is none, one input in eight.

    Raises:
        WrongInputError: there is no such data, its inputs have another size, or no class each.
    """
    taken = describe_tensor(graph.tensors[graph.input], graph.input_layout)
    given = _for_compiled_network(name_or_path, taken)
    if given.labels is None:
        raise WrongInputError(
            f"{name_or_path}: y must hold one class number for each of x. Save it so."
        )
    if len(given.compared) <= 1:
        raise WrongInputError(
            f"{name_or_path} holds {len(given.compared)} inputs. Save two or more."
        )
    test = as_network_takes(given.compared, given.are_pixels, taken, name_or_path)
    if given.has_test_split:
        fed = as_network_takes(given.calibrating, given.are_pixels, taken, name_or_path)
        return LabelledInputs(fed, test, given.labels)
    calibrates = np.arange(len(test)) % _CALIBRATION_SHARE == 0
    return LabelledInputs(test[calibrates], test[~calibrates], given.labels[~calibrates])


def load_test_set(
    name_or_path: str, network_input: TensorInfo, limit: int | None
) -> tuple[LabelledSet | None, tuple[str, ...]]:
    """Load at most `limit` labelled inputs, drawn from all of them, and sentences that their owner
    should read.

    Whatever `--calibrate` takes is taken, and fed alike; int8 values are the network's own. There
    is no set where the data has no classes: nothing could be said of it that the golden inputs do
    not say.

    Raises:
        WrongInputError: there is no such data, or its inputs have another size.
    """
    given = _for_compiled_network(name_or_path, network_input)
    drawn = sample(len(given.compared), limit)
    inputs = as_network_takes(given.compared[drawn], given.are_pixels, network_input, name_or_path)
    notes = given.notes
    takes_pixels = _is_scale_of_pixels(network_input) or _is_scale_of_bytes(network_input)
    if given.are_pixels and not takes_pixels:
        low, high = (
            (step - network_input.zero_point) * network_input.scale for step in (_LOWEST, _HIGHEST)
        )
        notes += (
            f"{name_or_path}: the pixels were fed as 0 to 1, the network takes {low:.3g} to "
            f"{high:.3g}. If that is wrong, give a .npz of float x as the model takes it.",
        )
    if given.labels is None:
        notes += (
            f"{name_or_path} has no class for each input: accuracy was not measured, the bytes of "
            "the golden inputs were compared.",
        )
        return None, notes
    return LabelledSet(inputs=inputs, labels=given.labels[drawn]), notes


def sample(count: int, limit: int | None) -> NDArray[np.int64]:
    """Return `limit` positions of `count`, or all; the same ones each time.

    Data often lie class by class, so that the first ones would all be of one class.
    """
    if limit is None or limit >= count:
        return np.arange(count)
    return np.random.default_rng(0).permutation(count)[:limit]


def laid_out(
    inputs: NDArray[np.generic], shape: tuple[int, ...], where: str
) -> NDArray[np.float32]:
    """Inputs [n, ...] in the layout that a model takes, whose shape this is without the batch.

    Images [n, height, width, channels] become channels-first or flat where the model is.

    Raises:
        WrongInputError: they have another size.
    """
    given = inputs.shape[1:]
    values = inputs.astype(np.float32)
    if given == shape:
        return values
    if len(given) == _IMAGE_AXES and (given[2], *given[:2]) == shape:
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    if len(shape) == _SEQUENCE_AXES and _without_ones(given)[::-1] == shape:
        return np.ascontiguousarray(values.reshape(-1, *shape[::-1]).transpose(0, 2, 1))
    are_vectors = 1 in (len(given), len(shape))
    if prod(given) == prod(shape) and (are_vectors or _without_ones(given) == _without_ones(shape)):
        return values.reshape(-1, *shape)
    raise WrongInputError(
        f"{where} holds inputs of {_sizes(given)}, the network takes {_sizes(shape)}. "
        "Give the data that the model was made for."
    )


def as_network_takes(
    inputs: NDArray[np.generic], are_pixels: bool, network_input: TensorInfo, where: str
) -> NDArray[np.int8]:
    """Inputs [n, ...] as the compiled network's int8 [n, height, width, channels].

    Those that are int8 already, and not as the model's file lays them out, lie as the network's do.

    Raises:
        WrongInputError: they have another size.
    """
    shape = network_input.file_shape or (1, *network_input.shape)
    order = network_input.file_order or tuple(range(len(shape)))
    if inputs.dtype == np.int8 and inputs.shape[1:] != shape[1:]:
        return laid_out(inputs, network_input.shape, where).astype(np.int8)
    values = laid_out(inputs, shape[1:], where)
    memory = FileLayout(shape, order).to_memory(values).reshape(-1, *network_input.shape)
    if inputs.dtype == np.int8:
        return memory.astype(np.int8)
    if are_pixels and _is_scale_of_bytes(network_input):
        memory = np.asarray(memory, np.float32) * BYTE_MAXIMUM
    return quantise_inputs(np.asarray(memory, np.float32), network_input)


def _for_compiled_network(name_or_path: str, network_input: TensorInfo) -> ModelInputs:
    """Load data for a network that is quantised already, whose input is described."""
    shape = network_input.file_shape[1:] or network_input.shape
    return load_model_inputs(name_or_path, shape, split_pixels=_is_scale_of_pixels(network_input))


def _is_scale_of_bytes(network_input: TensorInfo) -> bool:
    """Whether a network takes pixels as numbers from 0 to 255."""
    return network_input.scale == 1 and network_input.zero_point == _LOWEST


def _is_scale_of_pixels(network_input: TensorInfo) -> bool:
    """Whether a network takes pixels as numbers from 0 to 1."""
    return network_input.zero_point == _LOWEST and isclose(
        network_input.scale * float(BYTE_MAXIMUM), 1.0, rel_tol=1e-3
    )


def _of_archive(path: Path, split_pixels: bool) -> ModelInputs | None:
    """The arrays of an archive; None where it is a data set."""
    names = array_names(path)
    name = next((name for name in _INPUTS if name in names), None)
    if name is None:
        return None
    values = read_arrays(path, (name,))[name]
    is_labelled = _LABELS[name] in names
    if is_labelled and (values.dtype == np.uint8 or (split_pixels and _are_images(values))):
        return None
    compared = name.replace("train", "test")
    tested = read_arrays(path, (compared,))[compared] if compared in names else values
    label = _LABELS[name].replace("train", "test") if compared in names else _LABELS[name]
    labels = read_arrays(path, (label,))[label] if label in names else None
    return _of_arrays(path, values, tested if compared != name else values, labels)


def _are_images(values: NDArray[np.generic]) -> bool:
    """Whether a data set of images would take the values."""
    is_channels_first = values.ndim == _IMAGE_AXES + 1 and values.shape[1] in _IMAGE_CHANNELS
    if values.dtype == np.int8 or values.ndim not in (_IMAGE_AXES, _IMAGE_AXES + 1):
        return False
    return not is_channels_first and bool(
        0 <= float(values.min(initial=0)) <= float(values.max(initial=0)) <= BYTE_MAXIMUM
    )


def _of_arrays(
    path: Path,
    values: NDArray[np.generic],
    tested: NDArray[np.generic],
    labels: NDArray[np.generic] | None,
) -> ModelInputs:
    """Arrays of the owner's; bytes are pixels, and int8 is what the compiled network takes."""
    calibrating, are_pixels = _checked(path, values)
    compared = calibrating if tested is values else _checked(path, tested)[0]
    classes = None if labels is None else _classes(path, labels, len(compared))
    return ModelInputs(calibrating, compared, classes, are_pixels)


def _checked(path: Path, values: NDArray[np.generic]) -> tuple[NDArray[np.generic], bool]:
    """Inputs as they are fed, and whether they are pixels."""
    if values.dtype.kind not in "buif" or values.ndim < 2:
        raise WrongInputError(
            f"{path} holds an array of type {values.dtype} and shape {list(values.shape)}. "
            "Save the inputs as one array of numbers, [n, ...]."
        )
    if not len(values):
        raise WrongInputError(f"{path} holds no inputs. Save some hundred.")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise WrongInputError(f"{path} holds values that are not finite. Repair or remove them.")
    if values.dtype == np.uint8:
        return values.astype(np.float32) / BYTE_MAXIMUM, True
    return values, False


def _classes(path: Path, labels: NDArray[np.generic], count: int) -> NDArray[np.int64] | None:
    """One class number for each input; None where they are targets of another kind."""
    if labels.shape[:1] != (count,):
        raise WrongInputError(
            f"{path} holds {count} inputs and {len(labels) if labels.ndim else 1} labels. "
            "Save one class number for each input."
        )
    if labels.dtype.kind in "ui" and labels.size == count:
        return labels.reshape(-1).astype(np.int64)
    return None


def _of_dataset(dataset: Dataset, image: tuple[int, int, int] | None) -> ModelInputs:
    notes = dataset.notes
    height, width, _ = dataset.input_shape
    if image is not None and height > 1 and (height, width) != image[:2] and image[0] == image[1]:
        dataset = resized(dataset, image[0])
        notes += (f"{dataset.name}: images of {width}x{height} were resized to {image[0]}.",)
    return ModelInputs(dataset.train.inputs, dataset.test.inputs, dataset.test.labels, True, notes)


def _image(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Height, width and channels of an input that is an image, however it is laid out."""
    if len(shape) != 3:
        return None
    is_channels_last = shape[2] in _IMAGE_CHANNELS and shape[0] not in _IMAGE_CHANNELS
    height, width, channels = shape if is_channels_last else (*shape[1:], shape[0])
    return (height, width, channels) if min(height, width) > 1 else None


def _signals(path: Path, shape: tuple[int, ...]) -> int:
    """How many signals a window in a CSV file holds: the shorter of the model's two sizes."""
    lengths = [size for size in shape if size > 1]
    is_windows = path.suffix.lower() == ".csv" and len(lengths) == 2
    return min(lengths) if is_windows else 1


def _has_folders(path: Path) -> bool:
    return any(entry.is_dir() and not entry.name.startswith(".") for entry in path.iterdir())


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
