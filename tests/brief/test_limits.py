"""Sentences and what is read from them: every limit is kept, asked about, or shown as not used."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automcu.brief import Draft, Problem, override, read_sentence

BOARDS = {
    "stm32f407g-disc1": ("STM32F407 Discovery", "STM32F407VGT6", "f407", "stm32f4 discovery"),
    "nucleo-f446re": ("NUCLEO-F446RE", "STM32F446RET6", "f446"),
    "stm32f746g-disco": ("STM32F746 Discovery", "STM32F746NGH6", "f746"),
    "nucleo-l4r5zi": ("NUCLEO-L4R5ZI", "STM32L4R5ZIT6", "l4r5", "nucleo l4r5"),
    "esp32-s3-devkitc-1": ("ESP32-S3-DevKitC-1", "ESP32-S3", "esp32-s3-devkitc"),
}
FIELDS = {
    "ms": "max_latency_ms",
    "mj": "max_energy_mj",
    "ram": "max_ram_bytes",
    "flash": "max_flash_bytes",
    "accuracy": "min_accuracy",
}
KB = 1024
MB = 1024 * 1024


def read(text: str) -> Draft:
    return read_sentence(text, BOARDS)


def limits_of(draft: Draft) -> dict[str, float]:
    values = draft.model_dump()
    return {name: values[field] for name, field in FIELDS.items() if values[field] is not None}


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("digits on the F407 in less than 5000 µs", {"ms": 5}),
        ("digits, f407, answers within a tenth of a second", {"ms": 100}),
        ("an f407 must not take longer than 40 ms for digits", {"ms": 40}),
        ("digits on f407, latency: 12.5ms", {"ms": 12.5}),
        ("digits on f407; 12 ms max.", {"ms": 12}),
        ("digits on f407 with under-20-ms latency", {"ms": 20}),
        ("digits on f407 under20ms", {"ms": 20}),
        ("digits on f407 under２０ms, ６４ＫＢ ＲＡＭ", {"ms": 20, "ram": 64 * KB}),
        ("digits on f407, less than or equal to 20 ms", {"ms": 20}),
        ("digits on f407, 20 ms must not be exceeded", {"ms": 20}),
        ("digits on f407, 20 ms > latency, 97 % < accuracy", {"ms": 20, "accuracy": 0.97}),
        ("digits on f407, less than 1/20th of a second", {"ms": 50}),
        ("digits on f407, latency of a thirtieth of a second", {"ms": 1000 / 30}),
        ("digits on f407, 10 images in 200 ms", {"ms": 20}),
        ("1000 images in under 5 seconds on f407, digits", {"ms": 5}),
        ("digits on f407, two point five ms", {"ms": 2.5}),
        ("digits on f407, ninety-nine point two five percent accuracy", {"accuracy": 0.9925}),
        ("Ziffern auf f407, zwei Komma fünf ms", {"ms": 2.5}),
        ("Ziffern auf f407, Latenz von einem Zwanzigstel einer Sekunde", {"ms": 50}),
        ("Ziffern auf f407: RAM kleiner 64 KB", {"ram": 64 * KB}),
        ("chiffres sur f407, sans dépasser 64 Ko de RAM", {"ram": 64 * KB}),
        ("chiffres sur f407, quatre-vingt-dix-sept pour cent de précision", {"accuracy": 0.97}),
        ("chiffres sur f407, vingt-et-un ms", {"ms": 21}),
        ("digits at 15 fps or more on f407", {"ms": 1000 / 15}),
        ("digits on f407, up to 15 frames a second", {"ms": 1000 / 15}),
        ("digits on f407, FPS: 50", {"ms": 20}),
        ("digits on f407 in 3 ns", {"ms": 3e-6}),
        ("digits on f407 with 64k ram 256k flash", {"ram": 64 * KB, "flash": 256 * KB}),
        ("digits on f407, RAM 64 KB flash 1 MB", {"ram": 64 * KB, "flash": MB}),
        ("digits on f407, 1k flash and 2k ram", {"flash": KB, "ram": 2 * KB}),
        ("digits on f407, RAM<=20KiB, ROM<90kB", {"ram": 20 * KB, "flash": 90 * KB}),
        ("digits on f407, don't use more than 30 KB of RAM", {"ram": 30 * KB}),
        ("digits on f407 with 1 byte of memory", {"ram": 1}),
        ("digits on f407, firmware of at most 1/4 MB", {"flash": MB / 4}),
        ("digits on f407, program memory below 70,000 bytes", {"flash": 70000}),
        ("digits on f407 with half a megabyte of flash", {"flash": MB / 2}),
        ("digits on f407, no less than 93 % accuracy", {"accuracy": 0.93}),
        ("digits on f407, 93% or better", {"accuracy": 0.93}),
        ("digits on f407, right 95 % of the time, under 20 ms", {"accuracy": 0.95, "ms": 20}),
        ("digits on f407, accuracy 97 % faster than 20 ms", {"accuracy": 0.97, "ms": 20}),
        ("digits on f407, accuracy ≥ 0.93", {"accuracy": 0.93}),
        ("digits on f407, top-1 accuracy of 93", {"accuracy": 0.93}),
        ("digits on f407, right 19 out of 20 times", {"accuracy": 0.95}),
        ("digits on f407 with at most 3 % wrong answers", {"accuracy": 0.97}),
        ("digits on f407, one error in 25", {"accuracy": 0.96}),
        ("digits on f407 for 3 mJ", {"mj": 3}),
        ("digits on f407, at most 400 µJ an inference", {"mj": 0.4}),
        ("digits on f407, energy below half a millijoule per frame", {"mj": 0.5}),
        ("digits on f407, 6 mW average power at 3 fps", {"ms": 1000 / 3, "mj": 2}),
        ("digits on f407, 86.4 J per day, once per second", {"ms": 1000, "mj": 1}),
        (
            "digits on f407 for 1000 hours from 100 mAh at 3 V, every 60 s",
            {"ms": 60000, "mj": 100 * 3 * 3600 / 60000},
        ),
        (
            "Ziffern auf dem Nucleo L4R5, höchstens 20 Millisekunden, 64 Kilobyte Arbeitsspeicher "
            "und mindestens 97,5 Prozent Genauigkeit",
            {"ms": 20, "ram": 64 * KB, "accuracy": 0.975},
        ),
        ("Ziffern auf F407, nicht mehr als 1.200 Byte RAM", {"ram": 1200}),
        (
            "Ziffern auf F407, Fehlerrate unter 4 %, 10 Bilder pro Sekunde",
            {"accuracy": 0.96, "ms": 100},
        ),
        ("chiffres sur F407, au plus 32 Ko de RAM, en moins de 8 ms", {"ram": 32 * KB, "ms": 8}),
        ("digits on f407, 97 % with RAM: 64 KB", {"accuracy": 0.97, "ram": 64 * KB}),
        ("digits on f407, response in 1/30 s", {"ms": 1000 / 30}),
        ("digits on f407: latency may not exceed 20 ms", {"ms": 20}),
        ("digits on f407, RAM (64 KB), 1 MB (flash)", {"ram": 64 * KB, "flash": MB}),
        ("digits on f407 in 20 milli seconds", {"ms": 20}),
        (
            "digits on f407, 1 Hz for 1000 hours, 100 mAh coin cell",
            {"ms": 1000, "mj": 100 * 3 / 1000},
        ),
        ("digits on f407 with 20ms.64KB RAM", {"ms": 20, "ram": 64 * KB}),
        ("digits|f407|20ms|64KB RAM", {"ms": 20, "ram": 64 * KB}),
        ("digits on f407, 20 ms but never over 15 ms", {"ms": 15}),
    ],
)
def test_what_a_sentence_limits_is_read_and_nothing_is_left(
    text: str, limits: dict[str, float]
) -> None:
    draft = read(text)
    assert draft.problems == ()
    assert limits_of(draft) == pytest.approx(limits)
    assert draft.unused == ()


@pytest.mark.parametrize(
    ("text", "unused"),
    [
        ("digits on f407 quickly with little memory", ["quickly with little memory"]),
        ("digits on f407, real time", ["real time"]),
        ("wake word 'hey marvin' on f407 in 20 ms", ["wake word 'hey marvin'"]),
        ("digits on f407 at 10 kHz sample rate", ["10 kHz sample rate"]),
        ("digits on f407 with 2 s of audio", ["2 s of audio"]),
        ("digits on f407, 10 classes, low power", ["10 classes", "low power"]),
        ("digits on f407 at 168 MHz in int8", ["168 MHz in int8"]),
        ("digits on f407, powered by a CR2032", ["powered by a CR2032"]),
        ("digits on f407 with resnet20v2", ["resnet20v2"]),
        ("digits on an esp32-s3-devkitc with 8 MB PSRAM", ["8 MB PSRAM"]),
        ("kws on f407", ["kws"]),
        ("digits on f407, 2D convolutions, 8bit", ["2D convolutions", "8bit"]),
        ("digits on f407 for 10 minutes training", ["10 minutes"]),
        ("digits on f407, 20 ms with a tolerance of 5 %", ["tolerance of 5 %"]),
        ("digits on f407, 20 ms jitter 1 ms", ["jitter 1 ms"]),
        ("digits on f407 with no FPU under 20 ms", ["no FPU"]),
    ],
)
def test_words_that_are_no_limit_are_shown_as_not_used(text: str, unused: list[str]) -> None:
    draft = read(text)
    assert list(draft.unused) == unused
    assert draft.problems == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("at most 50 kilobytes", "“at most 50 kilobytes” may be RAM or flash"),
        ("64 KB of RAM and flash", "may be RAM or flash"),
        ("RAM and flash under 64 KB and 256 KB", "may be RAM or flash"),
        ("RAM/flash 64/256 KB", "more than one figure"),
        ("64k", "may be RAM or flash"),
        ("half of the RAM", "has no unit"),
        ("50 % of the RAM", "a share of the board's own"),
        ("train for at most 10 minutes", "cannot be kept"),
        ("under 3 minutes", "may be a latency or the length of something"),
        ("2 s", "may be a latency or the length of something"),
        ("latency of 20", "has no unit"),
        ("under 20", "has no unit"),
        ("at most ten", "has no unit"),
        ("under 20 bananas", "“under 20 bananas” cannot be kept"),
        ("fewer than 50 layers", "cannot be kept"),
        ("less than 64 kbit of RAM", "cannot be kept"),
        ("at least 95 % recall", "cannot be kept"),
        ("for less than 5 €", "cannot be kept"),
        ("10-20 ms", "“10-20 ms” is more than one figure"),
        ("10 to 20 ms", "more than one figure"),
        ("20 ± 2 ms", "more than one figure"),
        ("20 ms ± 10 %", "“20 ms ± 10 %” is more than one figure"),
        ("20 ms +/- 2 ms", "more than one figure"),
        ("10^-3 s", "more than one figure"),
        ("5 ms < latency < 20 ms", "“5 ms < latency” is a limit the wrong way round"),
        ("ignore the 20 ms limit", "is no limit"),
        ("without the 20 ms limit", "is no limit"),
        ("30 ms instead of 20 ms", "“instead of 20 ms” is no limit"),
        ("20 ms faster than now", "is no limit"),
        ("keep 32 KB of RAM free", "“32 KB of RAM free” is no limit"),
        ("leave at least 32 KB of RAM for me", "is no limit"),
        ("save 10 KB of flash", "is no limit"),
        ("twice as fast as 40 ms", "“twice as fast as 40 ms” is no limit"),
        ("half as much RAM as 64 KB", "“half as much RAM as 64 KB” is no limit"),
        ("3 times faster than 30 ms", "“3 times faster than 30 ms” is no limit"),
        ("at least 3x faster than the 40 ms of today", "is no limit"),
        ("20 % faster than 40 ms", "“20 % faster than 40 ms” is no limit"),
        ("half the 64 KB of RAM", "is no limit"),
        ("a quarter of 64 KB RAM", "is no limit"),
        ("doppelt so schnell wie 40 ms", "is no limit"),
        ("halb so viel RAM wie 64 KB", "is no limit"),
        ("95 % of the time under 20 ms", "“95 % of the time” may be an accuracy"),
        ("within 20 ms in 99 % of cases", "may be an accuracy"),
        ("95 % der Zeit unter 20 ms", "may be an accuracy"),
        ("20 ms for 10 images", "is per 10 images"),
        ("2 mJ per 1000 inferences", "is per 1000 inferences"),
        ("top-5 accuracy of 99 %", "cannot be kept"),
        ("20ms64KBram", "has an unknown unit"),
        ("fünfundneunzigeinhalb Prozent", "has a unit and no number"),
        ("between 10 ms and 20 ms", "is a range"),
        ("at least 10 ms", "wrong way round"),
        ("slower than 10 ms", "wrong way round"),
        ("at least 64 KB of RAM", "wrong way round"),
        ("accuracy of at most 90 %", "wrong way round"),
        ("less than 5 fps", "wrong way round"),
        ("less than 2 %", "may be an accuracy or an error rate"),
        ("150 % accuracy", "is no accuracy"),
        ("0 ms", "must be above 0"),
        ("-5 ms", "must be above 0"),
        ("0 fps", "must be above 0"),
        ("0.3 bytes of RAM", "less than a byte"),
        ("1000000000000 MB of RAM", "more than there can be"),
        ("20 ms per layer", "is per layer"),
        ("1.2.3 ms", "cannot be read"),
        ("20 miliseconds", "Was milliseconds meant?"),
        ("1 MJ", "Was mJ meant?"),
        ("20mz", "has an unknown unit"),
        ("in a few ms", "cannot be read"),
        ("under tens of ms", "cannot be read"),
        ("NaN ms", "“NaN ms” has a unit and no number"),
        ("high fps", "has a unit and no number"),
        ("999999999999 ms", "more than there can be"),
        ("10 TB flash", "more than there can be"),
        ("10 samples per second", "sample rate or how often to infer"),
        ("2 years battery life on a CR2032", "how often it infers"),
        ("two years at 1 fps", "from which battery"),
        ("100 Hz accelerometer, a year on a CR2032", "how often it infers"),
        ("below 5 mW", "how often it infers"),
    ],
)
def test_what_looks_like_a_limit_and_is_none_is_a_problem_with_the_next_step(
    text: str, message: str
) -> None:
    draft = read(f"digits on f407, {text}")
    assert any(message in problem.message for problem in draft.problems)
    assert "bananas" not in draft.unused
    assert all(problem.message.rstrip().endswith((".", "so.")) for problem in draft.problems)


def test_context_beside_a_limit_leaves_the_limit_alone() -> None:
    draft = read("digits on f407 at 10 kHz sample rate under 20 ms with 2 s windows and 64k ram")
    assert limits_of(draft) == {"ms": 20.0, "ram": 64 * KB}
    assert draft.unused == ("10 kHz sample rate", "2 s windows")
    assert draft.problems == ()


def test_a_flag_settles_what_the_sentence_left_open_and_only_that() -> None:
    draft = read("digits on f407, at most 50 kilobytes, 0 ms")
    settled = override(draft, Draft(max_ram_bytes=51200))
    assert [problem.words for problem in settled.problems] == ["0 ms"]
    assert settled.max_ram_bytes == 51200
    assert override(settled, Draft(max_latency_ms=5.0)).problems == ()


def test_how_battery_life_was_reckoned_is_noted_and_a_flag_takes_the_note_away() -> None:
    draft = read("digits on f407, two weeks on 2xAA at one inference per second")
    seconds = 14 * 86400
    assert draft.max_energy_mj == pytest.approx(2 * 2500 * 1.2 * 3600 / seconds)
    note = draft.notes["max_energy_mj"]
    assert "2 x AA (2500 mAh, 1.2 V)" in note and "sleep is not counted" in note
    assert override(draft, Draft(max_energy_mj=1.0)).notes == {}


def test_of_two_limits_the_stricter_holds_and_that_is_noted() -> None:
    draft = read("digits on f407, 64 KB of RAM, better 48 KB of RAM")
    assert draft.max_ram_bytes == 48 * KB
    assert draft.notes == {"max_ram_bytes": "the stricter of 2"}


def test_two_data_sets_are_a_question_and_a_flag_answers_it() -> None:
    draft = read("mnist or cifar-10 on f407")
    assert "Which data are meant: mnist or cifar-10?" in draft.problems[0].message
    assert override(draft, Draft(dataset="mnist")).problems == ()
    assert read("MNIST digits on f407").problems == ()
    assert "mnist or digits?" in read("digits or mnist on f407").problems[0].message
    assert "mnist or digits?" in read("digits, not mnist, on f407").problems[0].message


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("digits on a Raspberry Pi Pico 2 W", "Raspberry Pi Pico 2 W"),
        ("digits on an Arduino Nano 33 BLE Sense", "Arduino Nano 33 BLE Sense"),
        ("digits on an f407 or a Teensy 4.1", "Teensy 4.1"),
        ("digits on esp32-c3", "esp32-c3"),
        ("digits on an ESP32", "ESP32"),
    ],
)
def test_a_board_that_is_not_known_is_never_taken_for_another(text: str, unknown: str) -> None:
    draft = read(text)
    assert draft.unknown_boards == (unknown,)
    assert draft.problems == ()


def test_a_family_is_a_question_among_its_boards() -> None:
    assert read("digits on f4").boards == ("nucleo-f446re", "stm32f407g-disc1")


NUMBERS = st.integers(1, 9999).map(str) | st.decimals("0.01", "999", places=2).map(str)
LATENCIES = NUMBERS.flatmap(
    lambda number: st.sampled_from(
        [
            f"under {number} ms",
            f"{number}ms",
            f"at most {number} milliseconds",
            f"latency < {number} ms",
            f"not more than {number} msec per inference",
        ]
    ).map(lambda text: ("ms", float(number), text))
)
ENERGIES = NUMBERS.flatmap(
    lambda number: st.sampled_from(
        [f"{number} mJ", f"less than {number}mJ per inference", f"energy ≤ {number} millijoules"]
    ).map(lambda text: ("mj", float(number), text))
)
RAMS = st.integers(1, 4096).flatmap(
    lambda size: st.sampled_from(
        [
            f"{size} KB of RAM",
            f"{size}k RAM",
            f"RAM: {size} KiB",
            f"memory below {size * 1024:,} bytes",
            f"no more than {size} kilobytes of SRAM",
        ]
    ).map(lambda text: ("ram", size * 1024, text))
)
FLASHES = st.integers(1, 4096).flatmap(
    lambda size: st.sampled_from(
        [f"{size} KB flash", f"flash <= {size}kB", f"max {size} kilobytes of program memory"]
    ).map(lambda text: ("flash", size * 1024, text))
)
ACCURACIES = st.integers(1, 99).flatmap(
    lambda percent: st.sampled_from(
        [
            f"at least {percent} %",
            f"accuracy above {percent}%",
            f"{percent} percent accuracy",
            f"less than {100 - percent} % error",
            f"an error rate below {100 - percent} percent",
        ]
    ).map(lambda text: ("accuracy", percent / 100, text))
)
NONSENSE = st.sampled_from(["zebra", "frobnicate", "grünkohl", "Qwerty"])


@settings(max_examples=150)
@given(
    st.permutations([LATENCIES, ENERGIES, RAMS, FLASHES, ACCURACIES]).flatmap(
        lambda kinds: st.tuples(*kinds)
    ),
    st.lists(st.sampled_from([", ", " and ", "; ", " with "]), min_size=5, max_size=5),
    NONSENSE,
    st.integers(0, 5),
)
def test_limits_come_back_in_any_order_and_a_word_without_meaning_is_shown(
    said: tuple[tuple[str, float, str], ...], joints: list[str], nonsense: str, at: int
) -> None:
    parts = [text for _, _, text in said]
    parts.insert(at, nonsense)
    text = "digits on f407 with " + "".join(
        part + joint for part, joint in zip(parts, [*joints, "."], strict=True)
    )
    draft = read(text)
    assert draft.problems == ()
    assert limits_of(draft) == pytest.approx({name: value for name, value, _ in said})
    assert list(draft.unused) == [nonsense]


PIECES = st.sampled_from(
    [
        *("20", "ms", "under", "at least", "KB", "of", "RAM", "and", "flash", "97", "%", "-", "/"),
        *("half a", "per", "second", "mJ", "CR2032", "2 years", "every", "10", "fps", "not", "("),
        *(
            "k",
            "±",
            "error",
            "in",
            "1,5",
            "½",
            "²",
            "{",
            "}",
            "{0}",
            "\u0663",
            "'",
            "a",
            "mAh",
            "V",
        ),
    ]
)


@given(st.lists(PIECES, max_size=14), st.sampled_from(["", " "]))
def test_whatever_is_said_limits_are_possible_and_problems_have_words(
    pieces: list[str], separator: str
) -> None:
    draft = read(separator.join(pieces))
    assert all(value > 0 for value in limits_of(draft).values())
    assert (draft.min_accuracy or 0.5) <= 1.0
    assert all(isinstance(one, Problem) and one.words for one in draft.problems)
