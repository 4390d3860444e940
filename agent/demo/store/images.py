"""The images resource: lists, binary pictures, uploads by multipart, replacement by ps_method=PUT."""

from __future__ import annotations

import base64

from agent.demo.store import xml_output
from agent.demo.store.call import Call, Content
from agent.demo.store.faults import Missing, WebserviceFault, did_you_mean
from agent.demo.store.pictures import (
    Picture,
    delete_picture,
    general_picture,
    owners,
    picture_ids,
    picture_type,
    read_picture,
    sizes,
    write_general,
    write_picture,
)

KINDS = ("general", "products", "categories", "manufacturers", "suppliers", "stores", "customizations")
GENERAL = ("header", "mail", "invoice", "store_icon")
_TYPES = "image/gif, image/jpg, image/jpeg, image/pjpeg, image/png, image/webp, image/x-png"
_READ_ONLY = 'get="true" put="false" post="false" patch="false" delete="false" head="true"'
_REPLACEABLE = 'get="true" put="true" post="false" patch="false" delete="false" head="true"'


def manage(call: Call) -> Content:
    """Carry out a request below ``images``. Raises Missing and WebserviceFault 48-76."""
    call.managed = True
    kind = call.segment(1)
    if kind == "":
        return _list(call, "image_types", KINDS, "", _READ_ONLY)
    if kind not in KINDS:
        raise WebserviceFault(400, (48, did_you_mean(f'Image of type "{kind}" does not exist', kind, KINDS)))
    if kind == "general":
        return _general(call)
    if call.segment(2) == "":
        return _list_of_kind(call, kind)
    if not call.segment(2).isdecimal():
        raise WebserviceFault(400, (60 if kind == "products" else 66, "This image id does not exist"))
    return _product(call) if kind == "products" else _record_picture(call, kind)


def _list(call: Call, node: str, names: tuple[str, ...], below: str, rights: str) -> Content:
    if call.json:
        return Content(500, None, None, crashed=True)
    rows = "".join(
        f'<{name} xlink:href="{call.base_url}images/{below}{name}" {rights} upload_allowed_mimetypes="{_TYPES}"/>\n'
        for name in names
    )
    return _xml(f"<{node}>\n{rows}</{node}>\n")


def _list_of_kind(call: Call, kind: str) -> Content:
    if call.json:
        return Content(500, None, None, crashed=True)
    wanted = sizes(call.database, kind)
    types = [(row, name) for name in wanted for row in call.database.ids("image_types", "name = ?", (name,))]
    rows = [
        f'<image_type id="{number}" name="{name}" xlink:href="{call.base_url}image_types/{number}"/>\n'
        for number, name in types
    ]
    pictures = [
        f'<image id="{owner}" xlink:href="{call.base_url}images/{kind}/{owner}"/>\n'
        for owner in owners(call.database, kind)
    ]
    return _xml(f"<image_types>\n{''.join(rows)}</image_types>\n<images>\n{''.join(pictures)}</images>\n")


def _general(call: Call) -> Content:
    name = call.segment(2)
    if name == "":
        return _list(call, "general_image_types", GENERAL, "general/", _REPLACEABLE)
    if name not in GENERAL:
        text = did_you_mean(f'General image of type "{name}" does not exist', name, GENERAL)
        raise WebserviceFault(400, (53, text))
    if call.method in ("POST", "PATCH", "DELETE"):
        raise WebserviceFault(405, (49, "This method is not allowed with general image resources."))
    if call.method == "PUT":
        write_general(call.database, name, _uploaded(call))
    return _binary(general_picture(call.database, name))


def _product(call: Call) -> Content:
    product = int(call.segment(2))
    known = picture_ids(call.database, "products", product)
    wanted = call.segment(3)
    if call.method == "POST":
        return _add_to_product(call, product)
    if not known or call.database.read("products", product) is None:
        raise Missing
    if wanted == "":
        if call.method == "DELETE":
            raise WebserviceFault(400, (60, "This image id does not exist"))
        return _declinations(call, product, known)
    if not wanted.isdecimal() or int(wanted) not in known:
        raise WebserviceFault(400, (57, "This image id does not exist"))
    return _one(call, "products", product, int(wanted), call.segment(4))


def _record_picture(call: Call, kind: str) -> Content:
    owner = int(call.segment(2))
    known = picture_ids(call.database, kind, owner)
    if call.method == "POST":
        if known:
            text = "This image already exists. To modify it, please use the PUT method"
            raise WebserviceFault(400, (65, text))
        if kind not in ("categories", "manufacturers", "suppliers") or call.database.read(kind, owner) is None:
            raise Missing
        picture = _uploaded(call)
        write_picture(call.database, kind, owner, owner, picture)
        call.touched.append(owner)
        return _binary(picture)
    if not known:
        raise Missing
    return _one(call, kind, owner, owner, call.segment(3))


def _one(call: Call, kind: str, owner: int, number: int, size: str) -> Content:
    """Read, replace or delete one picture."""
    known = list(sizes(call.database, kind))
    if size and size not in known:
        raise WebserviceFault(400, (58, did_you_mean("This image size does not exist", size, known)))
    if call.method == "DELETE":
        delete_picture(call.database, kind, owner, number)
        call.touched.append(number)
        return Content(200, None, None)
    if call.method in ("PUT", "PATCH"):
        write_picture(call.database, kind, owner, number, _uploaded(call))
        call.touched.append(number)
    picture = read_picture(call.database, kind, owner, number, size or None)
    if picture is None:
        raise Missing
    return _binary(picture)


def _add_to_product(call: Call, product: int) -> Content:
    """A new picture: in XML its record with the whole picture as base64, in JSON the bare picture."""
    if call.database.read("products", product) is None:
        raise WebserviceFault(400, (76, f"Product {product} does not exist"))
    picture = _uploaded(call)
    number = call.database.next_id("pictures")
    write_picture(call.database, "products", product, number, picture)
    call.touched.append(number)
    if call.json:
        return _binary(picture)
    position = picture_ids(call.database, "products", product).index(number) + 1
    legend = "".join(
        f'<language id="{one}" xlink:href="{call.base_url}languages/{one}"><![CDATA[]]></language>'
        for one in call.languages
    )
    cover = "1" if position == 1 else ""
    encoded = base64.b64encode(picture.content).decode()
    return _xml(
        f"<image>\n<id><![CDATA[{number}]]></id>\n<id_product><![CDATA[{product}]]></id_product>\n"
        f"<position><![CDATA[{position}]]></position>\n<cover><![CDATA[{cover}]]></cover>\n"
        f"<legend>{legend}</legend>\n</image>\n"
        f'<content encode="base64"><![CDATA[{encoded}]]></content>\n'
    )


def _declinations(call: Call, product: int, known: list[int]) -> Content:
    if call.json:
        return Content(500, None, None, crashed=True)
    rows = "".join(
        f'<declination id="{number}" xlink:href="{call.base_url}images/products/{product}/{number}"/>\n'
        for number in known
    )
    return _xml(f'<image id="{product}">\n{rows}</image>\n')


def _uploaded(call: Call) -> Picture:
    """The file called ``image`` of a multipart body."""
    upload = call.files.get("image")
    if upload is None or not upload.content:
        raise WebserviceFault(400, (76, 'Please set an "image" parameter with image data for value'))
    kind = picture_type(upload.content)
    if kind is None:
        text = "This type of image format is not recognized, allowed formats are: gif, jpg, jpeg, pjpeg, png, webp"
        raise WebserviceFault(400, (73, text))
    return Picture(kind, upload.content)


def _binary(picture: Picture) -> Content:
    return Content(200, picture.content, picture.content_type)


def _xml(content: str) -> Content:
    return Content(200, xml_output.document(content), xml_output.CONTENT_TYPE)
