"""What libcurl's error codes mean to us: a table (INTERFACE, section 4)."""

from types import MappingProxyType

import pycurl

from worker.delivery import Wire

_HTTP2_STREAM = 92  # pycurl does not name it
_CLIENT_CERTIFICATE = 98  # neither this one

WIRES = MappingProxyType(
    {
        pycurl.E_OK: Wire.ANSWERED,
        pycurl.E_OPERATION_TIMEDOUT: Wire.TIMEOUT,
        pycurl.E_COULDNT_RESOLVE_HOST: Wire.UNRESOLVED,
        pycurl.E_COULDNT_CONNECT: Wire.REFUSED,
        pycurl.E_PEER_FAILED_VERIFICATION: Wire.BAD_CERTIFICATE,
        pycurl.E_SSL_CERTPROBLEM: Wire.BAD_CERTIFICATE,
        pycurl.E_SSL_CACERT_BADFILE: Wire.BAD_CERTIFICATE,
        pycurl.E_SSL_ISSUER_ERROR: Wire.BAD_CERTIFICATE,
        pycurl.E_SSL_INVALIDCERTSTATUS: Wire.BAD_CERTIFICATE,
        _CLIENT_CERTIFICATE: Wire.BAD_CERTIFICATE,
        pycurl.E_GOT_NOTHING: Wire.BROKEN_OFF,
        pycurl.E_PARTIAL_FILE: Wire.BROKEN_OFF,
        pycurl.E_SEND_ERROR: Wire.BROKEN_OFF,
        pycurl.E_RECV_ERROR: Wire.BROKEN_OFF,
        pycurl.E_HTTP2: Wire.BROKEN_OFF,
        _HTTP2_STREAM: Wire.BROKEN_OFF,
    }
)


def wire_of(code: int) -> Wire:
    """What happened on the wire; `failed` for whatever has no word of its own."""
    return WIRES.get(code, Wire.FAILED)
