"""What it means when a server does not do what it was asked for: a sentence and a way on for each case."""

from __future__ import annotations

import json
import socket
import ssl
from urllib.parse import urlsplit

import kfp_server_api
import urllib3

from kale_magics.kubeflow.access import Access
from kale_magics.kubeflow.answers import BadAnswerError
from kale_magics.model.diagnostics import Code, KaleError, refuse

AWAY = frozenset({429, 500, 502, 503, 504})
"""What a server answers that may do better in a moment."""

PATIENCE = 2.0
"""Seconds for finding out what listens at an address."""


class NotTheApiError(Exception):
    """A page for people came where an answer for programs was asked for."""


def told(error: kfp_server_api.ApiException) -> str:
    """What a server says of an error; of a page for people only its status."""
    text = str(error.body or "")
    if is_page(error):
        return f"{error.status} {error.reason or ''}".strip()
    try:
        body = json.loads(text)
        text = str(body.get("message") or body.get("error_message") or body.get("error") or "")
    except (ValueError, AttributeError):  # plain text
        pass
    return (text or str(error.reason or "")).strip().partition("\n")[0][:300]


def is_page(error: kfp_server_api.ApiException) -> bool:
    """Whether an error comes as a page for people, as from a proxy or a server of another kind."""
    return str(error.body or "").lstrip().startswith("<")


def explain_server_error(error: Exception, access: Access, what: str, lists: str) -> KaleError:
    """The sentence for what went wrong with a server, without anything that is secret.

    Args:
        error: Of kfp's client.
        access: Where the server is.
        what: What was to be done: "run 1 was looked up".
        lists: The magic that lists what was asked for.
    """
    if isinstance(error, NotTheApiError):
        host = urlsplit(access.address).hostname
        message = f"{host} answers with a page for people, often one to log in, not as a server of pipelines"
        fix = "log in, and set KALE_COOKIES in the environment to what your browser has, or KALE_TOKEN"
        return refuse(Code.NOT_LET_IN, message, fix)
    if isinstance(error, BadAnswerError):
        message = f"{urlsplit(access.address).hostname} gives an answer of no use ({what}): {error}"
        return refuse(Code.SERVER_FAILS, message, "try again later; what is on the server goes on")
    if isinstance(error, kfp_server_api.ApiException) and error.status:
        return _explain_status(error, access, what, lists)
    return _explain_connection(error, access, what)


def _explain_connection(error: Exception, access: Access, what: str) -> KaleError:
    address = access.address
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    reason = getattr(error, "reason", None) or error
    if isinstance(error, kfp_server_api.ApiException) or isinstance(reason, urllib3.exceptions.SSLError):
        return _explain_tls(str(reason), access, host, port)
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return refuse(
            Code.UNREACHABLE, f"there is no host {host}", "check the address, and your network or VPN"
        )
    if isinstance(reason, (urllib3.exceptions.NewConnectionError, ConnectionRefusedError)):
        fix = "check the port, and whether its forwarding still runs (kubectl port-forward)"
        return refuse(Code.UNREACHABLE, f"nobody listens at {address}", fix)
    if isinstance(reason, (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.ReadTimeoutError)):
        message = f"{address} does not answer in time ({what})"
        return refuse(Code.UNREACHABLE, message, "check the address, and your network or VPN; then try again")
    if parts.scheme == "http" and _speaks_tls(host, port):
        return _needs_tls(address)
    return refuse(Code.UNREACHABLE, f"the connection to {address} broke off ({what})", "try again")


def _explain_tls(reason: str, access: Access, host: str, port: int) -> KaleError:
    if "CERTIFICATE_VERIFY_FAILED" not in reason and not _speaks_tls(host, port):
        fix = f"write it as http://{access.address.partition('://')[2]}"
        return refuse(Code.UNREACHABLE, f"at {access.address} no TLS is spoken", fix)
    fix = "name the file with those that are: %config KaleMagics.ca_cert = '/path/ca.pem'"
    also = f", with those in {access.certificates} either" if access.certificates else ""
    return refuse(Code.UNREACHABLE, f"the certificate of {host} is not trusted{also}", fix)


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent
    try:
        with (
            socket.create_connection((host, port), timeout=PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except OSError:
        return False


def _needs_tls(address: str) -> KaleError:
    fix = f"write it as https://{address.partition('://')[2]}"
    return refuse(Code.UNREACHABLE, f"at {address} TLS is spoken", fix)


def _explain_status(error: kfp_server_api.ApiException, access: Access, what: str, lists: str) -> KaleError:
    status, says, address = error.status, told(error), access.address
    host = urlsplit(address).hostname
    if status == 401:
        fix = "set a token that is good: KALE_TOKEN in the environment, or %config KaleMagics.token_file"
        message = f"{host} does not know who you are; it was sent {access.sent} ({says})"
        return refuse(Code.NOT_LET_IN, message, fix)
    if status == 400 and "empty namespace" in says:
        return needs_namespace(access)
    if status == 400 and "HTTPS server" in says:
        return _needs_tls(address)
    if status == 403:
        where = f" in namespace {access.namespace}" if access.namespace else ""
        fix = "set the namespace that is yours: %config KaleMagics.namespace = ..., or ask for the right"
        return refuse(Code.NOT_LET_IN, f"{host} does not let you do this{where}: {says}", fix)
    if status in (404, 405, 501) and ("asked whether" in what or is_page(error)):
        return _explain_no_pipelines(access)
    if status == 404:
        return refuse(Code.NO_SUCH_RUN, f"{host} has no such thing ({what}): {says}", f"{lists} lists them")
    if status in AWAY:
        message = f"{host} fails: it answers {status}, {says} ({what})"
        return refuse(Code.SERVER_FAILS, message, "try again later; what is on the server goes on")
    if status == 413:
        message = f"the pipeline is too large for {host}, or for what stands before it"
        fix = "let steps take less along: files and modules from a volume (--pvc), a store, or the image"
        return refuse(Code.SERVER_REFUSES, message, fix)
    fix = "a server that is too old for what a step asks says so too: leave that out, or have it upgraded"
    return refuse(Code.SERVER_REFUSES, f"{host} does not take this ({what}): {says}", fix)


def needs_namespace(access: Access) -> KaleError:
    """What to say where a namespace must be named."""
    host = urlsplit(access.address).hostname
    fix = "%config KaleMagics.namespace = ..., as Kubeflow's page shows it above"
    return refuse(Code.NOT_LET_IN, f"{host} has many users, and wants to know your namespace", fix)


def _explain_no_pipelines(access: Access) -> KaleError:
    if _is_v1(access):
        message = f"{urlsplit(access.address).hostname} is a server of Kubeflow Pipelines 1"
        return refuse(Code.NO_SERVER, message, "pipelines of this project need version 2")
    missing = "" if urlsplit(access.address).path else "; its end may be /pipeline"
    message = f"there is no Kubeflow Pipelines at {access.address}"
    return refuse(Code.NO_SERVER, message, f"check the address{missing}")


def _is_v1(access: Access) -> bool:
    """Whether the server knows the old API."""
    try:
        with urllib3.PoolManager(retries=False, ca_certs=access.certificates) as pool:
            answer = pool.request("GET", f"{access.address}/apis/v1beta1/healthz", timeout=PATIENCE)
            return answer.status == 200
    except (urllib3.exceptions.HTTPError, OSError):
        return False
