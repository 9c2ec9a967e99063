"""The address of a server of Kubeflow Pipelines, and the credentials for it."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from kale_magics.model.diagnostics import Code, KaleError, kale_error
from kale_magics.syntax.commands import HOST_VARIABLE

TOKEN_FILE_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105 - the name of a variable of kfp's
"""kfp's environment variable for the file of a token."""

TOKEN_FILE = Path("/var/run/secrets/kubeflow/pipelines/token")
"""Where Kubeflow mounts the token of a service account in a pod."""

_IN_CLUSTER = re.compile(r"(?!localhost$)[^.:]+|.+\.svc(\.cluster\.local)?")
"""Host names that are in the same cluster as the pod that uses them."""


@dataclass(frozen=True)
class Access:
    """The address of a server and the credentials for it; its repr shows no secrets.

    Attributes:
        host: The address.
        namespace: The user's namespace in a multi-user installation.
        token: A bearer token.
        token_file: A file with a token, which may change at any time.
        cookies: The cookies of a browser that is logged in.
        ca_cert: A file with trusted certificates.
    """

    host: str = ""
    namespace: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    cookies: str = field(default="", repr=False)
    ca_cert: str = ""

    @property
    def address(self) -> str:
        """The server's address with its protocol, without the path of a page.

        Raises:
            KaleError: There is no address, it is not valid, or it has a password in it.
        """
        given = self._given
        if not given:
            fix = "add --host https://kfp.example.org, or set %config KaleMagics.host = ..."
            raise kale_error(Code.NO_SERVER, "the address of the server is not set", fix)
        if "@" in re.split(r"[/?#]", re.sub(r"^\w*:/*", "", given))[0] or "@" in given.partition("/")[0]:
            fix = "remove it, and set KALE_TOKEN or KALE_COOKIES in the environment"
            raise kale_error(
                Code.NO_SERVER, "the address of the server contains a user name or a password", fix
            )
        host = re.split(r"/(?:#|apis(?:/|$))", given)[0].rstrip("/")
        scheme, _, rest = host.rpartition("://")
        address = f"{(scheme or 'https').lower()}://{rest}"
        if "?" in given:
            fix = "remove the question mark and what follows it"
            raise kale_error(
                Code.NO_SERVER, f"{given.partition('?')[0]}?... is not the address of a server", fix
            )
        if re.match(r"https?[:/](?!//)", host) or not _is_address(address):
            message = f"{given!r} is not the address of a server"
            raise kale_error(Code.NO_SERVER, message, "write an address such as https://kfp.example.org")
        return address

    @property
    def _given(self) -> str:
        return (self.host or os.environ.get(HOST_VARIABLE, "")).strip()

    @property
    def bearer(self) -> str:
        """The current token; empty if there is none.

        Raises:
            KaleError: The file of the token cannot be read, or its content is not a token.
        """
        path = self._token_path()
        if self.token or path is None:
            return _in_one_line(re.sub(r"(?i)^\s*bearer\s+", "", self.token), "token")
        fix = "set the file of a token: %config KaleMagics.token_file = ..."
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise kale_error(
                Code.NOT_AUTHORIZED, f"the token file {path} cannot be read: {reason}", fix
            ) from error
        if not text.strip():
            raise kale_error(Code.NOT_AUTHORIZED, f"the token file {path} is empty", fix)
        return _in_one_line(text, "token")

    def _token_path(self) -> Path | None:
        if self.token_file:
            return Path(self.token_file).expanduser()
        place = Path(os.environ.get(TOKEN_FILE_VARIABLE, "") or TOKEN_FILE).expanduser()
        if place != TOKEN_FILE:
            return place
        if not self._given or not TOKEN_FILE.exists():
            return None
        # Kubeflow sets the variable to this file in every pod: its token is for servers of the same cluster.
        return TOKEN_FILE if _IN_CLUSTER.fullmatch(urlsplit(self.address).hostname or "") else None

    @property
    def cookie_header(self) -> str:
        """The `Cookie` header; empty if there are no cookies."""
        return _in_one_line(self.cookies, "cookies")

    @property
    def certificates(self) -> str | None:
        """The file of trusted certificates; None for those that Mozilla trusts.

        The setting comes first, then the first of `CERTIFICATE_VARIABLES` that is set.

        Raises:
            KaleError: The file does not exist, or contains no certificate.
        """
        named = next((name for name in CERTIFICATE_VARIABLES if os.environ.get(name)), "")
        place = self.ca_cert or (os.environ[named] if named else "")
        if not place:
            return None
        path = Path(place).expanduser()
        fix = "set a file of certificates (PEM): %config KaleMagics.ca_cert = '/path/ca.pem'"
        if not self.ca_cert:
            fix += f"; this file is from the environment variable {named}"
        if not path.is_file():
            raise kale_error(Code.UNREACHABLE, f"the certificate file {path} does not exist", fix)
        try:
            ssl.create_default_context(cafile=path)
        except (ssl.SSLError, OSError) as error:
            raise kale_error(
                Code.UNREACHABLE, f"{path} contains no certificate that can be read", fix
            ) from error
        return str(path)

    @property
    def sent(self) -> str:
        """The credentials that the server gets, in words."""
        if self.token:
            return "the token"
        path = self._token_path()
        if path is not None:
            return f"the token in {path}"
        return "the cookies" if self.cookies else "no token and no cookies"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not be shown or written; short texts are left out."""
        values = (part.partition("=")[2].strip() for part in self.cookies.split(";"))
        # A short cookie may be a setting, such as a language.
        found = [self.token, self.cookies, *(value for value in values if len(value) >= MIN_COOKIE)]
        with contextlib.suppress(KaleError):  # a token that cannot be read cannot be shown
            found.append(self.bearer)
        return tuple(sorted({text.strip() for text in found if len(text.strip()) >= MIN_SECRET}))


CERTIFICATE_VARIABLES = ("KF_PIPELINES_SSL_SA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""Environment variables for a file of certificates, the first one first: of kfp, OpenSSL and requests."""

MIN_SECRET = 6
"""Characters of a secret."""

MIN_COOKIE = 16
"""Characters of the value of a cookie that is a secret by itself."""


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:  # an invalid port or host name
        return False
    host = parts.hostname or ""
    named = re.fullmatch(r"\w[\w.-]*|[0-9a-f:.]+", host) is not None and ".." not in host
    return parts.scheme in ("http", "https") and named and port != 0


def _in_one_line(text: str, what: str) -> str:
    """Return a text without surrounding white space, for an HTTP header.

    Raises:
        KaleError: It has a character that no header may have, such as a line break.
    """
    clean = text.strip()
    if not clean.isprintable() or not clean.isascii():
        message = f"a character of the {what} for the server is not printable ASCII"
        raise kale_error(Code.NOT_AUTHORIZED, message, "copy it again, as one line")
    return clean
