"""A tree of files becomes an rpm, by rpmbuild."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path
from typing import Final

from builder.completions import ZSH_DEBIAN, ZSH_RED_HAT
from builder.product import MAINTAINER, PYTHON, ROOT, epoch, machine, run, version
from builder.scripts import script
from builder.tree import Tree

RELEASE: Final = "1"

# Nothing is added to, taken from or worked out of the tree: no debug packages, no byte code, no dependencies of the
# libraries that it brings for itself.
_SPEC: Final = """\
%global debug_package %{{nil}}
%global __os_install_post %{{nil}}
%global _build_id_links none
%global _binary_payload w4.xzdio
%global source_date_epoch_from_changelog 0
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%global _buildhost build
Name: {name}
Version: {version}
Release: {release}
Summary: {summary}
License: Apache-2.0
Group: Applications/Internet
Packager: {maintainer}
AutoReqProv: no
Requires: /usr/bin/{python}
Requires: glibc >= {glibc}
Requires(post): shadow-utils
{requires_systemd}
%description
{description}

%install
cp -a {tree}/. %{{buildroot}}

%post
{post}
%preun
{preun}
%postun
{postun}
%files
{files}

%changelog
* {date} {maintainer} - {version}-{release}
- See /usr/share/doc/{name}/CHANGELOG.md
"""


def build_rpm(tree: Tree, folder: Path, work: Path) -> Path:
    """Write ``NAME-VERSION.ARCH.rpm`` to ``folder``; ``work`` is empty, and ``tree`` is Debian's, and used up here."""
    product = tree.product
    _move_to_red_hat(tree)
    files = [_line(file, tree) for file in tree.files()]
    # The folder that the package owns wholly, so that removal takes it away.
    folders = [product.home, f"etc/{product.name}", f"usr/share/doc/{product.name}", *_below(tree)]
    spec = work / f"{product.name}.spec"
    spec.write_text(
        _SPEC.format(
            name=product.name,
            version=version(),
            release=RELEASE,
            summary=product.summary,
            maintainer=MAINTAINER,
            python=PYTHON,
            glibc=tree.glibc,
            requires_systemd="Recommends: systemd",
            description="\n\n".join(product.description),
            tree=tree.root,
            post=script("rpm-post", product),
            preun=script("rpm-preun", product),
            postun=script("rpm-postun", product),
            files="\n".join(["%defattr(-,root,root,-)", *(f"%dir /{each}" for each in folders), *files]),
            date=datetime.datetime.fromtimestamp(epoch(), datetime.UTC).strftime("%a %b %d %Y"),
        ),
        encoding="utf-8",
    )
    defined = [f"_topdir {work}/rpm", f"_tmppath {work}", f"_dbpath {work}/db"]
    options = [word for each in defined for word in ("--define", each)]
    run(["rpmbuild", "-bb", "--quiet", *options, str(spec)], environ={"SOURCE_DATE_EPOCH": str(epoch())})
    (made,) = (work / "rpm/RPMS").rglob("*.rpm")
    file = folder / f"{product.name}-{version()}.{machine()}.rpm"
    shutil.move(made, file)
    return file


def _move_to_red_hat(tree: Tree) -> None:
    """Debian's files go, and what lies elsewhere there is moved."""
    name = tree.product.name
    shutil.rmtree(tree.root / "usr/share/lintian")
    (tree.root / f"usr/share/doc/{name}/changelog.gz").unlink()
    (tree.root / ZSH_RED_HAT).parent.mkdir(parents=True, exist_ok=True)
    (tree.root / ZSH_DEBIAN).rename(tree.root / ZSH_RED_HAT)
    tree.add(f"usr/share/licenses/{name}/LICENSE", (ROOT / "LICENSE").read_text(encoding="utf-8"))


def _line(file: str, tree: Tree) -> str:
    kind = "%config(noreplace) " if f"/{file}" in tree.conffiles else "%doc " if "/share/doc/" in file else ""
    return f'{kind}"/{file}"'


def _below(tree: Tree) -> list[str]:
    """Every folder below the program's home and its documentation."""
    tops = (tree.root / tree.product.home, tree.root / "usr/share/doc" / tree.product.name)
    return sorted(str(each.relative_to(tree.root)) for top in tops for each in top.rglob("*") if each.is_dir())
