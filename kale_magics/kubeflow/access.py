"""Where a server of Kubeflow Pipelines is, and how to come in."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from kale_magics.model.diagnostics import Code, KaleError, refuse
from kale_magics.syntax.commands import HOST_VARIABLE

TOKEN_FILE_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105 - the name of a variable of kfp's
"""kfp's own environment variable."""

TOKEN_FILE = Path("/var/run/secrets/kubeflow/pipelines/token")
"""Where Kubeflow mounts a service account's token in a pod."""

_IN_CLUSTER = re.compile(r"(?!localhost$)[^.:]+|.+\.svc(\.cluster\.local)?")
"""Names of hosts that are in the cluster of a pod that asks for them."""


@dataclass(frozen=True)
class Access:
    """Where the server is, and how to come in; what is secret is not shown.

    Attributes:
        host: Its address.
        namespace: Of the user, where an installation has several.
        token: A bearer token.
        token_file: A file with one, which may change at any time.
        cookies: What a browser sends that is logged in.
        ca_cert: A file with the certificates that are trusted.
    """

    host: str = ""
    namespace: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    cookies: str = field(default="", repr=False)
    ca_cert: str = ""

    @property
    def address(self) -> str:
        """The server's address with its protocol, without what a browser's line has behind it.

        Raises:
            KaleError: There is none, or it has in it what is secret.
        """
        given = self._given
        if not given:
            fix = "name it: --host https://kfp.example.org, or %config KaleMagics.host = ..."
            raise refuse(Code.NO_SERVER, "nobody has said where the server is", fix)
        if "@" in re.split(r"[/?#]", re.sub(r"^\w*:/*", "", given))[0] or "@" in given.partition("/")[0]:
            fix = "leave it out, and set KALE_TOKEN or KALE_COOKIES in the environment"
            raise refuse(Code.NO_SERVER, "the address of the server has a user or a password in it", fix)
        host = re.split(r"/(?:#|apis(?:/|$))", given)[0].rstrip("/")
        scheme, _, rest = host.rpartition("://")
        address = f"{(scheme or 'https').lower()}://{rest}"
        if "?" in given:
            fix = "leave out what stands behind the question mark"
            raise refuse(Code.NO_SERVER, f"{given.partition('?')[0]}?... is no address of a server", fix)
        if re.match(r"https?[:/](?!//)", host) or not _is_address(address):
            message = f"{given!r} is no address of a server"
            raise refuse(Code.NO_SERVER, message, "write it as in https://kfp.example.org")
        return address

    @property
    def _given(self) -> str:
        return (self.host or os.environ.get(HOST_VARIABLE, "")).strip()

    @property
    def bearer(self) -> str:
        """The token as it is now; empty if there is none.

        Raises:
            KaleError: The file that should have it cannot be read, or what is there can be no token.
        """
        path = self._token_path()
        if self.token or path is None:
            return _in_one_line(re.sub(r"(?i)^\s*bearer\s+", "", self.token), "token")
        fix = "name a file that has one: %config KaleMagics.token_file = ..."
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise refuse(Code.NOT_LET_IN, f"no token can be read from {path}: {reason}", fix) from error
        if not text.strip():
            raise refuse(Code.NOT_LET_IN, f"no token is in {path}: it is empty", fix)
        return _in_one_line(text, "token")

    def _token_path(self) -> Path | None:
        if self.token_file:
            return Path(self.token_file).expanduser()
        place = Path(os.environ.get(TOKEN_FILE_VARIABLE, "") or TOKEN_FILE).expanduser()
        if place != TOKEN_FILE:
            return place
        if not self._given or not TOKEN_FILE.exists():
            return None
        # Kubeflow sets the variable to that in every pod: such a token is for servers of the same cluster.
        return TOKEN_FILE if _IN_CLUSTER.fullmatch(urlsplit(self.address).hostname or "") else None

    @property
    def cookie_header(self) -> str:
        """The cookies as they are sent; empty if there are none."""
        return _in_one_line(self.cookies, "cookies")

    @property
    def certificates(self) -> str | None:
        """The file with the certificates that are trusted; None for those that Mozilla trusts.

        It is the one of the setting, else that of the first of `CERTIFICATE_VARIABLES` that is set.

        Raises:
            KaleError: There is no such file, or it has none.
        """
        named = next((name for name in CERTIFICATE_VARIABLES if os.environ.get(name)), "")
        place = self.ca_cert or (os.environ[named] if named else "")
        if not place:
            return None
        path = Path(place).expanduser()
        fix = "name a file of certificates (PEM): %config KaleMagics.ca_cert = '/path/ca.pem'"
        if not self.ca_cert:
            fix += f"; the environment variable {named} names this one"
        if not path.is_file():
            raise refuse(Code.UNREACHABLE, f"there is no file {path} with certificates", fix)
        try:
            ssl.create_default_context(cafile=path)
        except (ssl.SSLError, OSError) as error:
            raise refuse(Code.UNREACHABLE, f"no certificate can be read from {path}", fix) from error
        return str(path)

    @property
    def sent(self) -> str:
        """What the server is sent to know the user by, in words."""
        if self.token:
            return "the token"
        path = self._token_path()
        if path is not None:
            return f"the token in {path}"
        return "the cookies" if self.cookies else "no token and no cookies"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody else should see; nothing so short that it may stand anywhere."""
        values = (part.partition("=")[2].strip() for part in self.cookies.split(";"))
        # A cookie may also be the name of a language.
        found = [self.token, self.cookies, *(value for value in values if len(value) >= SHORTEST_COOKIE)]
        with contextlib.suppress(KaleError):  # where no token is, none can be seen
            found.append(self.bearer)
        return tuple(sorted({text.strip() for text in found if len(text.strip()) > SHORTEST_SECRET}))


CERTIFICATE_VARIABLES = ("KF_PIPELINES_SSL_SA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""Environment variables with a file of certificates: kfp's, OpenSSL's, that of requests; the first counts."""

SHORTEST_SECRET = 5
"""Characters up to which a text is no secret."""

SHORTEST_COOKIE = 16
"""Characters from which on one of several cookies is one by itself."""


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:  # of its port, or a name that the net does not take
        return False
    host = parts.hostname or ""
    named = re.fullmatch(r"\w[\w.-]*|[0-9a-f:.]+", host) is not None and ".." not in host
    return parts.scheme in ("http", "https") and named and port != 0


def _in_one_line(text: str, what: str) -> str:
    """A text as a header of HTTP takes it.

    Raises:
        KaleError: It has a line's end in it, or something else that no header takes.
    """
    clean = text.strip()
    if not clean.isprintable() or not clean.isascii():
        message = f"the {what} for the server can be none: something in it is no printable ASCII character"
        raise refuse(Code.NOT_LET_IN, message, "copy it again, as one line")
    return clean
