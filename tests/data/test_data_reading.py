"""Reading files: formats, compression, and an error with file, frame and line for everything malformed."""

import bz2
import gzip
import lzma
import random

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT

from panna_plus.data import LabelKeys, read_frames
from panna_plus.errors import DataError
from tests.data.labelled_structures import NACL, STRESS, WATER


def written(folder, text, name="frames.xyz"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_frames_carry_labels_and_where_they_came_from(tmp_path):
    path = written(tmp_path, WATER + NACL)
    water, salt = read_frames(path)
    assert water.energy == -14.5
    np.testing.assert_array_equal(water.forces[0], [0.1, 0.2, -0.3])
    assert water.stress is None
    assert water.config_type == "water"
    assert salt.source == f"{path} frame 1"
    np.testing.assert_allclose(salt.stress, STRESS, atol=1e-15)
    assert salt.label_keys == {"energy": "REF_energy", "forces": "REF_forces", "stress": "REF_stress"}
    assert salt.keys_present == ("REF_energy", "REF_forces", "REF_stress")
    assert salt.atoms.calc is None


@pytest.mark.parametrize("compress, suffix", [(lzma.compress, ".xz"), (gzip.compress, ".gz"), (bz2.compress, ".bz2")])
def test_compressed_files_read_like_plain_ones(tmp_path, compress, suffix):
    path = written(tmp_path, compress((WATER + NACL).encode()), "frames.xyz" + suffix)
    assert [f.energy for f in read_frames(path)] == [-14.5, -6.2]


@pytest.mark.parametrize("suffix", [".xz", ".gz", ".bz2"])
def test_broken_compression_is_named(tmp_path, suffix):
    content = {".xz": lzma.compress, ".gz": gzip.compress, ".bz2": bz2.compress}[suffix](WATER.encode() * 50)
    path = written(tmp_path, content[: len(content) // 2], "frames.xyz" + suffix)
    with pytest.raises(DataError, match=rf"frames\.xyz\{suffix}' is not a complete \{suffix} file"):
        read_frames(path)


@pytest.mark.parametrize("name", ["frames.traj", "frames.json", "frames.traj.gz"])
def test_other_formats_of_ase_are_read(tmp_path, name):
    atoms = molecule("CH3OH")
    atoms.calc = EMT()
    atoms.get_forces()
    plain = tmp_path / name.removesuffix(".gz")
    ase.io.write(plain, [atoms, atoms])
    if name.endswith(".gz"):
        written(tmp_path, gzip.compress(plain.read_bytes()), name)
    first, second = read_frames(tmp_path / name)
    assert first.energy == pytest.approx(atoms.get_potential_energy())
    np.testing.assert_allclose(second.forces, atoms.get_forces(), atol=1e-12)
    assert first.label_keys["forces"] == "forces"


def test_several_files_are_joined_in_order(tmp_path):
    paths = [written(tmp_path, WATER, "a.xyz"), written(tmp_path, NACL, "b.xyz")]
    assert [f.config_type for f in read_frames(paths)] == ["water", "salt"]


def test_windows_line_ends_byte_order_mark_and_blank_lines_are_harmless(tmp_path):
    text = "\ufeff" + (WATER + "\n\n" + NACL + "\n \n").replace("\n", "\r\n")
    assert [len(f) for f in read_frames(written(tmp_path, text))] == [3, 2]


def test_wide_columns_and_unicode_comments_are_read(tmp_path):
    text = WATER.replace("config_type=water", 'config_type="Wasser °C \u2028 x"')
    assert read_frames(written(tmp_path, text))[0].config_type.startswith("Wasser °C")


HEADER = 'Properties=species:S:1:pos:R:3 pbc="F F F"'
MALFORMED = {
    "empty file": ("", "holds no structures"),
    "blank file": ("\n  \n", "holds no structures"),
    "truncated atoms": (WATER + "\n".join(NACL.splitlines()[:3]), r"frame 1 .*line 6.*2 atoms announced, only 1"),
    "truncated comment": (WATER + "2\n", r"frame 1 .*2 atoms announced, only 0 lines follow"),
    "too few atoms": (
        "3\n" + HEADER + "\nH 0 0 0\nH 0 0 1\n" + WATER,
        r"frame 0 .*4 columns expected.*found 1 in line 5",
    ),
    "too many atoms": ("1\n" + HEADER + "\nH 0 0 0\nH 0 0 1\n", r"frame 1 .*line 4.*number of atoms, found 'H 0 0 1'"),
    "no count": ("H 0 0 0\n", r"frame 0 .*expected the number of atoms, found 'H 0 0 0'"),
    "negative count": ("-1\n\n", "expected the number of atoms, found '-1'"),
    "huge count": ("999999999\n\nH 0 0 0\n", "999999999 atoms announced, only 1 lines follow: is the file truncated"),
    "absurd count": ("9" * 5000 + "\n\nH 0 0 0\n", "no possible number of atoms"),
    "zero count": ("0\n\n", "holds no atoms"),
    "missing Properties": ("1\nREF_energy=1\nH 0 0 0 1 2 3\n", "without Properties, found 7 in line 3"),
    "missing column": (WATER.replace(" 0.20 -0.30", " 0.20"), r"frame 0 .*7 columns expected.*found 6 in line 3"),
    "duplicate column": (
        "1\nProperties=species:S:1:pos:R:3:f:R:3:f:R:3\nH 0 0 0 1 2 3 1 2 3\n",
        "Properties names f twice",
    ),
    "broken Properties": ("1\nProperties=species:S:1:pos:R\nH 0 0 0\n", "must be name:type:count triples"),
    "bad count in Properties": ("1\nProperties=species:S:1:pos:R:x\nH 0 0 0\n", "must be name:type:count triples"),
    "position is a word": ("1\n" + HEADER + "\nH 0 zero 0\n", "frame 0 .*not readable as extended XYZ.*zero"),
    "unknown element": ("1\n" + HEADER + "\nQq 0 0 0\n", "unknown element 'Qq'"),
    "unicode element": ("1\n" + HEADER + "\nС 0 0 0\n", "frame 0 .*unknown element"),
    "dummy element": (WATER + "1\n" + HEADER + "\nX 0 0 0\n", r"frame 1 .*species 'X'"),
    "cell of 8 numbers": ('1\nLattice="4 0 0 0 4 0 0 0" ' + HEADER + "\nH 0 0 0\n", "frame 0 .*not readable"),
    "cell is a word": ('1\nLattice="4 0 0 0 four 0 0 0 4" ' + HEADER + "\nH 0 0 0\n", "frame 0 .*"),
    "stress of 6 numbers in ASE's key": (
        '1\nLattice="4 0 0 0 4 0 0 0 4" stress="1 2 3 4 5 6" ' + HEADER + "\nH 0 0 0\n",
        "write it as 9 numbers, or under the name REF_stress",
    ),
}


@pytest.mark.parametrize("text, message", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_file_is_refused_by_file_and_frame(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        read_frames(path)
    assert "frames.xyz" in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("frames.xyz", b"\x80\x02\xff binary", "not UTF-8 text"),
        ("frames.vasp", b"nonsense", "ASE cannot read"),
        ("frames.unheard", b"nonsense", "ASE cannot read"),
        ("frames.traj", b"", "ASE cannot read"),
    ],
)
def test_foreign_content_is_refused(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_frames(written(tmp_path, content, name))
    assert name in str(caught.value)


def test_missing_file_is_named():
    with pytest.raises(DataError, match=r"'nowhere/frames\.xyz' is not a file"):
        read_frames("nowhere/frames.xyz")


def test_damaged_files_never_raise_anything_but_data_errors(tmp_path):
    """Mutate bytes of a good file: each result is either read or refused by name."""
    original = (WATER + NACL).encode()
    rng, n_refused = random.Random(11), 0
    for _ in range(300):
        content = bytearray(original)
        for _ in range(rng.choice([1, 1, 3])):
            place = rng.randrange(len(content))
            action = rng.choice(["replace", "delete", "cut", "insert"])
            if action == "replace":
                content[place] = rng.choice(b'0123456789.-eE \n"=:XTFnai\xc3')
            elif action == "delete":
                del content[place]
            elif action == "insert":
                content[place:place] = rng.choice([b"NaN", b"\n", b"1e400", b" ", b'"'])
            else:
                del content[place : place + rng.randrange(40)]
        path = written(tmp_path, bytes(content))
        try:
            read_frames(path)
        except DataError as error:
            n_refused += 1
            assert "frames.xyz" in str(error)
    assert 50 < n_refused < 300


def test_explicit_key_that_no_frame_has_lists_the_keys_present(tmp_path):
    path = written(tmp_path, WATER)
    message = r"data\.keys\.forces: no frame .* has the key 'REF_force', did you mean 'REF_forces'.*REF_energy"
    with pytest.raises(DataError, match=message):
        read_frames(path, LabelKeys(forces="REF_force"))
    assert read_frames(path, LabelKeys(forces="REF_force"), need_keys=False)[0].forces is None


def test_explicit_key_in_some_frames_is_enough(tmp_path):
    path = written(tmp_path, WATER.replace("REF_energy", "dft_energy") + NACL)
    frames = read_frames(path, LabelKeys(energy="dft_energy"))
    assert [f.energy for f in frames] == [-14.5, None]
