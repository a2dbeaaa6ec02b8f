"""Form bodies with one level of brackets."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from chat_gms import Credentials, rest
from chat_gms.forms import decode_form, encode_form, nest


def test_the_worked_exchange_is_written_as_documented():
    """Percent-encoded brackets, and nothing for what is absent."""
    post = rest.create(nickname="Ada", subject="Invoice", user_data={"FirstName": "Ada", "pageTitle": None})
    assert post.path == ""
    assert encode_form(post.fields) == b"nickname=Ada&subject=Invoice&userData%5BFirstName%5D=Ada"


def test_every_operation_carries_its_keys():
    """SecureKey always, userId and alias where they are known."""
    keys = Credentials(secure_key="k", chat_id="c", user_id="u", alias="1")
    post = rest.send(keys, "Hi", "text", 3)
    assert post.path == "c/send"
    assert decode_form(encode_form(post.fields)) == {
        "message": "Hi",
        "messageType": "text",
        "transcriptPosition": "3",
        "secureKey": "k",
        "userId": "u",
        "alias": "1",
    }
    assert rest.push_url(keys, "https://x/").fields["pushUrl"] == "https://x/"
    assert rest.typing(keys, is_typing=False, preview=None).path == "c/stopTyping"


def test_brackets_without_a_name_are_a_plain_key():
    """What is no bracket key stays as it came."""
    assert nest([("[a]", "1"), ("a[b", "2"), ("c[d]", "3"), ("c[e]", "4")]) == {
        "[a]": "1",
        "a[b": "2",
        "c": {"d": "3", "e": "4"},
    }


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(TEXT.filter(lambda key: "[" not in key and key), TEXT), st.dictionaries(TEXT, TEXT))
def test_a_form_comes_back_as_it_was(fields: dict[str, str], data: dict[str, str]):
    """Any text, ampersands and umlauts included."""
    fields.pop("userData", None)
    read = decode_form(encode_form({**fields, "userData": data}))
    assert read == ({**fields, "userData": data} if data else fields)
