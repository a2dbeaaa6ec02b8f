"""What ``ConnectionOptions`` does for the author of a transport."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from chat_core import ConnectionOptions, OptionError


def test_the_tls_context_checks_certificates_and_host_names(tmp_path: Path):
    """The system's authorities, or those of a file; the caller's own context is passed on as it is."""
    context = ConnectionOptions().tls_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    private = ConnectionOptions(ca_file=str(tmp_path / "ca.pem")).tls_context()
    assert private.cert_store_stats()["x509_ca"] == 1
    assert private.verify_mode is ssl.CERT_REQUIRED
    own = ssl.create_default_context()
    assert ConnectionOptions(ssl_context=own).tls_context() is own


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_that_holds_no_certificates_is_an_option_error(tmp_path: Path, content: str | None):
    """It names the file and says what to give."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content, "utf-8")
    with pytest.raises(OptionError, match=r"ca_file .*ca\.pem.*PEM"):
        ConnectionOptions(ca_file=str(file)).tls_context()


def test_headers_and_basic_authentication_come_together():
    """As RFC 7617 writes it, in UTF-8; a header of the caller's own wins."""
    assert ConnectionOptions(headers={"X-Site": "1"}).request_headers() == {"X-Site": "1"}
    both = ConnectionOptions(headers={"X-Site": "1"}, auth=("Ada", "pässword"))
    assert both.request_headers() == {"Authorization": "Basic QWRhOnDDpHNzd29yZA==", "X-Site": "1"}
    own = ConnectionOptions(headers={"authorization": "Bearer x"}, auth=("Ada", "p"))
    assert own.request_headers() == {"authorization": "Bearer x"}
