"""What may be the address and the key of a server, and that nothing secret of them is shown."""

import pytest

from models.errors import RemoteError
from models.remote import RemoteSettings


@pytest.mark.parametrize(
    "url",
    [
        "",
        "192.168.1.5:8080",
        "ftp://a/v1",
        "http://",
        "http://a:99999/v1",
        "http://a b/v1",
        "http://a\n/v1",
        "http://[::1/v1",
        "http://llama..local:8080/v1",
        "http://.:1/v1",
        "http://.local/v1",
        f"http://{'a' * 64}.local/v1",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(RemoteError, match="looks like http://"):
        RemoteSettings(url=url)


@pytest.mark.parametrize(
    "url",
    ["http://llama.local./v1", f"http://{'a' * 63}.local/v1", "http://küche.local:8080/v1", "http://[::1]:8080/v1"],
)
def test_an_address_may_be_any_name_that_can_be_looked_up(url: str) -> None:
    assert RemoteSettings(url=url).url == url


@pytest.mark.parametrize("url", ["http://me:secret@a/v1", "http://a/v1?key=secret", "http://a/v1#secret"])
def test_an_address_holds_no_secrets(url: str) -> None:
    with pytest.raises(RemoteError, match="a key has its own file") as caught:
        RemoteSettings(url=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["two words", "two\nlines", "schlüssel"])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(RemoteError) as caught:
        RemoteSettings(url="http://a/v1", key=key)
    assert key not in str(caught.value)


def test_the_key_is_not_shown() -> None:
    assert "very-secret" not in repr(RemoteSettings(url="http://a/v1", key="very-secret"))
