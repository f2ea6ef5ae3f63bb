"""Networks of the shapes that people publish for microcontrollers, without weights.

Layers and sizes follow MLPerf Tiny, TFLite Micro's examples, CMSIS-NN's example and the papers; as
in their quantised files, a ReLU is the saturation of its layer's output. `with_random_weights`
fills in what no cost depends on.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from automcu.calibration import LayerChain
from automcu.compiler.graph import Graph
from automcu.compiler.ops import Add, AveragePool, Convolution, MaxPool, Softmax
from automcu.compiler.tensor import Window

Size = int | tuple[int, int]


def _same(height: int, width: int, kernel: tuple[int, int], stride: tuple[int, int]) -> Window:
    """TensorFlow's padding "SAME"."""
    ends = []
    for length, size, step in zip((height, width), kernel, stride, strict=True):
        total = max(0, (-(-length // step) - 1) * step + size - length)
        ends.append((total // 2, total - total // 2))
    (top, bottom), (left, right) = ends
    return Window(*kernel, stride, (top, left, bottom, right))


def _pair(size: Size) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)


class _Layers:
    """A network under construction, in the words of the frameworks."""

    def __init__(self, *shape: int) -> None:
        height, width, channels = shape
        self.chain = LayerChain((height, width, channels))

    def window(self, kernel: Size, stride: Size, padded: bool) -> Window:
        tall, wide = _pair(kernel)
        if not padded:
            return Window(tall, wide, _pair(stride))
        height, width, _ = self.chain.shape
        return _same(height, width, (tall, wide), _pair(stride))

    def convolve(self, channels: int, kernel: Size, stride: Size = 1, padded: bool = True) -> None:
        self.chain.append(Convolution(self.window(kernel, stride, padded), channels))

    def depthwise(self, kernel: Size, stride: Size = 1, multiplier: int = 1) -> None:
        channels = self.chain.shape[2]
        window = self.window(kernel, stride, True)
        self.chain.append(Convolution(window, channels * multiplier, groups=channels))

    def separable(self, channels: int, kernel: Size = 3, stride: Size = 1) -> None:
        self.depthwise(kernel, stride)
        self.convolve(channels, 1)

    def most(self, kernel: Size, stride: Size | None = None) -> None:
        self.chain.append(MaxPool(self.window(kernel, stride or kernel, False)))

    def mean(self, kernel: Size | None = None, stride: Size | None = None) -> None:
        """Over the whole image where no kernel is given."""
        size = kernel or self.chain.shape[:2]
        self.chain.append(AveragePool(self.window(size, stride or size, False)))

    def connect(self, *sizes: int) -> None:
        """Fully connected layers."""
        for size in sizes:
            self.chain.append(Convolution(Window(*self.chain.shape[:2]), size))

    def residual(self, channels: int, stride: int = 1) -> None:
        """A block of ResNet: two convolutions beside a shortcut."""
        source = self.chain.last
        self.convolve(channels, 3, stride)
        self.convolve(channels, 3)
        branch = self.chain.last
        if stride > 1:
            self.chain.last = source
            self.convolve(channels, 1, stride)
            source = self.chain.last
        self.chain.last = branch
        self.chain.append(Add(), source)

    def inverted(self, expansion: int, channels: int, stride: int) -> None:
        """A block of MobileNetV2."""
        source, before = self.chain.last, self.chain.shape[2]
        if expansion > 1:
            self.convolve(expansion * before, 1)
        self.separable(channels, 3, stride)
        if stride == 1 and channels == before:
            self.chain.append(Add(), source)

    def classify(self, classes: int) -> Graph:
        self.connect(classes)
        self.chain.append(Softmax())
        return self.chain.graph()


def _micro_speech() -> Graph:
    net = _Layers(49, 40, 1)
    net.depthwise((10, 8), 2, multiplier=8)
    return net.classify(4)


def _hello_world() -> Graph:
    return _perceptron(1, 16, 16, 1)


def _perceptron(*sizes: int) -> Graph:
    net = _Layers(1, 1, sizes[0])
    net.connect(*sizes[1:])
    return net.chain.graph()


def _keyword_spotting() -> Graph:
    net = _Layers(49, 10, 1)
    net.convolve(64, (10, 4), 2)
    for _ in range(4):
        net.separable(64)
    net.mean()
    return net.classify(12)


def _image_classification() -> Graph:
    net = _Layers(32, 32, 3)
    net.convolve(16, 3)
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        net.residual(channels, stride)
    net.mean()
    return net.classify(10)


def _anomaly_detection() -> Graph:
    return _perceptron(640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640)


_MOBILENET = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5)
_MOBILENET_END = ((1024, 2), (1024, 1))


def _mobilenet(width: float, resolution: int, colours: int, classes: int) -> Graph:
    net = _Layers(resolution, resolution, colours)
    net.convolve(round(32 * width), 3, 2)
    for channels, stride in (*_MOBILENET, *_MOBILENET_END):
        net.separable(round(channels * width), 3, stride)
    net.mean()
    return net.classify(classes)


_INVERTED = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _mobilenet_v2(width: float, resolution: int, classes: int) -> Graph:
    def scaled(channels: int) -> int:
        return max(8, int(channels * width + 4) // 8 * 8)

    net = _Layers(resolution, resolution, 3)
    net.convolve(scaled(32), 3, 2)
    for expansion, channels, count, first_stride in _INVERTED:
        for index in range(count):
            net.inverted(expansion, scaled(channels), 1 if index else first_stride)
    net.convolve(320, 1)
    net.mean()
    return net.classify(classes)


def _lenet() -> Graph:
    net = _Layers(28, 28, 1)
    net.convolve(6, 5)
    net.most(2)
    net.convolve(16, 5, padded=False)
    net.most(2)
    net.connect(120, 84)
    return net.classify(10)


def _lenet_of_means() -> Graph:
    net = _Layers(32, 32, 1)
    for channels in (6, 16):
        net.convolve(channels, 5, padded=False)
        net.mean(2)
    net.connect(120, 84)
    return net.classify(10)


def _digits() -> Graph:
    """The network of TensorFlow's beginners' guides."""
    net = _Layers(28, 28, 1)
    net.convolve(32, 3, padded=False)
    net.most(2)
    net.convolve(64, 3, padded=False)
    net.most(2)
    return net.classify(10)


def _cmsis_cifar10() -> Graph:
    net = _Layers(32, 32, 3)
    for channels in (32, 16, 32):
        net.convolve(channels, 5)
        net.most(2)
    return net.classify(10)


def _wake_word_2d() -> Graph:
    net = _Layers(40, 32, 1)
    net.convolve(8, (8, 4), (2, 2))
    net.most(2)
    net.convolve(16, 3)
    net.most(2)
    net.connect(32)
    return net.classify(2)


def _wake_word_1d() -> Graph:
    net = _Layers(1, 49, 40)
    for channels, dilation in ((32, 1), (32, 2), (32, 4), (32, 8)):
        side = dilation
        window = Window(1, 3, padding=(0, side, 0, side), dilation=(1, dilation))
        net.chain.append(Convolution(window, channels))
    net.mean()
    return net.classify(3)


def _separable_1d() -> Graph:
    """After MatchboxNet: separable convolutions in time with shortcuts."""
    net = _Layers(1, 98, 16)
    net.separable(32, (1, 11), (1, 2))
    for taps in (13, 15):
        source = net.chain.last
        net.separable(32, (1, taps))
        net.chain.append(Add(), source)
    net.convolve(64, 1)
    net.mean()
    return net.classify(12)


def _gesture() -> Graph:
    """TFLite Micro's magic wand."""
    net = _Layers(128, 3, 1)
    net.convolve(8, (4, 3))
    net.most((3, 3))
    net.convolve(16, (4, 1))
    net.most((3, 1))
    net.connect(16)
    return net.classify(4)


def _gesture_1d() -> Graph:
    net = _Layers(1, 128, 3)
    for channels in (16, 32):
        net.convolve(channels, (1, 5))
        net.most((1, 2))
    net.mean()
    return net.classify(5)


def _image_autoencoder() -> Graph:
    net = _Layers(28, 28, 1)
    net.convolve(16, 3, 2)
    net.convolve(8, 3, 2)
    net.connect(16, 128, 784)
    return net.chain.graph()


def _squeeze() -> Graph:
    """After SqueezeNet: fire modules without their concatenation's second half."""
    net = _Layers(32, 32, 3)
    net.convolve(24, 3, 2)
    for squeezed, expanded in ((8, 32), (12, 48)):
        net.convolve(squeezed, 1)
        net.convolve(expanded, 3)
        net.most(3, 2)
    net.convolve(10, 1)
    net.mean()
    return net.chain.graph()


def _asymmetric(graph: Graph) -> Graph:
    """The same as an older converter wrote it: weights have zero points of their own."""

    def widened(attributes: object) -> object:
        if not isinstance(attributes, Convolution):
            return attributes
        return replace(attributes, weight_offsets=np.zeros(attributes.out_channels, np.int32))

    operators = tuple(
        replace(one, attributes=widened(one.attributes))  # type: ignore[arg-type]
        for one in graph.operators
    )
    return replace(graph, operators=operators)


PUBLIC_NETWORKS: dict[str, Callable[[], Graph]] = {
    "keyword spotting (MLPerf Tiny)": _keyword_spotting,
    "image classification (MLPerf Tiny)": _image_classification,
    "anomaly detection (MLPerf Tiny)": _anomaly_detection,
    "visual wake words (MLPerf Tiny)": lambda: _mobilenet(0.25, 96, 3, 2),
    "micro speech": _micro_speech,
    "micro speech, asymmetric weights": lambda: _asymmetric(_micro_speech()),
    "hello world": _hello_world,
    "person detection": lambda: _mobilenet(0.25, 96, 1, 2),
    "magic wand": _gesture,
    "gesture, 1-D": _gesture_1d,
    "LeNet-5": _lenet,
    "LeNet-5, average pools": _lenet_of_means,
    "LeNet-5, asymmetric weights": lambda: _asymmetric(_lenet()),
    "digits": _digits,
    "CMSIS-NN's CIFAR-10": _cmsis_cifar10,
    "wake word, 2-D": _wake_word_2d,
    "wake word, 1-D dilated": _wake_word_1d,
    "separable 1-D": _separable_1d,
    "MobileNet 0.25, 64 pixels": lambda: _mobilenet(0.25, 64, 3, 10),
    "MobileNet 0.25, asymmetric weights": lambda: _asymmetric(_mobilenet(0.25, 48, 3, 10)),
    "MobileNet 0.5, 48 pixels": lambda: _mobilenet(0.5, 48, 3, 10),
    "MobileNetV2 0.35, 48 pixels": lambda: _mobilenet_v2(0.35, 48, 10),
    "squeezed": _squeeze,
    "perceptron of 4": lambda: _perceptron(4, 8, 3),
    "perceptron of 30": lambda: _perceptron(30, 16, 8, 2),
    "perceptron of 384": lambda: _perceptron(384, 64, 32, 6),
    "autoencoder of vectors": lambda: _perceptron(64, 32, 8, 32, 64),
    "autoencoder of images": _image_autoencoder,
}
"""By name; each makes its graph anew."""


__all__ = ["PUBLIC_NETWORKS"]
