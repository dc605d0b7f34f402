"""Signatures of webhooks: GitHub's, GitLab's secret token, and Standard Webhooks, made and verified.

Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks) signs the id, the time and the body of a
message, so that what was overheard cannot be sent again later; GitLab's signing tokens have the same form.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"

_ENCODED_KEY: Final = "whsec_"
_VERSION: Final = "v1,"


def github_signature(secret: str, body: bytes) -> str:
    """What GitHub sends as `X-Hub-Signature-256`."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard_signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """What Standard Webhooks send as `webhook-signature`.

    Args:
        secret: The key: `whsec_` and base 64, or any text.
        message_id: What is sent as `webhook-id`.
        timestamp: What is sent as `webhook-timestamp`: seconds since the epoch.
        body: The request's body.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return _VERSION + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def is_same(given: str, expected: str) -> bool:
    """Whether two texts are equal, told in a time that says nothing of where they differ."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode(errors="surrogatepass"))


def is_signed(secret: str, message_id: str, timestamp: str, body: bytes, given: str) -> bool:
    """Whether one of the signatures of a `webhook-signature` header, separated by spaces, is that of a secret."""
    expected = standard_signature(secret, message_id, timestamp, body)
    fitting = [is_same(one, expected) for one in given.split(" ")]  # each is compared, whichever fits
    return any(fitting)


def is_recent(timestamp: str, now: float, tolerance: float) -> bool:
    """Whether a message was signed within so many seconds before or after now."""
    return timestamp.isascii() and timestamp.isdigit() and abs(int(timestamp[:20]) - now) <= tolerance


def _key(secret: str) -> bytes:
    if secret.startswith(_ENCODED_KEY):
        try:
            return base64.b64decode(secret.removeprefix(_ENCODED_KEY), validate=True)
        except binascii.Error:
            pass  # a text that only begins like one
    return secret.encode()
