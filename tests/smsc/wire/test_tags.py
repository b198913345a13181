from smpplib import consts

from smsc.wire.tags import TAG_NAMES, TLV_FORMS, Tag


def test_tags_agree_with_an_independent_table() -> None:
    assert {tag.name: int(tag) for tag in Tag} == consts.OPTIONAL_PARAMS


def test_every_tag_has_a_name_and_a_form() -> None:
    assert set(Tag) == set(TLV_FORMS)
    assert set(Tag) == set(TAG_NAMES)
    for form in TLV_FORMS.values():
        assert 0 <= form.least <= form.most <= 65_535
        assert form.kind != "integer" or form.least == form.most
