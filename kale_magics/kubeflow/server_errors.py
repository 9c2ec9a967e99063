"""Diagnostics for failed requests to a server."""

from __future__ import annotations

import json
import re
import socket
import ssl
from urllib.parse import urlsplit

import kfp_server_api
import urllib3

from kale_magics.kubeflow.access import Access
from kale_magics.kubeflow.responses import InvalidResponseError
from kale_magics.model.diagnostics import Code, KaleError, kale_error

TEMPORARY = frozenset({429, 500, 502, 503, 504})
"""HTTP status codes of errors that may pass."""

REJECTIONS = (
    (re.compile(r"namespaces? \S+ not found"), "correct the namespace: %config KaleMagics.namespace = ..."),
    (
        re.compile(r"exceeded quota|quota exceeded"),
        "ask for less with --cpu, --memory or --gpu, or wait until other runs have ended",
    ),
    (
        re.compile(r"must specify accessModes|access ?modes?", re.IGNORECASE),
        "set a mode that the storage class has: %config KaleMagics.workspace_access_modes = ...",
    ),
    (
        re.compile(r"forbidden", re.IGNORECASE),
        "ask the cluster's administrators for the permission, or use a namespace where you have it",
    ),
    (
        re.compile(r"denied the request|admission webhook|is invalid"),
        "change what the message names, in the options of the steps or in the settings",
    ),
)
"""What Kubernetes rejects, and the fix. KFP reports that with status 500, as if it might pass."""

MAX_SERVER_MESSAGE = 600
"""Characters of a server's message: KFP puts the words of Kubernetes after several of its own."""

CONNECTING = "connecting to the server"
"""The action of the first request."""

TRY_LATER = "try again later; runs on the server continue"

MAX_PROBE = 2.0
"""Seconds for finding out what kind of server is at an address."""


class WebPageError(Exception):
    """A server returned a web page instead of a response of the API."""


def server_message(error: kfp_server_api.ApiException) -> str:
    """Return the server's message of an error; of a web page only the status."""
    text = _body(error)
    if is_web_page(error):
        return f"{error.status} {error.reason or ''}".strip()
    try:
        body = json.loads(text)
        text = str(body.get("message") or body.get("error_message") or body.get("error") or "")
    except (ValueError, AttributeError):  # plain text
        pass
    return (text or str(error.reason or "")).strip().partition("\n")[0][:MAX_SERVER_MESSAGE]


def rejection_fix(error: Exception) -> str:
    """Return the fix for a request with content that the cluster rejects; empty for other errors."""
    if not isinstance(error, kfp_server_api.ApiException) or error.status != 500 or is_web_page(error):
        return ""
    message = server_message(error)
    return next((fix for pattern, fix in REJECTIONS if pattern.search(message)), "")


def is_web_page(error: kfp_server_api.ApiException) -> bool:
    """Whether an error is a web page, as from a proxy or a server of another kind."""
    return _body(error).lstrip().startswith("<")


def _body(error: kfp_server_api.ApiException) -> str:
    """Return the text of an error's body; that of a download is bytes."""
    body = error.body or ""
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)


def request_error(error: Exception, access: Access, action: str, list_command: str) -> KaleError:
    """Return the diagnostic for a failed request, without secrets.

    Args:
        error: The error of kfp's client.
        access: The address of the server.
        action: What the request is for, as in "looking up run 1".
        list_command: The magic that lists things of the kind that is requested.
    """
    if isinstance(error, WebPageError):
        host = urlsplit(access.address).hostname
        message = f"{host} returned a web page, often a login page, instead of a response of the API"
        fix = "sign in, and set KALE_COOKIES in the environment to your browser's cookies, or set KALE_TOKEN"
        return kale_error(Code.NOT_AUTHORIZED, message, fix)
    if isinstance(error, InvalidResponseError):
        message = f"{urlsplit(access.address).hostname} returned an invalid response while {action}: {error}"
        return kale_error(Code.SERVER_ERROR, message, TRY_LATER)
    if isinstance(error, kfp_server_api.ApiException) and str(error.reason).startswith("Failed to parse"):
        message = f"{urlsplit(access.address).hostname} returned an invalid time while {action}"
        return kale_error(Code.SERVER_ERROR, message, TRY_LATER)
    if isinstance(error, kfp_server_api.ApiException) and error.status:
        return _status_error(error, access, action, list_command)
    return _connection_error(error, access, action)


def is_unknown_host(error: object) -> bool:
    """Whether urllib3 found no address for the name of a host; its version 1 has no class for that."""
    refused = isinstance(error, urllib3.exceptions.NewConnectionError)
    return refused and isinstance(getattr(error, "__context__", None), socket.gaierror)


def _connection_error(error: Exception, access: Access, action: str) -> KaleError:
    address = access.address
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    reason = getattr(error, "reason", None) or error
    if isinstance(error, kfp_server_api.ApiException) or isinstance(reason, urllib3.exceptions.SSLError):
        return _tls_error(str(reason), access, host, port)
    if is_unknown_host(reason):
        return kale_error(
            Code.UNREACHABLE, f"there is no host {host}", "check the address, and your network or VPN"
        )
    if isinstance(reason, (urllib3.exceptions.NewConnectionError, ConnectionRefusedError)):
        fix = "check the port, and whether the port forwarding is running (kubectl port-forward)"
        return kale_error(Code.UNREACHABLE, f"connection refused by {address}", fix)
    if isinstance(reason, (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.ReadTimeoutError)):
        message = f"{address} did not respond in time while {action}"
        return kale_error(
            Code.UNREACHABLE, message, "check the address, and your network or VPN; then try again"
        )
    if parts.scheme == "http" and _uses_tls(host, port):
        return _needs_tls(address)
    return kale_error(Code.UNREACHABLE, f"the connection to {address} was lost while {action}", "try again")


def _tls_error(reason: str, access: Access, host: str, port: int) -> KaleError:
    if "CERTIFICATE_VERIFY_FAILED" not in reason and not _uses_tls(host, port):
        fix = f"write the address as http://{access.address.partition('://')[2]}"
        return kale_error(Code.UNREACHABLE, f"{access.address} does not use TLS", fix)
    fix = "set the file of trusted certificates: %config KaleMagics.ca_cert = '/path/ca.pem'"
    file = f" by {access.certificates}" if access.certificates else ""
    return kale_error(Code.UNREACHABLE, f"the certificate of {host} is not trusted{file}", fix)


def _uses_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent
    try:
        with (
            socket.create_connection((host, port), timeout=MAX_PROBE) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except OSError:
        return False


def _needs_tls(address: str) -> KaleError:
    fix = f"write the address as https://{address.partition('://')[2]}"
    return kale_error(Code.UNREACHABLE, f"{address} uses TLS", fix)


def _status_error(
    error: kfp_server_api.ApiException, access: Access, action: str, list_command: str
) -> KaleError:
    status, message, address = error.status, server_message(error), access.address
    host = urlsplit(address).hostname
    if status == 401:
        fix = "set a valid token: KALE_TOKEN in the environment, or %config KaleMagics.token_file"
        return kale_error(
            Code.NOT_AUTHORIZED, f"authentication failed at {host} with {access.sent}: {message}", fix
        )
    if status == 400 and "empty namespace" in message:
        return needs_namespace(access)
    if status == 400 and "HTTPS server" in message:
        return _needs_tls(address)
    if status == 403:
        where = f" in namespace {access.namespace}" if access.namespace else ""
        fix = "set your own namespace, %config KaleMagics.namespace = ..., or request the permission"
        return kale_error(Code.NOT_AUTHORIZED, f"you are not authorized at {host}{where}: {message}", fix)
    if status in (404, 405, 501) and (action == CONNECTING or is_web_page(error)):
        return _no_pipelines(access)
    if status == 404:
        text = f"{host} returned 404 while {action}: {message}"
        return kale_error(Code.NO_SUCH_RUN, text, f"see what there is with {list_command}")
    if fix := rejection_fix(error):
        return kale_error(
            Code.REQUEST_REJECTED, f"{host} rejected the request while {action}: {message}", fix
        )
    if status in TEMPORARY:
        text = f"{host} returned {status} while {action}: {message}"
        return kale_error(Code.SERVER_ERROR, text, TRY_LATER)
    if status == 413:
        text = f"the pipeline is too large for {host}, or for a proxy before it"
        fix = "let steps read files and modules from a volume (--pvc), object storage or the image"
        return kale_error(Code.REQUEST_REJECTED, text, fix)
    fix = "if the server is too old for an option of a step, remove the option or upgrade the server"
    return kale_error(Code.REQUEST_REJECTED, f"{host} rejected the request while {action}: {message}", fix)


def needs_namespace(access: Access) -> KaleError:
    """Return the diagnostic for a multi-user installation without a namespace."""
    host = urlsplit(access.address).hostname
    fix = "set %config KaleMagics.namespace = ..., which Kubeflow's page shows at its top"
    return kale_error(
        Code.NOT_AUTHORIZED, f"{host} is a multi-user installation and needs your namespace", fix
    )


def _no_pipelines(access: Access) -> KaleError:
    if _is_v1(access):
        message = f"{urlsplit(access.address).hostname} is a server of Kubeflow Pipelines 1"
        return kale_error(Code.NO_SERVER, message, "use a server of version 2")
    missing = "" if urlsplit(access.address).path else "; it may have to end in /pipeline"
    message = f"there is no server of Kubeflow Pipelines at {access.address}"
    return kale_error(Code.NO_SERVER, message, f"check the address{missing}")


def _is_v1(access: Access) -> bool:
    """Whether the server has the API of version 1."""
    try:
        with urllib3.PoolManager(retries=False, ca_certs=access.certificates) as pool:
            response = pool.request("GET", f"{access.address}/apis/v1beta1/healthz", timeout=MAX_PROBE)
            return response.status == 200
    except (urllib3.exceptions.HTTPError, OSError):
        return False
