"""Form bodies with one level of brackets."""

from __future__ import annotations

from chat_gms.forms import MAX_FIELDS, decode_form, encode_form


def check(data: bytes) -> None:
    try:
        fields = decode_form(data)
    except ValueError:
        return
    assert len(fields) <= MAX_FIELDS
    for name, value in fields.items():
        assert isinstance(name, str)
        assert isinstance(value, str | dict)
        if isinstance(value, dict):
            assert all(isinstance(key, str) and isinstance(text, str) for key, text in value.items())
    body = encode_form(fields)
    assert body.isascii()
    assert encode_form(decode_form(body)) == body, "what was written is read as it was meant"
