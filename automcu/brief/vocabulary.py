"""The words around amounts: which way a limit goes, what it limits, and what says nothing."""

from typing import Literal

Direction = Literal["upper", "lower", "good", "bad", "about", "weak", "range"]
"""At most; at least; whichever is better, or worse; roughly; "in", as in "in 20 ms"; a range."""

Subject = Literal[
    "latency", "energy", "ram", "flash", "accuracy", "error", "rate", "battery", "input",
    "sampling", "tolerance", "other",
]  # fmt: skip
"""What is limited. "input" is how long a recording is, "sampling" how it was made, "tolerance" how
far a figure may be off, "other" what automcu limits in no way, such as recall or the number of
parameters."""


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


def _phrases(
    entries: dict[Direction, str] | dict[Subject, str],
) -> dict[tuple[str, ...], str]:
    return {
        tuple(phrase.split()): meaning
        for meaning, listed in entries.items()
        for phrase in listed.split("|")
        if phrase.strip()
    }


_DIRECTIONS: dict[Direction, str] = {
    "upper": (
        "<|<=|=<|≤|⩽|under|below|beneath|within|less than|fewer than|lower than|smaller than|"
        "less than or equal to|lower than or equal to|smaller than or equal to|less or equal|"
        "less than or equal|kleiner|kleiner gleich|kleiner oder gleich|geringer als|"
        "shorter than|at most|at the most|at the very most|up to|max|maximum|maximally|maximal|"
        "limited to|or less|or lower|or fewer|or below|or under|tops|sub|limit|no longer than|"
        "höchstens|unter|weniger als|kleiner als|kürzer als|bis zu|innerhalb|binnen|"
        "oder weniger|maximale|maximaler|moins de|en moins de|moins d'|en moins d'|au plus|"
        "au maximum|sous|jusqu'à|inférieur à|inférieure à|inférieur ou égal à|"
        "inférieure ou égale à|menos de|como máximo|meno di|al massimo"
    ),
    "lower": (
        ">|>=|=>|≥|⩾|over|above|more than|greater than|larger than|higher than|longer than|"
        "at least|at the least|at the very least|min|minimum|minimal|or more|or higher|or above|"
        "beyond|mindestens|über|mehr als|größer als|höher als|länger als|oder mehr|"
        "greater than or equal to|higher than or equal to|more than or equal to|greater or equal|"
        "größer|größer gleich|größer oder gleich|wenigstens|supérieur ou égal à|"
        "supérieure ou égale à|plus d'|dépasse|dépasser|überschreiten|überschreitet|"
        "minimale|au moins|plus de|supérieur à|supérieure à|al menos|más de|almeno|più di|"
        "exceed|exceeds|exceeding|exceeded"
    ),
    "good": (
        "better than|or better|faster than|or faster|quicker than|or quicker|besser als|"
        "oder besser|schneller als|oder schneller|mieux que"
    ),
    "bad": "worse than|slower than|langsamer als|schlechter als",
    "about": "about|around|roughly|approximately|approx|ca|circa|~|≈|etwa|ungefähr|rund|environ",
    "weak": "in|en|to|at",
    "range": "between|zwischen|entre",
}
DIRECTIONS = _phrases(_DIRECTIONS)
COMPARISONS = word_set("< <= =< ≤ ⩽ > >= => ≥ ⩾")
"""Directions that may stand behind their amount, the other way round: "97 % < accuracy"."""
EXCEEDING = word_set("exceed exceeds exceeding exceeded überschreiten überschreitet")
"""Directions that follow their amount after "not": "20 ms must not be exceeded"."""
EXCEPTIONS = frozenset(
    (word,)
    for word in word_set(
        """
        ignore ignoring forget except statt anstatt reserve reserved reserves reserving leave leaves
        leaving spare save saves saving freihalten réserver laisser économiser
        """
    )
) | {
    ("instead", "of"),
    ("rather", "than"),
    ("au", "lieu", "de"),
    ("plutôt", "que"),
    *((part, "of") for part in ("half", "third", "quarter", "fifth", "tenth", "fraction")),
    *((word,) for word in ("double", "triple", "doppelt", "halb", "hälfte", "moitié")),
}
"""Words before an amount that is not a limit: not meant, to be left over, or a multiple of it."""
FACTOR_MARKS = word_set("of as so wie aussi times x × fold mal fois der du de")
"""Words between a number and an amount of which it is a factor: "half of", "twice as fast as"."""
FACTOR_WORDS = FACTOR_MARKS | word_set(
    """
    the que des la le fast quick quickly much many small little big large long short good accurate
    schnell viel klein groß genau vite rapide peu plus
    moins
    """
)
TIMES = word_set("times x × fold times-fold mal fois percent")
"""Words behind the number of a comparison: "3 times faster than 40 ms"."""
OCCASIONS = word_set(
    """
    time times cases runs inferences frames requests calls occasions zeit fälle fällen temps cas
    """
)
"""What a share of which may be how often a time is kept: "95 % of the time under 20 ms"."""
OF_ALL = word_set("of the all its der aller du des tous les")
LEFT_OVER = word_set("free left over spare unused remaining frei übrig libre libres restants")
"""Words behind an amount of memory that is to be left over."""
NEGATIONS = word_set(
    """
    no not never without don't doesn't mustn't shouldn't can't cannot nicht nie kein keine
    keinen ohne pas ne sans nothing none neither nor weder
    """
)

_SUBJECTS: dict[Subject, str] = {
    "latency": (
        "latency|lat|inference time|response|response time|run time|runtime|execution time|"
        "time per inference|frame time|deadline|delay|answer|answers|respond|responds|reply|"
        "latenz|inferenzzeit|laufzeit|antwortzeit|rechenzeit|latence"
    ),
    "energy": (
        "energy|energie|énergie|energieverbrauch|power|average power|power consumption|average|"
        "on average|mean|leistung|leistungsaufnahme|im mittel|verbrauch|energy consumption"
    ),
    "ram": (
        "ram|sram|memory|working memory|work memory|main memory|arbeitsspeicher|speicher|"
        "hauptspeicher|mémoire|mémoire vive|memoria|data memory|ram memory|heap"
    ),
    "flash": (
        "flash|rom|storage|flash memory|program memory|code memory|flashspeicher|programmspeicher|"
        "flash speicher|mémoire flash|firmware|firmware size|binary|binary size|code size|"
        "program size|image size|model size|rom memory|non volatile memory|memoria flash"
    ),
    "accuracy": (
        "accuracy|accurate|accuracies|acc|correct|correctly|right|genauigkeit|genau|richtig|korrekt|"
        "treffer|trefferquote|précision|exactitude|precisión|hit rate|success rate|top-1 accuracy|"
        "test accuracy|top-1|recognition rate|erkennungsrate|correct answers"
    ),
    "error": (
        "error|errors|error rate|wrong|wrong answers|wrong predictions|mistakes|mistake|"
        "misclassified|misclassifications|fehler|"
        "fehlerrate|fehlerquote|falsch|erreur|erreurs|taux d'erreur|error rates|incorrect"
    ),
    "rate": "fps|speed|geschwindigkeit|frame rate|framerate|inference rate|throughput|bildrate|hz",
    "battery": (
        "battery life|battery lifetime|battery|batteries|batterielaufzeit|akkulaufzeit|batterie|"
        "akku|lifetime|last|lasts|lasting|runtime on|autonomy|autonomie|pile|hält|halten"
    ),
    "input": (
        "sound|audio|recording|recordings|clip|clips|window|windows|speech|signal|data|of sound|"
        "hop|stride|long|train|trained|segments|segment|frames|utterance|utterances|fenster|aufnahme|aufnahmen|"
        "snippets|chunks|input|history|training|epochs|timeout"
    ),
    "sampling": (
        "sample rate|sampling rate|sampling|sampled|sample|samples|sampling frequency|"
        "accelerometer|imu|microphone|mains|abtastrate|adc|sensor|gyroscope|camera clock"
    ),
    "tolerance": (
        "tolerance|jitter|margin|headroom|deviation|spread|variation|toleranz|abweichung|"
        "tolérance|marge"
    ),
    "other": (
        "top-5 accuracy|top-3 accuracy|top-5|top-3|split|percentile|"
        "psram|sdram|dram|external ram|external sram|external flash|external memory|arena|"
        "tensor arena|stack|cpu|recall|precision|f1|f1 score|auc|sensitivity|specificity|sparsity|"
        "dropout|duty cycle|load|utilisation|utilization|parameters|params|weights|layers|"
        "classes|macs|accuracy loss|accuracy drop|loss|drop|false positives|false positive rate|"
        "false negatives|false alarms|cycles|time budget|confidence|channels|bits|cost|price|"
        "neurons|images|examples|threads|cores|sd card|eeprom|swap"
    ),
}
SUBJECTS = _phrases(_SUBJECTS)
LONGEST_PHRASE = max(len(phrase) for phrase in (*DIRECTIONS, *SUBJECTS))

LINKS = word_set(
    """
    of for in on the its a an is are be must should shall stay stays keep keeps to use uses
    using time take takes need needs internal on-chip available free total peak average mean with at
    may can could would will do go ( )
    as than - : = – de du des d' la le l' von vom der die das den dem im am zu für mit nur only
    just budget limit requirement target goal usage consumption size overall it max maximum
    within chip test top low accurate hold have has having per inference each inferenz answers
    run runs result results all cases fit fits into no not sein soll
    """
)
"""Words that may stand between an amount and what it limits."""

FILLER = word_set(
    """
    a an the this that these those it its my our your their me i we you one some any on in at of
    for to from with without by as into onto and or but also then than so is are be being been
    learn learns fit fits fitting available free left total consume consumes consuming
    erkenne unterscheide bei soll
    was do does did can could may might must should shall will would have has having need needs
    want wants like please let make makes making made give gives show find build builds building
    create design develop train trained training deploy run runs running use uses using used get
    gets keep keeps stay take takes put tell apart hear listen recognise recognize recognises
    recognizes recognising recognizing recognition recogniser recognizer classify classifies
    classifying classification classifier detect detects detecting detection detector identify
    identifies identifying distinguish predict read reads reading image images picture pictures
    photo photos photograph photographs data dataset set file folder directory named called
    written drawn hand network networks net neural model models nn ai ml machine learning deep
    tiny tinyml embedded mcu microcontroller microcontrollers controller chip soc device devices
    target targets targeting board boards dev devkit devkitc kit development discovery disco
    disc nucleo eval evaluation stm32 esp32 arm cortex per inference auf mit und oder für im ein
    eine einen einem einer der die das den dem des von vom zu zum erkennen erkennt
    klassifizieren unterscheiden bilder bild netz netzwerk modell bitte soll karte
    mikrocontroller welche ich möchte brauche eines sur avec et ou pour un une le la les de du
    dans en reconnaître reconnaitre classer réseau carte microcontrôleur je veux con y para una
    el los las reconocer clasificar su di il riconoscere there here where which what who when
    how each every all only just
    """
)
"""Words that ask for nothing that a limit, a board or data would have to answer."""
