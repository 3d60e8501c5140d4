"""Files that are made to hurt, or slips of the hand: one sentence, nothing wrong in silence."""

import os

import pytest
from written import MIRROR, PLANE, SOURCE, written

from raybayes.beamline import rml
from raybayes.beamline.rml import read_rml
from raybayes.beamline.trace import trace
from raybayes.beamline.units import factor
from raybayes.errors import InputError

ANGLE = '<param id="grazingIncAngle" enabled="T">2</param>'


def mirror(new):
    assert ANGLE in MIRROR
    return MIRROR.replace(ANGLE, new)


SAME_ANGLE = [  # 2 deg
    '<param id="grazingIncAngle" unit=" ° " enabled="T"> 2 </param>',
    '<param id="grazingIncAngle" unit="deg" enabled="T">2.</param>',
    '<param id="grazingIncAngle" unit="arcsec" enabled="T">+7.2e3</param>',
    '<param id="grazingIncAngle" enabled="T"><![CDATA[2]]></param>',
    '<param id="grazingIncAngle" enabled="T"><!-- steep -->2</param>',
    '<param id="grazingIncAngle" enabled="T">&#50;</param>',
]


@pytest.mark.parametrize("text", SAME_ANGLE)
def test_the_same_number_in_other_letters(text, tmp_path):
    found = read_rml(written(tmp_path, SOURCE, mirror(text), PLANE))
    assert found["M"].number("grazingIncAngle") == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize("unit", ["\u00b5rad", "\u03bcrad", " urad "])
def test_signs_that_look_alike(unit):
    assert factor(unit, "mrad") == pytest.approx(1e-3)
    assert factor("g/cm\u00b3", "g/cm3") == 1 and factor("\uff4d\uff4d", "mm") == 1


WRONG = {
    "1_0": "'1_0' is not a finite number",
    "\u0661": "is not a finite number",
    "0,5": "'0,5' is not a finite number",
    "2 °": "'2 °' is not a finite number",
    "0x2": "is not a finite number",
    "infinity": "is not a finite number",
    "": "'' is not a finite number",
    "<b>2</b>": "expected one value, found <b>",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_number(text, tmp_path):
    path = written(tmp_path, SOURCE, mirror(ANGLE.replace(">2<", f">{text}<")), PLANE)
    with pytest.raises(InputError, match=WRONG[text]):
        read_rml(path)


UNITS = {
    '<param id="grazingIncAngle" unit="" enabled="T">2</param>': "unit '' is not one of 'deg'",
    ANGLE + '<param id="geometricalShape" unit="mm" enabled="T">0</param>': "unit 'mm' is not one",
    ANGLE + '<param id="worldPosition" unit="m"><x>0</x><y>0</y><z>1</z></param>': "unit 'm' is",
    ANGLE + '<param id="azimuthalAngle" unit="mm" enabled="F">0</param>': "unit 'mm' is not one of",
    '<param id="grazingIncAngle" unit="rad" enabled="T">1e308</param>': "finite number of deg",
    ANGLE + ANGLE: "it is given twice; delete one",
    ANGLE + '<param id="alpha1" auto="T" enabled="maybe">0</param>': 'must be "T" or "F"',
}


@pytest.mark.parametrize("text", UNITS)
def test_what_does_not_fit(text, tmp_path):
    with pytest.raises(InputError, match=UNITS[text]):
        read_rml(written(tmp_path, SOURCE, mirror(text), PLANE))


def test_a_greyed_value_is_converted_with_its_unit(tmp_path):
    text = ANGLE + '<param id="azimuthalAngle" unit="mrad" enabled="F">1000</param>'
    param = read_rml(written(tmp_path, SOURCE, mirror(text), PLANE))["M"].params["azimuthalAngle"]
    assert param.attributes["unit"] == "deg" and param.number() == pytest.approx(57.29577951)


DOCTYPES = [
    "<!DOCTYPE lab>",
    '<!DOCTYPE lab SYSTEM "http://example.org/lab.dtd">',
    '<!DOCTYPE lab [<!ENTITY a "2">]>',
    '<!DOCTYPE lab [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
    '<!DOCTYPE lab [<!ENTITY a "b"><!ENTITY c "&a;&a;&a;">]>',
]


@pytest.mark.parametrize("doctype", DOCTYPES)
def test_document_types_are_not_read(doctype, tmp_path):
    path = written(tmp_path, SOURCE, MIRROR, PLANE)
    path.write_text(doctype + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(InputError, match="declares a document type or entities"):
        read_rml(path)


def test_groups_without_end_are_refused(tmp_path):
    deep = '<group name="g">' * 20_000 + PLANE + "</group>" * 20_000
    with pytest.raises(InputError, match="tags in tags in tags"):
        read_rml(written(tmp_path, SOURCE, deep))


def test_a_second_beamline_is_not_left_out(tmp_path):
    path = written(tmp_path, SOURCE, PLANE)
    text = path.read_text().replace("</lab>", "<beamline></beamline></lab>")
    path.write_text(text)
    with pytest.raises(InputError, match="<beamline>: there is more than one"):
        read_rml(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(rml, "LARGEST", 100)
    with pytest.raises(InputError, match=r"larger than the 0\.0001 MB that are read"):
        read_rml(written(tmp_path, SOURCE, MIRROR, PLANE))


def test_many_faults_end_soon(tmp_path):
    many = "".join(f'<param id="p{i}" enabled="T">x</param>' for i in range(50_000))
    path = written(tmp_path, SOURCE, MIRROR.replace("</object>", many + "</object>"), PLANE)
    with pytest.raises(InputError, match="50000 things are wrong") as caught:
        read_rml(path)
    assert len(str(caught.value).splitlines()) == 22


ENCODINGS = ["zlib", "bz2", "hex", "base64", "rot13", "uu", "quopri", "none", "undefined", "idna"]
ENCODINGS += ["punycode", "utf-16", "utf-32", "utf-7", "shift_jis", "gb18030", "big5", "euc_kr"]
ENCODINGS += ["johab", "iso2022_kr", "cp037", "cp864", "mac_farsi", "a b", "", "\u00e9", "x" * 5000]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings_that_a_file_does_not_have(encoding, tmp_path):
    path = written(tmp_path, SOURCE, MIRROR, PLANE)
    head = f"<?xml version='1.0' encoding='{encoding}'?>"
    path.write_text(head + path.read_text(), encoding="utf-8")
    with pytest.raises(InputError, match=r"encoding|well-formed"):
        read_rml(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "cp1252", "iso8859_7"])
def test_encodings_that_it_may_have(encoding, tmp_path):
    path = written(tmp_path, SOURCE, MIRROR, PLANE)
    head = f"<?xml version='1.0' encoding='{encoding.removesuffix('-sig')}'?>"
    path.write_text(head + path.read_text(), encoding=encoding)
    assert read_rml(path)["M"].type == "Plane Mirror"


AFTER = {"beamline": "</beamline>", "lab": "</lab>", "version": "<version>1.16", "object": PLANE}


@pytest.mark.parametrize("depth", [101, 30_000])
@pytest.mark.parametrize("place", AFTER)
def test_tags_without_end_anywhere(place, depth, tmp_path):
    path = written(tmp_path, SOURCE, MIRROR, PLANE)
    mark = AFTER[place]
    path.write_text(path.read_text().replace(mark, mark + "<a>" * depth + "</a>" * depth))
    with pytest.raises(InputError, match=r"tags in tags in tags|junk after|not well-formed"):
        read_rml(path)


def test_some_tags_behind_the_beamline_are_kept(tmp_path):
    path = written(tmp_path, SOURCE, MIRROR, PLANE)
    path.write_text(
        path.read_text().replace("</beamline>", "</beamline>" + "<a>" * 90 + "</a>" * 90)
    )
    assert read_rml(path).tail[0].count("<a>") == 89


@pytest.mark.parametrize("version", ["9" * 5000, "1." + "9" * 5000, "\u00b2", "1..", "-1", "1.1.1"])
def test_versions_that_are_none(version, tmp_path):
    path = written(tmp_path, SOURCE, MIRROR, PLANE, version=version)
    assert read_rml(path)["M"]


def test_what_is_no_file(tmp_path):
    """A pipe without a writer must not be waited for."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "around").symlink_to(tmp_path / "around")
    names = ("pipe", "around", "none", ".", "a" * 400, "a\0b")
    for path in (*(tmp_path / name for name in names), "/dev/zero", "/dev/null"):
        with pytest.raises(InputError, match=r"cannot be read .*give an RML file"):
            read_rml(path)


UNDULATOR = """<object name="S" type="Undulator File">
<param id="undulatorFileClassType" enabled="T">1</param>
<param id="undulatorFile" absolute="{name}" enabled="T">{name}</param>
<param id="distributionDistance" enabled="T">10000</param>
<param id="photonEnergy" enabled="T">400</param>
</object>"""
FILES = ["a" * 400, "pipe", ".", "a\u00e9" * 200, "/dev/zero", "..", "none", "binary"]


@pytest.mark.parametrize("name", FILES)
def test_files_that_a_beamline_names(name, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    path = written(tmp_path, UNDULATOR.format(name=name), PLANE)
    with pytest.raises(InputError, match=r"undulatorFile|not a WAVE file"):
        trace(read_rml(path), 10)
