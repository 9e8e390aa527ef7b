"""The grammar of tags: names that Git takes, and evidence that survives the way there and back."""

from __future__ import annotations

import subprocess

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.core.errors import UsageError
from assay.tags import trailers
from assay.tags.strategy_events import (
    KINDS,
    Accepted,
    Attempted,
    RecordedComparison,
    Rejected,
    Remeasured,
    Rescored,
    Revoked,
    Score,
    Seeds,
    UnverifiableError,
    check_name,
    is_name,
    kind_of,
    tag_of,
)
from assay.tags.trailers import format_event, parse_event

COMMIT = "0123456789abcdef0123456789abcdef01234567"

numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True).filter(is_name)
commits = st.text("0123456789abcdef", min_size=40, max_size=40)
scores = st.builds(Score, n=st.integers(0, 1000), mean=st.none() | numbers, sd=st.none() | numbers)
comparisons = st.builds(
    RecordedComparison,
    verdict=texts,
    candidate=scores,
    baseline=st.none() | scores,
    delta=st.none() | numbers,
    ci_low=st.none() | numbers,
    p=st.none() | numbers,
    alpha=st.none() | numbers,
    correlation=st.none() | numbers,
)
seeds = st.builds(
    Seeds,
    root=st.integers(0, 2**53),
    purpose=texts,
    n=st.integers(1, 99),
    candidate=st.integers(0, 10**9),
    baseline=st.integers(0, 10**9),
)
common = {"name": names, "sequence": st.integers(0, 10**6), "commit": commits}
events = st.one_of(
    st.builds(
        Accepted,
        **common,
        metric=texts,
        metric_version=texts,
        profile=texts,
        baseline=texts,
        baseline_commit=texts,
        experiment=texts,
        experiment_commit=texts,
        changed=st.lists(texts, max_size=3),
        selection=comparisons,
        confirmation=comparisons,
        attempts=st.integers(1, 9),
        seeds=seeds,
        environment=texts,
        test=st.none() | scores,
        openings=st.lists(texts, max_size=3),
        allowed=texts,
    ),
    st.builds(Rejected, **common, why=texts, measured=st.none() | comparisons, changed=st.lists(texts, max_size=3)),
    st.builds(Revoked, **common, why=texts, strategy=commits, baseline=texts),
    st.builds(
        Attempted,
        **common,
        metric_version=texts,
        identity=texts,
        experiment_commit=texts,
        confirmation=comparisons,
        attempts=st.integers(1, 9),
        seeds=seeds,
    ),
    st.builds(Remeasured, **common, why=texts, strategy=commits, seeds=seeds),
    st.builds(Rescored, **common, metric=texts, metric_version=names, predictions=texts, ruler=commits, score=scores),
)


@settings(max_examples=500, deadline=None)
@given(events, texts, texts)
def test_parse_is_the_inverse_of_format(event, title, text):
    assert parse_event(tag_of(event), event.commit, format_event(event, title, text)) == event


def test_every_trailer_has_a_key_of_its_own():
    for kind in KINDS.values():
        keys = [key for key, _ in trailers._leaves(kind)]
        assert len(keys) == len(set(keys))


def rejected(**changes) -> Rejected:
    measured = RecordedComparison("regression", Score(10, 0.5, 0.01), Score(10, 0.6, 0.01), delta=-0.1, p=0.001)
    event = Rejected(name="a", sequence=3, commit=COMMIT, why="worse", measured=measured)
    return msgspec.structs.replace(event, **changes)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_single_edited_character_is_noticed(data):
    message = format_event(rejected(), "Reject a", "A text.")
    position = data.draw(st.integers(0, len(message) - 2))  # the last newline is Git's to add or drop
    other = data.draw(st.characters(codec="utf-8").filter(lambda letter: letter != message[position]))
    with pytest.raises(UnverifiableError):
        parse_event("rejected/a", COMMIT, message[:position] + other + message[position + 1 :])


@pytest.mark.parametrize(
    ("tag", "target", "message", "why"),
    [
        ("rejected/b", COMMIT, format_event(rejected(), "t"), "edited, or belongs to another tag"),
        ("rejected/a", "f" * 40, format_event(rejected(), "t"), "it points at ffffffffffff"),
        ("rejected/a", COMMIT, "A tag by hand\n", "no evidence"),
        ("rejected/a", COMMIT, "", "no evidence"),
        ("strategy/a", COMMIT, format_event(rejected(), "t"), "edited, or belongs to another tag"),
        ("rejected/a", COMMIT, format_event(rejected(schema=2), "t"), "schema 2"),
    ],
)
def test_foreign_evidence_is_named(tag, target, message, why):
    with pytest.raises(UnverifiableError, match=why):
        parse_event(tag, target, message)


def resign(body: str) -> str:
    """A forger's message: the checksum made anew over a body that no event formats to."""
    return f"{body}Assay-Checksum: {trailers._checksum('rejected/a', body)}\n"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("Assay-Sequence: 3\n", "", "required field `sequence`"),
        ("Assay-Sequence: 3\n", "Assay-Sequence: three\n", "Expected `int`"),
        ("Assay-Sequence: 3\n", "Assay-Sequence: [3\n", "does not fit"),
        ("Assay-Sequence: 3\n", "Assay-Sequence: 3\nAssay-Sequence: 4\n", "twice"),
        ("Assay-Sequence: 3\n", "Assay-Sequence: 3\nAssay-Mood: good\n", "unknown field Assay-Mood"),
        ("Assay-Sequence: 3\n", "Assay-Sequence: 3\nhello\n", "no trailer"),
        ("Assay-Name: a\n", "Assay-Name: b\n", "about rejected/b"),
        ("Assay-Event: rejected\n", "Assay-Event: revoked\n", "does not fit"),
    ],
)
def test_a_message_that_does_not_fit_is_refused_even_when_signed(old, new, why):
    body = format_event(rejected(), "t").partition("Assay-Checksum")[0]
    assert old in body
    with pytest.raises(UnverifiableError, match=why):
        parse_event("rejected/a", COMMIT, resign(body.replace(old, new)))


def test_lines_that_look_like_trailers_in_the_text_are_text():
    event = rejected(why="Assay-Name: b")
    text = "Assay-Name: b\nAssay-Checksum: 0\n\nAssay-Mood: good"
    assert parse_event("rejected/a", COMMIT, format_event(event, "t", text)) == event


def test_a_signature_below_the_message_is_not_part_of_it():
    signed = format_event(rejected(), "t") + "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"
    assert parse_event("rejected/a", COMMIT, signed) == rejected()


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(UsageError, match="not valid Unicode"):
        format_event(rejected(why="\udcff"), "t")


bad_characters = st.sampled_from(list("\n\r\t\0\x7f\x1b /\\~^:?*[@{}!\"'$&;<>|`()#%=+,é漢\u202e\u200b"))
bad_names = st.one_of(
    st.builds(lambda a, c, b: a + c + b, names | st.just(""), bad_characters, names | st.just("")),
    st.builds(lambda a: "-" + a, names),
    st.builds(lambda a: "." + a, names),
    st.builds(lambda a: a + ".", names),
    st.builds(lambda a: a + ".lock", names),
    st.builds(lambda a, b: a + ".." + b, names, names),
    st.integers(81, 300).map(lambda n: "a" * n),
    st.just(""),
)


@settings(max_examples=2000, deadline=None)
@given(bad_names)
def test_bad_names_are_refused(name):
    with pytest.raises(UsageError, match="is not a name for a strategy; allowed: "):
        check_name(name)


@settings(max_examples=2000, deadline=None)
@given(st.text(max_size=12))
def test_what_passes_stays_printable_and_unquoted(name):
    if is_name(name):
        assert name.isascii() and name.isprintable() and not set(name) & set(" /\\~^:?*[@{}'\"-"[:-1])
        assert not name.startswith("-") and ".." not in name and not name.endswith((".", ".lock"))


def test_git_takes_every_name_that_passes(tmp_path):
    """One `update-ref --stdin` transaction over hundreds of names, the hardest that the grammar allows."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    blob = subprocess.run(
        ["git", "-C", tmp_path, "hash-object", "-w", "--stdin"], input=b"", capture_output=True, check=True
    ).stdout.decode()
    seen: dict[str, str] = {}

    @settings(max_examples=600, deadline=None)
    @given(st.text("aZ0._-lock", min_size=1, max_size=8).filter(is_name))
    def collect(name):
        seen.setdefault(name.casefold(), name)

    collect()
    commands = "".join(f"create refs/tags/strategy/{name} {blob}" for name in seen.values())
    subprocess.run(["git", "-C", tmp_path, "update-ref", "--stdin"], input=commands.encode(), check=True)
    listed = subprocess.run(
        ["git", "-C", tmp_path, "for-each-ref", "--format=%(refname)", "refs/tags"], capture_output=True, check=True
    ).stdout.splitlines()
    assert len(listed) == len(seen) > 100


@pytest.mark.parametrize(
    ("tag", "kind"),
    [("strategy/a", Accepted), ("rejected/a", Rejected), ("v1.0", None), ("strategy", None), ("other/a", None)],
)
def test_tags_of_others_are_not_ours(tag, kind):
    assert kind_of(tag) is kind


@pytest.mark.parametrize("correlation", [None, 0.94])
def test_a_paired_confirmation_has_a_line_that_older_readers_refuse_by_name(
    correlation: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Schema 1 stays; who does not know the field says "not verifiable", and goes on reading all other tags."""
    event = Attempted(
        name="a",
        sequence=1,
        commit=COMMIT,
        metric_version="accuracy-1.5f3c9a2e",
        identity="x",
        experiment_commit=COMMIT,
        confirmation=RecordedComparison(verdict="progress", candidate=Score(n=3), correlation=correlation),
        attempts=1,
        seeds=Seeds(root=1, purpose="paired-confirmation", n=3, candidate=20_000, baseline=20_000),
    )
    message = format_event(event, "title")
    assert ("Assay-Confirmation-Correlation: 0.94" in message) == (correlation is not None)
    assert parse_event(tag_of(event), COMMIT, message) == event
    known = {key: path for key, path in trailers._paths(Attempted).items() if "Correlation" not in key}
    monkeypatch.setattr(trailers, "_paths", lambda kind: known)
    if correlation is None:
        assert parse_event(tag_of(event), COMMIT, message) == event
        return
    with pytest.raises(UnverifiableError, match="not verifiable: it has the unknown field Assay-Confirmation-Correl"):
        parse_event(tag_of(event), COMMIT, message)
