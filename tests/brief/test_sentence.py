import pytest
from hypothesis import given
from hypothesis import strategies as st

from automcu.brief import Draft, read_sentence

BOARDS = {
    "stm32f407g-disc1": ("STM32F407G-DISC1", "STM32F407VGT6", "STM32F407 discovery"),
    "stm32f746g-disco": ("32F746GDISCOVERY", "STM32F746NGH6", "f746"),
    "nucleo-l4r5zi": ("NUCLEO-L4R5ZI", "STM32L4R5ZIT6"),
    "esp32-s3-devkitc-1": ("ESP32-S3-DevKitC-1", "ESP32-S3"),
}


def read(text: str) -> Draft:
    return read_sentence(text, BOARDS)


def test_the_sentence_of_the_readme_is_understood() -> None:
    draft = read(
        "Recognise hand-written digits on an STM32F407 discovery board, "
        "under 20 ms and 64 KB of RAM"
    )
    assert draft.boards == ("stm32f407g-disc1",)
    assert draft.dataset == "digits"
    assert draft.max_latency_ms == 20.0
    assert draft.max_ram_bytes == 65536
    assert draft.max_flash_bytes is None
    assert draft.min_accuracy is None
    assert draft.unknown_boards == ()


@pytest.mark.parametrize(
    ("text", "board"),
    [
        ("on an STM32F407", "stm32f407g-disc1"),
        ("on an stm32f407vet6 chip", "stm32f407g-disc1"),
        ("for the F407.", "stm32f407g-disc1"),
        ("STM32F407G-DISC1 it is", "stm32f407g-disc1"),
        ("on the stm32 f407 discovery", "stm32f407g-disc1"),
        ("my nucleo-l4r5 board", "nucleo-l4r5zi"),
        ("Nucleo L4R5ZI!", "nucleo-l4r5zi"),
        ("an STM32L4R5", "nucleo-l4r5zi"),
        ("the f746-disco is not here, but F746 is", "stm32f746g-disco"),
        ("an ESP32-S3", "esp32-s3-devkitc-1"),
        ("on esp32s3", "esp32-s3-devkitc-1"),
    ],
)
def test_boards_are_known_by_their_names_and_part_numbers(text: str, board: str) -> None:
    assert read(text).boards == (board,)


def test_another_board_with_the_same_chip_is_not_guessed() -> None:
    draft = read("digits on a NUCLEO-F746ZG")
    assert draft.boards == ()
    assert draft.unknown_boards == ("NUCLEO-F746ZG",)
    assert read("digits on a Nucleo F746").boards == ()


def test_two_boards_in_one_sentence_are_both_reported() -> None:
    assert read("on the F407 or the F746").boards == ("stm32f407g-disc1", "stm32f746g-disco")


def test_a_part_that_two_boards_carry_is_ambiguous_until_the_board_is_named() -> None:
    boards = {**BOARDS, "stm32f4-other": ("STM32F407ZGT6", "other board")}
    assert len(read_sentence("on an STM32F407", boards).boards) == 2
    assert read_sentence("on the other board, an STM32F407", boards).boards == ("stm32f4-other",)


def test_amounts_and_data_sets_are_not_taken_for_boards() -> None:
    draft = read("int8 CIFAR10 at 32x32 and 168MHz with 64KB in 20ms, ResNet8")
    assert draft.boards == ()
    assert draft.unknown_boards == ("ResNet8",) or draft.unknown_boards == ()


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("under 20 ms", 20.0),
        ("20ms", 20.0),
        ("below 2.5 milliseconds", 2.5),
        ("500 µs", 0.5),
        ("within 0.5 s", 500.0),
        ("at 50 fps", 20.0),
        ("at 25 Hz", 40.0),
        ("10 frames per second", 100.0),
        ("4 times a second", 250.0),
        ("1,000 ms", 1000.0),
        ("50 fps but never over 15 ms", 15.0),
        ("at 168 MHz", None),
        ("audio at 16 kHz", None),
        ("2 s of sound", None),
        ("0 ms", None),
        ("0 fps", None),
        ("no limit", None),
    ],
)
def test_latency_is_read_in_every_usual_unit(text: str, milliseconds: float | None) -> None:
    assert read(text).max_latency_ms == milliseconds


@pytest.mark.parametrize(
    ("text", "ram", "flash"),
    [
        ("64 KB of RAM", 65536, None),
        ("64KB RAM and 256 KiB flash", 65536, 262144),
        ("256 kB of flash memory", None, 262144),
        ("RAM: 64 KB, flash: 1 MB", 65536, 1048576),
        ("flash below 128 KB", None, 131072),
        ("1 MB of flash and at most 65536 bytes of memory", 65536, 1048576),
        ("at most 64 KB", None, None),
        ("128 KB of RAM, better 96 kilobytes of RAM", 98304, None),
        ("10 MB/s", None, None),
        ("4 kbit", None, None),
        ("0 KB", None, None),
    ],
)
def test_memory_goes_to_the_kind_that_is_named(
    text: str, ram: int | None, flash: int | None
) -> None:
    draft = read(text)
    assert (draft.max_ram_bytes, draft.max_flash_bytes) == (ram, flash)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("at least 97 %", 0.97),
        ("97.5% accuracy", 0.975),
        ("accuracy of 0.9", 0.9),
        ("an error rate below 4 %", 0.96),
        ("98 percent right", 0.98),
        ("using 50 % of the RAM", None),
        ("150 %", None),
    ],
)
def test_accuracy_goals_become_fractions(text: str, share: float | None) -> None:
    found = read(text).min_accuracy
    assert found == (None if share is None else pytest.approx(share))


@pytest.mark.parametrize(
    ("text", "dataset"),
    [
        ("hand-written digits", "digits"),
        ("read handwritten numbers", "digits"),
        ("MNIST digits", "mnist"),
        ("Fashion-MNIST", "fashion-mnist"),
        ("CIFAR-10 images", "cifar-10"),
        ("cifar100", "cifar-100"),
        ("images in ./flowers on an F407", "./flowers"),
        ("pictures from data/flowers, please", "data/flowers"),
        ("use '/home/me/my pictures/set' here", "/home/me/my pictures/set"),
        ("learn gestures.npz", "gestures.npz"),
        ("cats and/or dogs", None),
        ("in RAM/flash 64/256 KB", None),
        ("chiffres manuscrits", "digits"),
        ("dataset 'my set' on an F407", "my set"),
        ("2 ms/frame", None),
    ],
)
def test_data_sets_are_known_by_name_by_description_and_by_path(
    text: str, dataset: str | None
) -> None:
    assert read(text).dataset == dataset


def test_the_family_is_a_hint_of_the_sentence() -> None:
    assert read("a small CNN").family == "cnn"
    assert read("a vision transformer").family == "vit"
    assert read("a network").family is None


@given(st.text())
def test_no_text_at_all_makes_the_reader_fail(text: str) -> None:
    assert read(text).text == text


_FRAGMENTS = st.sampled_from(
    [
        *("20", "ms", "0", ".", ",", "1,000", "KB", "of", "RAM", "flash", "97", "%", "accuracy"),
        *("stm32", "f407", "nucleo", "-", "l4r5", "esp32", "fps", "/", "'", "./", "999999999999"),
        *("s", "under", "digits", "cifar", "10", "µs", "error", "٣", "\n"),
    ]
)


@given(st.lists(_FRAGMENTS, max_size=24), st.sampled_from(["", " "]))
def test_no_mixture_of_its_own_vocabulary_makes_the_reader_fail(
    fragments: list[str], separator: str
) -> None:
    draft = read(separator.join(fragments))
    assert draft.max_latency_ms is None or draft.max_latency_ms > 0
    assert draft.max_ram_bytes is None or draft.max_ram_bytes > 0
    assert draft.min_accuracy is None or 0 < draft.min_accuracy <= 1
    assert set(draft.boards) <= set(BOARDS)


def test_a_document_is_read_up_to_a_bound_and_a_problem_says_so() -> None:
    draft = read("digits on f407 under 20 ms, " + "lorem ipsum dolor. " * 600 + "64 KB of RAM")
    assert draft.max_latency_ms == 20.0
    assert draft.max_ram_bytes is None
    (problem,) = draft.problems
    assert "of which 4,000 were read" in problem.message
