"""Answers that do not come from the webservice: error pages of Apache and nginx, and a few pages of the shop. Pure."""

from __future__ import annotations

from html import escape
from http import HTTPStatus

from agent.demo.store.answer import PHP, Answer
from agent.demo.store.session import php_session, session_cookie

_HTML = "text/html; charset=utf-8"
_EXPIRED = [
    ("Expires", "Thu, 19 Nov 1981 08:52:00 GMT"),
    ("Cache-Control", "no-store, no-cache, must-revalidate"),
    ("Pragma", "no-cache"),
]
_TEXTS = {
    400: "<p>Your browser sent a request that this server could not understand.<br />\n{detail}</p>\n",
    403: "<p>You don't have permission to access this resource.</p>\n",
    404: "<p>The requested URL was not found on this server.</p>\n",
    414: "<p>The requested URL's length exceeds the capacity\nlimit for this server.<br />\n</p>\n",
    417: (
        "<p>The expectation given in the Expect request-header\nfield could not be met by this server.\n"
        "The client sent<pre>\n    Expect: {detail}\n</pre>\n</p>"
        "<p>Only the 100-continue expectation is supported.</p>\n"
    ),
    500: (
        "<p>The server encountered an internal error or\nmisconfiguration and was unable to complete\n"
        "your request.</p>\n"
        "<p>Please contact the server administrator at \n [no address given] to inform them of the time this error"
        " occurred,\n and the actions you performed just before this error.</p>\n"
        "<p>More information about this error may be available\nin the server error log.</p>\n"
    ),
}


def server_error(status: int, detail: str = "", *, nginx: bool = False) -> Answer:
    """A page that the web server makes itself."""
    title = f"{status} {_phrase(status)}"
    if nginx:
        text = (
            f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
            "<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
        )
        return Answer(status, body=text.encode(), content_type="text/html", by_server=True, close=True)
    explained = _TEXTS[status].replace("{detail}", escape(detail))
    return _apache_page(status, title, f"<h1>{_phrase(status)}</h1>\n{explained}")


def moved_to_folder(location: str) -> Answer:
    """Apache's redirect of a folder without its slash."""
    link = f'<p>The document has moved <a href="{escape(location)}">here</a>.</p>\n'
    answer = _apache_page(301, "301 Moved Permanently", f"<h1>Moved Permanently</h1>\n{link}")
    answer.fields.append(("Location", location))
    return answer


def trace(request_head: bytes) -> Answer:
    """The request as it came, as Apache echoes it unless it was told not to."""
    return Answer(
        200, body=request_head, content_type="message/http", deflate=False, by_server=True, force_chunked=True
    )


def home_redirect(location: str, status: int, *, by_language: bool) -> Answer:
    """The shop sends to the folder of the language or to another scheme."""
    fields = [("X-Powered-By", PHP), ("Cache-Control", "no-cache"), ("Location", location)]
    reason = "Moved" if by_language else None
    return Answer(status, fields, b"", _HTML, reason=reason, old_status_line=by_language)


def shop_redirect(status: int, location: str) -> Answer:
    """PrestaShop sends a wrong Host to the home page of the shop, long before any authentication."""
    return Answer(status, [("X-Powered-By", PHP), ("Location", location)], b"", _HTML, old_status_line=True)


def front_page(now: float, shop_name: str, product_names: list[str]) -> Answer:
    """The shop's home page, such as it is."""
    items = "".join(f"  <li>{escape(name)}</li>\n" for name in product_names)
    fields = [("X-Powered-By", PHP), php_session(now), *_EXPIRED, session_cookie(now), session_cookie(now)]
    body = _page(shop_name, f"<h1>{escape(shop_name)}</h1>\n<ul>\n{items}</ul>\n")
    return Answer(200, fields, body, _HTML, force_chunked=True)


def page_not_found(now: float) -> Answer:
    """The shop's own 404 page."""
    fields = [("X-Powered-By", PHP), ("Status", "404 Not Found"), php_session(now), *_EXPIRED]
    return Answer(404, fields, _page("Not found", "<h1>This page is not there.</h1>\n"), _HTML, force_chunked=True)


def maintenance_page(now: float) -> Answer:
    """The shop is being worked on; the webservice answers all the same."""
    fields = [("X-Powered-By", PHP), session_cookie(now, "back"), ("Retry-After", "3600"), session_cookie(now)]
    return Answer(503, fields, _page("Back soon", "<h1>We are tidying up.</h1>\n"), _HTML)


def admin_login_page(now: float) -> Answer:
    """The login page of the back office."""
    fields = [
        ("Vary", "Authorization,Accept-Encoding"),
        ("X-Powered-By", PHP),
        ("Login", "true"),
        ("Cache-Control", "no-store, no-cache"),
        php_session(now),
        session_cookie(now, "back"),
    ]
    form = '<form method="post"><input name="email"><input name="passwd" type="password"></form>\n'
    return Answer(200, fields, _page("Back office", form), _HTML, deflate=False)


def _apache_page(status: int, title: str, content: str) -> Answer:
    text = (
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">\n'
        f"<html><head>\n<title>{title}</title>\n</head><body>\n{content}</body></html>\n"
    )
    return Answer(status, body=text.encode(), content_type="text/html; charset=iso-8859-1", by_server=True)


def _page(title: str, content: str) -> bytes:
    text = f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(title)}</title></head>\n'
    return f"{text}<body>\n{content}</body>\n</html>\n".encode()


def _phrase(status: int) -> str:
    return {413: "Request Entity Too Large", 414: "Request-URI Too Long"}.get(status) or HTTPStatus(status).phrase
