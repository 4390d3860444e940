"""The web panel: pages made on the server, nicer with JavaScript and whole without it.

A page is a function in ``pages/`` that takes a ``Visitor`` (by ``Sees(permission)``) and returns
``visitor.page(template, ...)``. A form is sent by POST to a function that takes a ``Submitted`` (by
``Changes(permission)``), which has proven that a page of ours sent it; when all is well it answers
``visitor.go(path)``, else the page again with ``status=422``. Templates extend ``base.html`` and use the macros in
``templates/parts/``; scripts and styles are files under ``static/``, since the Content-Security-Policy allows no other.
"""
