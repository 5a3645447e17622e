"""The audit: sound pairs pass, and each thing that is wrong is found in the pair that has it."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from iclora.clip import Clip
from iclora.plan import model_facts
from iclora.training.audit import Checked, Terms, audit, choose_held_out, shift_of
from iclora.training.entries import Entry, read_entries
from iclora.training.flaws import Flaw
from iclora.training.sources import Source
from iclora.training.store import Bucket
from tests.training.clips import edges, moving, save, save_pairs

BUCKETS = (
    Bucket(width=64, height=64, num_frames=9, fps=16.0),
    Bucket(width=64, height=32, num_frames=9, fps=16.0),
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pairs(tmp_path_factory.mktemp("pairs"), 6)


@pytest.fixture
def pairs(sound: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sound, tmp_path / "pairs")


def found(folder: Path, *, drawn: bool = False) -> dict[str, list[tuple[str, bool, str]]]:
    """What is wrong, by pair; sound ones are left out."""
    checked = audit(read_entries(folder), Terms(buckets=BUCKETS, drawn=drawn))
    told = {one.entry.name: [(f.kind, f.broken, f.text) for f in one.flaws] for one in checked}
    return {name: flaws for name, flaws in told.items() if flaws}


def test_sound_pairs_pass(sound: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    terms = Terms(buckets=BUCKETS, drawn=False, model=model_facts("tiny"), trigger="CLAY")
    checked = audit(read_entries(sound), terms, progress=lambda done, total: seen.append((done, total)))
    assert [one.flaws for one in checked] == [()] * 6 and seen[-1] == (6, 6)
    assert shift_of(checked) is None
    assert {one.bucket for one in checked} == {BUCKETS[0]}
    for one in checked:
        assert one.bond is not None and one.bond.num_others == 5 and one.bond.distance > 2.5 and one.lag == 0


def test_references_one_row_too_late_are_found(pairs: Path) -> None:
    references = [(pairs / f"{number}_reference.mp4").read_bytes() for number in range(6)]
    for number in range(6):
        (pairs / f"{number}_reference.mp4").write_bytes(references[(number + 1) % 6])
    checked = audit(read_entries(pairs), Terms(buckets=BUCKETS, drawn=False))
    assert all(one.broken() and one.broken()[0].kind == "motion" for one in checked)
    assert "the reference of '1' fits better" in checked[2].broken()[0].text and checked[2].better == "1"
    assert shift_of(checked) == -1
    assert shift_of(checked[:2]) is None


def test_a_reference_that_comes_late_is_found(pairs: Path) -> None:
    clip = moving(2, num_frames=12)
    late = edges(clip).frames[[0, 0, *range(10)]]
    (pairs / "2_reference.mp4").unlink()
    save(Clip(frames=late, fps=16.0), pairs / "2_reference.mp4")
    ((kind, broken, text),) = [flaw for flaw in found(pairs)["2"] if "late" in flaw[2]]
    assert (
        (kind, broken) == ("motion", True) and "comes 2 frames late" in text or "comes 3 frames late" in text
    )


def test_what_cannot_be_read_takes_its_own_pair_alone(pairs: Path) -> None:
    (pairs / "1.mp4").write_bytes(b"no film")
    (pairs / "3_reference.mp4").write_bytes(b"no film")
    flaws = found(pairs)
    assert sorted(flaws) == ["1", "3"]
    for name in flaws:
        ((kind, broken, text),) = flaws[name]
        assert kind == "file" and broken and "Cannot read" in text


def test_lengths_sizes_and_emptiness(pairs: Path) -> None:
    for name in ("0.mp4", "1_reference.mp4", "2_reference.mp4", "3_reference.mp4"):
        (pairs / name).unlink()
    save(moving(0, num_frames=5), pairs / "0.mp4")
    save(edges(moving(1, num_frames=7)), pairs / "1_reference.mp4")
    save(edges(moving(2, num_frames=12, height=32)), pairs / "2_reference.mp4")
    save(Clip(frames=np.zeros((12, 64, 64, 3), np.uint8), fps=16.0), pairs / "3_reference.mp4")
    flaws = found(pairs)
    assert ("length", True, "it has 5 frames at 16 per second, and the shortest bucket 9") in flaws["0"]
    assert ("length", True, "its clip has 12 frames at 16 per second, its reference 7") in flaws["1"]
    assert flaws["2"][0][:2] == ("size", True) and "64x64 and its reference 64x32" in flaws["2"][0][2]
    assert ("empty", True, "its reference shows nothing") in flaws["3"]
    assert "4" not in flaws and "5" not in flaws


def test_duplicates_are_found_by_content(pairs: Path) -> None:
    for kind in (".mp4", ".txt", "_reference.mp4"):
        shutil.copy(pairs / f"1{kind}", pairs / f"9{kind}")
    assert found(pairs) == {"9": [("duplicate", True, "it has the same content as '1'")]}


def test_captions_and_small_or_still_clips(tmp_path: Path) -> None:
    save(moving(0, height=16, width=16), tmp_path / "a.mp4")
    still = moving(1)
    save(replace(still, frames=np.repeat(still.frames[:1], 12, axis=0)), tmp_path / "b.mp4")
    (tmp_path / "b.txt").write_text("a depth map of boxes")
    flaws = found(tmp_path, drawn=True)
    assert [(kind, broken) for kind, broken, _ in flaws["a"]] == [("caption", False), ("size", False)]
    assert "enlarged 4 times" in flaws["a"][1][2]
    assert [(kind, broken) for kind, broken, _ in flaws["b"]] == [("caption", True), ("motion", False)]


def test_without_a_reference_a_control_must_be_drawn(tmp_path: Path) -> None:
    save(moving(0), tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_text("boxes")
    assert found(tmp_path, drawn=True) == {}
    ((kind, broken, text),) = found(tmp_path)["a"]
    assert (kind, broken) == ("reference", True) and "no control is drawn" in text


def test_captions_that_are_too_long_for_the_model_are_found(pairs: Path) -> None:
    (pairs / "1.txt").write_text("a box " * 40)
    terms = Terms(buckets=BUCKETS, drawn=False, model=model_facts("tiny"))
    (one,) = [one for one in audit(read_entries(pairs), terms) if one.flaws]
    assert one.entry.name == "1" and one.broken(["caption"]) == list(one.flaws)
    assert one.flaws[0].kind == "prompt" and "the model takes 64" in one.flaws[0].text


def checked(digest: str, *flaws: Flaw, bucket: Bucket | None = BUCKETS[0]) -> Checked:
    entry = Entry(name=digest, video=Source(path=Path("x.mp4")))
    return Checked(entry=entry, clip_digest=digest, bucket=bucket, flaws=flaws)


def test_flaws_can_be_accepted_but_for_clips_that_fit_no_bucket() -> None:
    caption, length = Flaw(kind="caption", text="c"), Flaw(kind="length", text="l")
    soft = Flaw(kind="size", text="s", broken=False)
    assert checked("a", caption, soft).broken() == [caption]
    assert checked("a", caption, soft).broken(["caption"]) == []
    assert checked("a", length, bucket=None).broken(["length"]) == [length]


def test_held_out_clips_are_chosen_by_their_content() -> None:
    ones = [checked(digest * 64) for digest in "0289f"]
    assert choose_held_out(ones, 0.0) == set()
    assert choose_held_out(ones, 0.25) == {"0" * 64, "2" * 64}
    assert choose_held_out(ones[1:], 0.25) == {"2" * 64}
    assert choose_held_out(ones[::-1] + ones, 3.0) == {"0" * 64, "2" * 64, "8" * 64}
