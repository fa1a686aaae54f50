"""Data sets of single frames as their authors distribute them: miniatures of each layout, right and wrong."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from programs import run_tool

from pycaffe_ext.data import boundaries, class_folders, frame_sets, sources, volumes
from pycaffe_ext.data.frames import Frame, read_image, read_mask
from pycaffe_ext.data.sources import cvc_clinicdb
from pycaffe_ext.errors import UserError

ROOT = Path(__file__).parents[3]
SIZE = (24, 32)
KVASIR_NAMES = ["cju0qkwl35piu0993l0dewei2", "ck2bxqz3evvcv0838q0xdyjx4"]
OURS = ROOT.parent / "shared/data/kvasir-seg"


def put(path: Path, code: int, mask: bool) -> None:
    """A picture that carries `code`, to 250, as the brightness of a frame, or as the white pixels of a mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(SIZE, np.uint8)
    if mask:
        pixels.ravel()[: code % 251] = 255
    else:
        pixels[:] = code % 251
    assert cv2.imwrite(str(path), pixels if mask else np.dstack([pixels] * 3))


def pairs(folder: Path, images: str, masks: str, codes) -> Path:
    """Frames and masks with codes: `images` and `masks` are patterns of their paths for a number."""
    for code in codes:
        put(folder / images.format(code), code, False)
        put(folder / masks.format(code), code, True)
    return folder


def codes(frames: list[Frame]) -> list[tuple[int, int]]:
    """(code of the frame, code of its mask) of each frame."""
    return [(int(read_image(f.image)[0, 0, 0]), int(np.count_nonzero(read_mask(f)))) for f in frames]


def assert_pairs(frames: list[Frame], without: int = 0) -> None:
    found = codes(frames)
    assert all(frame == mask for frame, mask in found if mask) and sum(not mask for _, mask in found) == without
    assert [frame.name for frame in frames] == sorted({frame.name for frame in frames})


def fails(folder: Path, *words: str, dataset: str | None = None) -> None:
    with pytest.raises(UserError) as error:
        sources.find(folder, dataset, progress=False)
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def clinicdb(folder: Path, numbers=range(1, 4)) -> Path:
    for n in numbers:
        put(folder / f"Original/{n}.tif", n % 200 + 1, False)
        put(folder / f"Ground Truth/{n}.tif", n % 200 + 1, True)
    return folder


def polypgen(folder: Path) -> Path:
    for n, centre in enumerate(("C1", "C3"), 1):
        pairs(
            folder,
            f"data_{centre}/images_{centre}/{{}}H.jpg",
            f"data_{centre}/masks_{centre}/{{}}H_mask.jpg",
            [40 * n, 40 * n + 1],
        )
    put(folder / "data_C3/images_C3/C3_EndoCV2021_00489_.jpg", 200, False)  # as it is spelt there
    put(folder / "data_C3/masks_C3/C3_EndoCV2021_00489_mask.jpg", 200, True)
    seq = "sequenceData/positive/seq2"
    pairs(folder, f"{seq}/images_seq2/{{}}.jpg", f"{seq}/masks_seq2/{{}}_mask.jpg", [150, 151, 152])
    (folder / seq / "masks_seq2/150.txt").write_text("a box")
    (folder / seq / "bbox_seq2").mkdir()
    for code in (90, 91):
        put(folder / f"sequenceData/negativeOnly/seq2_neg/{code}.jpg", code, False)
    put(folder / "imagesAll_positive/150.jpg", 150, False)
    return folder


# --- each data set ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("boxes", [True, False])
def test_kvasir_seg_as_distributed_and_with_other_masks(tmp_path, suffix, boxes):
    for code, name in zip((64, 128), KVASIR_NAMES, strict=True):
        put(tmp_path / f"images/{name}.jpg", code, False)
        put(tmp_path / f"masks/{name}{suffix}", code, True)
    if boxes:
        (tmp_path / "kavsir_bboxes.json").write_text("{}")
    frames = sources.find(tmp_path)
    assert [(f.name, f.group, f.source) for f in frames] == [(n, n, "kvasir-seg") for n in sorted(KVASIR_NAMES)]
    if suffix == ".png":
        assert_pairs(frames)


@pytest.mark.skipif(not OURS.is_dir(), reason=f"no data set at {OURS}")
def test_the_real_kvasir_seg_is_recognised():
    frames = sources.find(OURS, progress=False)
    assert len(frames) == 1000 and {frame.source for frame in frames} == {"kvasir-seg"}


def test_clinicdb_sequences_are_those_published():
    sizes = Counter(cvc_clinicdb.sequence_of(n) for n in range(1, 613))
    assert sorted(sizes) == list(range(1, 30)) and sum(sizes.values()) == 612
    assert (sizes[4], sizes[10], sizes[29]) == (11, 6, 21)
    known = {1: 1, 25: 1, 26: 2, 50: 2, 51: 3, 199: 9, 200: 10, 205: 10, 206: 11, 591: 28, 592: 29, 612: 29}
    assert {n: cvc_clinicdb.sequence_of(n) for n in known} == known


def test_clinicdb_groups_by_sequence(tmp_path):
    frames = sources.find(clinicdb(tmp_path / "CVC-ClinicDB", [1, 25, 26, 612]))
    groups = {"1": "sequence01", "25": "sequence01", "26": "sequence02", "612": "sequence29"}
    assert {f.name: f.group for f in frames} == groups
    assert {f.source for f in frames} == {"cvc-clinicdb"}
    assert_pairs(frames)


def test_clinicdb_redistribution_takes_the_groups_of_its_table(tmp_path):
    for form, suffix in (("PNG", "png"), ("TIF", "tif")):
        pairs(tmp_path, f"{form}/Original/{{}}.{suffix}", f"{form}/Ground Truth/{{}}.{suffix}", [1, 2, 3])
    lines = "frame_id,sequence_id,png_image_path\n1,7,a\n2,7,b\n3,12,c\n"
    (tmp_path / "metadata.csv").write_text(lines)
    frames = sources.find(tmp_path)
    assert [(f.group, f.image.suffix) for f in frames] == [
        ("sequence07", ".png"),
        ("sequence07", ".png"),
        ("sequence12", ".png"),
    ]
    assert_pairs(frames)
    (tmp_path / "metadata.csv").write_text(lines.replace("3,12,c", "4,12,c"))
    fails(tmp_path, "metadata.csv", "no sequence_id for frame 3")
    (tmp_path / "metadata.csv").write_text("a,b\n1,2\n")
    fails(tmp_path, "metadata.csv", "frame_id,sequence_id")


def test_clinicdb_in_plain_folders_keeps_its_sequences(tmp_path):
    frames = sources.find(pairs(tmp_path / "CVC-ClinicDB", "images/{}.png", "masks/{}.png", [1, 2, 60]))
    assert [f.group for f in frames] == ["sequence01", "sequence01", "sequence03"]
    for n in range(1, 613):
        for part in ("images", "masks"):
            put(tmp_path / f"any name/{part}/{n}.png", n % 200 + 1, part == "masks")
    assert {f.group for f in sources.find(tmp_path / "any name")} == {f"sequence{n:02d}" for n in range(1, 30)}


def test_clinicdb_frames_must_have_its_numbers(tmp_path):
    fails(clinicdb(tmp_path / "a", [1, 613]), "613.tif", "1 to 612")
    fails(clinicdb(tmp_path / "b", [0, 1]), "0.tif", "1 to 612")
    folder = pairs(tmp_path / "CVC-ClinicDB", "images/f{}.png", "masks/f{}.png", [1, 2])
    fails(folder, "looks like cvc-clinicdb", "numbers", "groups.csv")
    (folder / "groups.csv").write_text("frame,group\nf1,a\nf2,a\n")
    fails(folder, "f1.png", "1 to 612")
    assert {f.group for f in sources.find(folder, "plain")} == {"a"}


def test_colondb_with_its_masks_beside_the_frames(tmp_path):
    pairs(tmp_path, "CVC-ColonDB/{}.bmp", "CVC-ColonDB/p{}.bmp", [1, 2, 30])
    for other in "sc":
        put(tmp_path / f"CVC-ColonDB/{other}1.bmp", 200, True)
    frames = sources.find(tmp_path)
    assert [f.name for f in frames] == ["1", "2", "30"]
    assert {(f.group, f.source) for f in frames} == {("cvc-colondb", "cvc-colondb")}
    assert_pairs(frames)
    put(tmp_path / "CVC-ColonDB/copy/2.bmp", 9, False)
    fails(tmp_path / "CVC-ColonDB", "2.bmp lie in two of its folders")
    shutil.rmtree(tmp_path / "CVC-ColonDB/copy")
    (tmp_path / "CVC-ColonDB/p2.bmp").unlink()
    fails(tmp_path, "no mask for 2", "p2.bmp")


def test_colondb_copies_have_one_group_unless_the_user_says_more(tmp_path):
    folder = pairs(tmp_path / "CVC-ColonDB", "images/{}.png", "masks/{}.png", [1, 2, 380])
    assert {f.group for f in sources.find(folder)} == {"cvc-colondb"}
    (folder / "groups.csv").write_text("frame,group\n1,a\n2,a\n380,b\n")
    assert [f.group for f in sources.find(folder)] == ["a", "a", "b"]


@pytest.mark.parametrize("prefix", ["p", ""])
def test_etis_masks_may_be_called_with_a_p(tmp_path, prefix):
    folder = pairs(tmp_path, "ETIS-LaribPolypDB/{}.tif", f"Ground Truth/{prefix}{{}}.tif", [1, 2, 196])
    frames = sources.find(folder)
    assert [(f.name, f.group, f.source) for f in frames] == [(n, "etis-larib", "etis-larib") for n in ("1", "196", "2")]
    assert_pairs(frames)


def test_etis_is_told_by_its_numbers(tmp_path):
    frames = sources.find(pairs(tmp_path, "images/{}.png", "masks/{}.png", range(1, 197)))
    assert {(f.group, f.source) for f in frames} == {("etis-larib", "etis-larib")}
    fails(pairs(tmp_path / "ETIS", "images/{}.png", "masks/{}.png", [197]), "197.png", "1 to 196")


def test_polypgen_centres_and_sequences_are_the_groups(tmp_path):
    frames = sources.find(polypgen(tmp_path / "PolypGen2021_MultiCenterData_v3"))
    assert Counter(f.group for f in frames) == {"C1": 2, "C3": 3, "seq2": 3, "seq2_neg": 2}
    assert [f.name for f in frames if f.mask is None] == ["seq2_neg/90", "seq2_neg/91"]
    by_name = {f.name: f for f in frames}
    assert by_name["C3/C3_EndoCV2021_00489_"].mask.name == "C3_EndoCV2021_00489_mask.jpg"
    assert by_name["C1/40H"].mask.name == "40H_mask.jpg"
    assert {f.source for f in frames} == {"polypgen"}
    assert all(read_mask(f).any() != (f.group == "seq2_neg") for f in frames)


def test_hyperkvasir_with_and_without_its_labelled_images(tmp_path):
    home = tmp_path / "hyper-kvasir"
    pairs(home, "segmented-images/images/{}.png", "segmented-images/masks/{}.png", [64, 128])
    (home / "segmented-images/bounding-boxes.json").write_text("{}")
    for folder in (home, home / "segmented-images", tmp_path):
        frames = sources.find(folder)
        assert [(f.name, f.group, f.source) for f in frames] == [(n, n, "hyperkvasir") for n in ("128", "64")]
        assert_pairs(frames)
    lower, upper = (home / f"labeled-images/{part}-gi-tract" for part in ("lower", "upper"))
    for place in (
        "Anatomical Landmarks/cecum",
        "quality-of-mucosal-views/bbps-2-3",
        "pathological-findings/polyps",
        "therapeutic-interventions/dyed-lifted-polyps",
    ):
        put(lower / place / "x.jpg", 9, False)
    put(upper / "anatomical-landmarks/pylorus/x.jpg", 9, False)
    frames = sources.find(home)
    assert [f.name for f in frames if f.mask is None] == ["bbps-2-3/x", "cecum/x"]
    assert len({f.group for f in frames}) == 4
    assert_pairs(frames, without=2)


def test_groups_csv_wins_in_every_layout(tmp_path):
    clinicdb(tmp_path, [1, 2, 3])
    (tmp_path / "groups.csv").write_text("frame,group\n1,x\n2,y\n3,y\n")
    assert [f.group for f in sources.find(tmp_path)] == ["x", "y", "y"]
    (tmp_path / "groups.csv").write_text("frame,group\n1,x\n2,y\n")
    fails(tmp_path, "groups.csv", "no group for 3")


# --- recognition ------------------------------------------------------------------------------------------------------


def test_anything_with_images_and_masks_is_plain(tmp_path):
    frames = sources.find(pairs(tmp_path, "images/v1/{}.png", "masks/v1/{}.png", [5, 6]))
    assert [(f.name, f.group, f.source) for f in frames] == [("v1/5", "v1", "plain"), ("v1/6", "v1", "plain")]


def test_a_patients_videos_are_one_group(tmp_path):
    for number, video in enumerate(("p1/v1", "p1/v2", "p2/v1/a")):
        pairs(tmp_path, f"images/{video}/{{}}.png", f"masks/{video}/{{}}.png", [number + 5])
    assert [(f.name, f.group) for f in sources.find(tmp_path)] == [
        ("p1/v1/5", "p1"),
        ("p1/v2/6", "p1"),
        ("p2/v1/a/7", "p2"),
    ]


def test_the_folder_above_will_do_if_it_holds_one_data_set(tmp_path):
    clinicdb(tmp_path / "deep/CVC-ClinicDB")
    (tmp_path / "deep/papers").mkdir()
    assert sources.find(tmp_path / "deep")[0].source == "cvc-clinicdb"
    polypgen(tmp_path / "deep/PolypGen")
    fails(tmp_path / "deep", "several data sets", "cvc-clinicdb in CVC-ClinicDB/", "polypgen in PolypGen/")
    assert sources.find(tmp_path / "deep", "polypgen")[0].source == "polypgen"


def test_a_copy_inside_a_broken_data_set_is_not_taken_for_it(tmp_path):
    pairs(tmp_path, "images/{}.png", "old/masks/{}.png", [5, 6])
    pairs(tmp_path, "old/images/{}.png", "old/masks/{}.png", [5, 6])
    fails(tmp_path, "looks like plain", "masks/ is missing")


def test_a_folder_called_like_its_data_set_may_hold_it(tmp_path):
    pairs(tmp_path / "ETIS-Larib", "ETIS-LaribPolypDB/{}.tif", "Ground Truth/{}.tif", [1, 2])
    assert len(sources.find(tmp_path)) == 2


def test_a_folder_of_two_data_sets_at_once_is_ambiguous(tmp_path):
    polypgen(clinicdb(tmp_path))
    fails(tmp_path, "may be one of several", "cvc-clinicdb", "polypgen", "DATASET=")
    assert {f.source for f in sources.find(tmp_path, "cvc-clinicdb")} == {"cvc-clinicdb"}


@pytest.mark.parametrize(
    ("make", "gone", "words"),
    [
        (clinicdb, "Ground Truth", ["looks like cvc-clinicdb", "'Ground Truth/' is missing", "DATASET=cvc-clinicdb"]),
        (polypgen, "data_C3/masks_C3", ["looks like polypgen", "data_C3/masks_C3/ is missing"]),
        (polypgen, "sequenceData/positive/seq2/images_seq2", ["polypgen", "positive/seq2/images_seq2/ is missing"]),
        (
            lambda f: pairs(f, "ETIS-LaribPolypDB/{}.tif", "Ground Truth/{}.tif", [1]),
            "Ground Truth",
            ["looks like etis-larib", "'Ground Truth/' is missing"],
        ),
        (lambda f: pairs(f, "{}.bmp", "masks/p{}.bmp", [1]), "masks", ["holds 1.bmp", "make data-help"]),
        (
            lambda f: pairs(f, "segmented-images/images/{}.png", "segmented-images/masks/{}.png", [1]),
            "segmented-images/masks",
            ["looks like hyperkvasir", "masks/ is missing"],
        ),
        (lambda f: pairs(f, "images/{}.png", "masks/{}.png", [1]), "masks", ["looks like plain", "masks/ is missing"]),
        (lambda f: pairs(f, "images/{}.png", "masks/{}.png", [1]), "images", ["plain", "images/ is missing"]),
    ],
)
def test_what_a_layout_lacks_is_named(tmp_path, make, gone, words):
    make(tmp_path / "set")
    shutil.rmtree(tmp_path / "set" / gone)
    fails(tmp_path / "set", *words)


def test_kvasir_without_masks_is_named(tmp_path):
    put(tmp_path / f"images/{KVASIR_NAMES[0]}.jpg", 1, False)
    (tmp_path / "kavsir_bboxes.json").write_text("{}")
    fails(tmp_path, "looks like kvasir-seg", "masks/ is missing")


def test_unknown_folders_say_what_they_hold_and_what_was_expected(tmp_path):
    fails(tmp_path / "nowhere", "nowhere", "no such folder")
    fails(tmp_path, "is empty", "images/ and masks/", "make data-help")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "scans").mkdir()
    fails(tmp_path, "holds notes.txt, scans/", "make data-help")
    fails(tmp_path / "notes.txt", "is a file")
    fails(tmp_path, "holds notes.txt", "not the layout of polypgen", dataset="polypgen")
    fails(tmp_path, "unknown data set 'kvasir'", "kvasir-seg", dataset="kvasir")
    fails(clinicdb(tmp_path / "x") / "Original", "folder above", f"DATA={tmp_path / 'x'}")


@pytest.mark.parametrize("slug", sources.SOURCES)
def test_a_named_data_set_that_is_not_there_is_refused(tmp_path, slug):
    (tmp_path / "elsewhere").mkdir()
    fails(tmp_path, slug, dataset=slug)


def test_a_mixture_of_data_sets_needs_groups(tmp_path):
    folder = pairs(tmp_path / "TrainDataset", "image/{}.png", "masks/{}.png", [1, 2, 600])
    for name in KVASIR_NAMES:
        put(folder / f"image/{name}.png", 64, False)
        put(folder / f"masks/{name}.png", 64, True)
    fails(folder, "looks like kvasir-seg", "other frames", "groups.csv", "DATASET=plain")
    assert len({f.group for f in sources.find(folder, "plain")}) == 5
    lines = [f"{name},{group}" for name, group in zip(["1", "2", "600", *KVASIR_NAMES], "aabcd", strict=True)]
    (folder / "groups.csv").write_text("\n".join(["frame,group", *lines]))
    assert {f.group for f in sources.find(folder)} == set("abcd")


# --- wrong files in a right layout ------------------------------------------------------------------------------------


def test_missing_and_stray_masks_are_named(tmp_path):
    clinicdb(tmp_path)
    (tmp_path / "Ground Truth/2.tif").unlink()
    fails(tmp_path, "Ground Truth", "no mask for 2")
    put(tmp_path / "Ground Truth/2.tif", 3, True)
    put(tmp_path / "Ground Truth/9.tif", 3, True)
    fails(tmp_path, "Original", "no frame for masks 9")
    polypgen(tmp_path / "p")
    (tmp_path / "p/sequenceData/positive/seq2/masks_seq2/151_mask.jpg").unlink()
    fails(tmp_path / "p", "masks_seq2", "no mask for 151")


def test_two_frames_never_share_a_mask(tmp_path):
    folder = polypgen(tmp_path)
    put(folder / "data_C3/images_C3/C3_EndoCV2021_00489.jpg", 201, False)
    fails(folder, "masks_C3", "two frames")


def test_unreadable_and_unequal_files_are_named(tmp_path):
    clinicdb(tmp_path)
    (tmp_path / "Original/2.tif").write_bytes(b"no picture")
    fails(tmp_path, "2.tif", "not a readable image")
    cv2.imwrite(str(tmp_path / "Original/2.tif"), np.zeros((5, 7, 3), np.uint8))
    fails(tmp_path, "2.tif", "7x5", "32x24")


def test_a_data_set_without_any_polyp_is_refused(tmp_path):
    for n in (1, 2):
        put(tmp_path / f"Original/{n}.tif", n, False)
        put(tmp_path / f"Ground Truth/{n}.tif", 0, True)
    fails(tmp_path, "Ground Truth", "no polyp in any of 2 masks")


# --- what archives and systems leave ----------------------------------------------------------------------------------


def test_leftovers_of_systems_are_passed_over(tmp_path):
    clinicdb(tmp_path)
    for junk in (
        "__MACOSX/Original/._1.tif",
        "Original/._1.tif",
        "Original/.DS_Store",
        "Original/Thumbs.db",
        "Original/.hidden/4.tif",
        "__MACOSX/Ground Truth/._1.tif",
    ):
        (tmp_path / junk).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / junk).write_bytes(b"junk")
    assert [f.name for f in sources.find(tmp_path)] == ["1", "2", "3"]


def test_names_with_spaces_accents_and_capitals(tmp_path):
    put(tmp_path / "Images/polype é 1.PNG", 7, False)  # composed
    put(tmp_path / "masks/polype é 1.Tif", 7, True)  # decomposed, as macOS writes it
    frames = sources.find(tmp_path)
    assert [f.name for f in frames] == ["polype é 1"]
    assert_pairs(frames)


def test_links_are_followed_but_not_in_a_circle(tmp_path):
    pairs(tmp_path / "disk", "a/{}.png", "b/{}.png", [3, 4])
    for name, target in (("images/v1", "disk/a"), ("masks/v1", "disk/b")):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).symlink_to(tmp_path / target)
    (tmp_path / "disk/a/loop").symlink_to(tmp_path / "set/images")
    frames = sources.find(tmp_path / "set")
    assert [(f.name, f.group) for f in frames] == [("v1/3", "v1"), ("v1/4", "v1")]
    assert_pairs(frames)


def test_16_bit_tif_masks(tmp_path):
    clinicdb(tmp_path)
    mask = np.zeros(SIZE, np.uint16)
    mask.ravel()[:3] = 65535
    Image.fromarray(mask).save(tmp_path / "Ground Truth/2.tif")
    assert_pairs(sources.find(tmp_path))


# --- make data-help ---------------------------------------------------------------------------------------------------


def data_help(*arguments: str) -> subprocess.CompletedProcess:
    return run_tool("data_help", *arguments)


def test_data_help_names_every_data_set_with_terms_and_place():
    text = data_help().stdout
    assert all(len(line) <= 100 for line in text.splitlines())
    *blocks, note = [block.strip() for block in text.strip().split("\n\n")]
    assert note == sources.NOTE
    jobs = [block.split("`")[1] for block in blocks if block.startswith("For ")]
    assert jobs == ["make polyp", "make frames", "make folder", "make imt", "make pe"]
    blocks = [block for block in blocks if not block.startswith("For ")]
    pictures = [*sources.SOURCES, *frame_sets.SOURCES, class_folders.CLASS_FOLDERS.slug]
    every = [*pictures, *boundaries.SOURCES, *volumes.SOURCES]
    assert [block.split(":")[0] for block in blocks] == every
    for block in blocks:
        assert all(f"\n  {word} " in block for word in ("frames", "groups", "terms", "where", "layout"))


def test_data_help_says_what_a_folder_holds(tmp_path):
    done = data_help("--data", str(polypgen(tmp_path / "set").parent), "--runs", str(tmp_path / "runs"))
    assert done.stdout.startswith("polypgen: ")
    assert "is polypgen:\n10 frames, 8 with polyps, 2 without (2 of them without a mask); 4 groups" in done.stdout
    assert done.stdout.endswith(": 1 in set/imagesAll_positive/ (set/imagesAll_positive/150.jpg)\n")
    assert data_help("--dataset", "etis-larib").stdout.count("\n\n") == 1
    wrong = data_help("--data", str(tmp_path / "runs"))
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: ") and wrong.stderr.count("\n") == 1
