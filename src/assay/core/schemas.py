"""Records: what stages and commands hand to each other as JSON, with a schema number each.

Covers: their fields, decoding with a sentence when a record is damaged, of a newer schema, or edited by
hand. Not covered: files (`runtime.files`) and paths (`core.paths`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from assay.core import machine_blocks
from assay.core.errors import UsageError
from assay.core.hardware_class import ClassOfMachine as ClassOfMachine
from assay.core.hardware_class import Hardware as Hardware

#: what decoders raise for content that somebody else wrote: not JSON, too deep, a number of 5,000 digits, no Unicode
DAMAGE = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all records. A reader accepts the schema it knows and names the one it does not."""

    schema: int = 1


R = TypeVar("R", bound=Record)


def encode(record: Record) -> bytes:
    """Indented JSON with a final newline: readable in a diff, the same bytes for the same content."""
    return msgspec.json.format(as_json(record), indent=2) + b"\n"


def as_json(value: object) -> bytes:
    """JSON of anything that msgspec knows; a file's or a ref's name that is no Unicode gets question marks."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_unicode(msgspec.to_builtins(value)))


def _unicode(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_unicode(key): _unicode(inner) for key, inner in value.items()}
    return [_unicode(inner) for inner in value] if isinstance(value, list) else value


def decode(content: bytes, kind: type[R], where: str, hint: str = "") -> R:
    """The record in `content`. `where` names the file in the sentence, `hint` how to get a good one back."""
    try:
        raw = msgspec.json.decode(content)
        found = raw.get("schema") if isinstance(raw, dict) else None
        known = next(field.default for field in msgspec.structs.fields(kind) if field.name == "schema")
        if isinstance(found, int) and found != known:
            raise UsageError(
                f"{where} has schema {found}", allowed=f"schema {known}", hint="update Assay, or run the stage again"
            )
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where} is not a valid {kind.__name__} record: {error}", hint=hint) from error
    except DAMAGE as error:
        raise UsageError(f"{where} is damaged: {error}", hint=hint) from error


class Part(Record, frozen=True, kw_only=True):
    """Manifest of one part of the data (`data/split/train/manifest.json`), or of all of it (`data/prepared`)."""

    part: str
    examples: int
    content: str  # hash over ids, inputs, targets and groups
    arrays: dict[str, str]  # file name → content hash
    classes: list[str] | None = None  # class names; None for regression
    several: list[list[Any]] | UnsetType = UNSET  # name, shape and dtype of each of several targets
    kind: str | UnsetType = UNSET  # tokens or series, where prepare() says so
    form: str | UnsetType = UNSET  # of inputs in inputs.arrow: table, texts, files, ragged; left out for arrays
    decode: dict[str, Any] | UnsetType = UNSET  # keyword arguments of decode(); left out where prepare() gave none


class AbsentFloors(Record, frozen=True, kw_only=True):
    """`predictions/floors/absent.json`: floors that would mean nothing on these data."""

    absent: dict[str, str]  # name → why


class Environment(Record, frozen=True, kw_only=True):
    """What decides whether two numbers come from the same machine, as far as numbers care."""

    device: str  # "cpu", or the accelerator's name
    machine: str  # architecture: x86_64, aarch64, …
    system: str  # Linux, Darwin, …
    packages: dict[str, str]  # distribution → version, those that training imports
    library: str = ""  # fingerprint of Assay's own sources that train; its other sources make no numbers of an arm
    variables: dict[str, str] | UnsetType = UNSET  # set here, and known to change numbers; left out where none is
    hardware: Hardware | UnsetType = UNSET  # left out in records of before December 2026
    #: with `judge.blocks: machine`: name → class, each of which trains a part of the replicates; else left out
    classes: dict[str, ClassOfMachine] | UnsetType = UNSET

    @property
    def by_turns(self) -> list[str]:
        """Names of the classes in the order of their turns, whatever they are called."""
        classes = {} if self.classes is UNSET else self.classes
        return sorted(classes, key=lambda name: str(classes[name]))

    @property
    def class_keys(self) -> dict[str, str]:
        """Class → key of what it trains, in the order of turns; none where all are trained on one."""
        return {name: self.of_class(name).key for name in self.by_turns}

    def of_class(self, name: str) -> Environment:
        """The environment of what the class called `name` trains."""
        assert self.classes is not UNSET
        one = self.classes[name]
        return msgspec.structs.replace(
            self, device=one.device, machine=one.machine, hardware=one.hardware, classes=UNSET
        )

    def blocks(self, numbers: Iterable[int]) -> dict[int | str, str] | None:
        """Replicate → name of the class that trains it; None where all are trained on one."""
        names = self.by_turns
        return {number: machine_blocks.turn(number, names) for number in numbers} if names else None

    @property
    def machine_class(self) -> str:
        """Device and hardware in one line: both arms of a comparison run on one such class, or on all of these."""
        if self.classes is not UNSET:
            return " + ".join(str(self.classes[name]) for name in self.by_turns)
        hardware = "" if self.hardware is UNSET else str(self.hardware)
        return f"{self.device} ({', '.join(filter(None, (self.machine, hardware)))})"

    @property
    def key(self) -> str:
        """One line, the same for the same environment."""
        packages = ", ".join(f"{name} {version}" for name, version in sorted(self.packages.items()))
        found = {} if self.variables is UNSET else self.variables
        variables = "".join(f"; {name}={value}" for name, value in sorted(found.items()))
        library = f"; training code {self.library[:12]}" if self.library else ""
        hardware = "" if self.hardware is UNSET else f"; {self.hardware}"
        if self.classes is not UNSET:
            return f"{packages}; {self.machine_class}; {self.system}{variables}{library}"
        return f"{packages}; {self.device}; {self.machine}; {self.system}{hardware}{variables}{library}"


class Draw(Record, frozen=True, kw_only=True):
    """`context/draw.json`: the replicates that a candidate trains, `first` and following under `purpose`."""

    purpose: str  # candidate, or paired where both arms train the same ones
    first: int
    vary: list[str] | UnsetType = UNSET  # what differs between them, left out where everything does


class StageCode(Record, frozen=True, kw_only=True):
    """`context/code-STAGE.json`: the code that a stage reaches, in hashes that comments and layout leave alone."""

    stage: str
    library: str  # fingerprint of what the stage imports of Assay
    files: dict[str, str]  # the user's own sources, relative to the folder of dvc.yaml → hash
    #: files that the metrics name in READS, or what training reads beside its code → hash; left out where there is none
    reads: dict[str, str] | UnsetType = UNSET
    shows: dict[str, str] | UnsetType = UNSET  # sources that the task's show() reaches → hash; left out where none is

    @property
    def sources(self) -> list[str]:
        """All sources of the user's own, in the order of their names."""
        return sorted({*self.files, *([] if self.shows is UNSET else self.shows)})

    @property
    def hashes(self) -> dict[str, str]:
        """All kinds of files → hash; where the metrics and show() reach one file, of both."""
        shown = {} if self.shows is UNSET else self.shows
        found = self.files | ({} if self.reads is UNSET else self.reads)
        return found | {name: f"{found[name]} {hashed}" if name in found else hashed for name, hashed in shown.items()}


class ScriptInputs(Record, frozen=True, kw_only=True):
    """`context/script-ARM.json`: what a script's arm depends on beside its code, and DVC cannot see by itself."""

    parameters: dict[str, Any]
    files: dict[str, str]  # name under `files:` → hash of the content
    ruler: dict[str, str]  # file of today's ruler → hash of the content
    python_path: list[str]  # folders of this project, from the top of the repository, that an editable install imports


class Identity(Record, frozen=True, kw_only=True):
    """What makes a strategy the strategy it is: two arms with equal identities are the same strategy."""

    code: str  # hash of the normalised sources of the task that training reaches
    parameters: dict[str, Any]  # resolved parameters that training reads
    data: str  # content hash of the training part


#: execution of `assay check`: one replicate after another in the process itself, where a debugger can stop it
FOREGROUND = "foreground"


class SplitDraw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parts that splits are drawn from, for replicates that have one each. All paths are absolute."""

    train: str  # folder of today's training part
    validation: str  # folder of today's validation part
    prepared: str  # folder of all examples
    split: dict[str, Any]  # the section `split` of today's params.yaml


class MeasureRequest(Record, frozen=True, kw_only=True):
    """Train these replicates, predict these examples, write there.

    `assay stage measure REQUEST.json`, started in the strategy's own tree, answers with
    `predictions`, `models`, `curves` and a `Measurement` at `answer`. All paths are absolute.
    """

    profile: str
    purpose: str  # candidate, baseline, confirmation: each draws its own seeds
    seed: int
    replicates: list[int]  # their numbers; the same number under the same purpose is the same replicate
    device: str  # auto, cpu, cuda, cuda:1
    devices: list[int] | Literal["all"] | UnsetType = UNSET  # where a process each trains; left out for one process
    environment: str  # Environment.key
    code: str  # Identity.code, part of each replicate's name in the cache
    execution: str  # auto, fused, sequential, processes, or FOREGROUND
    train: str  # folder of a part
    evaluate: str  # folder of the part to predict
    models: str  # folder to write
    predictions: str  # folder to write
    curves: str  # CSV file to write
    log: str  # text file to write
    answer: str  # JSON file to write
    cache: str  # folder of the replicate cache; "" for none
    #: class of machine → Environment.key of what it trains, in the order of turns; left out where all train on one
    classes: dict[str, str] | UnsetType = UNSET
    here: str = ""  # with classes: the key of this machine, which trains for its own class alone
    logs: str = ""  # folder to write what each replicate of a loop prints; "" for none
    shared: str = ""  # folder of replicates that several machines see; "" for none
    draws: SplitDraw | UnsetType = UNSET  # left out where all replicates train and predict the same examples


#: what a Divergence names where the weights are finite, and what they predict is not
PREDICTIONS = "predictions"


class DrawnSplits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The splits of replicates, in their order. `content`: one hash over all that they are judged on."""

    content: str
    train: list[int]  # how many examples each trained on
    evaluated: list[int]  # how many it predicts

    @property
    def overlap(self) -> float:
        """Mean of validation over training examples."""
        pairs = list(zip(self.evaluated, self.train, strict=True))
        return sum(judged / trained for judged, trained in pairs) / len(pairs)


class Divergence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a replicate left the finite numbers. Epoch and step count from 1; step counts over the whole run."""

    epoch: int
    step: int
    tensor: str  # "loss", or the first parameter, gradient or prediction that is not finite


class Replicate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training of a strategy with one seed."""

    number: int
    seed: int  # the 32-bit seed that (seed, purpose, number) derives
    execution: str  # fused, sequential, processes, task (its own fit)
    reused: bool  # taken from the cache, were it trained there a moment ago
    seconds: float  # of training, its share when trained together
    steps: int
    diverged: Divergence | None = None
    # seconds an example of predicting right after training, its share when predicted together; None in older records
    inference: float | None = None
    reported: float | UnsetType = UNSET  # what a script said; left out where there are predictions


#: what a verdict says where the ledger took no look, and the command to run once it can be written
NOT_RECORDED = "not recorded"
UNRECORDED = f"look {NOT_RECORDED}"
RECORD = "dvc repro -f -s evaluate verdict"


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that was noted while replicates trained, in one sentence.

    `kind`: a `remark` is for the log; a `caution` stands beside the verdict, too; `uncached` says that this process
    could keep nothing for re-use, which the first stage of a run says, and nobody later needs to know.
    """

    text: str
    kind: Literal["remark", "caution", "uncached"] = "remark"


class Measurement(Record, frozen=True, kw_only=True):
    """Answer to a MeasureRequest."""

    identity: Identity
    purpose: str
    profile: str
    replicates: list[Replicate]
    left_out: int  # training examples dropped because they are among the evaluated ones
    nondeterministic: list[str]  # operations without a deterministic kernel
    peak_memory: int  # bytes on the device, or of the process on CPU
    notes: list[Note | str]  # e.g. why a model could not be fused; text alone in records of before
    # mean percent of time in which the GPU was busy while these trained, one reading an epoch; None on a CPU, where
    # nobody could tell, and in answers of strategies that were accepted before it was asked for
    utilisation: float | None = None
    weights: int | None = None  # numbers in the weights of one replicate; None where none are kept, or nobody counted
    splits: DrawnSplits | UnsetType = UNSET  # of replicates that have one each; left out where all have the same parts

    def texts(self, *kinds: str) -> list[str]:
        """Sentences of the notes of these kinds, of all where none is named; a record of before knew remarks alone."""
        known = [note if isinstance(note, Note) else Note(note) for note in self.notes]
        return [note.text for note in known if not kinds or note.kind in kinds]


class Arm(Record, frozen=True, kw_only=True):
    """`arms/ARM.json`: who was measured, and where."""

    arm: str
    name: str  # "candidate", the baseline's tag or commit, or "floor"
    commit: str  # the strategy's commit; for a candidate the experiment's parent
    experiment: str  # DVC experiment name, "" outside of one
    environment: Environment
    evaluated: str  # content hash of the predicted part
    measurement: Measurement | None  # None while the baseline is the floor
    unproven: list[str]  # files imported late that provenance had not seen
    incomparable: str | UnsetType = UNSET  # why a script's baseline could not be measured under today's ruler
