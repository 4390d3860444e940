"""Heads of HTTP/1.1 messages, good and bad, with what is read from them."""

from __future__ import annotations

from agent.http1 import Framing

HOST = b"Host: gw\r\n"


def request(fields: bytes = b"", *, line: bytes = b"GET /a HTTP/1.1", host: bytes = HOST) -> bytes:
    """The head of a request."""
    return line + b"\r\n" + host + fields + b"\r\n"


def response(fields: bytes = b"", *, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """The head of a response."""
    return line + b"\r\n" + fields + b"\r\n"


GOOD_REQUESTS = {
    "plain": (request(), Framing.NONE, 0, True),
    "length": (request(b"Content-Length: 5\r\n"), Framing.LENGTH, 5, True),
    "length zero is no body": (request(b"Content-Length: 0\r\n"), Framing.NONE, 0, True),
    "leading zeros": (request(b"Content-Length: 007\r\n"), Framing.LENGTH, 7, True),
    "18 digits": (request(b"content-length: 999999999999999999\r\n"), Framing.LENGTH, 999999999999999999, True),
    "chunked": (request(b"Transfer-Encoding: chunked\r\n"), Framing.CHUNKED, 0, True),
    "chunked in capitals": (request(b"TRANSFER-ENCODING:\t CHUNKED \r\n"), Framing.CHUNKED, 0, True),
    "close": (request(b"Connection: close\r\n"), Framing.NONE, 0, False),
    "close among others": (request(b"Connection: TE , Close\r\n"), Framing.NONE, 0, False),
    "close in a second field": (request(b"Connection: TE\r\nconnection: close\r\n"), Framing.NONE, 0, False),
    "HTTP/1.0": (request(line=b"GET /a HTTP/1.0"), Framing.NONE, 0, False),
    "HTTP/1.0 keep-alive": (request(b"Connection: keep-alive\r\n", line=b"GET /a HTTP/1.0"), Framing.NONE, 0, True),
    "HTTP/1.0 without Host": (request(line=b"GET /a HTTP/1.0", host=b""), Framing.NONE, 0, False),
    "empty value": (request(b"X:\r\nY: \t\r\n"), Framing.NONE, 0, True),
    "obs-text": (request(b"X: \xe9\xff\r\n"), Framing.NONE, 0, True),
    "tab in a value": (request(b"X: a\tb\r\n"), Framing.NONE, 0, True),
    "colon in a value": (request(b"X: a:b: c\r\n"), Framing.NONE, 0, True),
    "every token character": (request(b"!#$%&'*+-.^_`|~09AZaz: v\r\n"), Framing.NONE, 0, True),
    "raw target": (request(line=b'GET /%zz/..//x?a[]=|{}^`"<>\\ HTTP/1.1'), Framing.NONE, 0, True),
    "absolute-form": (request(line=b"GET http://h:81/x HTTP/1.1"), Framing.NONE, 0, True),
    "asterisk": (request(line=b"OPTIONS * HTTP/1.1"), Framing.NONE, 0, True),
    "other Transfer-like name": (request(b"X-Transfer-Encoding: gzip\r\n"), Framing.NONE, 0, True),
}


BAD_REQUESTS = {
    "no version": request(line=b"GET /a"),
    "HTTP/0.9": b"GET /a\r\n\r\n",
    "HTTP/2.0": request(line=b"GET /a HTTP/2.0"),
    "HTTP/1.2": request(line=b"GET /a HTTP/1.2"),
    "lower-case version": request(line=b"GET /a http/1.1"),
    "two blanks": request(line=b"GET  /a HTTP/1.1"),
    "blank in the target": request(line=b"GET /a b HTTP/1.1"),
    "tab for a blank": request(line=b"GET\t/a HTTP/1.1"),
    "blank behind the version": request(line=b"GET /a HTTP/1.1 "),
    "blank before the method": request(line=b" GET /a HTTP/1.1"),
    "fragment": request(line=b"GET /a#b HTTP/1.1"),
    "NUL in the target": request(line=b"GET /a\0b HTTP/1.1"),
    "DEL in the target": request(line=b"GET /a\x7fb HTTP/1.1"),
    "no target": request(line=b"GET HTTP/1.1"),
    "method with a slash": request(line=b"GE/T /a HTTP/1.1"),
    "method of 33 characters": request(line=b"G" * 33 + b" /a HTTP/1.1"),
    "no Host": request(host=b""),
    "two Hosts": request(HOST),
    "two Hosts in two spellings": request(b"hOST: gw\r\n"),
    "two Hosts in HTTP/1.0": request(HOST, line=b"GET /a HTTP/1.0"),
    "blank before the colon": request(b"X : v\r\n"),
    "tab before the colon": request(b"Content-Length\t: 5\r\n"),
    "no colon": request(b"X\r\n"),
    "empty name": request(b": v\r\n"),
    "folded": request(b"X: a\r\n b\r\n"),
    "folded with a tab": request(b"X: a\r\n\tb\r\n"),
    "leading blank on the first field": request(host=b" Host: gw\r\n"),
    "NUL in a value": request(b"X: a\0b\r\n"),
    "bell in a value": request(b"X: a\x07b\r\n"),
    "DEL in a value": request(b"X: a\x7fb\r\n"),
    "bare CR in a value": request(b"X: a\rb\r\n"),
    "bare CR before CRLF": request(b"X: a\r\r\n"),
    "bare LF in a value": request(b"X: a\nY: b\r\n"),
    "bare LF behind the request line": b"GET /a HTTP/1.1\nHost: gw\r\n\r\n",
    "name with a byte over 127": request(b"X\xe9: v\r\n"),
    "name with a quote": request(b'X": v\r\n'),
    "CL and TE": request(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    "TE and CL": request(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    "two equal CLs": request(b"Content-Length: 5\r\nContent-Length: 5\r\n"),
    "two CLs": request(b"Content-Length: 5\r\nContent-Length: 6\r\n"),
    "CL list": request(b"Content-Length: 5, 5\r\n"),
    "negative CL": request(b"Content-Length: -5\r\n"),
    "plus CL": request(b"Content-Length: +5\r\n"),
    "hex CL": request(b"Content-Length: 0x5\r\n"),
    "underscore CL": request(b"Content-Length: 1_0\r\n"),
    "empty CL": request(b"Content-Length:\r\n"),
    "superscript CL": request("Content-Length: ²\r\n".encode("latin-1")),
    "CL of 19 digits": request(b"Content-Length: 1000000000000000000\r\n"),
    "TE gzip": request(b"Transfer-Encoding: gzip\r\n"),
    "TE gzip, chunked": request(b"Transfer-Encoding: gzip, chunked\r\n"),
    "TE chunked, identity": request(b"Transfer-Encoding: chunked, identity\r\n"),
    "TE chunked twice": request(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    "TE identity": request(b"Transfer-Encoding: identity\r\n"),
    "TE empty": request(b"Transfer-Encoding:\r\n"),
    "TE with a comma": request(b"Transfer-Encoding: chunked,\r\n"),
    "TE with a tab behind it": request(b"Transfer-Encoding: chunked\t\r\n"),
    "CL with a tab behind it": request(b"Content-Length: 5 \t\r\n"),
    "TE quoted": request(b'Transfer-Encoding: "chunked"\r\n'),
    "TE with vertical tab": request(b"Transfer-Encoding: \x0bchunked\r\n"),
    "TE in HTTP/1.0": request(b"Transfer-Encoding: chunked\r\n", line=b"GET /a HTTP/1.0"),
}


GOOD_RESPONSES = {
    "plain": (response(b"Content-Length: 5\r\n"), False, Framing.LENGTH, 5, True),
    "no reason": (response(b"Content-Length: 5\r\n", line=b"HTTP/1.1 200"), False, Framing.LENGTH, 5, True),
    "empty reason": (response(b"Content-Length: 5\r\n", line=b"HTTP/1.1 200 "), False, Framing.LENGTH, 5, True),
    "chunked": (response(b"Transfer-Encoding: chunked\r\n"), False, Framing.CHUNKED, 0, True),
    "until EOF": (response(), False, Framing.UNTIL_EOF, 0, False),
    "length zero": (response(b"content-length:0\r\n"), False, Framing.NONE, 0, True),
    "to HEAD, with length": (response(b"Content-Length: 5\r\n"), True, Framing.NONE, 0, True),
    "to HEAD, chunked": (response(b"Transfer-Encoding: chunked\r\n"), True, Framing.NONE, 0, True),
    "to HEAD, bare": (response(), True, Framing.NONE, 0, True),
    "204": (response(line=b"HTTP/1.1 204 No Content"), False, Framing.NONE, 0, True),
    "304 with length": (response(b"Content-Length: 5\r\n", line=b"HTTP/1.1 304 x"), False, Framing.NONE, 0, True),
    "100": (response(line=b"HTTP/1.1 100 Continue"), False, Framing.NONE, 0, True),
    "close": (response(b"Content-Length: 5\r\nConnection: close\r\n"), False, Framing.LENGTH, 5, False),
    "1.0": (response(b"Content-Length: 5\r\n", line=b"HTTP/1.0 200 OK"), False, Framing.LENGTH, 5, False),
    "1.0 keep-alive": (
        response(b"Content-Length: 5\r\nConnection: Keep-Alive\r\n", line=b"HTTP/1.0 200 OK"),
        False,
        Framing.LENGTH,
        5,
        True,
    ),
    "name ends like a framing field": (
        response(b"X-Content-Length: 9\r\nContent-Length: 5\r\n"),
        False,
        Framing.LENGTH,
        5,
        True,
    ),
}


BAD_RESPONSES = {
    "not HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "HTTP/2": response(line=b"HTTP/2 200"),
    "two digits": response(line=b"HTTP/1.1 20 OK"),
    "status 600": response(line=b"HTTP/1.1 600 x"),
    "status 099": response(line=b"HTTP/1.1 099 x"),
    "no blank behind the status": response(line=b"HTTP/1.1 200OK"),
    "NUL in the reason": response(line=b"HTTP/1.1 200 a\0"),
    "CR in the reason": response(line=b"HTTP/1.1 200 a\rb"),
    "CL and TE": response(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    "two CLs": response(b"Content-Length: 5\r\nContent-Length: 6\r\n"),
    "CL list": response(b"Content-Length: 5, 6\r\n"),
    "TE with a tab behind it": response(b"Transfer-Encoding: chunked\t\r\n"),
    "CL with a tab behind it": response(b"Content-Length: 5 \t \r\n"),
    "CL signed": response(b"Content-Length: +5\r\n"),
    "TE gzip": response(b"Transfer-Encoding: gzip\r\n"),
    "TE in HTTP/1.0": response(b"Transfer-Encoding: chunked\r\n", line=b"HTTP/1.0 200 OK"),
    "folded": response(b"X: a\r\n Content-Length: 5\r\n"),
    "folded first": response(b" X: a\r\n"),
    "blank before the colon": response(b"Content-Length : 5\r\n"),
    "bare LF": response(b"X: a\nContent-Length: 5\r\n"),
    "NUL": response(b"X: a\0\r\n"),
    "no colon": response(b"oops\r\n"),
}
